"""A frame as ``sensor_msgs/CompressedImage``."""

from __future__ import annotations

import numpy as np
from sensor_msgs.msg import CompressedImage
from std_msgs.msg import Header

from difiisr_ros.messages.compressed import encode_png


def array_to_compressed(
    array: np.ndarray, encoding: str, header: Header | None = None
) -> CompressedImage:
    """Make a message of a frame, as png; see :func:`difiisr_ros.messages.compressed.encode_png`.

    ``header`` is put into the message as it is.

    Raises:
        ImageError: float pixels, which png cannot hold.
    """
    message = CompressedImage()
    message.format, data = encode_png(array, encoding)
    if header is not None:
        message.header = header
    message.data.frombytes(data.data)
    return message
