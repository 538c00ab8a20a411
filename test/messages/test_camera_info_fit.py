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

"""Which calibrations can be of an image, and which cannot."""

from __future__ import annotations

import itertools

import pytest

from difiisr_ros.core.crop import NO_CROP, Crop
from difiisr_ros.errors import FrameError
from difiisr_ros.messages.camera_info import result_camera_info
from difiisr_ros.messages.camera_info_fit import crop_still_to_do
from support.camera_infos import CAMERAS, IMAGE, REGIONS, SIZES, camera, shown

BOTTOM = Crop(bottom=2)
#: Of an image of 64x48.
OF_IT = {
    **CAMERAS,
    "left empty": {"width": 0, "height": 0},
    "roi alone": {"width": 0, "height": 0, "roi": (40, 20, 64, 48)},
    "offset of no roi": {"roi": (5, 5, 0, 0), "width": 64, "height": 48},
    "binned with a rest": {"width": 131, "height": 97, "binning": (2, 2)},
    "binned along one side": {"width": 64, "height": 96, "binning": (1, 2)},
    "binning 1": {"binning": (1, 1)},
    "cut off by image_proc's resize": {"width": 63, "height": 47},
}
NOT_OF_IT = {
    "both sides smaller": {"width": 40, "height": 40},
    "one side smaller": {"width": 62, "height": 48},
    "larger, and nothing says why": {"width": 128, "height": 96},
    "one side larger": {"width": 64, "height": 50},
    "turned": {"width": 48, "height": 64},
    "binned to less": {"width": 64, "height": 48, "binning": (2, 2)},
    "binned to more": {"width": 320, "height": 240, "binning": (2, 2)},
    "roi smaller": {"width": 128, "height": 96, "roi": (0, 0, 32, 24)},
    "roi larger": {"width": 128, "height": 96, "roi": (0, 0, 100, 48)},
    "roi beyond": {"width": 100, "height": 96, "roi": (40, 0, 64, 48)},
    "one side empty, one wrong": {"width": 0, "height": 96},
}


@pytest.mark.parametrize("how", OF_IT)
def test_what_can_be(how):
    assert crop_still_to_do(camera(**OF_IT[how]), IMAGE) == NO_CROP
    assert crop_still_to_do(camera(**OF_IT[how]), IMAGE, BOTTOM) == BOTTOM


@pytest.mark.parametrize("how", NOT_OF_IT)
def test_what_cannot_be_is_named(how):
    with pytest.raises(FrameError, match=r"is not of an image of 64x48; accepted|beyond it"):
        crop_still_to_do(camera(**NOT_OF_IT[how]), IMAGE)


def test_words():
    info = camera(width=320, height=240, binning=(2, 2), roi=(4, 8, 100, 90))
    said = r"320x240, binning 2x2, roi 100x90 at \(4, 8\) is not of an image of 64x48"
    with pytest.raises(FrameError, match=said):
        crop_still_to_do(info, IMAGE)


@pytest.mark.parametrize("rows", [1, 2])
def test_a_calibration_of_what_a_crop_leaves(rows):
    """A driver that adds rows of telemetry, whose calibration knows nothing of them."""
    crop = Crop(bottom=rows)
    image = IMAGE[0], IMAGE[1] + rows
    assert crop_still_to_do(camera(), image, crop) == NO_CROP
    assert crop_still_to_do(camera(height=image[1]), image, crop) == crop


@pytest.mark.parametrize(("how", "size", "part"), itertools.product(CAMERAS, SIZES, REGIONS))
def test_what_is_published_is_of_the_result(how, size, part):
    """So that a node behind this one can take it."""
    geometry, region = shown(size, part, NO_CROP)
    info = result_camera_info(camera(**CAMERAS[how]), geometry, REGIONS[part] and region)
    assert crop_still_to_do(info, geometry.size) == NO_CROP
