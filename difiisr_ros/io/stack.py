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

"""What every reader of files returns: frames of one file, one at a time, and what was not used."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from difiisr_ros.core.byte_order import in_order
from difiisr_ros.core.camera_profile import AUTO
from difiisr_ros.core.temperature import TEMPERATURES, TemperatureScale
from difiisr_ros.errors import DataError

COUNTS = "counts"
#: No frame of a camera has more; it keeps what a damaged file says from filling the memory.
MOST_PIXELS = 1 << 28
UNITS = (COUNTS, *TEMPERATURES)


@dataclass(frozen=True)
class ReadOptions:
    """How files are read."""

    unit: str = COUNTS
    """Of frames: counts as stored, or temperatures, by a FLIR file's own constants or ``scale``."""
    allow_preview: bool = False
    """Whether a radiometric JPEG may be read as the 8-bit picture that it shows."""
    max_pixels: int = MOST_PIXELS
    """Frames with more pixels are refused before they are decoded."""
    byte_order: str = AUTO
    """Of pixels of several bytes: ``little``, ``big``, or ``auto``, as the file says."""
    scale: TemperatureScale | None = None
    """What a count is in files that have no constants of their own."""

    def check_size(self, width: int, height: int, name: str) -> None:
        """Raise DataError for a frame that has no pixels or too many."""
        if width < 1 or height < 1:
            raise DataError(f"{name}: has no pixels, it says {width}x{height}")
        if width * height > self.max_pixels:
            limit = "" if self.max_pixels >= MOST_PIXELS else " (--max-input-pixels)"
            raise DataError(
                f"{name}: {width}x{height} pixels are more than {self.max_pixels}{limit}"
            )


@dataclass(frozen=True)
class Part:
    """Consecutive frames that belong together: an array of an archive, or all of a file."""

    count: int
    key: str = ""
    """The array's name in its archive."""
    flat: bool = False
    """Whether it is one frame without a dimension of its own (H x W, not 1 x H x W)."""


@dataclass
class Stack:
    """The frames of one file."""

    name: str
    """What messages call the file."""
    kind: str
    """``TIFF``, ``PNG``, ...; see :func:`difiisr_ros.io.open_stack.open_stack`."""
    parts: list[Part]
    read: Callable[[int], np.ndarray]
    """Frame by number, from 0: H x W in the type that is stored.

    Raises DataError where it is damaged or cannot be used.
    """
    unused: list[str] = field(default_factory=list)
    """What the file holds beside the frames and what is not taken over, in a few words each."""
    lacks: list[str] = field(default_factory=list)
    """What the file says that it holds and has not, in a sentence each: it was cut off."""
    tags: Any = None
    """Of a TIFF: a function from a frame's number and the ``Placement`` of its pixels in the result
    to what the result's page is to carry."""
    nodata: float | None = None
    """The value that stands for no measurement (GDAL)."""
    order: str = ""
    """Of the bytes of a pixel as the file says, ``little`` or ``big``; "" where there is none."""
    scale: TemperatureScale | None = None
    """What makes the frames temperatures, where these were asked for and the frames are counts."""
    closing: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)

    def put_in_order(self, asked: str) -> Stack:
        """Read the pixels in another order than the file says, where that is asked for."""
        read, said = self.read, self.order
        if said and asked not in (AUTO, said):
            self.read = lambda index: in_order(read(index), said, asked)
            self.order = asked
        return self

    @property
    def count(self) -> int:
        """How many frames there are."""
        return sum(part.count for part in self.parts)

    def frames(self) -> Iterator[np.ndarray]:
        """All frames, one after the other."""
        return (self.read(index) for index in range(self.count))

    def __enter__(self) -> Stack:
        return self

    def __exit__(self, *_: object) -> None:
        self.closing.close()


def single(name: str, kind: str, image: np.ndarray, unused: list[str]) -> Stack:
    """A file with one frame, which has been decoded."""
    return Stack(name, kind, [Part(1, flat=True)], lambda _index: image, unused)
