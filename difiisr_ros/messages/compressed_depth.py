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

"""``compressedDepth``: 16-bit png behind a header of 12 bytes, of depth codes where 32-bit.

The header is a 32-bit enumeration and two 32-bit floats, A and B, in the sender's byte order, which
is little-endian everywhere by now. 16-bit images are stored as they are. Of 32-bit ones
``code = A / depth + B`` is stored, rounded down, and 0 for what is missing or too far.
"""

from __future__ import annotations

import struct
from typing import Any

import numpy as np

from difiisr_ros.messages.image_encoding import ImageError
from difiisr_ros.messages.picture import PNG

HEADER = 12
Quantisation = tuple[float, float]


def split(data: Any, name: str) -> tuple[Any, Quantisation | None]:
    """The png, and A and B where there is a header.

    Raises:
        ImageError: there is no png where it should be; ``name`` is the message's format.
    """
    data = memoryview(data)
    if bytes(data[: len(PNG)]) == PNG:  # writers in other languages leave the header out
        return data, None
    if "rvl" in name.lower():
        raise ImageError(
            "unsupported_compression",
            f"format {name} is run-length coded (rvl); accepted is png: set the publisher's "
            "compressedDepth format to png",
        )
    if bytes(data[HEADER : HEADER + len(PNG)]) != PNG:
        raise ImageError(
            "undecodable_data",
            f"format {name}: the {len(data)} bytes hold no png after a header of {HEADER} bytes",
        )
    return data[HEADER:], struct.unpack_from("<ff", data, 4)


def depths(codes: np.ndarray, quantisation: Quantisation | None, name: str) -> np.ndarray:
    """Depths of codes, float32; NaN where there is none.

    Raises:
        ImageError: nothing tells what the codes mean.
    """
    a, b = quantisation or (0.0, 0.0)
    if not (np.isfinite(a) and np.isfinite(b) and a > 0):
        raise ImageError(
            "undecodable_data",
            f"format {name}: its header has no quantisation of 32-bit depths (A {a:g}, B {b:g})",
        )
    # One for each code: a look-up is faster than a division for every pixel.
    every = np.arange(65536, dtype=np.float64) - b
    table = np.full(65536, np.nan, np.float32)
    usable = every > 0
    usable[0] = False
    table[usable] = a / every[usable]
    return table[codes]


def step_at(depth: float, quantisation: Quantisation) -> float:
    """How far two neighbouring codes are apart at a depth."""
    return depth * depth / quantisation[0]
