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

"""FLIR's container and radiometric JPEG, built by their documented layout."""

from __future__ import annotations

import struct

import cv2
import numpy as np
import pytest

COUNTS = (13000 + np.add.outer(np.arange(12) * 40, np.arange(16) * 25)).astype(np.uint16)
#: Offset -> (format, value), as ExifTool's documentation of the camera record has them.
CAMERA = {
    0x20: ("f", 0.95), 0x24: ("f", 3.0), 0x28: ("f", 293.15), 0x2C: ("f", 291.15),
    0x30: ("f", 292.15), 0x34: ("f", 0.9), 0x3C: ("f", 0.5), 0x58: ("f", 14906.216),
    0x5C: ("f", 1396.5), 0x60: ("f", 1.0), 0x70: ("f", 0.006569), 0x74: ("f", 0.01262),
    0x78: ("f", -0.002276), 0x7C: ("f", -0.00667), 0x80: ("f", 1.9), 0x308: ("i", -7261),
    0x30C: ("f", 0.010956882),
}  # fmt: skip


def container(counts=COUNTS, *, header=">", record="<", raw="plain", camera=None, size=None):
    height, width = size or counts.shape
    if raw == "plain":
        pixels = counts.astype(f"{record}u2").tobytes()
    elif raw == "jpeg-ls":
        pixels = pytest.importorskip(
            "imagecodecs", reason="imagecodecs is not installed"
        ).jpegls_encode(counts)
    else:
        image = counts if raw == "png" else counts.byteswap()
        pixels = cv2.imencode(".png", image)[1].tobytes()
    frame = struct.pack(f"{record}HHH", 2, width, height).ljust(0x20, b"\0") + pixels
    info = bytearray(0x400)
    struct.pack_into(f"{record}H", info, 0, 2)
    for at, (kind, value) in {**CAMERA, **(camera or {})}.items():
        struct.pack_into(f"{record}{kind}", info, at, value)
    records = [(0, b""), (1, frame), (0x20, bytes(info))]
    start = 64 + 32 * len(records)
    head = b"FFF\0" + b"CAMERA".ljust(16, b"\0") + struct.pack(f"{header}III", 101, 64, 3)
    directory, body = b"", b""
    for kind, content in records:
        entry = struct.pack(f"{header}HHIIII", kind, 0, 100, 1, start + len(body), len(content))
        directory += entry.ljust(32, b"\0")
        body += content
    return head.ljust(64, b"\0") + directory + body


def radiometric_jpeg(data, chunk=300):
    plain = cv2.imencode(".jpg", np.full((48, 64), 90, np.uint8))[1].tobytes()
    parts = [data[i : i + chunk] for i in range(0, len(data), chunk)]
    segments = b""
    for number, part in enumerate(parts):
        content = b"FLIR\0\x01" + bytes([number, len(parts) - 1]) + part
        segments += b"\xff\xe1" + struct.pack(">H", len(content) + 2) + content
    return plain[:2] + segments + plain[2:]
