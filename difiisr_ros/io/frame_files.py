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

"""Frames of files by their places: a file holds one, a recording thousands; all are read alike."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from difiisr_ros.core.missing import Ranges, missing_mask
from difiisr_ros.errors import DataError
from difiisr_ros.io.images import list_files, survey_folder
from difiisr_ros.io.not_used import kind_of_path
from difiisr_ros.io.numbers import check_type, to_computed
from difiisr_ros.io.once import warn_once
from difiisr_ros.io.open_stack import ONE_FRAME, kind_of, open_stack
from difiisr_ros.io.stack import ReadOptions, Stack


@dataclass(frozen=True)
class FramePlace:
    """Where a frame is stored."""

    path: Path
    index: int = 0
    """Number in the file, from 0."""
    count: int = 1
    """How many frames the file has."""

    @property
    def _page(self) -> str:
        return "" if self.count == 1 else f"#{self.index + 1}"

    @property
    def name(self) -> str:
        """The file's name, of several frames with the frame's number from 1: ``flight.seq#3``."""
        return self.path.name + self._page

    @property
    def stem(self) -> str:
        """The name without the file's ending."""
        return self.path.stem + self._page

    def __str__(self) -> str:
        return f"{self.path}{self._page}"


@dataclass
class FoundFrames:
    """The frames of a file or a folder."""

    places: list[FramePlace]
    not_used: list[tuple[str, str]] = field(default_factory=list)
    """Name and kind of what else is in the folder."""


def find_frames(source: Path) -> FoundFrames:
    """The frames of a file, or of all files of a folder in the order of their names.

    A file that cannot be opened counts as one frame, which says why when it is read.

    Raises:
        DataError: no such path, or a folder without a file of frames.
    """
    places = [place for path in list_files(source) for place in places_in(path)]
    rest = survey_folder(source, False)[1] if source.is_dir() else []
    return FoundFrames(places, [(path.name, kind_of_path(path)) for path in rest])


def places_in(path: Path) -> list[FramePlace]:
    """The frames of a file; one that cannot be opened counts as one frame."""
    count = _count(path)
    return [FramePlace(path, index, count) for index in range(count)]


def _count(path: Path) -> int:
    try:
        with path.open("rb") as file:
            if kind_of(file.read(16)) in ONE_FRAME:
                return 1
        with open_stack(path, ReadOptions()) as stack:
            for sentence in stack.lacks:
                warn_once(sentence, sentence)
            return stack.count
    except (DataError, OSError):
        return 1


@dataclass(frozen=True)
class StoredFrame:
    """A frame as its file has it, in numbers that can be computed with."""

    image: np.ndarray
    """H x W, uint8, uint16 or float32, finite; where ``missing`` is set, the value of another
    pixel."""
    missing: np.ndarray | None
    """Mask of the pixels without a measurement; None where all have one."""
    order: str
    """Of the bytes of a pixel as they were read, ``little`` or ``big``; "" where there is none."""


class FrameReader:
    """Reads frames one after the other; the file of the last one stays open.

    Args:
        options: how files are read.
        missing: values that stand for no measurement, beside the one that a file names (GDAL).
    """

    def __init__(self, options: ReadOptions | None = None, missing: Ranges = ()) -> None:
        self._options, self._missing = options or ReadOptions(), missing
        self._path: Path | None = None
        self._stack: Stack | None = None
        self._unused: dict[tuple[str, str], None] = {}

    @property
    def unused(self) -> list[tuple[str, str]]:
        """Names of files that have been closed, and what of them is no frame."""
        return list(self._unused)

    def read(self, place: FramePlace) -> StoredFrame:
        """Read a frame.

        Raises:
            DataError: the file cannot be read, has no such frame, or one with NaN or infinite
                pixels, or without any measurement.
        """
        stack = self._open(place.path)
        if place.index >= stack.count:
            raise DataError(f"{place}: the file has {stack.count} frames")
        image = stack.read(place.index)
        check_type(image.dtype, str(place))
        declared = self._missing
        if stack.nodata is not None:
            declared = (*declared, (stack.nodata, stack.nodata))
        elif image.dtype.kind == "f" and not np.isfinite(image).all():
            raise DataError(f"{place}: has NaN or infinite pixels")
        missing = missing_mask(image, declared) if declared else None
        if missing is not None:
            if missing.all():
                raise DataError(f"{place}: no pixel of the frame is a measurement")
            known = image[~missing][0]  # anything that can be computed with
            image = image.copy()
            image[missing] = known
        return StoredFrame(to_computed(image, str(place)), missing, stack.order)

    def close(self) -> None:
        """Close what is open; the next frame opens its file again."""
        if self._stack is not None:
            self._stack.closing.close()
            self._unused |= {(str(self._path), what): None for what in self._stack.unused}
        self._path = self._stack = None

    def _open(self, path: Path) -> Stack:
        if self._stack is None or self._path != path:
            self.close()
            self._stack, self._path = open_stack(path, self._options), path
        return self._stack

    def __enter__(self) -> FrameReader:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __getstate__(self) -> dict[str, Any]:
        """Without the open file, which no other process can have."""
        return self.__dict__ | {"_path": None, "_stack": None}
