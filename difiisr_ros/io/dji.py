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

"""The raw frame in a DJI camera's radiometric JPEG: the sensor's 16-bit words in its APP3 segments.

The segments, one after the other, are width x height little-endian uint16 and nothing else (as
users of the H20T, M2EA, M30T and M3T found, https://exiftool.org/forum/index.php?topic=11401). The
size stands nowhere: the picture's shape tells it. What makes temperatures of the words is known to
DJI's Thermal SDK alone.
"""

from __future__ import annotations

import math

import numpy as np

from difiisr_ros.errors import DataError
from difiisr_ros.io.stack import COUNTS, ReadOptions
from difiisr_ros.messages.jpeg import Jpeg

_APP3 = 0xE3


def raw_size(jpeg: Jpeg) -> tuple[int, int] | None:
    """Width and height of the raw frame, or None where the JPEG holds none of DJI's.

    That many words and the picture's own shape: 640x512 beside a picture of 640x512 or 1280x1024.
    """
    count, odd = divmod(len(_words(jpeg)), 2)
    if odd or not count or not jpeg.width or not jpeg.height:
        return None
    divisor = math.gcd(jpeg.width, jpeg.height)
    across, down = jpeg.width // divisor, jpeg.height // divisor
    times = math.isqrt(count // (across * down))
    size = across * times, down * times
    return size if times and size[0] * size[1] == count else None


def decode_dji(jpeg: Jpeg, name: str, options: ReadOptions) -> np.ndarray:
    """The raw frame, uint16, of a JPEG of which :func:`raw_size` is known.

    Raises:
        DataError: too many pixels, or temperatures are asked for.
    """
    size = raw_size(jpeg)
    assert size is not None, "the caller asked for raw_size"
    width, height = size
    options.check_size(width, height, name)
    if options.unit != COUNTS:
        raise DataError(
            f"{name}: what makes {options.unit} of DJI's raw words is in DJI's Thermal SDK alone; "
            "--unit counts reads them as they are"
        )
    return np.frombuffer(_words(jpeg), "<u2").reshape(height, width).astype(np.uint16)


def _words(jpeg: Jpeg) -> bytes:
    return b"".join(content for marker, content in jpeg.applications if marker == _APP3)
