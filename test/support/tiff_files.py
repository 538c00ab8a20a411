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
