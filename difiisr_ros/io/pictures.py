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

"""PNG, JPEG and BMP, decoded by OpenCV and compared with what the file says of itself.

OpenCV says nothing about why a file cannot be read, returns half a picture for a truncated JPEG,
and stretches 1-, 2- and 4-bit PNG over 8 bits; here that is known, or undone.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from difiisr_ros.errors import DataError
from difiisr_ros.io.colour import one_channel
from difiisr_ros.io.stack import ReadOptions
from difiisr_ros.messages.jpeg import parse_jpeg
from difiisr_ros.messages.opencv import imdecode

_PNG_GRAY, _PNG_RGB, _PNG_PALETTE, _PNG_GRAY_ALPHA, _PNG_RGBA = 0, 2, 3, 4, 6
_PNG_BESIDE = {
    b"eXIf": "EXIF", b"iCCP": "colour profile", b"acTL": "further pictures (animation)",
    b"tEXt": "text", b"zTXt": "text", b"iTXt": "text",
}  # fmt: skip
#: What helps with a file whose raw frame cannot be read, whichever command met it.
TAKE_PREVIEW = "'difiisr upscale --allow-preview' takes its 8-bit picture"
Decoded = tuple[np.ndarray, list[str]]


def decode_png(data: bytes, name: str, options: ReadOptions) -> Decoded:
    """Decode a PNG: uint8 or uint16, values as stored; alpha is left out.

    Returns:
        The frame, and what of the file was not used.

    Raises:
        DataError: truncated, damaged, or not decoded as the file says.
    """
    chunks = list(_png_chunks(data))
    if not chunks or chunks[0][0] != b"IHDR" or len(chunks[0][1]) < 13:
        raise DataError(f"{name}: cannot be decoded as PNG: it does not start with a header")
    if chunks[-1][0] != b"IEND":
        raise DataError(f"{name}: is truncated, the PNG data ends early ({len(data)} bytes)")
    header = chunks[0][1]
    options.check_size(int.from_bytes(header[:4], "big"), int.from_bytes(header[4:8], "big"), name)
    depth, colour = header[8], header[9]
    image = decode_by_opencv(data, name, "PNG")
    _check(image, np.uint16 if depth == 16 else np.uint8, f"{depth}-bit PNG", name)
    unused = list(dict.fromkeys(_PNG_BESIDE[k] for k, _ in chunks if k in _PNG_BESIDE))
    if colour in (_PNG_GRAY_ALPHA, _PNG_RGBA):
        unused.append("alpha channel")
    frame = _gray(image, name, unused)
    if colour == _PNG_GRAY and depth < 8:
        frame = frame // np.uint8(255 // ((1 << depth) - 1))
    return frame, unused


def decode_jpeg(data: bytes, name: str, options: ReadOptions) -> Decoded:
    """Decode the 8-bit picture of a JPEG, without EXIF's rotation; as :func:`decode_png`.

    Raises:
        DataError: also where the file holds a raw frame that nothing here reads, unless
            ``options.allow_preview``.
    """
    jpeg = parse_jpeg(data)
    if not jpeg.whole:
        raise DataError(f"{name}: is truncated, the JPEG data ends early ({len(data)} bytes)")
    options.check_size(jpeg.width, jpeg.height, name)
    if jpeg.bits != 8 or jpeg.channels not in (1, 3):
        raise DataError(
            f"{name}: is a JPEG of {jpeg.bits} bits and {jpeg.channels} channels, accepted are 8 "
            "bits in 1 or 3"
        )
    unused = jpeg.beside
    raw = "a FLIR camera's raw frame" if jpeg.flir else jpeg.other_raw_data
    if raw and not options.allow_preview:
        raise DataError(
            f"{name}: is a radiometric JPEG ({raw}), whose picture is an 8-bit preview without "
            f"temperatures; export its frame as TIFF, or {TAKE_PREVIEW}"
        )
    if raw:
        unused.append(f"raw frame ({raw}): the 8-bit preview was taken")
    image = decode_by_opencv(data, name, "JPEG")
    _check(image, np.uint8, "8-bit JPEG", name)
    return _gray(image, name, unused), unused


def decode_bmp(data: bytes, name: str, options: ReadOptions) -> Decoded:
    """Decode a BMP of 8 bits a channel; as :func:`decode_png`."""
    header = data[:30]
    if len(header) < 30:
        raise DataError(f"{name}: is truncated, the BMP data ends early ({len(data)} bytes)")
    width, height = (int.from_bytes(header[i : i + 4], "little", signed=True) for i in (18, 22))
    options.check_size(abs(width), abs(height), name)
    bits = int.from_bytes(header[28:30], "little")
    if bits not in (1, 4, 8, 24, 32):
        raise DataError(f"{name}: is a BMP of {bits} bits a pixel, accepted are 1, 4, 8, 24 and 32")
    image = decode_by_opencv(data, name, "BMP")
    _check(image, np.uint8, f"{bits}-bit BMP", name)
    unused: list[str] = []
    return _gray(image, name, unused), unused


def decode_by_opencv(data: bytes | bytearray, name: str, kind: str) -> np.ndarray:
    """What OpenCV makes of a file's content: H x W, or H x W x channels in the order B, G, R, A.

    Raises:
        DataError: nothing.
    """
    image, error = imdecode(data)
    if image is None:
        raise DataError(
            f"{name}: cannot be decoded as {kind}: "
            f"{error or 'damaged, or a variant that OpenCV does not read'}"
        )
    return image


def _check(image: np.ndarray, dtype: type, what: str, name: str) -> None:
    if image.dtype != dtype or (image.ndim == 3 and image.shape[2] not in (3, 4)):
        raise DataError(f"{name}: is a {what} and was decoded as {image.dtype} {image.shape}")


def _gray(image: np.ndarray, name: str, unused: list[str]) -> np.ndarray:
    # gray with alpha arrives as four channels too
    return image if image.ndim == 2 else one_channel(image[..., 2::-1], name, unused)


def _png_chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Name and content (of pixels: nothing) of the chunks that are whole, to the end mark."""
    at = 8
    while at + 12 <= len(data):
        kind, size = data[at + 4 : at + 8], int.from_bytes(data[at : at + 4], "big")
        if at + 12 + size > len(data):
            return
        yield kind, b"" if kind == b"IDAT" else data[at + 8 : at + 8 + size]
        if kind == b"IEND":
            return
        at += 12 + size
