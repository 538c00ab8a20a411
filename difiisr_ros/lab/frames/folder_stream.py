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

"""Frames to evaluate on from files: of a folder, of one file, or HR and LR pairs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from difiisr_ros.errors import DataError, OptionError
from difiisr_ros.io.frame_files import FramePlace, FrameReader, find_frames, places_in
from difiisr_ros.io.images import list_files
from difiisr_ros.io.left_out import LeftOut
from difiisr_ros.io.not_used import notices
from difiisr_ros.io.video import VIDEO_SUFFIXES
from difiisr_ros.lab.frames.degrade import CAMERA, SCALE, crop_to_scale
from difiisr_ros.lab.frames.put_right import OddityNotices, read_right, reader_for, truth_of
from difiisr_ros.lab.frames.streams import (
    NO_REFERENCE,
    PAIRED,
    SELF_REFERENCED,
    Sample,
    StreamOptions,
    check_hr_size,
    check_pair,
)

#: Endings of what a camera recorded in one go.
_RECORDINGS = (".seq", ".csq", *VIDEO_SUFFIXES)
_LR_SUFFIX = "x4"  # 00950x4.png belongs to 00950.png: how super-resolution data sets name files


class FolderStream:
    """The frames of a folder or a file, in the order of their names; see :class:`Stream`.

    Args:
        path: A folder of HR frames, or a file of them, which are degraded x4; or a folder with
            ``HR/`` and ``LR/``, paired by file name (without ending, and with an ``x4`` at its end
            or not), and within a file by number.
        options: With ``no_reference`` the frames (or those in ``LR/``) are the LR input.

    Raises:
        DataError: No such path, no frames in it, or frames without partner. Iterating raises it
            for a frame that does not fit its partner; one that cannot be read is left out, and
            named in :attr:`notices`, unless ``options.strict``.
        OptionError: A degradation where LR frames are given.
    """

    topic: str | None = None

    def __init__(self, path: Path, options: StreamOptions) -> None:
        self.path = path
        self.label = str(path)
        self.notices: list[str] = []
        self._left_out = LeftOut(options.strict, log=None)
        self.in_time = options.sequence or (path.is_file() and path.suffix.lower() in _RECORDINGS)
        self._oddities = OddityNotices(self.label, options.pixels, every=1)
        self._options = options
        self._reader, self._partners = reader_for(options.pixels), reader_for(options.pixels)
        hr_folder, lr_folder = path / "HR", path / "LR"
        has_hr, has_lr = hr_folder.is_dir(), lr_folder.is_dir()
        frames: list[tuple[FramePlace, FramePlace | None]]
        if options.no_reference:
            self.mode = NO_REFERENCE
            frames = self._alone(lr_folder if has_lr else path)
            self.settings: dict[str, Any] = {"data": "lr", "degradation": None}
        elif has_hr and has_lr:
            for name, value in options.for_degraded.items():
                raise OptionError(
                    f"{path} has its own LR frames, so {name} {value!r} has nothing to do"
                )
            self.mode = PAIRED
            frames = list(_pairs(hr_folder, lr_folder))
            self.settings = {"data": "hr_lr_pairs", "degradation": None}
        else:
            if has_hr or has_lr:
                there, missing = ("HR", "LR") if has_hr else ("LR", "HR")
                raise DataError(
                    f"{path}: has no {missing}/ beside {there}/ (frames without truth are "
                    "evaluated by --no-reference)"
                )
            self.mode = SELF_REFERENCED
            frames = self._alone(path)
            self.settings = self_referenced_settings(options)
        self._frames = frames[:: options.every][: options.limit]

    def _alone(self, source: Path) -> list[tuple[FramePlace, FramePlace | None]]:
        """Frames without partners, and what is not used beside them."""
        found = find_frames(source)
        self.notices += notices(source, found.not_used)
        return [(place, None) for place in found.places]

    def __len__(self) -> int:
        """See :class:`Stream`."""
        return len(self._frames)

    def samples(self, after: int = -1, done: int = 0) -> Iterator[Sample]:
        """See :class:`Stream`."""
        first: Sample | None = None
        indices = [position * self._options.every for position in range(len(self._frames))]
        # Where files were left out before, they are looked at again for what to say of them.
        again = sum(index <= after for index in indices) > done
        for index in indices:
            if index <= after and first is not None and not again:
                continue
            try:
                frames = self._read(index)
            except DataError as error:
                name = str(self._frames[index // self._options.every][0])
                if name not in self._left_out:
                    self._left_out.add(name, error)
                    self.notices.append(f"left out: {self._left_out.sentences()[-1]}")
                continue
            sample = self._sample(index, *frames)
            first = first or sample
            if sample.lr.dtype != first.lr.dtype:
                # Counts of 8 and of 16 bits cannot be averaged.
                raise DataError(
                    f"{self.path}: the frames are of different types: {first.name} is "
                    f"{first.lr.dtype}, {sample.name} is {sample.lr.dtype}; evaluate them "
                    "separately"
                )
            if index > after:
                yield sample
        for reader in (self._reader, self._partners):
            reader.close()
            self.notices += [n for n in notices(self.path, reader.unused) if n not in self.notices]

    def frame(self, index: int, log_time_ns: int) -> Sample:
        """See :class:`Stream`."""
        return self._sample(index, *self._read(index))

    def _read(self, index: int) -> tuple[np.ndarray, np.ndarray | None]:
        """A frame, and its partner where it has one."""
        place, partner = self._frames[index // self._options.every]
        if partner is None:
            return self._right(place, self._reader), None
        truth = self._reader.read(place).image
        return truth_of(truth, self._options.pixels), self._right(partner, self._partners)

    def _right(self, place: FramePlace, reader: FrameReader) -> np.ndarray:
        def look(frame: np.ndarray, order: str) -> None:
            self.notices += self._oddities.of(frame, place.name, order)

        return read_right(place, self._options.pixels, reader, look)

    def _sample(self, index: int, frame: np.ndarray, lr: np.ndarray | None) -> Sample:
        place, partner = self._frames[index // self._options.every]
        if self.mode == NO_REFERENCE:
            return Sample(place.name, index, frame, None)
        if lr is not None:
            check_pair(frame, lr, str(place), str(partner))
            return Sample(place.name, index, lr, frame)
        hr = crop_to_scale(frame)
        check_hr_size(hr, str(place))
        camera = self.path.name if self.in_time else None
        return Sample(place.name, index, self._options.degrade(hr, place.name, camera), hr)

    def fingerprint(self) -> list[Any]:
        """See :class:`Stream`."""
        files = [place.path for pair in self._frames for place in pair if place is not None]
        return [file_state(file) for file in dict.fromkeys(files)]


def self_referenced_settings(options: StreamOptions) -> dict[str, Any]:
    """What a report says about LR frames that were made here."""
    settings: dict[str, Any] = {
        "data": "hr",
        "degradation": options.degradation,
        "hr_crop": f"right and bottom, to a multiple of {SCALE}",
    }
    if options.degradation == CAMERA:
        settings["noise_percent"] = options.noise_percent
        settings["degradation_seed"] = options.seed
    return settings


def file_state(file: Path) -> list[Any]:
    """Path, size and time of modification (ns) of a file."""
    state = file.stat()
    return [str(file.resolve()), state.st_size, state.st_mtime_ns]


def _pairs(hr_folder: Path, lr_folder: Path) -> Iterator[tuple[FramePlace, FramePlace]]:
    hr_files, lr_files = _by_stem(hr_folder), _by_stem(lr_folder)
    left = dict(lr_files)
    for stem, hr_file in hr_files.items():
        partner = stem if stem in lr_files else stem + _LR_SUFFIX
        if partner not in lr_files:
            raise DataError(
                f"{hr_file}: has no partner in {lr_folder}, neither {stem}.* nor {partner}.*"
            )
        left.pop(partner, None)
        hr_places, lr_places = places_in(hr_file), places_in(lr_files[partner])
        if len(hr_places) != len(lr_places):
            raise DataError(
                f"{hr_file}: frames are paired by number, it has {len(hr_places)} and "
                f"{lr_files[partner]} {len(lr_places)}"
            )
        yield from zip(hr_places, lr_places)
    if left:
        raise DataError(f"{next(iter(left.values()))}: has no partner in {hr_folder}")


def _by_stem(folder: Path) -> dict[str, Path]:
    files: dict[str, Path] = {}
    for file in list_files(folder):
        if file.stem in files:
            raise DataError(f"{file}: {files[file.stem].name} is there too, which one is meant?")
        files[file.stem] = file
    return files
