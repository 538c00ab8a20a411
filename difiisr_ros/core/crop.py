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

"""Crop: how many of a camera's pixels at each border are no part of the picture."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from difiisr_ros.core.plain_numbers import plain_ints
from difiisr_ros.errors import FrameError, OptionError

MOST = 1 << 14  # pixels: no camera has more a side
_SIDES = ("top", "bottom", "left", "right")
_ACCEPTED = f"whole numbers of camera pixels in 0..{MOST} for {', '.join(_SIDES)}"


class Crop(NamedTuple):
    """Camera pixels to leave out at each border, as rows of telemetry are.

    Raises:
        FrameError: by :meth:`of`, where nothing would be left of a frame.
    """

    top: int = 0
    bottom: int = 0
    left: int = 0
    right: int = 0

    def of(self, frame: np.ndarray) -> np.ndarray:
        """What is left of a frame or mask (H x W): a view, or the frame itself."""
        if self == NO_CROP:
            return frame
        height, width = frame.shape
        if self.top + self.bottom >= height or self.left + self.right >= width:
            raise FrameError(
                f"crop ({self.describe()}) leaves nothing of a frame of {width}x{height} pixels"
            )
        return frame[self.top : height - self.bottom, self.left : width - self.right]

    def describe(self) -> str:
        """The sides that lose something, as ``bottom 2, left 8``."""
        return ", ".join(f"{side} {n}" for side, n in zip(_SIDES, self) if n)


NO_CROP = Crop()


def parse_crop(value: Any) -> Crop:
    """A crop from what people write.

    Args:
        value: a mapping of some of the sides to pixels, four numbers in the order top, bottom,
            left, right, or these as text (``0,2,0,0`` or ``bottom 2, left 8``).

    Raises:
        OptionError: anything else, named with what is accepted.
    """
    found = value
    if isinstance(value, Mapping):
        if not set(value) <= set(_SIDES):
            raise OptionError(f"crop must have {_ACCEPTED}, got {dict(value)!r}")
        found = [value.get(side, 0) for side in _SIDES]
    elif isinstance(value, str):
        parts = [part.split() for part in value.split(",")]
        if all(len(part) == 2 and part[0] in _SIDES and part[1].isdecimal() for part in parts):
            return parse_crop({side: int(pixels) for side, pixels in parts})
        found = [int(part[0]) if len(part) == 1 and part[0].isdecimal() else part for part in parts]
    sides = plain_ints(tuple(found), len(_SIDES)) if isinstance(found, (list, tuple)) else None
    if sides is None or not all(0 <= pixels <= MOST for pixels in sides):
        raise OptionError(f"crop must have {_ACCEPTED}, got {value!r}")
    return Crop(*sides)
