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

"""NumPy arrays (.npy, .npz) and text (.csv) as frames: H x W, or N x H x W."""

from __future__ import annotations

import contextlib
import zipfile
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from difiisr_ros.core.byte_order import BIG, LITTLE
from difiisr_ros.errors import DataError
from difiisr_ros.io.numbers import check_type
from difiisr_ros.io.stack import Part, ReadOptions, Stack, single

_ACCEPTED = "accepted are H x W and N x H x W"
_MOST_CHANNELS = 4  # as many columns after larger dimensions are channels, not a frame's width


def open_npy(path: Path, options: ReadOptions) -> Stack:
    """Open a ``.npy``; it stays on disk, and one frame at a time is read.

    Raises:
        DataError: not of numbers, or not of the accepted shapes.
    """
    name = str(path)
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, EOFError, OSError) as error:
        raise DataError(f"{name}: cannot be read as a NumPy array: {error}") from error
    part = _part(array.shape, array.dtype, "", name, options)

    def read(index: int) -> np.ndarray:
        return np.array(array if part.flat else array[index], order="C")

    return Stack(name, "NPY", [part], read, order=_order_of(array.dtype))


def open_npz(path: Path, options: ReadOptions) -> Stack:
    """Open a ``.npz``; its arrays that are no frames are named as not used.

    Raises:
        DataError: no archive, or without an array of frames.
    """
    name = str(path)
    closing = contextlib.ExitStack()
    try:
        archive = closing.enter_context(zipfile.ZipFile(path))
        parts, unused, dtypes = [], [], []
        for entry in archive.namelist():
            try:
                with archive.open(entry) as file:
                    shape, fortran, dtype = _npy_header(file)
                part = _part(shape, dtype, entry.removesuffix(".npy"), name, options)
                if fortran and not part.flat:
                    raise DataError(f"{name}: is in Fortran order")
            except (DataError, ValueError):
                unused.append(f"array {entry.removesuffix('.npy')}")
            else:
                parts.append(part)
                dtypes.append(dtype)
    except (zipfile.BadZipFile, OSError) as error:
        closing.close()
        raise DataError(f"{name}: cannot be read as a NumPy archive: {error}") from error
    if not parts:
        closing.close()
        raise DataError(f"{name}: has no array of frames ({_ACCEPTED}, numbers, C order)")
    stack = Stack(name, "NPZ", parts, _Archive(archive, parts, name).read, unused)
    stack.closing, stack.order = closing, _order_of(dtypes[0])
    return stack


def _order_of(dtype: np.dtype) -> str:
    return BIG if dtype.str.startswith(">") else LITTLE


class _Archive:
    """Frames of an archive; going through them in order reads every byte once."""

    def __init__(self, archive: zipfile.ZipFile, parts: list[Part], name: str) -> None:
        self._archive, self._name = archive, name
        self._places = [(part, i) for part in parts for i in range(part.count)]
        self._key, self._next = "", 0
        self._file: Any = None
        self._shape: tuple[int, ...] = ()
        self._fortran, self._dtype = False, np.dtype(np.uint8)

    def read(self, index: int) -> np.ndarray:
        """Frame by its number in the archive."""
        part, frame = self._places[index]
        try:
            if self._file is None or self._key != part.key or frame < self._next:
                self._file = self._archive.open(f"{part.key}.npy")
                self._shape, self._fortran, self._dtype = _npy_header(self._file)
                self._key, self._next = part.key, 0
            height, width = self._shape[-2:]
            size = height * width * self._dtype.itemsize
            while self._next <= frame:
                data = self._file.read(size)
                self._next += 1
        except (zipfile.BadZipFile, OSError, ValueError, KeyError) as error:
            raise DataError(f"{self._name}: array {part.key} is damaged: {error}") from error
        if len(data) < size:
            raise DataError(f"{self._name}: array {part.key} is truncated")
        shape, order = (height, width), "F" if self._fortran else "C"
        return np.frombuffer(data, self._dtype).reshape(shape, order=order).copy()  # type: ignore[call-overload]


def _npy_header(file: Any) -> tuple[tuple[int, ...], bool, np.dtype]:
    version = np.lib.format.read_magic(file)
    read = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }.get(version)
    if read is None:
        raise ValueError(f"version {version} of the format")
    return read(file)


def _part(
    shape: tuple[int, ...], dtype: np.dtype, key: str, name: str, options: ReadOptions
) -> Part:
    check_type(dtype, name)
    channels = len(shape) == 3 and shape[2] <= _MOST_CHANNELS < min(shape[:2])
    if len(shape) not in (2, 3) or channels:
        hint = "; that looks like channels" if channels else ""
        raise DataError(f"{name}: has the shape {shape}{hint}; {_ACCEPTED}")
    options.check_size(shape[-1], shape[-2], name)
    if shape[0] == 0:
        raise DataError(f"{name}: has no frame, its shape is {shape}")
    return Part(1 if len(shape) == 2 else shape[0], key, flat=len(shape) == 2)


def open_csv(path: Path, options: ReadOptions) -> Stack:
    """Read numbers in rows, separated by comma, semicolon or tab: one frame, float32.

    With a semicolon or a tab a decimal comma is taken too. A separator at the end of all rows is
    no column.

    Raises:
        DataError: rows of different lengths, or what is no number, with its place.
    """
    name = str(path)
    try:
        text = path.read_bytes()
        lines = text.decode("utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise DataError(f"{name}: is no text of numbers") from error
    rows = [line.strip(" ") for line in lines if line.strip()]
    if not rows:
        raise DataError(f"{name}: has no numbers")
    separator = next((s for s in "\t;," if s in rows[0]), ",")
    decimal_comma = separator != ","
    if all(row.endswith(separator) for row in rows):
        rows = [row[:-1] for row in rows]
    width = rows[0].count(separator) + 1
    options.check_size(width, len(rows), name)
    frame = np.empty((len(rows), width), np.float32)
    for number, row in enumerate(rows):
        cells = (row.replace(",", ".") if decimal_comma else row).split(separator)
        if len(cells) != width:
            raise DataError(
                f"{name}: row {number + 1} has {len(cells)} numbers, the first has {width}"
            )
        try:
            values = np.array(cells, dtype=np.float64)
        except ValueError:
            bad = next(i for i, cell in enumerate(cells) if not _is_number(cell))
            raise DataError(
                f"{name}: row {number + 1}, column {bad + 1} is {cells[bad][:40]!r}, not a number; "
                "accepted are rows of numbers, separated by comma, semicolon or tab"
            ) from None
        if (np.isfinite(values) & (np.abs(values) > np.finfo(np.float32).max)).any():
            raise DataError(f"{name}: row {number + 1} has numbers beyond float32")
        frame[number] = values
    return single(name, "CSV", frame, [])


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def write_npy_header(file: BinaryIO | Any, dtype: np.dtype, shape: tuple[int, ...]) -> None:
    """The beginning of a ``.npy``, after which the pixels follow."""
    np.lib.format.write_array_header_2_0(
        file,
        {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": shape},
    )
