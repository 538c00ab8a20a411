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

"""Flicker: what changes in a result although the scene stands still.

A camera's own noise changes a still picture too, and a method that blurs hides it, so flicker is
read beside that of the truth or, where there is none, of the input.
"""

from __future__ import annotations

import cv2
import numpy as np

from difiisr_ros.core import radiometry
from difiisr_ros.core.scale import SCALE

#: Frames of which less than this share stands still have no flicker: what is left then is chance.
MIN_STILL_SHARE = 0.2
#: A pixel stands still where the mean of its neighbourhood changes by no more than this share of
#: the frame's range (1st to 99th percentile), and one count where counts are whole. A mean, because
#: the camera's noise is larger than that and what it makes of a still scene is to be measured.
STILL_SHARE_OF_RANGE = 0.01
#: ... and where its pixels change by no more than this many times as much each, on average: fine
#: texture that moves has the same mean.
_MOST_NOISE = 4
_NEIGHBOURHOOD = (5, 5)


def still_mask(lr: np.ndarray, before: np.ndarray, threshold: float | None = None) -> np.ndarray:
    """Where the camera's picture stands still between two frames.

    Args:
        lr, before: H x W, two consecutive frames of one dtype.
        threshold: Largest change of the mean of 5x5 pixels, in the frames' units; None:
            :data:`STILL_SHARE_OF_RANGE`.

    Returns:
        H x W, uint8, 255 where still; all 0 where less than :data:`MIN_STILL_SHARE` is.
    """
    if threshold is None:
        low, high = radiometry.measure_range(before, "percentile")
        threshold = STILL_SHARE_OF_RANGE * (high - low)
        if lr.dtype != np.float32:
            threshold = max(1.0, threshold)
    change = cv2.subtract(lr, before, dtype=cv2.CV_32F)
    still = np.abs(cv2.blur(change, _NEIGHBOURHOOD)) <= threshold
    still &= cv2.blur(np.abs(change), _NEIGHBOURHOOD) <= _MOST_NOISE * threshold
    if np.count_nonzero(still) < MIN_STILL_SHARE * still.size:
        still[:] = False
    return still.astype(np.uint8) * np.uint8(255)


def enlarge(mask: np.ndarray, scale: int = SCALE) -> np.ndarray:
    """A mask of LR pixels (H x W) as one of a result's pixels (sH x sW)."""
    size = (mask.shape[1] * scale, mask.shape[0] * scale)
    return cv2.resize(mask, size, interpolation=cv2.INTER_NEAREST)


def flicker(frame: np.ndarray, before: np.ndarray, still: np.ndarray) -> float:
    """Mean |change| over the pixels that stand still, in the frames' units; NaN where none does.

    Args:
        frame, before: H x W, two consecutive results of one dtype.
        still: H x W, uint8.
    """
    if not still.any():
        return float("nan")
    return float(cv2.mean(cv2.absdiff(frame, before), mask=still)[0])
