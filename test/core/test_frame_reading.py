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

"""Missing, cropped and bad pixels: left alone by range, noise and network, in every type."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from difiisr_ros import CameraProfile, SuperResolver
from difiisr_ros.core.bad_pixels import write_bad_pixels
from difiisr_ros.core.missing import filled, in_words, missing_mask, parse_missing
from difiisr_ros.core.noise_level import estimate_noise
from difiisr_ros.core.radiometry import measure_range
from difiisr_ros.core.reading import read
from difiisr_ros.errors import FrameError, OptionError
from support.frames import street

SCENE = street()
FRAME, TRUTH = SCENE.frame(0)[0], SCENE.truth(0)


def scattered(share, seed=3):
    mask = np.zeros(FRAME.shape, bool)
    mask.flat[np.random.default_rng(seed).choice(mask.size, int(share * mask.size), False)] = True
    return mask


def blocks(mask):
    return np.kron(mask, np.ones((4, 4))) > 0


def rmse(result, truth, where):
    return float(np.sqrt(np.mean((result[where].astype(float) - truth[where]) ** 2)))


@pytest.fixture(scope="module", params=["lite", "nano", "bicubic"])
def resolver(request):
    if request.param == "bicubic":
        return SuperResolver.load(backend="bicubic")
    return SuperResolver.load(model=request.param, backend="torch")


@pytest.mark.parametrize("value", [0, 65535])
def test_declared_zeros_cost_nothing_away_from_them(resolver, value):
    holes = scattered(0.002)
    frame = FRAME.copy()
    frame[holes] = value
    result = resolver.upscale(frame, camera=CameraProfile(missing=value))
    assert (result[blocks(holes)] == value).all() and result.dtype == np.uint16
    away = cv2.dilate(blocks(holes).astype(np.uint8), np.ones((17, 17), np.uint8)) == 0
    whole = rmse(resolver.upscale(FRAME), TRUTH, away)
    assert rmse(result, TRUTH, away) == pytest.approx(whole, rel=0.005)
    assert rmse(result, TRUTH, ~blocks(holes)) == pytest.approx(whole, rel=0.02)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("value", [-9999.0, -3.4e38, float(np.finfo(np.float32).min), np.nan])
def test_nodata_of_floats_costs_nothing(resolver, value):
    kelvin, truth = (FRAME / 100).astype(np.float32), TRUTH / 100
    holes = scattered(0.04)
    frame = kelvin.copy()
    frame[holes] = value
    declared = () if np.isnan(value) else value
    result = resolver.upscale(frame, camera=CameraProfile(missing=declared))
    known = ~blocks(holes)
    assert np.isfinite(result[known]).all() and np.abs(result[known]).max() < 400
    np.testing.assert_array_equal(result[~known], np.float32(value))
    without = rmse(resolver.upscale(kelvin), truth, known)
    assert rmse(result, truth, known) == pytest.approx(without, rel=0.035)


@pytest.mark.filterwarnings("error")
def test_the_largest_floats_measure_nothing_though_nobody_says_so(resolver):
    frame = (FRAME / 100).astype(np.float32)
    frame[10:14, 10:14] = np.finfo(np.float32).max
    result = resolver.upscale(frame)
    assert (result[40:56, 40:56] == np.finfo(np.float32).max).all()
    assert result[:40].max() < 400


def test_integers_and_floats_are_measured_alike():
    frame = FRAME.copy()
    holes = scattered(0.03)
    frame[holes] = 0
    whole = frame.astype(np.float32)
    whole[holes] = np.nan
    camera = CameraProfile(missing=0)
    scene = read(frame, camera).scene
    np.testing.assert_array_equal(scene, whole)
    assert measure_range(scene) == measure_range(whole)
    assert measure_range(scene) == pytest.approx(measure_range(FRAME), rel=0.001)
    assert estimate_noise(scene) == pytest.approx(estimate_noise(FRAME), rel=0.08)


def test_a_frame_of_which_nothing_is_known_is_not_copied():
    reading = read(FRAME, CameraProfile())
    assert reading.scene is FRAME and reading.frame is FRAME and reading.missing is None
    declared = read(FRAME, CameraProfile(missing=[0, 65535]))
    assert declared.scene is FRAME and declared.missing is None


@pytest.mark.parametrize("rows", ["bottom", "top"])
def test_a_crop_gives_the_result_of_the_cropped_frame_to_the_byte(resolver, rows):
    words = np.random.default_rng(0).integers(0, 65536, (2, 160)).astype(np.uint16)
    stacked = np.vstack([FRAME, words] if rows == "bottom" else [words, FRAME])
    result = resolver.upscale(stacked, camera=CameraProfile(crop={rows: 2}))
    assert result.tobytes() == resolver.upscale(FRAME).tobytes()
    wide = np.pad(FRAME, ((0, 0), (3, 5)))
    result = resolver.upscale(wide, camera=CameraProfile(crop=(0, 0, 3, 5)))
    assert result.tobytes() == resolver.upscale(FRAME).tobytes()


def test_a_crop_comes_before_what_is_missing_and_bad(tmp_path):
    mask = np.zeros((124, 160), bool)
    mask[2:4, 5], mask[123, 0] = True, True
    write_bad_pixels(tmp_path / "bad.png", mask)
    frame = np.pad(FRAME, ((2, 2), (0, 0)))
    frame[2:4, 5], frame[60, 60] = 1, 0
    camera = CameraProfile(missing=0, crop=(2, 2, 0, 0), bad_pixels=str(tmp_path / "bad.png"))
    reading = read(frame, camera)
    assert reading.frame.shape == FRAME.shape
    assert np.argwhere(reading.missing).tolist() == [[58, 60]]
    assert np.argwhere(np.isnan(reading.scene)).tolist() == [[0, 5], [1, 5], [58, 60]]


def test_bad_pixels_come_back_interpolated(resolver, tmp_path):
    bad = scattered(0.002)
    bad[50:52, 70:72] = True  # a cluster, of which no pixel is lone
    write_bad_pixels(tmp_path / "bad.png", bad)
    frame = FRAME.copy()
    frame[bad] = np.random.default_rng(1).choice([0, 20_000, 65535], bad.sum())
    camera = CameraProfile(bad_pixels=str(tmp_path / "bad.png"))
    result, whole = resolver.upscale(frame, camera=camera), resolver.upscale(FRAME)
    assert rmse(result, TRUTH, ~blocks(bad)) == pytest.approx(
        rmse(whole, TRUTH, ~blocks(bad)), 0.02
    )
    # Within the scene at the bad ones, too, and no better guess than their neighbours is asked for.
    assert whole.min() - 50 < result.min() and result.max() < whole.max() + 50
    assert rmse(result, TRUTH, blocks(bad)) < 4 * rmse(whole, TRUTH, blocks(bad))


def test_a_warm_up_is_of_the_cropped_size_and_of_no_camera(tmp_path):
    write_bad_pixels(tmp_path / "bad.png", np.eye(20, 30) > 0)
    camera = CameraProfile(
        missing=[[0, 255]], crop=(2, 2, 0, 9), bad_pixels=str(tmp_path / "bad.png")
    )
    resolver = SuperResolver.load(backend="bicubic", camera=camera)
    shapes = []
    run = resolver._backend.run
    resolver._backend.run = lambda lr, *rest: shapes.append(lr.shape[2:]) or run(lr, *rest)
    resolver.warmup(20, 30)
    resolver.warmup(4, 30)  # of which the crop would leave nothing
    assert shapes == [(16, 21), (4, 30)] and resolver.measurements == ()


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_a_frame_without_a_measurement_is_refused(dtype):
    frame = np.full((8, 9), 7, dtype)
    with pytest.raises(FrameError, match=r"no pixel of the frame is a measurement: all 72"):
        SuperResolver.load(backend="bicubic").upscale(frame, camera=CameraProfile(missing=7))


def test_a_mask_from_python_counts_as_well():
    holes = scattered(0.01)
    frame = FRAME.copy()
    frame[holes] = 7
    resolver = SuperResolver.load(backend="bicubic")
    result = resolver.upscale(frame, missing=holes)
    declared = resolver.upscale(frame, camera=CameraProfile(missing=7))
    np.testing.assert_array_equal(result, declared)
    with pytest.raises(FrameError, match=r"mask of missing pixels is 160x119.*160x120"):
        resolver.upscale(frame, missing=holes[:-1])


def test_sizes_that_do_not_fit_are_named(tmp_path):
    with pytest.raises(FrameError, match=r"crop \(top 60, bottom 60\) leaves nothing.*160x120"):
        read(FRAME, CameraProfile(crop=(60, 60, 0, 0)))
    write_bad_pixels(tmp_path / "bad.png", np.eye(20, 30) > 0)
    with pytest.raises(FrameError, match=r"bad_pixels \(.*bad.png\) is 30x20.*frame is 160x120"):
        read(FRAME, CameraProfile(bad_pixels=str(tmp_path / "bad.png")))


def test_a_batch_has_missing_pixels_of_its_own():
    frames = [FRAME, FRAME.copy()]
    frames[1][5, 6] = 0
    resolver = SuperResolver.load(backend="bicubic", camera=CameraProfile(missing=0))
    together = resolver.upscale_batch(frames)
    for frame, result in zip(frames, together):
        np.testing.assert_array_equal(result, resolver.upscale(frame))
    assert (together[1][20:24, 24:28] == 0).all() and together[0].min() > 0


@pytest.mark.parametrize(
    "value, ranges",
    [
        (0, ((0, 0),)),
        ([0, 65535, [-2, -1]], ((0, 0), (65535, 65535), (-2, -1))),
        ("0, 65535 -9999..-9000", ((0, 0), (65535, 65535), (-9999, -9000))),
        ("-3.4e38", ((-3.4e38, -3.4e38),)),
        ("", ()),
        ([], ()),
    ],
)
def test_missing_values_are_read_as_people_write_them(value, ranges):
    assert parse_missing(value) == ranges
    assert parse_missing(in_words(ranges)) == ranges
    assert parse_missing(ranges) == ranges


@pytest.mark.parametrize(
    ("value", "works"),
    [
        ("abc", "such as 0,65535,-2..-1; NaN"),
        ("0, [-2, -1]", "such as 0,65535,-2..-1; NaN"),
        ("5..1", "such as 0,65535,-2..-1, got"),
        ([[5, 1]], "such as [0, 65535, [-2, -1]] or '0,65535,-2..-1', got"),
    ],
)
def test_what_is_said_to_work_does(value, works):
    with pytest.raises(OptionError) as error:
        parse_missing(value)
    assert works in str(error.value)
    expected = ((0, 0), (65535, 65535), (-2, -1))
    assert parse_missing("0,65535,-2..-1") == expected
    assert parse_missing([0, 65535, [-2, -1]]) == expected


def test_values_are_compared_in_the_frames_own_type():
    frame = np.array([[0, 5, 200, 255]], np.uint8)
    for missing, expected in (
        ([-9999, 256, 1e9], None),
        ([5.5], None),
        ([[-3, 5.5]], [True, True, False, False]),
        ([255], [False, False, False, True]),
    ):
        mask = missing_mask(frame, parse_missing(missing))
        assert (None if mask is None else mask[0].tolist()) == expected
    floats = np.array([[-9999.0, 0.1, np.nan, 3e37]], np.float32)
    assert missing_mask(floats, ((-9999, -9999), (0.1, 0.1)))[0].tolist() == [True] * 4


def test_holes_are_filled_from_what_is_near():
    frame = np.full((30, 40), 300.0, np.float32)
    frame[:, 20:] = 310.0
    frame[4:20, 2:10] = np.nan
    frame[4:20, 28:39] = np.inf
    done = filled(frame)
    assert (done[:, :14] == 300).all() and (done[:, 26:] == 310).all()
    frame[:] = np.nan
    frame[29, 39] = 7.0
    assert (filled(frame) == 7.0).all()
