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

"""Frames to evaluate on from a folder of image files, or of HR and LR pairs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from difiisr_ros.errors import DataError, OptionError
from difiisr_ros.io.images import IMAGE_SUFFIXES, list_images, survey_folder
from difiisr_ros.io.left_out import LeftOut, read_finite
from difiisr_ros.lab.frames.degrade import CAMERA, SCALE, crop_to_scale
from difiisr_ros.lab.frames.put_right import OddityNotices, read_right, truth_of
from difiisr_ros.lab.frames.streams import (
    NO_REFERENCE,
    PAIRED,
    SELF_REFERENCED,
    Sample,
    StreamOptions,
    check_hr_size,
    check_pair,
)

_LR_SUFFIX = "x4"  # 00950x4.png belongs to 00950.png: how super-resolution data sets name files


class FolderStream:
    """The frames of a folder, in the order of their names; see :class:`Stream`.

    Args:
        path: A folder of HR frames, which are degraded x4; or a folder with ``HR/`` and ``LR/``,
            paired by file name (without ending, and with an ``x4`` at its end or not).
        options: With ``no_reference`` the folder's frames (or its ``LR/``) are the LR input.

    Raises:
        DataError: No such folder, no frames in it, or frames without partner. Iterating raises it
            for a file that does not fit its partner; one that cannot be read is left out, and named
            in :attr:`notices`, unless ``options.strict``.
        OptionError: A degradation where LR frames are given.
    """

    topic: str | None = None

    def __init__(self, path: Path, options: StreamOptions) -> None:
        self.path = path
        self.label = str(path)
        self.notices: list[str] = []
        self._left_out = LeftOut(options.strict, log=None)
        self.in_time = options.sequence
        self._oddities = OddityNotices(self.label, options.pixels, every=1)
        self._options = options
        hr_folder, lr_folder = path / "HR", path / "LR"
        has_hr, has_lr = hr_folder.is_dir(), lr_folder.is_dir()
        files: list[tuple[Path, Path | None]]
        if options.no_reference:
            self.mode = NO_REFERENCE
            files = [(file, None) for file in list_images(lr_folder if has_lr else path)]
            self.settings: dict[str, Any] = {"data": "lr", "degradation": None}
        elif has_hr and has_lr:
            for name, value in options.for_degraded.items():
                raise OptionError(
                    f"{path} has its own LR frames, so {name} {value!r} has nothing to do"
                )
            self.mode = PAIRED
            files = list(_pairs(hr_folder, lr_folder))
            self.settings = {"data": "hr_lr_pairs", "degradation": None}
        else:
            if has_hr or has_lr:
                there, missing = ("HR", "LR") if has_hr else ("LR", "HR")
                raise DataError(
                    f"{path}: has no {missing}/ beside {there}/ (frames without truth are "
                    "evaluated by --no-reference)"
                )
            self.mode = SELF_REFERENCED
            files = [(file, None) for file in list_images(path)]
            self.settings = self_referenced_settings(options)
        self._files = files[:: options.every][: options.limit]
        for folder in sorted({file.parent for pair in files for file in pair if file is not None}):
            others = [
                f for f in survey_folder(folder, False)[0] if f.suffix.lower() not in IMAGE_SUFFIXES
            ]
            if others:
                self.notices.append(
                    f"not used: {len(others)} files of frames that are no image files, as "
                    f"{others[0]} (one frame a file is taken)"
                )

    def __len__(self) -> int:
        """See :class:`Stream`."""
        return len(self._files)

    def samples(self, after: int = -1, done: int = 0) -> Iterator[Sample]:
        """See :class:`Stream`."""
        first: Sample | None = None
        indices = [position * self._options.every for position in range(len(self._files))]
        # Where files were left out before, they are looked at again for what to say of them.
        again = sum(index <= after for index in indices) > done
        for index in indices:
            if index <= after and first is not None and not again:
                continue
            try:
                frames = self._read(index)
            except DataError as error:
                name = str(self._files[index // self._options.every][0])
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

    def frame(self, index: int, log_time_ns: int) -> Sample:
        """See :class:`Stream`."""
        return self._sample(index, *self._read(index))

    def _read(self, index: int) -> tuple[np.ndarray, np.ndarray | None]:
        """A file's frame, and its partner's where it has one."""
        file, lr_file = self._files[index // self._options.every]
        camera = self._options.pixels
        if lr_file is None:
            return self._right(file), None
        truth = read_finite(file, camera.byte_order)
        return truth_of(truth, camera), self._right(lr_file)

    def _right(self, file: Path) -> np.ndarray:
        def look(frame: np.ndarray) -> None:
            self.notices += self._oddities.of(frame, file.name)

        return read_right(file, self._options.pixels, look)

    def _sample(self, index: int, frame: np.ndarray, lr: np.ndarray | None) -> Sample:
        hr_file, lr_file = self._files[index // self._options.every]
        if self.mode == NO_REFERENCE:
            return Sample(hr_file.name, index, frame, None)
        if lr is not None:
            check_pair(frame, lr, str(hr_file), str(lr_file))
            return Sample(hr_file.name, index, lr, frame)
        hr = crop_to_scale(frame)
        check_hr_size(hr, str(hr_file))
        camera = self.path.name if self.in_time else None
        return Sample(hr_file.name, index, self._options.degrade(hr, hr_file.name, camera), hr)

    def fingerprint(self) -> list[Any]:
        """See :class:`Stream`."""
        return [file_state(file) for pair in self._files for file in pair if file is not None]


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


def _pairs(hr_folder: Path, lr_folder: Path) -> Iterator[tuple[Path, Path]]:
    hr_files, lr_files = _by_stem(hr_folder), _by_stem(lr_folder)
    left = dict(lr_files)
    for stem, hr_file in hr_files.items():
        partner = stem if stem in lr_files else stem + _LR_SUFFIX
        if partner not in lr_files:
            raise DataError(
                f"{hr_file}: has no partner in {lr_folder}, neither {stem}.* nor {partner}.*"
            )
        left.pop(partner, None)
        yield hr_file, lr_files[partner]
    if left:
        raise DataError(f"{next(iter(left.values()))}: has no partner in {hr_folder}")


def _by_stem(folder: Path) -> dict[str, Path]:
    files: dict[str, Path] = {}
    for file in list_images(folder):
        if file.stem in files:
            raise DataError(f"{file}: {files[file.stem].name} is there too, which one is meant?")
        files[file.stem] = file
    return files
