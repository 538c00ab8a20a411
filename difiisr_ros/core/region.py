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

"""A region of interest, and the part of the frame that a network has to see for it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from difiisr_ros.core.plain_numbers import plain_int
from difiisr_ros.errors import FrameError, OptionError

ALIGN = 8  # networks and filters that fold see the same phase as in the whole frame
QUANTUM = 32  # sides of what is run, so that few sizes occur while a region moves and grows
MARGIN = 24
"""Camera pixels around the region that its result depends on."""


@dataclass(frozen=True)
class Region:
    """A rectangle of a camera's frame, in its pixels.

    Raises:
        FrameError: an empty rectangle, one that begins at negative pixels, or what is no integer.
    """

    x: int
    y: int
    width: int
    height: int

    def __post_init__(self) -> None:
        if not type(self.x) is type(self.y) is type(self.width) is type(self.height) is int:
            for name in ("x", "y", "width", "height"):
                number = plain_int(getattr(self, name))
                if number is None:
                    got = getattr(self, name)
                    raise FrameError(f"{name} of a region must be an integer, got {got!r}")
                object.__setattr__(self, name, number)
        if min(self.x, self.y) < 0 or min(self.width, self.height) < 1:
            raise FrameError(
                f"a region of interest begins at 0 or more and has at least one pixel, got {self}"
            )

    def __str__(self) -> str:
        return f"{self.width}x{self.height} at ({self.x}, {self.y})"

    def clipped(self, width: int, height: int) -> Region:
        """What of it lies in a frame of this size.

        Raises:
            FrameError: nothing does.
        """
        inside = self.common(Region(0, 0, width, height))
        if inside is None:
            raise FrameError(f"the region {self} lies outside the frame of {width}x{height} pixels")
        return inside

    def clipping(self, width: int, height: int) -> str:
        """That only a part of it lies in a frame of this size, in words; empty where all does."""
        inside = self.common(Region(0, 0, width, height))
        if inside in (None, self):
            return ""
        return f"the region {self} is clipped to {inside}, the frame has {width}x{height} pixels"

    def common(self, other: Region) -> Region | None:
        """What of it lies in another one; None where nothing does."""
        x, y = max(self.x, other.x), max(self.y, other.y)
        right = min(self.x + self.width, other.x + other.width)
        bottom = min(self.y + self.height, other.y + other.height)
        return Region(x, y, right - x, bottom - y) if x < right and y < bottom else None

    def of(self, frame: np.ndarray) -> np.ndarray:
        """The region of a frame (... x H x W) that holds it; a view."""
        return frame[..., self.y : self.y + self.height, self.x : self.x + self.width]

    def times(self, scale: int) -> Region:
        """The same region in the pixels of a result."""
        return Region(*(scale * n for n in (self.x, self.y, self.width, self.height)))

    def within(self, outer: Region) -> Region:
        """The same region in the pixels of another one that holds it."""
        return Region(self.x - outer.x, self.y - outer.y, self.width, self.height)

    def with_margin(self, width: int, height: int) -> Region:
        """What is to be run for it, of a frame of this size: its pixels and those they depend on.

        Sides are multiples of 32 where the frame has them, so that a region that moves makes few
        sizes.
        """
        x, w = _grown(self.x, self.width, width)
        y, h = _grown(self.y, self.height, height)
        return Region(x, y, w, h)


def check_region(region: Any) -> Region | None:
    """A region from one, from x, y, width and height, or None, which stays that.

    Raises:
        FrameError: anything else, or four integers that are no region.
    """
    if region is None or isinstance(region, Region):
        return region
    numbers = region.tolist() if isinstance(region, np.ndarray) else region
    if isinstance(numbers, (tuple, list)) and len(numbers) == 4:
        return Region(*numbers)
    raise FrameError(
        "a region must be a Region or four integers, its first column and row, width and height "
        f"in camera pixels, got {region!r}"
    )


def parse_region(numbers: Sequence[int]) -> Region | None:
    """A region from x, y, width and height; None, the whole frame, where all of them are 0.

    Raises:
        OptionError: a side of 0 beside another number that is none, or a negative number.
    """
    if not any(numbers):
        return None
    try:
        return Region(*numbers)
    except FrameError as error:
        raise OptionError(
            f"roi is {list(numbers)}: {error}; four zeros are the whole frame"
        ) from error


def _grown(start: int, length: int, side: int) -> tuple[int, int]:
    """First pixel and length, along one side of the frame."""
    wanted = length + 2 * MARGIN + ALIGN - 1  # the start may be moved by as much
    wanted = -(-wanted // QUANTUM) * QUANTUM
    if wanted >= side:
        return 0, side
    first = max(0, start - MARGIN) // ALIGN * ALIGN
    if first + wanted <= side:
        return first, wanted
    last = (side - wanted) // ALIGN * ALIGN
    return last, side - last
