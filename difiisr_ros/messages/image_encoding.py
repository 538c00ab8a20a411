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

"""What the names of image encodings mean: those of ``sensor_msgs/image_encodings.hpp``."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import numpy as np

from difiisr_ros.errors import FrameError

#: What the super-resolution takes; shown in every message about an encoding.
ACCEPTED_ENCODINGS = (
    "mono8", "mono16", "8UC1", "16UC1", "32FC1", "rgb8", "bgr8", "rgba8", "bgra8",
    "rgb16", "bgr16", "rgba16", "bgra16",
)  # fmt: skip

_COLOUR = {
    "mono8": ("u1", 1), "mono16": ("u2", 1),
    "rgb8": ("u1", 3), "bgr8": ("u1", 3), "rgba8": ("u1", 4), "bgra8": ("u1", 4),
    "rgb16": ("u2", 3), "bgr16": ("u2", 3), "rgba16": ("u2", 4), "bgra16": ("u2", 4),
}  # fmt: skip
_BAYER = re.compile(r"bayer_(rggb|bggr|gbrg|grbg)(8|16)")
# Of the two-plane ones the first plane, luma, is what a row and a pixel are about.
_YUV = {
    "yuv422": 2, "yuv422_yuy2": 2, "uyvy": 2, "yuyv": 2, "nv12": 1, "nv21": 1, "nv24": 1,
}  # fmt: skip
_GENERIC = re.compile(r"(8U|8S|16U|16S|32S|32F|64F)C([1-4])")
_GENERIC_DTYPE = {
    "8U": "u1",
    "8S": "i1",
    "16U": "u2",
    "16S": "i2",
    "32S": "i4",
    "32F": "f4",
    "64F": "f8",
}

#: How drivers call images of one channel, in lower case -> how ROS does.
_SPELT = {
    **dict.fromkeys((f"{n}{bits}" for n in ("mono", "y") for bits in (10, 12, 14)), "mono16"),
    **dict.fromkeys(("y16", "gray16", "grey16"), "mono16"),
    **dict.fromkeys(("y8", "y800", "gray8", "grey8", "gray", "grey"), "mono8"),
}
_SHOWN = 60  # characters of a message's string that are repeated in an error


class ImageError(FrameError):
    """An image message that cannot be used; ``cause`` is a short word to count it under."""

    def __init__(self, cause: str, message: str) -> None:
        super().__init__(message)
        self.cause = cause


def shown(name: str) -> str:
    """A name from a message, fit for a log line: quoted, without control characters, not long."""
    quoted = repr(name if len(name) <= _SHOWN else name[:_SHOWN] + "...")
    return "'" + quoted[1:-1] + "'"


@dataclass(frozen=True)
class Encoding:
    """How one pixel is stored, and what it stands for.

    ``family`` is ``color`` for mono and RGB-like names, ``generic`` for ``16UC1`` and its like
    (numbers without a colour meaning), ``bayer`` or ``yuv`` for mosaics that need decoding.
    """

    name: str
    dtype: np.dtype
    channels: int
    family: str

    @cached_property
    def pixel_bytes(self) -> int:
        """Bytes of one pixel, all channels."""
        return self.dtype.itemsize * self.channels

    @cached_property
    def is_mosaic(self) -> bool:
        """Whether it needs decoding before pixels are pixels."""
        return self.family in ("bayer", "yuv")

    def data_rows(self, height: int) -> int:
        """Rows of ``step`` bytes that an image has, with its plane of colour where it has one."""
        if self.name == "nv24":
            return 3 * height
        return height + (height + 1) // 2 if self.name in ("nv12", "nv21") else height


@lru_cache(maxsize=64)
def parse_encoding(name: str) -> Encoding:
    """The layout behind an encoding name, which is case-sensitive as in ROS.

    Raises:
        FrameError: the name is not one of sensor_msgs' fixed-size encodings.
    """
    if name in _COLOUR:
        dtype, channels = _COLOUR[name]
        return Encoding(name, np.dtype(dtype), channels, "color")
    generic = _GENERIC.fullmatch(name)
    if generic:
        depth = np.dtype(_GENERIC_DTYPE[generic.group(1)])
        return Encoding(name, depth, int(generic.group(2)), "generic")
    bayer = _BAYER.fullmatch(name)
    if bayer:
        return Encoding(name, np.dtype("u1" if bayer.group(2) == "8" else "u2"), 1, "bayer")
    if name in _YUV:
        return Encoding(name, np.dtype("u1"), _YUV[name], "yuv")
    raise ImageError(
        "unknown_encoding",
        f"unknown image encoding {shown(name)}; accepted are {', '.join(ACCEPTED_ENCODINGS)}",
    )


def usual_name(name: str) -> str:
    """An encoding's name as ROS spells it, of what drivers write in its place; else the name.

    Names of 10 to 14 bits (``mono14``, ``Y12``) are words of 16 bits; case and blanks at the ends
    do not count.
    """
    plain = name.strip().lower()
    for found in (_SPELT.get(plain, plain), plain.upper()):
        try:
            return parse_encoding(found).name
        except ImageError:
            continue
    return name


def generic_name(dtype: np.dtype, channels: int) -> str:
    """The encoding that names a dtype without a colour meaning: ``16UC1`` for ``uint16``, 1.

    Raises:
        FrameError: no encoding stores this dtype.
    """
    for name, known in _GENERIC_DTYPE.items():
        if np.dtype(known) == dtype.newbyteorder("="):
            return f"{name}C{channels}"
    raise FrameError(
        f"no image encoding stores {dtype}; "
        "accepted are uint8, int8, uint16, int16, int32, float32 and float64"
    )


def encoding_for(dtype: Any) -> str:
    """The encoding to publish a 2-D frame of this dtype with.

    ``uint8`` is ``mono8``, ``uint16`` ``mono16``, ``float32`` ``32FC1``.

    Raises:
        FrameError: any other dtype.
    """
    names = {"uint8": "mono8", "uint16": "mono16", "float32": "32FC1"}
    name = names.get(np.dtype(dtype).name)
    if name is None:
        raise FrameError(f"frames are uint8, uint16 or float32, not {np.dtype(dtype)}")
    return name


def luma(array: np.ndarray, encoding: str) -> np.ndarray:
    """Luma of an RGB-like frame in OpenCV's fixed point, ``(H, W)`` of the same dtype.

    The weights are BT.601's (0.299, 0.587, 0.114) in units of 2**-15, so that the result equals
    cv_bridge's to the last count.
    """
    red, blue = (0, 2) if encoding.startswith("rgb") else (2, 0)
    channel = [array[..., i].astype(np.uint32) for i in range(3)]
    total = 9798 * channel[red] + 19235 * channel[1] + 3735 * channel[blue]
    return ((total + (1 << 14)) >> 15).astype(array.dtype)
