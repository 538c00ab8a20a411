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

"""What the headers of a png, jpeg or tiff promise, read before memory is taken for its pixels."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from difiisr_ros.messages.jpeg import parse_jpeg

PNG = b"\x89PNG\r\n\x1a\n"
_JPEG = b"\xff\xd8\xff"
_TIFF = {b"II*\0": "<", b"MM\0*": ">"}
#: What other data starts with that people put into the message, to refuse it by its name.
_OTHERS = {
    b"RIFF": "webp", b"BM": "bmp", b"II+\0": "BigTIFF", b"MM\0+": "BigTIFF",
    b"\x28\xb5\x2f\xfd": "zstd", b"\0\0\0\1": "h264 or h265", b"OggS": "theora",
    b"\0\0\0\x0cJXL ": "jpegxl", b"\xff\x0a": "jpegxl", b"\0\0\0\x0cjP  ": "jpeg2000",
}  # fmt: skip

#: PNG's colour types and the channels that OpenCV returns for them; a palette is looked up.
_PNG_CHANNELS = {0: 1, 2: 3, 3: 3, 4: 4, 6: 4}
# Tags of TIFF 6.0 and the types whose values are whole numbers, with their letters for struct.
_WIDTH, _HEIGHT, _BITS, _COMPRESSION, _PHOTOMETRIC = 256, 257, 258, 259, 262
_STRIPS, _SAMPLES, _STRIP_BYTES, _PLANES, _TILES, _TILE_BYTES, _FORMAT = (
    273, 277, 279, 284, 324, 325, 339,
)  # fmt: skip
_WHOLE = {1: "B", 3: "H", 4: "I"}
_MOST_VALUES = 1 << 20
_KINDS = {1: "u", 2: "i", 3: "f"}


@dataclass(frozen=True)
class Picture:
    """A picture by its headers."""

    codec: str
    """``png``, ``jpeg`` or ``tiff``."""
    width: int
    height: int
    bits: int
    """Of a sample."""
    channels: int
    kind: str = "u"
    """``u`` for unsigned, ``i`` for signed numbers, ``f`` for floats."""
    problem: str = ""
    """Why it cannot be used, in a few words."""
    gray_steps: int = 0
    """Of a gray png of 1, 2 or 4 bits: the factor that OpenCV multiplies its values by."""


def codec_of(data: Any) -> str:
    """``png``, ``jpeg``, ``tiff``, the name of what is not accepted, or nothing."""
    start = bytes(data[:12])
    if start.startswith(PNG):
        return "png"
    if start.startswith(_JPEG):
        return "jpeg"
    if start[:4] in _TIFF:
        return "tiff"
    return next((name for sign, name in _OTHERS.items() if start.startswith(sign)), "")


def picture_of(data: Any) -> Picture | None:
    """The picture that the data holds; None where its headers are missing or it ends early."""
    data = memoryview(data)
    reader = {"png": _png, "jpeg": _jpeg, "tiff": _tiff}[codec_of(data)]
    try:
        return reader(data)
    except (struct.error, ValueError, IndexError):
        return None


def _png(data: memoryview) -> Picture | None:
    """By IHDR, the first chunk; all chunks to IEND have to be there.

    OpenCV takes memory for what one claims to hold.
    """
    at, header = len(PNG), None
    while at + 12 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, at)
        if header is None:
            if kind != b"IHDR":
                return None
            header = struct.unpack_from(">IIBB", data, at + 8)
        at += 12 + length
        if kind == b"IEND" and at <= len(data):
            width, height, bits, colour = header
            channels = _PNG_CHANNELS.get(colour, 0)
            steps = 255 // ((1 << bits) - 1) if colour == 0 and bits in (1, 2, 4) else 0
            problem = "" if channels else f"it is a png of colour type {colour}"
            return Picture("png", width, height, max(bits, 8), channels, "u", problem, steps)
    return None


def _jpeg(data: memoryview) -> Picture | None:
    jpeg = parse_jpeg(bytes(data))
    if not jpeg.whole or not jpeg.width:
        return None
    problem = ""
    if raw := "a FLIR camera's raw frame" if jpeg.flir else jpeg.other_raw_data:
        problem = (
            f"it is a radiometric jpeg ({raw}), whose picture is an 8-bit preview without "
            "temperatures"
        )
    elif jpeg.bits != 8 or jpeg.channels not in (1, 3):
        problem = f"it is a jpeg of {jpeg.bits} bits and {jpeg.channels} channels"
    return Picture("jpeg", jpeg.width, jpeg.height, jpeg.bits, jpeg.channels, "u", problem)


def _tiff(data: memoryview) -> Picture | None:
    order = _TIFF[bytes(data[:4])]
    (at,) = struct.unpack_from(order + "I", data, 4)
    (count,) = struct.unpack_from(order + "H", data, at)
    tags: dict[int, Sequence[int]] = {}
    for place in range(at + 2, at + 2 + 12 * count, 12):
        tag, kind, number = struct.unpack_from(order + "HHI", data, place)
        if kind in _WHOLE and 0 < number < _MOST_VALUES:
            layout = f"{order}{number}{_WHOLE[kind]}"
            beside = struct.calcsize(layout) > 4
            where = struct.unpack_from(order + "I", data, place + 8)[0] if beside else place + 8
            tags[tag] = struct.unpack_from(layout, data, where)
    places, sizes = (
        (*tags.get(strips, ()), *tags.get(tiles, ()))
        for strips, tiles in ((_STRIPS, _TILES), (_STRIP_BYTES, _TILE_BYTES))
    )
    if not places or len(places) != len(sizes):
        return None
    if any(place + size > len(data) for place, size in zip(places, sizes)):
        return None
    (width, *_), (height, *_) = tags[_WIDTH], tags[_HEIGHT]
    all_bits, channels = set(tags.get(_BITS, (1,))), tags.get(_SAMPLES, (1,))[0]
    photometric, kind = tags.get(_PHOTOMETRIC, (1,))[0], _KINDS.get(tags.get(_FORMAT, (1,))[0], "?")
    bits, problem = max(all_bits), ""
    # Others are decoded as something else than what is stored, or inverted.
    if (channels, photometric) not in ((1, 1), (3, 2)) or tags.get(_PLANES, (1,))[0] != 1:
        problem = f"it is a tiff of {channels} samples, photometric {photometric}"
    elif len(all_bits) > 1 or (kind, bits) not in (
        ("u", 8), ("u", 16), ("i", 16), ("f", 32), ("f", 64),
    ):  # fmt: skip
        problem = f"it is a tiff of {sorted(all_bits)} bits, format {kind}"
    return Picture("tiff", width, height, bits, channels, kind, problem)


def is_picture(data: Any) -> bool:
    """Whether the data starts as one of the accepted pictures."""
    return codec_of(data) in ("png", "jpeg", "tiff")
