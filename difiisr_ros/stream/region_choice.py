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

"""Which region of a camera's frames is upscaled: what was asked for last, as far as it fits.

A tracker asks from frame to frame, in pixels of the camera's image, before any crop. What it asks
for is clipped to the frame. What cannot be, empty or outside, changes nothing: the region before it
goes on, or the whole frame where there was none. No ROS here.
"""

from __future__ import annotations

from collections.abc import Callable

from difiisr_ros.core.crop import Crop
from difiisr_ros.core.region import Region

Notice = Callable[[str, str], None]
"""Called with a cause, as diagnostics count it, and words."""


class RegionChoice:
    """The region of one camera."""

    def __init__(self) -> None:
        self._asked: Region | None = None
        self._used: Region | None = None

    def ask(self, region: Region | None) -> None:
        """Choose from the next frame on; None is the whole frame. From any thread."""
        self._asked = region

    def reset(self) -> None:
        """Forget everything."""
        self._asked = self._used = None

    def of(self, height: int, width: int, crop: Crop, notice: Notice) -> Region | None:
        """The region of a frame that is run, in the pixels that the crop leaves of it.

        Args:
            height, width: of the frame, before the crop, which must leave something of it.
            crop: of the camera's profile.
            notice: told of a region that is clipped, or that lies outside.

        Returns:
            None where it is all that the crop leaves.
        """
        asked, left = self._asked, _left_of(height, width, crop)
        fitting = None if asked is None else asked.common(left)
        if asked is None or fitting is not None:
            self._used = asked
            if asked != fitting:
                notice("roi_clipped", f"the region {asked} is clipped to {fitting}{_about(left)}")
        else:
            before = None if self._used is None else self._used.common(left)
            instead = "the whole frame" if before is None else f"{before}, as before,"
            notice(
                "roi_outside",
                f"the region {asked} lies outside{_about(left)}; {instead} is upscaled",
            )
            fitting = before
        return None if fitting in (None, left) else fitting.within(left)


def region_in(asked: Region | None, height: int, width: int, crop: Crop) -> Region | None:
    """The region of a first frame of this size, as :meth:`RegionChoice.of` returns it.

    None, too, where the crop leaves nothing of such a frame.
    """
    if crop.top + crop.bottom >= height or crop.left + crop.right >= width:
        return None
    choice = RegionChoice()
    choice.ask(asked)
    return choice.of(height, width, crop, lambda cause, words: None)


def in_camera_pixels(region: Region, crop: Crop) -> Region:
    """A region of what a crop leaves, in the pixels of the camera's image."""
    return Region(region.x + crop.left, region.y + crop.top, region.width, region.height)


def _left_of(height: int, width: int, crop: Crop) -> Region:
    """What a crop leaves of a frame of this size."""
    return Region(
        crop.left, crop.top, width - crop.left - crop.right, height - crop.top - crop.bottom
    )


def _about(left: Region) -> str:
    return f" of the camera's pixels, {left}"
