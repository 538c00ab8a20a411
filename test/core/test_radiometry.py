# Copyright 2026 difiisr_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License");
# you may not use this file except in compliance with the License.
# You may obtain a copy of the License at
#
#     http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied.
# See the License for the specific language governing permissions and
# limitations under the License.

"""Counts to normalised intensity and back."""

from __future__ import annotations

import numpy as np
import pytest

from difiisr_ros.core import radiometry
from difiisr_ros.core.camera_profile import CameraProfile
from difiisr_ros.core.output_geometry import plan
from difiisr_ros.core.radiometry import (
    RangeSmoother,
    measure_range,
    normalize,
    restore,
    shown_and_scene_range,
)
from difiisr_ros.core.reading import read
from difiisr_ros.core.region import Region
from difiisr_ros.errors import FrameError, OptionError


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize("mode", ["percentile", "minmax", "fixed"])
def test_round_trip_keeps_every_value(dtype, mode):
    rng = np.random.default_rng(0)
    frame = rng.integers(0, 256 if dtype == np.uint8 else 40_000, (50, 60)).astype(dtype)
    value_range = measure_range(frame, mode, 10.0, 90.0)
    back = restore(normalize(frame, value_range), value_range, frame.dtype)
    assert back.dtype == dtype
    np.testing.assert_allclose(back, frame, rtol=1e-5, atol=0)


def test_percentiles_ignore_a_hot_target_but_do_not_cut_it():
    frame = np.full((100, 100), 30_000, np.uint16)
    frame += np.arange(10_000).reshape(100, 100).astype(np.uint16) % 500
    frame[50, 50] = 65_000
    low, high = measure_range(frame)
    assert 30_000 <= low <= 30_010
    assert 30_490 <= high <= 30_500
    normalized = normalize(frame, (low, high))
    assert normalized[50, 50] > 60
    assert restore(normalized, (low, high), frame.dtype)[50, 50] == 65_000


def scene_range(frame: np.ndarray) -> tuple[float, float]:
    shown, scene = shown_and_scene_range(frame)
    assert shown == measure_range(frame)
    return scene


@pytest.mark.parametrize("sign", [1, -1])
def test_the_range_of_a_scene_is_not_that_of_the_engine_in_it(sign):
    rng = np.random.default_rng(0)
    scene = (20_000 + 100 * rng.standard_normal((100, 120))).astype(np.float32)
    assert scene_range(scene) == measure_range(scene)
    hot = scene.copy()
    hot[20:40, 30:48] += sign * 3000  # 3 % of the pixels
    low, high = scene_range(hot)
    wide, own = (np.ptp(measure_range(frame)) for frame in (hot, scene))
    assert wide > 6 * own and own < high - low < 2 * own
    hot[20:60, 30:78] += sign * 3000  # 16 %: that is the scene
    assert scene_range(hot) == measure_range(hot)


def test_a_scene_most_of_which_has_one_value_has_a_range():
    frame = np.full((100, 100), 7000, np.uint16)
    frame[:2, :90] = 9000
    low, high = scene_range(frame)
    assert (low, high) == (7000.0, 7000.0 + 2000 / 8)
    assert scene_range(np.full((9, 9), 7, np.uint8)) == measure_range(np.full((9, 9), 7, np.uint8))


def test_percentile_is_the_rank_of_the_sorted_values():
    frame = np.arange(10_000, dtype=np.uint16).reshape(100, 100)
    frame = frame[np.random.default_rng(1).permutation(100)]
    assert measure_range(frame) == (100.0, 9900.0)


def test_large_frames_are_sampled_on_a_grid_and_agree():
    frame = np.random.default_rng(2).normal(30_000, 400, (512, 640)).astype(np.uint16)
    low, high = measure_range(frame)
    exact = np.percentile(frame, radiometry.PERCENTILES)
    np.testing.assert_allclose((low, high), exact, atol=12)  # 400 counts sigma, 64 k samples


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_flat_frame_has_a_defined_range_and_stays_flat(dtype):
    frame = np.full((8, 9), 200, dtype)
    low, high = measure_range(frame)
    assert low < 200 < high
    back = restore(normalize(frame, (low, high)), (low, high), frame.dtype)
    np.testing.assert_array_equal(back, frame)


def test_integers_are_cut_at_their_own_limits_only():
    value_range = (0.0, 100.0)
    out = restore(np.array([[-1.0, 0.5, 3.0]], np.float32), value_range, np.uint8)
    np.testing.assert_array_equal(out, [[0, 50, 255]])
    out = restore(np.array([[-1.0, 0.5, 3.0]], np.float32), value_range, np.float32)
    np.testing.assert_array_equal(out, [[-100, 50, 300]])


def test_nan_and_inf_are_filled_from_their_neighbours():
    frame = np.full((20, 20), 300.0, np.float32)
    frame[:, 10:] = 310.0
    frame[5, 3], frame[5, 15], frame[6, 15] = np.nan, np.inf, -np.inf
    value_range = measure_range(frame)
    assert value_range == (300.0, 310.0)
    normalized = normalize(frame, value_range)
    assert np.isfinite(normalized).all()
    assert normalized[5, 3] == pytest.approx(0.0, abs=1e-6)
    assert normalized[5, 15] == pytest.approx(1.0, abs=1e-6)


def test_missing_pixels_come_back_as_whole_blocks():
    frame = np.zeros((3, 4), np.float32)
    frame[1, 2], frame[0, 0] = np.nan, np.inf
    result = np.zeros((12, 16), np.float32)
    read(frame, CameraProfile()).restore(result, Region(0, 0, 4, 3), plan((4, 3), 4))
    assert np.isnan(result[4:8, 8:12]).all()
    assert np.isposinf(result[:4, :4]).all()
    assert np.isfinite(result).sum() == 12 * 16 - 32


def test_float_frame_without_a_finite_value_is_refused():
    with pytest.raises(FrameError, match="no finite value"):
        measure_range(np.full((4, 4), np.nan, np.float32))


@pytest.mark.parametrize(
    ("frame", "said"),
    [
        ([[1, 2]], "numpy array, got list"),
        (np.zeros((4, 4, 3), np.uint8), r"\(4, 4, 3\)"),
        (np.zeros((0, 4), np.uint8), "empty"),
        (np.zeros((4, 4), np.float64), "float64"),
        (np.zeros((4, 4), np.int16), "int16"),
    ],
)
def test_frames_that_cannot_be_used_are_named(frame, said):
    with pytest.raises(FrameError, match=said):
        radiometry.check_frame(frame)


@pytest.mark.filterwarnings("ignore:the matrix subclass")
def test_arrays_of_other_classes_are_taken_as_plain_ones(tmp_path):
    frame = np.arange(12, dtype=np.uint16).reshape(3, 4)
    assert radiometry.check_frame(frame) is frame
    mapped = np.memmap(tmp_path / "frame", np.uint16, "w+", shape=(3, 4))
    mapped[:] = frame
    for other in (np.asmatrix(frame), np.ma.masked_array(frame), mapped):
        plain = radiometry.check_frame(other)
        assert type(plain) is np.ndarray
        assert np.shares_memory(plain, other)
        np.testing.assert_array_equal(plain, frame)


def test_a_mask_that_hides_pixels_is_told_in_another_way():
    frame = np.ma.masked_less(np.arange(12, dtype=np.float32).reshape(3, 4), 2)
    with pytest.raises(
        FrameError, match=r"hides 2 of its pixels; .* missing=np.ma.getmaskarray\(frame"
    ):
        radiometry.check_frame(frame)


@pytest.mark.parametrize(
    "pair", [(None, 1.0), (1.0, None), (2.0, 1.0), (1.0, 1.0), (float("nan"), 1.0)]
)
def test_fixed_needs_an_ordered_pair(pair):
    with pytest.raises(OptionError, match="range_m"):
        measure_range(np.zeros((2, 2), np.uint8), "fixed", *pair)


def test_unknown_mode_lists_the_known_ones():
    with pytest.raises(OptionError, match="percentile, fixed, minmax"):
        measure_range(np.zeros((2, 2), np.uint8), "auto")


def test_smoother_follows_a_step_with_its_time_constant():
    smoother = RangeSmoother(2.0)
    assert smoother.update((0.0, 100.0), 10.0) == (0.0, 100.0)
    low, high = smoother.update((10.0, 200.0), 12.0)
    assert low == pytest.approx(6.32, abs=0.01)
    assert high == pytest.approx(163.2, abs=0.1)
    assert smoother.update((7.0, 8.0), 5.0) == (7.0, 8.0)  # the clock jumped back: anew
    smoother.update((7.0, 8.0), 6.0)
    smoother.reset()
    assert smoother.update((1.0, 2.0), 6.0) == (1.0, 2.0)
    assert RangeSmoother(0.0).update((1.0, 2.0), 0.0) == (1.0, 2.0)
    with pytest.raises(OptionError, match="range_time_constant"):
        RangeSmoother(-1.0)
