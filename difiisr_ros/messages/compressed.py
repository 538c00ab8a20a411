"""What ``sensor_msgs/CompressedImage`` holds, and numpy: png of 8 and 16 bits, jpeg of 8 (in only).

image_transport's Python binding exists only for the newest distributions and brings a node of its
own, so OpenCV does it here.
"""

from __future__ import annotations

import re
import struct
from typing import Any

import numpy as np

from difiisr_ros.core.byte_order import BIG, LITTLE, in_order
from difiisr_ros.core.camera_profile import AUTO
from difiisr_ros.messages.image_encoding import ImageError, parse_encoding, shown
from difiisr_ros.messages.read import ImageFormat, to_gray
from difiisr_ros.options import LIMITS

_MAGIC = {"png": b"\x89PNG\r\n\x1a\n", "jpeg": b"\xff\xd8\xff"}

# JPEG markers (ITU-T T.81, table B.1) that a length follows. The frame headers, which hold the
# size, are C0 to CF without C4, C8 and CC.
_JPEG_SEGMENT = re.compile(rb"\xff([\x02-\xcf\xd9-\xfe])")
_JPEG_NO_FRAME = (0xC4, 0xC8, 0xCC)
_JPEG_SCAN, _JPEG_END = 0xDA, 0xD9


def compressed_to_gray(
    message: Any, max_pixels: int = LIMITS["max_input_pixels"][1], byte_order: str = AUTO
) -> tuple[np.ndarray, ImageFormat]:
    """Decode a compressed image to intensity.

    Args:
        message: ``sensor_msgs/CompressedImage``; ``format`` is ``png``, ``jpeg``, or what
            compressed_image_transport writes, ``mono16; png compressed mono16``.
        max_pixels: refuse an image whose header promises more before memory is taken for it: a
            file of 1 MB may hold 2**29 equal pixels.
        byte_order: of 16-bit pixels, where what was compressed had taken them for another:
            ``little``; ``auto`` and ``big`` is what png has.

    Returns:
        The frame, ``(H, W)`` uint8 or uint16, and what it stands for.

    Raises:
        ImageError: another codec, data that does not decode, too many pixels, or a jpeg of a
            16-bit topic (jpeg keeps 8 bits, so that temperatures would silently be lost).
    """
    import cv2

    data = np.frombuffer(message.data, np.uint8)
    codec = next((c for c, magic in _MAGIC.items() if bytes(data[:8]).startswith(magic)), None)
    original, name = message.format.split(";")[0].strip(), shown(message.format)
    if "compressedDepth" in message.format:
        raise ImageError(
            "unsupported_compression",
            f"format {name} is compressedDepth; accepted are png and jpeg of the "
            "compressed transport",
        )
    if codec is None:
        raise ImageError(
            "unsupported_compression",
            f"format {name} with {data.size} bytes holds neither png nor jpeg, which are accepted",
        )
    wide = original.startswith(("16", "32", "64")) or original.endswith("16")
    if codec == "jpeg" and wide:
        raise ImageError(
            "jpeg_of_16_bits",
            f"format {name}: jpeg keeps 8 of the topic's 16 bits or more; set the "
            "publisher's compressed format to png, or use image_transport raw",
        )
    size = _promised_size(memoryview(message.data), codec)
    if size is not None and size[0] * size[1] > max_pixels:
        raise ImageError(
            "unusable_frame",
            f"the {codec} image has {size[0]}x{size[1]} pixels, max_input_pixels is {max_pixels}",
        )
    try:
        decoded = None if size is None else cv2.imdecode(data, cv2.IMREAD_UNCHANGED)
    except cv2.error:
        decoded = None
    if decoded is None or not decoded.size or decoded.dtype.name not in ("uint8", "uint16"):
        raise ImageError(
            "undecodable_data",
            f"format {name}: the {data.size} bytes do not decode as {codec} of 8 or 16 bits",
        )
    bits = 8 * decoded.dtype.itemsize
    channels = decoded.shape[2] if decoded.ndim == 3 else 1
    layout = {1: f"mono{bits}", 3: f"bgr{bits}", 4: f"bgra{bits}"}.get(channels, f"{bits}UC2")
    gray, _ = to_gray(decoded, parse_encoding(layout))
    gray = in_order(gray, BIG, byte_order)
    same_name = original in (f"mono{bits}", f"{bits}UC1")
    encoding = parse_encoding(original if same_name else f"mono{bits}")
    return gray, ImageFormat(encoding, byte_order != LITTLE)


def _promised_size(data: Any, codec: str) -> tuple[int, int] | None:
    """Width and height by the header of a png or jpeg; None where there is none."""
    if codec == "png":  # the first chunk is IHDR, which begins with them
        return struct.unpack_from(">II", data, 16) if _is_whole_png(data) else None
    at = 2
    # Whatever lies between two segments is skipped, as libjpeg does.
    while (found := _JPEG_SEGMENT.search(data, at)) is not None and found.start() + 9 <= len(data):
        at, marker = found.start(), found.group(1)[0]
        if marker in (_JPEG_SCAN, _JPEG_END):
            return None
        if 0xC0 <= marker <= 0xCF and marker not in _JPEG_NO_FRAME:
            height, width = struct.unpack_from(">HH", data, at + 5)
            return width, height
        at += 2 + struct.unpack_from(">H", data, at + 2)[0]
    return None


def _is_whole_png(data: Any) -> bool:
    """Whether the chunks follow each other to IEND: OpenCV takes memory for what one claims."""
    at = len(_MAGIC["png"])
    while at + 12 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, at)
        at += 12 + length
        if kind == b"IEND":
            return 24 <= at <= len(data)
    return False


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
