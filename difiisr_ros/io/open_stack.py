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

"""Opens any file of frames: what it is follows from its content, or from its ending for text."""

from __future__ import annotations

import contextlib
import io
import mmap
from pathlib import Path

import numpy as np

from difiisr_ros.core.byte_order import BIG
from difiisr_ros.errors import DataError
from difiisr_ros.io.arrays import open_csv, open_npy, open_npz
from difiisr_ros.io.dji import decode_dji, raw_size
from difiisr_ros.io.flir import MAGIC, containers, decode_fff
from difiisr_ros.io.pgm import decode_pgm
from difiisr_ros.io.pictures import TAKE_PREVIEW, decode_bmp, decode_jpeg, decode_png
from difiisr_ros.io.stack import COUNTS, Part, ReadOptions, Stack, single
from difiisr_ros.io.tiff import open_tiff
from difiisr_ros.io.video import VIDEO_SUFFIXES, open_video
from difiisr_ros.messages.jpeg import parse_jpeg

ACCEPTED = (
    "accepted: PNG, TIFF, PGM, JPEG, BMP, FLIR's and DJI's radiometric JPEG, FFF, SEQ and CSQ, "
    "NumPy's .npy and .npz, .csv of numbers, videos"
)
#: What the content starts with -> what it is.
_SIGNATURES = (
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"\xff\xd8\xff", "JPEG"),
    (b"BM", "BMP"),
    (b"II*\0", "TIFF"),
    (b"MM\0*", "TIFF"),
    (b"II+\0", "TIFF"),
    (b"MM\0+", "TIFF"),
    (b"P5", "PGM"),
    (b"P2", "PGM"),
    (MAGIC, "FFF"),
    (b"\x93NUMPY", "NPY"),
    (b"PK\x03\x04", "NPZ"),
)
#: What holds one frame, and is decoded when it is opened.
ONE_FRAME = ("PNG", "JPEG", "BMP", "PGM")
_DECODERS = {"PNG": decode_png, "BMP": decode_bmp, "PGM": decode_pgm}


def kind_of(start: bytes) -> str | None:
    """What a file is whose content starts so (12 bytes tell), or None."""
    return next((kind for sign, kind in _SIGNATURES if start[: len(sign)] == sign), None)


def open_stack(path: Path, options: ReadOptions) -> Stack:
    """Open a file of frames; close the stack by ``with``.

    Raises:
        DataError: missing, empty, truncated, or not what is accepted; frames that are read later
            may raise it too.
    """
    name = str(path)
    if path.is_dir():
        raise DataError(f"{name}: is a folder, not an image file ({ACCEPTED})")
    try:
        with path.open("rb") as file:
            kind = kind_of(file.read(16))
        if kind == "TIFF":
            tiff = path.open("rb")
            try:
                stack = open_tiff(tiff, name, options)
            except BaseException:
                tiff.close()
                raise
            stack.closing.callback(tiff.close)
            stack.put_in_order(options.byte_order)
        elif kind == "NPY":
            stack = open_npy(path, options).put_in_order(options.byte_order)
        elif kind == "NPZ":
            stack = open_npz(path, options).put_in_order(options.byte_order)
        elif kind == "FFF":
            stack = _open_fff(path, options)
        elif kind is None and path.suffix.lower() in VIDEO_SUFFIXES:
            stack = open_video(path, options)
        elif kind is None and path.suffix.lower() == ".csv":
            stack = open_csv(path, options)
        else:
            stack = open_bytes(path.read_bytes(), name, options)
    except FileNotFoundError:
        missing = "no such file" if path.parent.is_dir() else f"no such folder: {path.parent}"
        raise DataError(f"{name}: {missing}") from None
    except OSError as error:
        raise DataError(f"{name}: cannot be read: {error.strerror}") from error
    if options.unit != COUNTS and stack.kind != "FLIR":
        if options.scale is None:
            stack.closing.close()
            raise DataError(
                f"{name}: holds no constants for --unit {options.unit}, as FLIR's files do, and "
                "nothing else says what a count is: kelvin_per_count in the camera's profile does "
                "(--camera FILE); --unit counts takes the file as it is"
            )
        stack.scale = options.scale
    return stack


def open_bytes(data: bytes, name: str, options: ReadOptions) -> Stack:
    """Open the content of an image file; see :func:`open_stack`."""
    if not data:
        raise DataError(f"{name}: is empty (0 bytes; {ACCEPTED})")
    kind = kind_of(data[:16])
    if kind == "TIFF":
        return open_tiff(io.BytesIO(data), name, options).put_in_order(options.byte_order)
    if kind == "FFF":
        return single(name, "FLIR", decode_fff(data, name, options), [])
    if kind == "JPEG":
        return _open_jpeg(data, name, options)
    if kind in _DECODERS:
        stack = single(name, kind, *_DECODERS[kind](data, name, options))
        stack.order = BIG if kind in ("PNG", "PGM") else ""
        return stack.put_in_order(options.byte_order)
    raise DataError(f"{name}: is not an image, it starts with {data[:12]!r} ({ACCEPTED})")


def _open_fff(path: Path, options: ReadOptions) -> Stack:
    """A container, or a recording of several, which stays on disk."""
    name, closing = str(path), contextlib.ExitStack()
    with path.open("rb") as file:
        data = closing.enter_context(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
    places = containers(data) or [(0, len(data))]

    def read(index: int) -> np.ndarray:
        begin, end = places[index]
        label = name if len(places) == 1 else f"{name}, frame {index + 1}"
        return decode_fff(data[begin:end], label, options)

    stack = Stack(name, "FLIR", [Part(len(places), flat=len(places) == 1)], read)
    stack.closing = closing
    return stack


def _open_jpeg(data: bytes, name: str, options: ReadOptions) -> Stack:
    """FLIR's or DJI's raw frame where there is one, unless the picture was asked for."""
    jpeg = parse_jpeg(data)
    maker = "FLIR" if jpeg.flir else "DJI" if raw_size(jpeg) else None
    if maker is None or not jpeg.whole or options.allow_preview:
        return single(name, "JPEG", *decode_jpeg(data, name, options))
    try:
        if maker == "DJI":
            frame = decode_dji(jpeg, name, options)
        else:
            frame = decode_fff(jpeg.flir, name, options)
    except DataError as error:
        raise DataError(f"{error}; {TAKE_PREVIEW}") from error
    return single(name, maker, frame, [what for what in jpeg.beside if what != "colour profile"])
