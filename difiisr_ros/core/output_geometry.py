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

"""Where the pixels of a camera's frame lie in its result: scale, output size, letterbox and crop.

Positions are of pixel centres, as camera matrices have them: the first pixel's is 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from difiisr_ros.core.plain_numbers import plain_ints
from difiisr_ros.core.scale import SCALES
from difiisr_ros.errors import FrameError, OptionError

OUTPUT_FITS = ("stretch", "letterbox", "crop")
MOST_PIXELS = 1 << 26
"""Of a result with an output size: 268 MB in float32."""
MIDDLE = 0.5
"""Normalised intensity of a letterbox's bars."""

Size = tuple[int, int]
"""Width and height, pixels."""


@dataclass(frozen=True)
class Axis:
    """Where the pixels along one side of a frame lie in its result."""

    scale: float = 1.0
    """Result pixels for each of the frame's."""
    offset: float = 0.0
    """Result pixels from its first edge to the frame's."""

    def place(self, position: float, at_centres: bool) -> float:
        """Of a position in the frame, where 0 is the first pixel's centre, or its edge."""
        half = 0.5 if at_centres else 0.0
        return (position + half) * self.scale - half + self.offset


@dataclass(frozen=True)
class Placement:
    """Where a frame's pixels lie in its result."""

    x: Axis = Axis()
    y: Axis = Axis()


AS_IT_IS = Placement()


@dataclass(frozen=True)
class OutputGeometry:
    """How one frame, or a region of it, becomes a result."""

    scale: int
    """What the model computes."""
    size: Size
    """Of the result."""
    inner: Size
    """Of the whole frame in the result's pixels, before a crop and without bars."""

    frame: Size
    """Of the frame."""

    @property
    def x_scale(self) -> float:
        """Result pixels for each of the frame's, along a row."""
        return self.inner[0] / self.frame[0]

    @property
    def y_scale(self) -> float:
        """The same along a column."""
        return self.inner[1] / self.frame[1]

    @property
    def left(self) -> int:
        """Result pixels from its left edge to the frame's: a bar's width, or what is cropped."""
        return (self.size[0] - self.inner[0]) // 2

    @property
    def top(self) -> int:
        """The same at the top."""
        return (self.size[1] - self.inner[1]) // 2

    def placement(self, left_out: tuple[int, int] = (0, 0)) -> Placement:
        """Of the pixels of a larger frame, of which columns and rows were left out before."""
        x, y = left_out
        return Placement(
            Axis(self.x_scale, self.left - x * self.x_scale),
            Axis(self.y_scale, self.top - y * self.y_scale),
        )

    @property
    def is_plain(self) -> bool:
        """Whether the result is what the model computes."""
        return self.size == self.inner == (self.scale * self.frame[0], self.scale * self.frame[1])

    def place(self, upscaled: np.ndarray) -> np.ndarray:
        """What the model made, at its place in the result.

        Args:
            upscaled: normalised intensity, scale * height x scale * width, float32.

        Returns:
            height x width of :attr:`size`, float32; bars are in the middle of the range.
        """
        if self.is_plain:
            return upscaled
        return self._laid(_resized(upscaled, self.inner), MIDDLE)

    def place_mask(self, mask: np.ndarray) -> np.ndarray:
        """Marks (height x width of the frame, bool) at their place in the result, none in bars."""
        grown = cv2.resize(mask.view(np.uint8), self.inner, interpolation=cv2.INTER_NEAREST_EXACT)
        return self._laid(grown, 0).astype(bool)

    def place_values(self, frame: np.ndarray) -> np.ndarray:
        """The frame's own values at their place in the result, the nearest of each pixel."""
        return self._laid(cv2.resize(frame, self.inner, interpolation=cv2.INTER_NEAREST_EXACT), 0)

    def _laid(self, inner: np.ndarray, bars: float) -> np.ndarray:
        """The frame of :attr:`inner` size within a result of :attr:`size`."""
        width, height = self.size
        x, y = max(0, -self.left), max(0, -self.top)
        inner = inner[y : y + height, x : x + width]
        if inner.shape == (height, width):
            return np.ascontiguousarray(inner)
        result = np.full((height, width), bars, inner.dtype)
        x, y = max(0, self.left), max(0, self.top)
        result[y : y + inner.shape[0], x : x + inner.shape[1]] = inner
        return result


def _resized(image: np.ndarray, size: Size) -> np.ndarray:
    """By the mean over each pixel's area, or, larger than the image, by bicubic interpolation."""
    if image.shape[::-1] == size:
        return image
    smaller = size[0] <= image.shape[1] and size[1] <= image.shape[0]
    how = cv2.INTER_AREA if smaller else cv2.INTER_CUBIC
    return cv2.resize(image, size, interpolation=how)


def check_output_size(size: Any) -> Size:
    """An output size as Python's own ints; OptionError unless it is width and height, 0 or more."""
    sides = plain_ints(size, 2)
    if sides is None or min(sides) < 0:
        raise OptionError(
            f"output_size must be two integers, width and height in pixels (0: as the other one "
            f"makes it), got {size!r}"
        )
    width, height = sides
    if width * height > MOST_PIXELS:
        raise OptionError(
            f"output_size {width}x{height} has {width * height} pixels; at most {MOST_PIXELS}"
        )
    return width, height


def plan(
    frame: Size,
    scale: int,
    output_size: Size = (0, 0),
    fit: str = "stretch",
    scales: Sequence[int] = SCALES,
) -> OutputGeometry:
    """The geometry of a frame's result.

    With an output size the model computes the smallest scale that is no smaller than it, and the
    mean over areas makes the size itself.

    Args:
        frame: of the frame.
        scale: without an output size.
        output_size: a 0 follows from the other one; two are none.
        fit: one of :data:`OUTPUT_FITS`.
        scales: that the model can compute.

    Raises:
        FrameError: a side that follows from the other one makes the result too large.
    """
    if not any(output_size):
        size = scale * frame[0], scale * frame[1]
        return OutputGeometry(scale, size, size, frame)
    width, height = output_size
    size = (
        width or max(1, round(height * frame[0] / frame[1])),
        height or max(1, round(width * frame[1] / frame[0])),
    )
    if size[0] * size[1] > MOST_PIXELS:
        raise FrameError(
            f"output_size {width}x{height} makes {size[0]}x{size[1]} pixels of a frame of "
            f"{frame[0]}x{frame[1]}; at most {MOST_PIXELS}"
        )
    inner = size
    if fit != "stretch":
        ratios = size[0] / frame[0], size[1] / frame[1]
        ratio = min(ratios) if fit == "letterbox" else max(ratios)
        inner = max(1, round(ratio * frame[0])), max(1, round(ratio * frame[1]))
        if inner[0] * inner[1] > MOST_PIXELS:
            raise FrameError(
                f"output_fit {fit} makes {inner[0]}x{inner[1]} pixels of a frame of "
                f"{frame[0]}x{frame[1]}; at most {MOST_PIXELS}"
            )
    enough = [s for s in scales if s * frame[0] >= inner[0] and s * frame[1] >= inner[1]]
    return OutputGeometry(min(enough, default=max(scales)), size, inner, frame)
