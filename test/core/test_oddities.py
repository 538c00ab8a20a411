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

"""What looks like no measurement is named once, with what helps; and nothing else is."""

from __future__ import annotations

import time

import cv2
import numpy as np
import pytest

from difiisr_ros.core.camera_profile import CameraProfile
from difiisr_ros.core.noise_level import estimate_noise
from difiisr_ros.core.oddities import FrameCheck, oddities
from support.frames import street

SCENE = street()
FRAME = SCENE.frame(0)[0]
AUTO = CameraProfile()


def words_of_header(rows=2, most=65536, seed=0):
    return np.random.default_rng(seed).integers(0, most, (rows, 160)).astype(np.uint16)


def found(frame, camera=AUTO, order="", stored=None):
    return {o.cause: o.words for o in oddities(frame, camera, order, stored)}


@pytest.mark.parametrize(
    ("top", "bottom", "crop"),
    [(0, 2, "crop (bottom 2)"), (1, 0, "crop (top 1)"), (3, 4, "crop (top 3, bottom 4)")],
)
def test_rows_of_telemetry(top, bottom, crop):
    frame = np.vstack([words_of_header(top), FRAME, words_of_header(bottom, seed=1)])
    assert crop in found(frame)["telemetry_rows"]
    declared = CameraProfile(crop=(top, bottom, 0, 0))
    assert found(frame, declared) == {}


def test_what_a_crop_leaves_is_added_to_it():
    frame = np.vstack([FRAME, words_of_header(3)])
    assert "crop (bottom 3)" in found(frame, CameraProfile(crop=(0, 1, 0, 0)))["telemetry_rows"]


@pytest.mark.parametrize("value", [0, 65535])
def test_rows_of_one_value_far_outside(value):
    frame = np.vstack([FRAME, np.full((2, 160), value, np.uint16)])
    assert "crop (bottom 2)" in found(frame)["telemetry_rows"]


@pytest.mark.parametrize(
    ("value", "count"), [(0, 1), (65535, 1), (0, 40), (65535, 400), (16383, 1)]
)
def test_a_value_far_outside_all_others(value, count):
    frame = FRAME.copy()
    places = np.random.default_rng(3).choice(frame.size, count, replace=False)
    frame.flat[places] = value
    words = found(frame)["value_apart"]
    assert f"{value} ({count} pixel" in words and f"missing ({value})" in words
    assert ("bad_pixels" in words) == (count == 1)
    assert found(frame, CameraProfile(missing=value)) == {}


def test_the_black_border_of_a_rectified_frame():
    assert "missing (0)" in found(np.pad(FRAME, 12))["value_apart"]


def test_both_ends_and_negative_numbers():
    frame = (FRAME / 100).astype(np.float32)
    frame[3, 4], frame[7, 8:12] = -9999, np.nan
    assert "missing (-9999) or bad_pixels" in found(frame)["value_apart"]
    both = FRAME.copy()
    both[3, 4], both[60, 70] = 0, 65535
    assert "missing (0, 65535)" in found(both)["value_apart"]


def test_swapped_bytes_are_named_and_nothing_else():
    for order, other in (("big", "little"), ("little", "big")):
        words = found(FRAME.byteswap(), order=order)
        assert list(words) == ["byte_order"] and f"byte_order: {other}" in words["byte_order"]
    stored = FRAME.astype(np.int16).byteswap()
    assert list(found(stored.astype(np.float32), stored=stored)) == ["byte_order"]


@pytest.mark.parametrize("number", range(0, 60, 7))
@pytest.mark.parametrize("dtype", [np.uint16, np.float32, np.uint8])
def test_a_scene_is_not_odd(number, dtype):
    frame = SCENE.frame(number)[0]
    low, high = frame.min(), frame.max()
    frame = ((frame - low) / (high - low) * 255).astype(dtype) if dtype is np.uint8 else frame
    assert found(frame.astype(dtype)) == {}


@pytest.mark.parametrize(
    "frame",
    [
        np.zeros((120, 160), np.uint16),
        np.full((120, 160), 300.0, np.float32),
        np.ones((1, 1), np.uint8),
        np.ones((2, 300), np.uint16),
        np.pad(FRAME, ((10, 10), (0, 0)), mode="edge"),
        np.random.default_rng(0).normal(29000, 4, (120, 160)).astype(np.uint16),
    ],
)
def test_flat_small_padded_and_noisy_frames_are_not_odd(frame):
    assert found(frame) == {}


def test_a_hot_target_is_a_target():
    frame = FRAME.copy()
    frame[50:53, 70:74] += np.uint16(6 * np.ptp(FRAME))
    frame[51, 71] += 500
    assert found(frame) == {}


def test_a_wall_with_noise_and_rows_of_offset_are_not_odd():
    noise = np.random.default_rng(1)
    frame = noise.normal(29000, 3, (120, 160)) + noise.normal(0, 2, (120, 1))
    assert found(frame.astype(np.uint16)) == {}


def test_no_real_frame_is_odd(data_dir, drone_frames):
    frames = sorted((data_dir / "lepton").glob("*.tiff")) + drone_frames
    for path in frames:
        frame = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
        frame = frame if frame.ndim == 2 else frame[..., 0]
        assert found(np.ascontiguousarray(frame)) == {}, path


def test_a_source_is_told_of_once_and_looked_at_ever_less():
    check = FrameCheck(AUTO)
    dead = FRAME.copy()
    dead[5, 6] = 0
    telemetry = np.vstack([FRAME, words_of_header()])
    assert check.look(FRAME) == []
    assert [o.cause for o in check.look(dead)] == ["value_apart"]
    seen = [i for i in range(3, 300) if check.look(dead if i < 200 else telemetry)]
    assert seen == [256]
    every = FrameCheck(AUTO, every=1)
    assert [bool(every.look(f)) for f in (FRAME, FRAME, dead, dead)] == [False, False, True, False]


def test_a_frame_that_cannot_be_used_is_no_oddity():
    assert FrameCheck(CameraProfile(missing="0..65535")).look(FRAME) == []


def test_a_stream_does_not_pay_for_it():
    check = FrameCheck(AUTO)
    start = time.process_time()
    for _ in range(512):
        check.look(FRAME, "little")
    assert (time.process_time() - start) / 512 < 0.3e-3


@pytest.mark.parametrize(("unit", "odd"), [(0.01, True), (1.0, False)])
def test_the_noise_of_a_profile_of_other_units(unit, odd):
    profile = CameraProfile(noise=float(estimate_noise(FRAME)), blur=0.4)
    frame = (FRAME * unit).astype(np.float32)
    words = found(frame, profile).get("profile_noise", "")
    assert bool(words) is odd
    if odd:
        assert f"profile is {profile.noise:.3g}, that of this frame about" in words


def test_a_profile_of_far_less_noise_is_odd_where_there_is_much():
    span = np.ptp(np.percentile(FRAME, (1, 99)))
    for share, odd in ((0.005, False), (0.05, True)):
        noise = share * span * np.random.default_rng(0).standard_normal(FRAME.shape)
        frame = (FRAME + noise).astype(np.float32)
        profile = CameraProfile(noise=float(estimate_noise(frame)) / 20)
        assert ("profile_noise" in found(frame, profile)) is odd


def test_a_profile_that_is_somewhat_off_is_not_odd():
    noise = float(estimate_noise(FRAME))
    for times in (0.4, 2.5):
        assert found(FRAME, CameraProfile(noise=times * noise)) == {}
