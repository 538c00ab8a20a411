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

"""What publishing costs without ROS: the copies from an array to a serialised image message."""

from __future__ import annotations

import struct
from array import array

import numpy as np

_FRAME_ID = "thermal_camera_optical_frame"


def image_cdr(image: np.ndarray, stamp_ns: int, encoding: str) -> bytearray:
    """Serialise an H x W array as a ``sensor_msgs/Image`` in little-endian CDR (XCDR1).

    Makes the two copies of the real way: into the message's own buffer, then into the
    middleware's.
    """
    data = array("B")
    data.frombytes(np.ascontiguousarray(image).reshape(-1).view(np.uint8).data)
    head = bytearray(b"\x00\x01\x00\x00")
    _put(head, "iI", stamp_ns // 10**9, stamp_ns % 10**9)
    _put_string(head, _FRAME_ID)
    _put(head, "II", *image.shape)
    _put_string(head, encoding)
    _put(head, "B", 0)
    _put(head, "II", image.shape[1] * image.itemsize, len(data))
    out = bytearray(len(head) + len(data))
    out[: len(head)] = head
    out[len(head) :] = memoryview(data)
    return out


def _put(out: bytearray, kinds: str, *values: int) -> None:
    for kind, value in zip(kinds, values):
        size = struct.calcsize(kind)
        out.extend(b"\0" * (-(len(out) - 4) % size))  # alignment counts from after the header
        out.extend(struct.pack("<" + kind, value))


def _put_string(out: bytearray, text: str) -> None:
    coded = text.encode() + b"\0"
    _put(out, "I", len(coded))
    out.extend(coded)
