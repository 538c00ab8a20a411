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

"""TIFF files that no library writes."""

from __future__ import annotations

import struct

import numpy as np


def packed_tiff(image: np.ndarray, bits: int) -> bytes:
    """Uncompressed gray with so many bits a sample, rows padded to bytes."""
    rows = b""
    for row in image:
        text = "".join(format(int(value), f"0{bits}b") for value in row)
        text += "0" * (-len(text) % 8)
        rows += int(text, 2).to_bytes(len(text) // 8, "big")
    height, width = image.shape
    tags = [(256, width), (257, height), (258, bits), (259, 1), (262, 1), (273, 8), (277, 1),
            (278, height), (279, len(rows)), (339, 1)]  # fmt: skip
    pixels = rows + b"\0" * (len(rows) % 2)
    entries = b"".join(struct.pack("<HHII", code, 4, 1, value) for code, value in tags)
    end = struct.pack("<H", len(tags)) + entries + bytes(4)
    return struct.pack("<2sHI", b"II", 42, 8 + len(pixels)) + pixels + end
