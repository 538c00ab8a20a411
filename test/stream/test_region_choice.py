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

"""Which region of a frame is upscaled, from what was asked for last."""

from __future__ import annotations

import pytest

from difiisr_ros.core.crop import NO_CROP, Crop
from difiisr_ros.core.region import Region, parse_region
from difiisr_ros.errors import OptionError
from difiisr_ros.stream.region_choice import (
    RegionChoice,
    in_camera_pixels,
    region_in,
)


class Choice(RegionChoice):
    """One that keeps its notices."""

    def __init__(self):
        super().__init__()
        self.notices = []

    def of(self, height=48, width=64, crop=NO_CROP):
        return super().of(height, width, crop, lambda *notice: self.notices.append(notice))


def test_four_zeros_are_the_whole_frame_and_other_empty_ones_are_named():
    assert parse_region([0, 0, 0, 0]) is None
    assert parse_region((1, 2, 3, 4)) == Region(1, 2, 3, 4)
    with pytest.raises(OptionError, match=r"roi is \[5, 0, 0, 3\]: .*four zeros are the whole"):
        parse_region((5, 0, 0, 3))


def test_the_newest_counts_and_none_is_the_whole_frame():
    choice = Choice()
    assert choice.of() is None
    for region in (Region(1, 2, 3, 4), Region(5, 6, 7, 8)):
        choice.ask(region)
    assert choice.of() == choice.of() == Region(5, 6, 7, 8)
    choice.ask(None)
    assert choice.of() is None
    choice.ask(Region(0, 0, 64, 48))
    assert choice.of() is None
    assert choice.notices == []


def test_what_lies_partly_outside_is_clipped_with_a_notice():
    choice = Choice()
    choice.ask(Region(60, 40, 20, 20))
    assert choice.of() == Region(60, 40, 4, 8)
    ((cause, words),) = choice.notices
    assert cause == "roi_clipped"
    assert "20x20 at (60, 40) is clipped to 4x8 at (60, 40)" in words and "64x48" in words


def test_what_lies_outside_changes_nothing():
    choice = Choice()
    choice.ask(Region(64, 0, 5, 5))
    assert choice.of() is None
    choice.ask(Region(8, 8, 16, 16))
    assert choice.of() == Region(8, 8, 16, 16)
    choice.ask(Region(0, 48, 5, 5))
    assert choice.of() == choice.of() == Region(8, 8, 16, 16)
    assert choice.of(12, 12) == Region(8, 8, 4, 4)  # the camera sends smaller frames
    assert choice.of(8, 8) is None
    assert {cause for cause, _ in choice.notices} == {"roi_outside"}
    assert "; the whole frame is upscaled" in choice.notices[0][1]
    assert "; 16x16 at (8, 8), as before, is upscaled" in choice.notices[1][1]
    choice.reset()
    assert choice.of() is None


def test_a_crop_is_in_the_cameras_pixels():
    """What is asked for is; what the engine is given is what the crop leaves."""
    choice, crop = Choice(), Crop(top=4, bottom=2, left=3)
    choice.ask(Region(10, 10, 20, 20))
    assert choice.of(crop=crop) == Region(7, 6, 20, 20)
    assert in_camera_pixels(choice.of(crop=crop), crop) == Region(10, 10, 20, 20)
    choice.ask(Region(0, 0, 20, 60))
    assert choice.of(crop=crop) == Region(0, 0, 17, 42)
    choice.ask(Region(3, 4, 61, 42))
    assert choice.of(crop=crop) is None
    choice.ask(Region(0, 46, 64, 2))
    assert choice.of(crop=crop) is None
    assert [cause for cause, _ in choice.notices] == ["roi_clipped", "roi_outside"]


def test_the_region_of_a_first_frame():
    assert region_in(None, 48, 64, NO_CROP) is None
    assert region_in(Region(60, 0, 9, 9), 48, 64, NO_CROP) == Region(60, 0, 4, 9)
    assert region_in(Region(99, 0, 9, 9), 48, 64, NO_CROP) is None
    assert region_in(Region(0, 0, 9, 9), 48, 64, Crop(bottom=48)) is None
