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

"""Flicker: what changes in a result although the scene stands still. Wake: what stays behind in it
although the scene has changed.

A camera's own noise changes a still picture too, and a method that blurs hides it, so flicker is
read beside that of the truth or, where there is none, of the input.
"""

from __future__ import annotations

from collections import deque

import cv2
import numpy as np

from difiisr_ros.core import radiometry
from difiisr_ros.core.noise_level import estimate_noise
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
#: Frames for which a place that has changed may show what was there before.
WAKE_FRAMES = 8
_SETTLED = 3  # frames that stand still again
_OF_NOISE = 2**0.5  # 5 standard deviations of the difference of two means of 5x5 pixels


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
        threshold = _default_threshold(before)
    change = cv2.subtract(lr, before, dtype=cv2.CV_32F)
    still = np.abs(cv2.blur(change, _NEIGHBOURHOOD)) <= threshold
    still &= cv2.blur(np.abs(change), _NEIGHBOURHOOD) <= _MOST_NOISE * threshold
    if np.count_nonzero(still) < MIN_STILL_SHARE * still.size:
        still[:] = False
    return still.astype(np.uint8) * np.uint8(255)


def _default_threshold(frame: np.ndarray) -> float:
    low, high = radiometry.measure_range(frame, "percentile")
    threshold = STILL_SHARE_OF_RANGE * (high - low)
    return threshold if frame.dtype == np.float32 else max(1.0, threshold)


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


def change_threshold(lr: np.ndarray, threshold: float | None = None) -> float:
    """By how much means of 5x5 pixels change only if the scene does: what :func:`still_mask` takes
    for a change, and no less than five times what the frame's own noise makes of that."""
    known = _default_threshold(lr) if threshold is None else threshold
    return max(known, _OF_NOISE * estimate_noise(lr))


class WakeWatch:
    """Where the camera's picture has changed a short while ago and stands still again.

    Remembers :data:`WAKE_FRAMES` frames and the one before them, as means of 5x5 pixels.
    """

    def __init__(self, threshold: float | None = None) -> None:
        self._threshold = threshold
        self._means: deque[np.ndarray] = deque(maxlen=WAKE_FRAMES + 1)

    def look(self, lr: np.ndarray) -> np.ndarray:
        """Add the next frame.

        Args:
            lr: H x W; another size than before starts anew.

        Returns:
            H x W, uint8, 255 where the mean of 5x5 pixels has spanned more than a change within the
            last 8 frames, and less within the last 3: see :func:`change_threshold`.
        """
        mean = cv2.blur(lr.astype(np.float32), _NEIGHBOURHOOD)
        if self._means and self._means[-1].shape != mean.shape:
            self._means.clear()
        self._means.append(mean)
        threshold = change_threshold(lr, self._threshold)
        changed = np.ptp(self._means, axis=0) > threshold
        settled = np.ptp(list(self._means)[-_SETTLED:], axis=0) <= threshold
        return (changed & settled).astype(np.uint8) * np.uint8(255)


def wake(sr: np.ndarray, truth: np.ndarray, where: np.ndarray, scale: int = SCALE) -> float:
    """Mean |error| of means of 5x5 camera pixels at some places, in the frames' units; NaN where
    there are none.

    Args:
        sr, truth: sH x sW of one dtype.
        where: sH x sW, uint8: :meth:`WakeWatch.look`, enlarged.
        scale: s.
    """
    if not where.any():
        return float("nan")
    error = cv2.subtract(sr, truth, dtype=cv2.CV_32F)
    side = scale * _NEIGHBOURHOOD[0]
    return float(cv2.mean(np.abs(cv2.blur(error, (side, side))), mask=where)[0])
