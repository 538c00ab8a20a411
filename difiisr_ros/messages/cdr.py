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

"""What can be read of a serialised message without deserialising it."""

from __future__ import annotations

import struct

from difiisr_ros.errors import FrameError


def stamp_of(data: bytes | memoryview) -> int:
    """The header stamp, ns, of a CDR message that begins with ``std_msgs/Header``.

    Images, camera_info and most sensor messages do. (XCDR1 as ROS 2 writes it: four bytes of
    encapsulation, whose second says the byte order, then ``int32 sec, uint32 nanosec``.)

    Raises:
        FrameError: Too short to hold a header.
    """
    if len(data) < 12:
        raise FrameError(f"a serialised message of {len(data)} bytes holds no header")
    sec, nanosec = struct.unpack_from("<iI" if data[1] & 1 else ">iI", data, 4)
    return sec * 10**9 + nanosec
