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
