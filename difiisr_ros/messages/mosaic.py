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

"""Bayer and YUV images as intensity, as cv_bridge gives it, without cv_bridge."""

from __future__ import annotations

import numpy as np

from difiisr_ros.messages.image_encoding import Encoding, ImageError

#: OpenCV returns zeros for smaller sides, without a word.
LEAST_BAYER = 3
#: Where luma is in the two bytes of a pixel.
_LUMA_BYTE = {"yuv422": 1, "uyvy": 1, "yuv422_yuy2": 0, "yuyv": 0}
#: OpenCV names a pattern by its second row's second and third pixels.
_OPENCV_PATTERN = {"rggb": "BG", "bggr": "RG", "gbrg": "GR", "grbg": "GB"}


def to_intensity(array: np.ndarray, encoding: Encoding) -> np.ndarray:
    """Luma of a YUV image, exactly as it is stored; of a bayer one as OpenCV interpolates it.

    Args:
        array: as :func:`~difiisr_ros.messages.read.decode` returns it.

    Raises:
        ImageError: a bayer image too small to interpolate.
    """
    if encoding.family == "yuv":
        return array[..., _LUMA_BYTE[encoding.name]] if array.ndim == 3 else array
    import cv2

    height, width = array.shape
    if min(height, width) < LEAST_BAYER:
        raise ImageError(
            "unsupported_encoding",
            f"a {encoding.name} image of {width}x{height} pixels cannot be interpolated; "
            f"accepted are {LEAST_BAYER}x{LEAST_BAYER} and larger",
        )
    code = getattr(cv2, f"COLOR_Bayer{_OPENCV_PATTERN[encoding.name[6:10]]}2GRAY")
    return np.asarray(cv2.cvtColor(np.ascontiguousarray(array), code))
