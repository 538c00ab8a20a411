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

"""Fields of a protocol buffer, read and written; what ONNX files are made of.

Only what ONNX uses: numbers (varint), and bytes with their length. Needs no library.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

Value = int | float | bytes


def fields(data: bytes) -> Iterator[tuple[int, Value]]:
    """Number and value of each field: an int, a float of 32 bits, or the bytes of anything else.

    Raises:
        ValueError: the data end within a field, or are something else.
    """
    at = 0
    while at < len(data):
        key, at = _varint(data, at)
        number, kind = key >> 3, key & 7
        if kind == 0:
            value, at = _varint(data, at)
            yield number, value
            continue
        size = {1: 8, 5: 4}.get(kind)
        if kind == 2:
            size, at = _varint(data, at)
        if size is None or at + size > len(data):
            raise ValueError("no protocol buffer, or a part of one")
        value_bytes = data[at : at + size]
        at += size
        yield number, struct.unpack("<f", value_bytes)[0] if kind == 5 else value_bytes


def numbers(value: Value) -> list[int]:
    """The signed numbers of a repeated field, which may be packed into one."""
    if isinstance(value, int):
        return [_signed(value)]
    assert isinstance(value, bytes)
    found, at = [], 0
    while at < len(value):
        number, at = _varint(value, at)
        found.append(_signed(number))
    return found


def field(number: int, value: int | str | bytes) -> bytes:
    """One field, serialised."""
    if isinstance(value, int):
        return _as_varint(number << 3) + _as_varint(value)
    content = value.encode() if isinstance(value, str) else value
    return _as_varint(number << 3 | 2) + _as_varint(len(content)) + content


def _signed(value: int) -> int:
    return value - (1 << 64) if value >= 1 << 63 else value


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        if at >= len(data) or shift > 63:
            raise ValueError("no protocol buffer, or a part of one")
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at


def _as_varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)
