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

"""Single pixels that stand out of their eight neighbours: stuck ones, for all that one frame tells.

Numpy's side of :func:`difiisr_ros.core.bound.without_lone_pixels`, for what is measured of a frame
before anything else: its range and its noise.
"""

from __future__ import annotations

import cv2
import numpy as np

_RING = np.array([[1, 1, 1], [1, 0, 1], [1, 1, 1]], np.uint8)
_AROUND = np.array([(y, x) for y in (-1, 0, 1) for x in (-1, 0, 1) if (y, x) != (0, 0)])


def at(image: np.ndarray, pixels: np.ndarray, margin: float) -> tuple[np.ndarray, np.ndarray]:
    """Which of some pixels are lone, and the means of their neighbours.

    Args:
        image: H x W, any real dtype.
        pixels: n x 2, rows and columns.
        margin: how far a pixel may be outside its neighbours, beside as much as these span.
    """
    last = np.array(image.shape) - 1
    around = last - np.abs(last - np.abs(pixels[:, None] + _AROUND))  # mirrored at the border
    inside = np.clip(around, 0, last)
    values = image[inside[..., 0], inside[..., 1]].astype(np.float64)
    low, high = values.min(axis=1), values.max(axis=1)
    own = image[pixels[:, 0], pixels[:, 1]].astype(np.float64)
    with np.errstate(invalid="ignore"):  # beside missing pixels none is called lone
        outside = np.maximum(own - high, low - own)
        return outside > high - low + margin, values.mean(axis=1)


def without(image: np.ndarray, margin: float) -> np.ndarray:
    """The image with the mean of the neighbours in the place of lone pixels.

    Args:
        image: H x W, float32; NaN and infinity are no lone pixels.
        margin: see :func:`at`.

    Returns:
        The image itself where there is none.
    """
    high, low = cv2.dilate(image, _RING), cv2.erode(image, _RING)
    with np.errstate(invalid="ignore", over="ignore"):
        outside = np.maximum(image - high, low - image)
        far = outside > high - low + margin
    if not far.any():
        return image
    rows, columns = np.nonzero(far)
    pixels = np.stack([rows, columns], axis=1)
    pixels = pixels[np.isfinite(image[rows, columns])]
    lone, means = at(image, pixels, margin)
    result = image.copy()
    result[pixels[lone, 0], pixels[lone, 1]] = means[lone]
    return result
