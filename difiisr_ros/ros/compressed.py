"""``sensor_msgs/CompressedImage`` to numpy: png of 8 and 16 bits, jpeg of 8.

image_transport's Python binding exists only for the newest distributions and brings a node of its
own, so OpenCV decodes here.
"""

from __future__ import annotations

from typing import Any

import numpy as np

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
    flags = cv2.IMREAD_UNCHANGED
    decoded = cv2.imdecode(data, flags)
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
