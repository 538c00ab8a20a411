"""What the fields of a ``sensor_msgs/Image`` mean, in numpy alone.

Encoding names are those of ``sensor_msgs/image_encodings.hpp``. Nothing here knows ROS: the node
and the bag reader both hand over the message's fields, and get an array that looks into the
message's own memory. Rows may be padded (``step`` larger than the row), also by a number of bytes
that is not a multiple of the pixel.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
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
_YUV = ("yuv422", "yuv422_yuy2", "uyvy", "yuyv")
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

    @property
    def pixel_bytes(self) -> int:
        """Bytes of one pixel, all channels."""
        return self.dtype.itemsize * self.channels


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
        return Encoding(name, np.dtype("u1"), 2, "yuv")
    raise ImageError(
        "unknown_encoding",
        f"unknown image encoding {shown(name)}; accepted are {', '.join(ACCEPTED_ENCODINGS)}",
    )


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


def decode(
    encoding: str, height: int, width: int, step: int, is_bigendian: bool | int, data: Any
) -> np.ndarray:
    """View an image message's bytes as an array, ``(H, W)`` or ``(H, W, C)``.

    Args:
        encoding: ROS encoding name.
        height, width: pixels.
        step: bytes from one row to the next, padding included.
        is_bigendian: byte order of 16-bit and larger pixels.
        data: any buffer of bytes; bytes beyond ``step * height`` are left alone
            (:func:`surplus_bytes` counts them).

    Returns:
        An array in native byte order that shares ``data``'s memory; only big-endian pixels of
        more than one byte are copied.

    Raises:
        FrameError: unknown encoding, no pixels, a row that does not fit ``step``, or too few
            bytes.
    """
    layout = parse_encoding(encoding)
    if height <= 0 or width <= 0:
        raise ImageError(
            "zero_size",
            f"the image is {width}x{height} pixels; width and height must be at least 1",
        )
    row = width * layout.pixel_bytes
    if step < row:
        raise ImageError(
            "wrong_step",
            f"step is {step} bytes, but a row of {width} {encoding} pixels needs at least {row}",
        )
    available = _byte_count(data)
    if available < step * height:
        raise ImageError(
            "short_data",
            f"data has {available} bytes, but step {step} x height {height} is {step * height}",
        )
    swapped = bool(is_bigendian) == np.little_endian and layout.dtype.itemsize > 1
    dtype = layout.dtype.newbyteorder("S") if swapped else layout.dtype
    strides: tuple[int, ...] = (step, layout.pixel_bytes)
    shape: tuple[int, ...] = (height, width)
    if layout.channels > 1:
        strides += (layout.dtype.itemsize,)
        shape += (layout.channels,)
    view: np.ndarray = np.ndarray(shape, dtype, data, strides=strides)
    return view.astype(layout.dtype) if swapped else view


def surplus_bytes(height: int, step: int, data: Any) -> int:
    """How many bytes ``data`` holds beyond ``step * height``: a sign of a faulty driver."""
    return max(0, _byte_count(data) - step * height)


def to_gray(array: np.ndarray, encoding: str) -> np.ndarray:
    """The intensity image in a decoded frame: ``(H, W)``, uint8, uint16 or float32.

    Thermal cameras often publish intensity as three equal channels: then one channel is
    returned, exactly. A colour image is weighted to luma (ITU-R BT.601, as OpenCV does), which is
    not radiometric: see :func:`is_colour`.

    Raises:
        FrameError: an encoding that holds no intensity (``16SC1``, ``8UC2``, bayer, yuv ...).
    """
    layout = parse_encoding(encoding)
    if layout.family in ("bayer", "yuv"):
        raise ImageError(
            "unsupported_encoding",
            f"encoding '{encoding}' is a colour mosaic; "
            f"accepted are {', '.join(ACCEPTED_ENCODINGS)}",
        )
    if layout.channels == 1:
        if layout.dtype.name in ("uint8", "uint16", "float32"):
            return array
    elif layout.channels >= 3 and layout.dtype.name in ("uint8", "uint16"):
        if not is_colour(array):
            return array[..., 0]
        if layout.family == "color":
            return luma(array, encoding)
        raise ImageError(
            "unsupported_encoding",
            f"encoding '{encoding}' does not say which channel is which colour, and the channels "
            f"differ; publish rgb{8 * layout.dtype.itemsize}, or an intensity image such as mono16",
        )
    raise ImageError(
        "unsupported_encoding",
        f"encoding '{encoding}' is not an intensity image; "
        f"accepted are {', '.join(ACCEPTED_ENCODINGS)}",
    )


def is_colour(array: np.ndarray) -> bool:
    """Whether the first three channels of an ``(H, W, C)`` frame differ anywhere."""
    if array.ndim != 3 or array.shape[2] < 3:
        return False
    first = array[..., 0]
    return not (np.array_equal(first, array[..., 1]) and np.array_equal(first, array[..., 2]))


def luma(array: np.ndarray, encoding: str) -> np.ndarray:
    """Luma of an RGB-like frame in OpenCV's fixed point, ``(H, W)`` of the same dtype.

    The weights are BT.601's (0.299, 0.587, 0.114) in units of 2**-15, so that the result equals
    cv_bridge's to the last count.
    """
    red, blue = (0, 2) if encoding.startswith("rgb") else (2, 0)
    channel = [array[..., i].astype(np.uint32) for i in range(3)]
    total = 9798 * channel[red] + 19235 * channel[1] + 3735 * channel[blue]
    return ((total + (1 << 14)) >> 15).astype(array.dtype)


def _byte_count(data: Any) -> int:
    return memoryview(data).nbytes
