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

"""Between ``sensor_msgs/Image`` and numpy: no copy on the way in, one on the way out.

``Image.data`` is never assigned from an array: rclpy's setter checks element by element, which
takes half a second for a 2560x2048 image. cv_bridge is not needed for anything.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from sensor_msgs.msg import Image
from std_msgs.msg import Header

from difiisr_ros.errors import FrameError
from difiisr_ros.messages.encoding_conversion import convert
from difiisr_ros.messages.image_encoding import encoding_for, generic_name, parse_encoding
from difiisr_ros.messages.mosaic import to_intensity
from difiisr_ros.messages.read import decode


def image_to_array(message: Any, desired_encoding: str = "passthrough") -> np.ndarray:
    """View an image message as an array, as cv_bridge's ``imgmsg_to_cv2`` does.

    Args:
        message: ``sensor_msgs/Image``.
        desired_encoding: convert to this encoding; ``passthrough`` views the message's memory.

    Returns:
        ``(H, W)`` or ``(H, W, C)`` in native byte order.

    Raises:
        FrameError: a malformed message, an unknown encoding, or no such conversion.
    """
    encoding = parse_encoding(message.encoding)
    array = decode(
        encoding,
        message.height,
        message.width,
        message.step,
        message.is_bigendian,
        message.data,
    )
    if encoding.is_mosaic and desired_encoding in ("mono8", "mono16"):
        gray = to_intensity(array, encoding)
        return convert(gray, encoding_for(gray.dtype), desired_encoding)
    return convert(array, message.encoding, desired_encoding)


def array_to_image(
    array: np.ndarray, encoding: str = "passthrough", header: Header | None = None
) -> Image:
    """Make an image message of an array, as cv_bridge's ``cv2_to_imgmsg`` does.

    Args:
        array: ``(H, W)`` or ``(H, W, C)``; any strides and byte order.
        encoding: must fit the array; ``passthrough`` names it by dtype and channels (``16UC1``).
        header: put into the message as it is.

    Raises:
        FrameError: the array is not an image, or ``encoding`` does not describe it.
    """
    if not isinstance(array, np.ndarray) or array.ndim not in (2, 3) or array.size == 0:
        shape = getattr(array, "shape", type(array).__name__)
        raise FrameError(f"an image is an array of (H, W) or (H, W, C) pixels, not {shape}")
    height, width = array.shape[:2]
    channels = array.shape[2] if array.ndim == 3 else 1
    if encoding == "passthrough":
        encoding = generic_name(array.dtype, channels)
    else:
        stores = parse_encoding(encoding)
        if (stores.dtype, stores.channels) != (array.dtype.newbyteorder("="), channels):
            raise FrameError(
                f"encoding '{encoding}' stores {generic_name(stores.dtype, stores.channels)}, "
                f"but the array is {generic_name(array.dtype, channels)}"
            )
    message = Image()
    if header is not None:
        message.header = header
    message.height, message.width, message.encoding = height, width, encoding
    message.step = width * channels * array.dtype.itemsize
    big = array.dtype.byteorder == ">" or (array.dtype.byteorder == "=" and not np.little_endian)
    message.is_bigendian = int(big)
    # frombytes appends, so it needs the empty array of a fresh message. uint8: the buffer protocol
    # has no format for big-endian elements.
    message.data.frombytes(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)
    return message
