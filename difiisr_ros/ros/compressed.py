"""``sensor_msgs/CompressedImage`` and numpy: png of 8 and 16 bits, jpeg of 8 (in only).

image_transport's Python binding exists only for the newest distributions and brings a node of its
own, so OpenCV does it here.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from sensor_msgs.msg import CompressedImage
from std_msgs.msg import Header

from difiisr_ros.io.image_encoding import ImageError, to_gray

_MAGIC = {"png": b"\x89PNG\r\n\x1a\n", "jpeg": b"\xff\xd8\xff"}


def compressed_to_gray(message: Any) -> tuple[np.ndarray, str]:
    """Decode a compressed image to intensity.

    Args:
        message: ``sensor_msgs/CompressedImage``; ``format`` is ``png``, ``jpeg``, or what
            compressed_image_transport writes, ``mono16; png compressed mono16``.

    Returns:
        The frame, ``(H, W)`` uint8 or uint16, and the encoding it stands for.

    Raises:
        ImageError: another codec, data that does not decode, or a jpeg of a 16-bit topic (jpeg
            keeps 8 bits, so that temperatures would silently be lost).
    """
    import cv2

    data = np.frombuffer(message.data, np.uint8)
    codec = next((c for c, magic in _MAGIC.items() if bytes(data[:8]).startswith(magic)), None)
    original = message.format.split(";")[0].strip()
    if "compressedDepth" in message.format:
        raise ImageError(
            "unsupported_compression",
            f"format '{message.format}' is compressedDepth; accepted are png and jpeg of the "
            "compressed transport",
        )
    if codec is None:
        raise ImageError(
            "unsupported_compression",
            f"format '{message.format}' with {data.size} bytes holds neither png nor jpeg, which "
            "are accepted",
        )
    wide = original.startswith(("16", "32", "64")) or original.endswith("16")
    if codec == "jpeg" and wide:
        raise ImageError(
            "jpeg_of_16_bits",
            f"format '{message.format}': jpeg keeps 8 of the {original} topic's bits; set the "
            "publisher's compressed format to png, or use image_transport raw",
        )
    try:
        decoded = cv2.imdecode(data, cv2.IMREAD_UNCHANGED)
    except cv2.error:  # for example a header that promises 2**31 pixels
        decoded = None
    if decoded is None or decoded.size == 0 or decoded.dtype.name not in ("uint8", "uint16"):
        raise ImageError(
            "undecodable_data",
            f"format '{message.format}': the {data.size} bytes do not decode as {codec} of 8 or "
            "16 bits",
        )
    bits = 8 * decoded.dtype.itemsize
    channels = decoded.shape[2] if decoded.ndim == 3 else 1
    layout = {1: f"mono{bits}", 3: f"bgr{bits}", 4: f"bgra{bits}"}.get(channels, f"{bits}UC2")
    gray = to_gray(decoded, layout)
    same_name = original in (f"mono{bits}", f"{bits}UC1")
    return gray, original if same_name else f"mono{bits}"


def array_to_compressed(
    array: np.ndarray, encoding: str, header: Header | None = None
) -> CompressedImage:
    """Encode a frame as png, which loses nothing.

    Args:
        array: ``(H, W)`` or ``(H, W, C)``, uint8 or uint16.
        encoding: what the array stands for; the subscriber finds it in ``format``.
        header: put into the message as it is.

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
    message = CompressedImage()
    if header is not None:
        message.header = header
    message.format = f"{encoding}; png compressed {encoding}"
    message.data.frombytes(memoryview(data.reshape(-1)))
    return message
