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

"""PGM files, binary (P5) and text (P2), as stored: no scaling to the full range."""

from __future__ import annotations

import re

import numpy as np

from difiisr_ros.errors import DataError
from difiisr_ros.io.stack import ReadOptions

_HEADER = re.compile(rb"P[25]" + rb"(?:\s+|#[^\n]*\n)+(\d+)" * 3)


def decode_pgm(data: bytes, name: str, options: ReadOptions) -> tuple[np.ndarray, list[str]]:
    """Decode a PGM: uint8 up to a maximum of 255, else uint16; values are those of the file.

    Returns:
        The frame, and what of the file was not used.

    Raises:
        DataError: no header, a maximum that is not in 1..65535, values above it, or too few.
    """
    header = _HEADER.match(data[: 1 << 16])
    if header is None:
        raise DataError(f"{name}: is damaged, a PGM starts with P5 or P2, width, height, maximum")
    width, height, maximum = (int(text) for text in header.groups())
    if not 1 <= maximum <= 65535:
        raise DataError(f"{name}: says that its maximum is {maximum}, accepted are 1 to 65535")
    options.check_size(width, height, name)
    dtype = np.dtype(np.uint8 if maximum < 256 else np.uint16)
    count, body = width * height, data[header.end() :]
    unused = []
    if data[:2] == b"P2":
        values = _numbers(re.sub(rb"#[^\n]*", b"", body), name)
        if len(values) > count:
            unused.append(f"{len(values) - count} numbers after the frame")
    else:
        body = body[1:]  # the one white-space character after the maximum
        whole = count * dtype.itemsize
        values = np.frombuffer(body[: len(body) // dtype.itemsize * dtype.itemsize],
                               dtype.newbyteorder(">"))  # fmt: skip
        if len(body) > whole:
            further = "further images" if body[whole : whole + 2] in (b"P5", b"P2") else "bytes"
            unused.append(f"{len(body) - whole} bytes after the frame ({further})")
    if len(values) < count:
        raise DataError(f"{name}: is truncated, {len(values)} of {count} pixels are there")
    image = values[:count].reshape(height, width)
    if image.max() > maximum or image.min() < 0:
        raise DataError(f"{name}: holds {image.min()} to {image.max()}, its maximum is {maximum}")
    return image.astype(dtype), unused


def _numbers(text: bytes, name: str) -> np.ndarray:
    try:
        return np.array(text.split(), dtype=np.int64)
    except (ValueError, OverflowError) as error:
        raise DataError(f"{name}: is damaged, its text holds more than whole numbers") from error
