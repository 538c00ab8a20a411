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

"""A fixed pattern is subtracted from what is looked at, and results come out without it."""

from __future__ import annotations

import numpy as np
import pytest

from difiisr_ros import CameraProfile, SuperResolver
from difiisr_ros.core.crop import Crop
from difiisr_ros.core.fixed_pattern import FixedPattern
from difiisr_ros.core.reading import read
from difiisr_ros.errors import FrameError
from support.frames import street

FRAME = street().frame(0)[0]
OFFSETS = (20 * np.random.default_rng(4).standard_normal(FRAME.shape)).astype(np.float32)


@pytest.fixture
def camera(tmp_path):
    FixedPattern(OFFSETS, 100).write(tmp_path / "pattern.npz")
    (tmp_path / "camera.yaml").write_text("pattern: pattern.npz\nmissing: 7\n")
    return CameraProfile.read(tmp_path / "camera.yaml")


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_the_scene_is_the_frame_without_the_pattern(camera, dtype):
    frame = (FRAME % 200 + 20).astype(dtype)
    reading = read(frame, camera)
    np.testing.assert_array_equal(reading.scene, frame - OFFSETS)
    assert reading.frame is frame and reading.missing is None
    assert reading.is_integer == (dtype != np.float32)


def test_pixels_at_the_types_limits_keep_their_value(camera):
    frame = FRAME.copy()
    frame[3, 4], frame[5, 6] = 0, 65535
    scene = read(frame, camera).scene
    assert scene[3, 4] == 0 and scene[5, 6] == 65535
    assert scene[3, 5] == pytest.approx(frame[3, 5] - OFFSETS[3, 5], abs=0.01)


def test_missing_pixels_stay_missing_and_come_back_as_they_were(camera):
    frame = FRAME.copy()
    frame[10:12, 20] = 7
    reading = read(frame, camera)
    assert np.argwhere(np.isnan(reading.scene)).tolist() == [[10, 20], [11, 20]]
    result = SuperResolver.load(backend="bicubic").upscale(frame, camera=camera)
    assert (result[40:48, 80:84] == 7).all() and result.dtype == np.uint16


@pytest.mark.parametrize("model", ["lite", "nano", "bicubic"])
def test_results_come_out_without_the_pattern(camera, model):
    options = {"backend": "bicubic"} if model == "bicubic" else {"model": model, "backend": "torch"}
    resolver = SuperResolver.load(**options)
    whole = resolver.upscale(FRAME).astype(np.float32)
    disturbed = np.round(FRAME + OFFSETS).astype(np.uint16)
    corrected = resolver.upscale(disturbed, camera=camera).astype(np.float32)
    uncorrected = resolver.upscale(disturbed).astype(np.float32)
    assert np.sqrt(((corrected - whole) ** 2).mean()) < 1.0
    assert np.sqrt(((uncorrected - whole) ** 2).mean()) > 5.0


def test_a_pattern_is_of_the_camera_before_its_crop(camera, tmp_path):
    FixedPattern(np.pad(OFFSETS, ((2, 0), (0, 3)), constant_values=9.0), 5).write(
        tmp_path / "pattern.npz"
    )
    cropped = CameraProfile(pattern=str(tmp_path / "pattern.npz"), crop=Crop(top=2, right=3))
    scene = read(np.pad(FRAME, ((2, 0), (0, 3))), cropped).scene
    np.testing.assert_array_equal(scene, FRAME - OFFSETS)
    with pytest.raises(FrameError, match=r"pattern \(.*pattern.npz\) is 163x122, the camera's"):
        read(FRAME, CameraProfile(pattern=str(tmp_path / "pattern.npz")))


def test_offsets_from_elsewhere_take_the_place_of_the_profiles(camera):
    np.testing.assert_array_equal(read(FRAME, camera, offsets=0 * OFFSETS).scene, FRAME)
    scene = read(FRAME, CameraProfile(), offsets=OFFSETS).scene
    np.testing.assert_array_equal(scene, FRAME - OFFSETS)
    with pytest.raises(FrameError, match="the fixed pattern is 10x9"):
        read(FRAME, camera, offsets=OFFSETS[:9, :10])
