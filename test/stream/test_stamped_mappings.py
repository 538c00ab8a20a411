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

"""Which two calibrations belong to a frame."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from difiisr_ros.errors import FrameError
from difiisr_ros.stream.stamped_mappings import StampedMappings
from support.camera_infos import camera


def info(stamp, focal):
    made = camera(header=SimpleNamespace(stamp=SimpleNamespace(sec=stamp, nanosec=5)))
    made.k = [focal, 0.0, 31.5, 0.0, focal, 23.5, 0.0, 0.0, 1.0]
    return made


def scale_of(mappings, stamp):
    return mappings.of(SimpleNamespace(sec=stamp, nanosec=5)).scale


def test_the_results_must_have_the_stamp_and_the_cameras_may():
    mappings = StampedMappings("edges", "pixel_center")
    assert mappings.of(SimpleNamespace(sec=1, nanosec=5)) == (
        "no camera_info of a result has their stamp"
    )
    mappings.result(info(1, 160.0))
    assert mappings.of(SimpleNamespace(sec=1, nanosec=5)) == (
        "no camera_info of the camera has come"
    )
    mappings.camera(info(1, 40.0))
    mappings.camera(info(2, 80.0))
    mappings.result(info(3, 160.0))
    assert scale_of(mappings, 1) == 4.0
    assert scale_of(mappings, 3) == 2.0  # by the latest of the camera
    mappings.result(info(3, 320.0))  # a bag that starts over
    assert scale_of(mappings, 3) == 4.0
    with pytest.raises(FrameError, match="no calibration"):
        mappings.camera(info(1, 0.0))
        scale_of(mappings, 1)


def test_no_more_is_kept_than_a_detector_can_be_behind():
    mappings = StampedMappings("edges", "pixel_center")
    for stamp in range(1000):
        mappings.camera(info(stamp, 40.0))
        mappings.result(info(stamp, 160.0))
    assert len(mappings._cameras) == len(mappings._results) == 256
    assert scale_of(mappings, 999) == 4.0
