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

"""Image messages as intensity: what the fields of a ``sensor_msgs/Image`` mean, in numpy alone.

Nothing here knows ROS: the node and the bag reader both hand over a message, and get an array that
looks into the message's own memory. Rows may be padded (``step`` larger than the row), also by a
number of bytes that is not a multiple of the pixel.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from difiisr_ros.core.byte_order import BIG, LITTLE
from difiisr_ros.core.camera_profile import AUTO
from difiisr_ros.messages.image_encoding import (
    ACCEPTED_ENCODINGS,
    Encoding,
    ImageError,
    luma,
    parse_encoding,
    shown,
    usual_name,
)
from difiisr_ros.messages.mosaic import to_intensity
from difiisr_ros.options import LIMITS

#: The most pixels of an image where nobody says less.
MOST_PIXELS = LIMITS["max_input_pixels"][1]


@dataclass(frozen=True)
class Notice:
    """Something odd about a message that is used all the same."""

    cause: str
    """A short word to count it under."""
    words: str


@dataclass(frozen=True)
class ImageFormat:
    """What an image message holds: found when it is read, and kept with the frame from then on."""

    encoding: Encoding
    """Name, dtype, channels and family; of a compressed image what its pixels stand for."""
    big_endian: bool = False
    """Byte order that the message's pixels were read in; that of the frame is the machine's."""
    notices: tuple[Notice, ...] = ()

    @property
    def order(self) -> str:
        """The same in a word."""
        return BIG if self.big_endian else LITTLE


def image_to_gray(
    message: Any, max_pixels: int = MOST_PIXELS, byte_order: str = AUTO
) -> tuple[np.ndarray, ImageFormat]:
    """The intensity image in a message.

    Args:
        message: the fields of ``sensor_msgs/Image``.
        max_pixels: larger images are refused.
        byte_order: of pixels of 16 bits and more: ``little``, ``big``, or ``auto``, as
            ``is_bigendian`` says.

    Returns:
        The frame, ``(H, W)`` uint8, uint16 or float32, and what the message holds.

    Raises:
        FrameError: a malformed message, or an encoding that is not accepted.
    """
    name, data = usual_name(message.encoding), message.data
    encoding = parse_encoding(name)
    height, step = message.height, message.step
    big_endian = bool(message.is_bigendian) if byte_order == AUTO else byte_order == BIG
    array = decode(encoding, height, message.width, step, big_endian, data)
    check_pixels(message.width, height, max_pixels)
    notices = []
    if name != message.encoding:
        words = f"encoding {shown(message.encoding)} is taken for {name}, as ROS spells it"
        notices.append(Notice("spelling", words))
    if surplus := memoryview(data).nbytes - step * encoding.data_rows(height):  # a faulty driver's
        words = f"data has {surplus} bytes more than step x height; they are ignored"
        notices.append(Notice("surplus_data", words))
    gray, has_colour = to_gray(array, encoding)
    if encoding.is_mosaic:
        words = (
            f"of the {encoding.name} image the luma is upscaled, as mono8, which is not a "
            "temperature (publish the camera's mono16 or 16UC1 image for that)"
        )
        if encoding.family == "bayer":
            words = words.replace("the luma", "the gray picture").replace(", as mono8,", ",")
        notices.append(Notice("luma_input", words))
    elif has_colour:
        notices.append(colour_notice(encoding.name))
    return gray, ImageFormat(encoding, big_endian, tuple(notices))


def check_pixels(width: int, height: int, max_pixels: int, what: str = "frame") -> None:
    """Raise ImageError for more pixels than are accepted."""
    if width * height > max_pixels:
        raise ImageError(
            "unusable_frame",
            f"the {what} has {width}x{height} pixels, max_input_pixels is {max_pixels}",
        )


def colour_notice(name: str) -> Notice:
    """That a picture in colour, of encoding ``name``, is used."""
    return Notice(
        "colour_input",
        f"the {name} image has colour; its luma is upscaled, which is not a "
        "temperature (publish the camera's mono16 or 16UC1 image for that)",
    )


def decode(
    encoding: Encoding, height: int, width: int, step: int, is_bigendian: bool | int, data: Any
) -> np.ndarray:
    """View an image message's bytes as an array, ``(H, W)`` or ``(H, W, C)``.

    Args:
        encoding: see :func:`~difiisr_ros.messages.image_encoding.parse_encoding`.
        height, width: pixels.
        step: bytes from one row to the next, padding included.
        is_bigendian: byte order of 16-bit and larger pixels.
        data: any buffer of bytes; bytes beyond ``step * height`` are left alone.

    Returns:
        An array in native byte order that shares ``data``'s memory; only big-endian pixels of
        more than one byte are copied.

    Raises:
        FrameError: no pixels, a row that does not fit ``step``, or too few bytes.
    """
    if height <= 0 or width <= 0:
        raise ImageError(
            "zero_size",
            f"the image is {width}x{height} pixels; width and height must be at least 1",
        )
    row = width * encoding.pixel_bytes
    if step < row:
        raise ImageError(
            "wrong_step",
            f"step is {step} bytes, but a row of {width} {encoding.name} pixels needs at least "
            f"{row}",
        )
    available, rows = memoryview(data).nbytes, encoding.data_rows(height)
    if available < step * rows:
        colour = f" ({rows - height} rows of colour among them)" if rows > height else ""
        raise ImageError(
            "short_data",
            f"data has {available} bytes, but step {step} x height {rows}{colour} is {step * rows}",
        )
    swapped = bool(is_bigendian) == np.little_endian and encoding.dtype.itemsize > 1
    dtype = encoding.dtype.newbyteorder("S") if swapped else encoding.dtype
    strides: tuple[int, ...] = (step, encoding.pixel_bytes)
    shape: tuple[int, ...] = (height, width)
    if encoding.channels > 1:
        strides += (encoding.dtype.itemsize,)
        shape += (encoding.channels,)
    view: np.ndarray = np.ndarray(shape, dtype, data, strides=strides)
    return view.astype(encoding.dtype) if swapped else view


def to_gray(array: np.ndarray, encoding: Encoding) -> tuple[np.ndarray, bool]:
    """The intensity image in a decoded frame, and whether it is the luma of a colour image.

    Thermal cameras often publish intensity as three equal channels: then one channel is
    returned, exactly. A colour image is weighted to luma (ITU-R BT.601, as OpenCV does), which is
    not radiometric.

    Returns:
        ``(H, W)``, uint8, uint16 or float32, and True for luma.

    Raises:
        FrameError: an encoding that is not accepted (``16SC1``, ``8UC2`` ...).
    """
    if encoding.is_mosaic:
        return to_intensity(array, encoding), False
    if encoding.channels == 1:
        if encoding.dtype.name in ("uint8", "uint16", "float32"):
            return array, False
    elif encoding.channels >= 3 and encoding.dtype.name in ("uint8", "uint16"):
        first = array[..., 0]
        if np.array_equal(first, array[..., 1]) and np.array_equal(first, array[..., 2]):
            return first, False
        if encoding.family == "color":
            return luma(array, encoding.name), True
        raise ImageError(
            "unsupported_encoding",
            f"encoding '{encoding.name}' does not say which channel is which colour, and the "
            f"channels differ; publish rgb{8 * encoding.dtype.itemsize}, or an intensity image "
            "such as mono16",
        )
    raise ImageError(
        "unsupported_encoding",
        f"encoding '{encoding.name}' is not accepted; accepted are {', '.join(ACCEPTED_ENCODINGS)}",
    )
