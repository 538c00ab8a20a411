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

"""The one way from an image message, raw or compressed, to a frame: for the node and for bags."""

from __future__ import annotations

from typing import Any

import numpy as np

from difiisr_ros.core.camera_profile import AUTO
from difiisr_ros.messages.compressed import compressed_to_gray
from difiisr_ros.messages.read import MOST_PIXELS, ImageFormat, image_to_gray


def message_to_gray(
    message: Any, max_pixels: int = MOST_PIXELS, byte_order: str = AUTO
) -> tuple[np.ndarray, ImageFormat]:
    """The frame in a ``sensor_msgs/Image`` or ``CompressedImage``, and what it stands for.

    Args:
        message: an object with the fields of one of the two, rclpy's or a bag's.
        max_pixels: larger images are refused before they are decoded.
        byte_order: of pixels of several bytes: ``little``, ``big``, or ``auto``, as it says.

    Raises:
        ImageError: the message holds no frame that can be used, with the reason.
    """
    if hasattr(message, "encoding"):
        return image_to_gray(message, max_pixels, byte_order)
    return compressed_to_gray(message, max_pixels, byte_order)
