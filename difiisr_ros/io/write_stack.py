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

"""Files of frames that appear whole or not at all, written frame by frame."""

from __future__ import annotations

import contextlib
import io
import os
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from difiisr_ros.atomic_write import replacing
from difiisr_ros.errors import DataError, OutputError
from difiisr_ros.io.arrays import write_npy_header
from difiisr_ros.io.images import write_image
from difiisr_ros.io.stack import Part
from difiisr_ros.io.tiff_releases import write_arguments

_ARRAYS = (".npy", ".npz")
#: Endings of files that hold any number of frames, in any type.
STACK_SUFFIXES = (".tif", ".tiff", *_ARRAYS)
_CLASSIC_TIFF_LIMIT = 1 << 31  # bytes of pixels; a classic TIFF has offsets up to 4 GiB
_LEAST_SPACE = 1 << 16  # bytes; less is a full disk
_FAST = {"level": 1}  # a quarter of the default's time, for files a fifth larger
#: Arguments of ``tifffile.TiffWriter.write`` for a frame by its number.
Tags = Callable[[int], dict[str, Any]]
Write = Callable[[np.ndarray], None]


def check_target(*paths: Path | None) -> None:
    """Raise OutputError where it is known beforehand that a file cannot be written.

    For before the work that the file is to hold; None is one that nobody asked for.
    """
    for path in paths:
        if path is None:
            continue
        if path.is_dir():
            raise OutputError(f"{path}: is a folder, the name of a file is needed")
        _check_place(path, path.parent)


def check_folder(folder: Path) -> None:
    """The same for a folder to write into, which may be missing."""
    _check_place(folder, folder)


def _check_place(path: Path, folder: Path) -> None:
    folder = folder.absolute()
    while not folder.exists():
        folder = folder.parent
    if not folder.is_dir():
        raise OutputError(f"{path}: cannot be written: {folder} is a file, not a folder")
    space = os.statvfs(folder)
    if space.f_flag & os.ST_RDONLY:
        raise OutputError(f"{path}: cannot be written: the file system of {folder} is read-only")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise OutputError(f"{path}: cannot be written: no permission to write into {folder}")
    if space.f_blocks and space.f_bavail * space.f_frsize < _LEAST_SPACE:
        raise OutputError(f"{path}: cannot be written: no space is left in {folder}")


@contextlib.contextmanager
def writing(path: Path, parts: list[Part], tags: Tags | None = None) -> Iterator[Write]:
    """A function that takes the frames of a file in order; the file is there when the block ends.

    Args:
        path: What is written follows from its ending: ``STACK_SUFFIXES``, or for one frame also
            what :func:`difiisr_ros.io.images.write_image` takes.
        parts: How the frames belong together. All have one type and size in ``.npy`` and in an
            array of ``.npz``.
        tags: For TIFF, what each page is to carry.

    Raises:
        OutputError: The ending cannot hold so many frames, or the file cannot be written.
    """
    suffix, count = path.suffix.lower(), sum(part.count for part in parts)
    try:
        if suffix in (".tif", ".tiff"):
            with replacing(path) as temporary, contextlib.ExitStack() as open_files:
                yield _TiffPages(temporary, count, tags, open_files).write
        elif suffix == ".npz" or (suffix == ".npy" and len(parts) == 1):
            with replacing(path) as temporary, contextlib.ExitStack() as open_files:
                yield _Arrays(temporary, parts, suffix == ".npz", open_files).write
        elif count == 1:
            yield lambda image: _write_one(path, image)
        else:
            raise OutputError(
                f"{path}: {suffix} holds one frame, there are {count}; use one of "
                f"{', '.join(STACK_SUFFIXES)}"
            )
    except OSError as error:
        raise OutputError(f"{path}: cannot be written: {error.strerror or error}") from error


def _write_one(path: Path, image: np.ndarray) -> None:
    try:
        write_image(path, image, _ARRAYS)
    except DataError as error:
        raise OutputError(str(error)) from error


class _TiffPages:
    """Pages of a TIFF, each compressed without loss; a BigTIFF where they are many."""

    def __init__(
        self, path: Path, count: int, tags: Tags | None, open_files: contextlib.ExitStack
    ) -> None:
        self._path, self._count, self._tags = path, count, tags
        self._open_files, self._index = open_files, 0
        self._file: Any = None

    def write(self, image: np.ndarray) -> None:
        """Add a page."""
        import tifffile

        if self._file is None:
            big = image.nbytes * self._count > _CLASSIC_TIFF_LIMIT
            self._file = self._open_files.enter_context(
                tifffile.TiffWriter(self._path, bigtiff=big)
            )
        arguments = {
            "compression": "zlib", "compressionargs": _FAST, "predictor": image.dtype.kind in "iu",
            "metadata": None, "software": False, "contiguous": False, "photometric": "minisblack",
        }  # fmt: skip
        arguments |= self._tags(self._index) if self._tags else {}
        self._file.write(image, **write_arguments(arguments))
        self._index += 1


class _Arrays:
    """One ``.npy``, or those of an ``.npz``; the first frame of each tells its type and size."""

    def __init__(
        self, path: Path, parts: list[Part], archive: bool, open_files: contextlib.ExitStack
    ) -> None:
        self._archive: Any = None
        self._file: Any = None
        if archive:
            self._archive = open_files.enter_context(
                zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1)
            )
            # Before the archive, which cannot be closed while an array in it is open.
            open_files.callback(self._close_array)
        else:
            self._file = open_files.enter_context(path.open("wb"))
        self._left = [(part, i) for part in parts for i in range(part.count)]
        self._first: np.ndarray | None = None

    def write(self, image: np.ndarray) -> None:
        """Add a frame."""
        part, index = self._left.pop(0)
        if index == 0:
            self._first = image
            if self._archive is not None:
                name = f"{part.key or 'frames'}.npy"
                self._file = self._archive.open(name, "w", force_zip64=True)
            header = io.BytesIO()
            shape = image.shape if part.flat else (part.count, *image.shape)
            write_npy_header(header, image.dtype, shape)
            self._file.write(header.getvalue())
        elif self._first is not None and (
            image.shape != self._first.shape or image.dtype != self._first.dtype
        ):
            raise OutputError(
                f"frames of {self._first.shape} {self._first.dtype} and {image.shape} "
                f"{image.dtype} do not fit into one array; use .tiff"
            )
        self._file.write(np.ascontiguousarray(image).tobytes())
        if self._archive is not None and index == part.count - 1:
            self._close_array()

    def _close_array(self) -> None:
        if self._file is not None:
            self._file.close()
