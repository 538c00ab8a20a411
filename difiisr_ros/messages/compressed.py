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

"""What ``sensor_msgs/CompressedImage`` holds, and numpy: every case decided here, once.

What the pixels are is read from the data, what they were from the format's first word. Where the
format tells of more than the data holds, temperatures were lost on the way, and that is refused:

=============================  =================================  ================================
data                           format says 8 bits or nothing      format says 16 bits, or floats
=============================  =================================  ================================
png, tiff of 8 bits, jpeg      uint8                              refused, ``lost_depth``
png, tiff of 16 bits           uint16, noticed where 8 were said  uint16; refused for floats
tiff of floats                 float32, noticed                   float32
three equal channels           one of them                        one of them
colour                         luma, noticed                      refused, ``lost_depth``, unless
                                                                  the format says colour, too
=============================  =================================  ================================

``16UC1; compressedDepth png`` is the png's 16 bits, ``32FC1; compressedDepth png`` float32 of their
inverse. Nothing is decoded that is cut off, or promises more than the accepted pixels.

image_transport's Python binding exists only for the newest distributions and brings a node of its
own, so OpenCV does it here.
"""

from __future__ import annotations

import re
from typing import Any

import numpy as np

from difiisr_ros.core.byte_order import BIG, LITTLE, in_order
from difiisr_ros.core.camera_profile import AUTO
from difiisr_ros.messages import compressed_depth
from difiisr_ros.messages.image_encoding import (
    Encoding,
    ImageError,
    encoding_for,
    parse_encoding,
    shown,
)
from difiisr_ros.messages.opencv import imdecode
from difiisr_ros.messages.picture import Picture, codec_of, is_picture, picture_of
from difiisr_ros.messages.read import (
    MOST_PIXELS,
    ImageFormat,
    Notice,
    check_pixels,
    colour_notice,
    to_gray,
)

_ACCEPTED = "accepted are png, jpeg and tiff of the compressed transport, and compressedDepth png"
_GENERIC = re.compile(r"(8|16|32|64)([usf])c\d")
_WORD = re.compile(r"\D(8|10|12|14|16)$")


def compressed_to_gray(
    message: Any, max_pixels: int = MOST_PIXELS, byte_order: str = AUTO
) -> tuple[np.ndarray, ImageFormat]:
    """Decode a compressed image to intensity.

    Args:
        message: ``sensor_msgs/CompressedImage``; ``format`` is ``png``, ``jpeg``, or what the
            transports write, ``mono16; png compressed mono16``, ``16UC1; compressedDepth png``.
        max_pixels: refuse an image whose header promises more before memory is taken for it: a
            file of 1 MB may hold 2**29 equal pixels.
        byte_order: of pixels of several bytes, where what was compressed had taken them for others:
            ``little``, ``big``, or ``auto``, as the picture has them (png: big).

    Returns:
        The frame, ``(H, W)`` uint8, uint16 or float32, and what it stands for.

    Raises:
        ImageError: another codec, data that does not decode, too many pixels, or fewer bits than
            the format says the image had, so that temperatures were lost.
    """
    name, data = shown(message.format), memoryview(message.data)
    original = message.format.split(";")[0].strip()
    if data.nbytes == 0:
        raise ImageError("unsupported_compression", f"format {name}: the data is empty (0 bytes)")
    if "compresseddepth" in message.format.lower():
        return _depth(data, original, name, max_pixels, byte_order)
    if not is_picture(data):
        raise ImageError(
            "unsupported_compression",
            f"format {name}: the {data.nbytes} bytes are {codec_of(data) or 'no known picture'}; "
            f"{_ACCEPTED}",
        )
    decoded, picture, order = _decoded(data, name, max_pixels, byte_order)
    layout = _layout(decoded)
    depth, said = _depth_of(original), _named(original)
    _check_lost(depth, layout, picture, name)
    gray, has_colour = to_gray(decoded, layout)
    if picture.gray_steps:
        gray = gray // np.uint8(picture.gray_steps)
    if said is not None and said.family == "bayer" and layout.channels == 1:
        raise ImageError(
            "unsupported_compression",
            f"format {name}: the {picture.codec} holds a colour mosaic; debayer it before it is "
            "compressed",
        )
    if has_colour and depth not in (None, ("u", 8)) and not _is_colour(said):
        raise ImageError(
            "lost_depth",
            f"format {name}: the {picture.codec} is a picture in colour, whose luma is no "
            "temperature; compress the image as it is",
        )
    notices = [colour_notice(layout.name)] if has_colour else []
    if depth is not None and depth != (layout.dtype.kind, 8 * layout.dtype.itemsize):
        notices.append(
            Notice(
                "format_mismatch",
                f"format {name} is not what the {picture.codec} holds, {layout.name}, which is "
                "taken",
            )
        )
    same = said is not None and said.channels == 1 and said.dtype == gray.dtype
    encoding = said if said is not None and same and not said.is_mosaic else None
    encoding = encoding or _encoding_of(gray, layout)
    return gray, ImageFormat(encoding, order == BIG, tuple(notices))


def _depth(
    data: memoryview, original: str, name: str, max_pixels: int, byte_order: str
) -> tuple[np.ndarray, ImageFormat]:
    """An image of the compressedDepth transport."""
    depth = _depth_of(original)
    if depth not in (("u", 16), ("f", 32)):
        raise ImageError(
            "unsupported_compression",
            f"format {name}: compressedDepth holds images of 16UC1, mono16 or 32FC1",
        )
    png, quantisation = compressed_depth.split(data, name)
    codes, _, order = _decoded(png, name, max_pixels, byte_order)
    if codes.dtype != np.uint16 or codes.ndim != 2:
        raise ImageError(
            "lost_depth",
            f"format {name}: the png holds {_layout(codes).name}; compressedDepth has 16 bits in "
            "one channel",
        )
    if depth == ("u", 16):
        return codes, ImageFormat(_named(original) or parse_encoding("mono16"), order == BIG)
    frame = compressed_depth.depths(codes, quantisation, name)
    notices = []
    if quantisation is not None and not np.isnan(frame).all():
        largest = float(np.nanmax(frame))
        step = compressed_depth.step_at(largest, quantisation)
        words = (
            f"format {name} keeps the inverse of values in 16 bits: near {largest:.4g} its steps "
            f"are {step:.2g}"
        )
        notices.append(Notice("quantised", words))
    return frame, ImageFormat(parse_encoding("32FC1"), False, tuple(notices))


def _decoded(
    data: memoryview, name: str, max_pixels: int, byte_order: str
) -> tuple[np.ndarray, Picture, str]:
    """The pixels, which are what the headers promise, the headers, and the order of bytes.

    Raises:
        ImageError: the data is cut off or damaged, of a kind that is not accepted, or too large.
    """
    codec = codec_of(data)
    picture = picture_of(data)
    if picture is None:
        raise ImageError(
            "undecodable_data",
            f"format {name}: the {len(data)} bytes do not decode as {codec}: they end early, or "
            "its header is damaged",
        )
    if picture.problem:
        raise ImageError(
            "unsupported_compression", f"format {name}: {picture.problem}; {_ACCEPTED}"
        )
    check_pixels(picture.width, picture.height, max_pixels, f"{codec} image")
    image, _ = imdecode(data)
    height, width, channels = (*image.shape, 1)[:3] if image is not None else (0, 0, 0)
    # A palette's png has one, three or four channels.
    shape = (height, width) == (picture.height, picture.width) and (
        channels == picture.channels or codec == "png"
    )
    kind = "" if image is None else f"{image.dtype.kind}{8 * image.dtype.itemsize}"
    if image is None or not shape or kind != f"{picture.kind}{picture.bits}":
        raise ImageError(
            "undecodable_data",
            f"format {name}: the {len(data)} bytes do not decode as {codec} of "
            f"{picture.width}x{picture.height} pixels, {picture.bits} bits",
        )
    declared = BIG if codec == "png" or bytes(data[:2]) == b"MM" else LITTLE
    order = declared if byte_order == AUTO else byte_order
    return in_order(image, declared, byte_order), picture, order


def _layout(image: np.ndarray) -> Encoding:
    """The encoding of what OpenCV returns."""
    kind, bits = image.dtype.kind, 8 * image.dtype.itemsize
    channels = image.shape[2] if image.ndim == 3 else 1
    if kind == "u" and channels in (1, 3, 4):
        return parse_encoding({1: f"mono{bits}", 3: f"bgr{bits}", 4: f"bgra{bits}"}[channels])
    letter = {"u": "U", "i": "S", "f": "F"}[kind]
    return parse_encoding(f"{bits}{letter}C{channels}")


def _encoding_of(gray: np.ndarray, layout: Encoding) -> Encoding:
    """What a frame stands for whose format does not say it."""
    return layout if layout.channels == 1 else parse_encoding(encoding_for(gray.dtype))


def _named(original: str) -> Encoding | None:
    """The encoding of this name, or None."""
    try:
        return parse_encoding(original)
    except ImageError:
        return None


def _is_colour(said: Encoding | None) -> bool:
    return said is not None and (said.channels >= 3 or said.is_mosaic)


def _depth_of(original: str) -> tuple[str, int] | None:
    """Kind (``u``, ``i``, ``f``) and bits of an encoding by its name; None where it tells nothing.

    Names that ROS does not know count too: Y16 and mono14 have more than 8 bits.
    """
    name = original.lower()
    if generic := _GENERIC.fullmatch(name):
        kind = {"u": "u", "s": "i", "f": "f"}[generic.group(2)]
        return kind, int(generic.group(1))
    word = None if name.startswith("nv") else _WORD.search(name)
    return None if word is None else ("u", 8 if word.group(1) == "8" else 16)


def _check_lost(
    said: tuple[str, int] | None, layout: Encoding, picture: Picture, name: str
) -> None:
    """Raise ImageError where the image had values that the data cannot hold."""
    kind, bits = layout.dtype.kind, 8 * layout.dtype.itemsize
    if said is None or kind == "f" or said == (kind, bits) or said == ("u", 8):
        return
    advice = "tiff, which holds floats" if said[0] == "f" else "png or tiff of 16 bits"
    jpeg = picture.codec == "jpeg"
    raise ImageError(
        "jpeg_of_16_bits" if jpeg else "lost_depth",
        f"format {name}: the {picture.codec} keeps {bits} bits of values that had {said[1]} or "
        f"another sign, so that temperatures were lost; set the publisher's compressed format to "
        f"{advice}, or use image_transport raw",
    )


def encode_png(array: np.ndarray, encoding: str) -> tuple[str, np.ndarray]:
    """Encode a frame as png, which loses nothing.

    Args:
        array: ``(H, W)`` or ``(H, W, C)``, uint8 or uint16.
        encoding: what the array stands for; the subscriber finds it in ``format``.

    Returns:
        The message's ``format``, and the file's bytes as uint8.

    Raises:
        ImageError: float pixels, which png cannot hold.
    """
    import cv2

    if array.dtype.name not in ("uint8", "uint16"):
        raise ImageError(
            "not_compressible",
            f"png holds 8 and 16 bits, not {encoding}; set output_encoding to mono16 or mono8, "
            "or output_transport to raw",
        )
    if encoding.startswith("rgb"):  # OpenCV writes channels in the order blue, green, red
        array = array[..., [2, 1, 0, 3] if array.shape[2] == 4 else [2, 1, 0]]
    # The fastest level: the others take several times as long for a few percent.
    written, data = cv2.imencode(".png", array, [cv2.IMWRITE_PNG_COMPRESSION, 1])
    if not written:
        raise ImageError("not_compressible", f"OpenCV cannot write {encoding} as png")
    return f"{encoding}; png compressed {encoding}", data.reshape(-1)
