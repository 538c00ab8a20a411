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

"""Offsets of rows and columns, and pixels that do not measure."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from difiisr_ros.core.robust import spread

_LEAST_LINES = 24
_MEDIAN_COST = np.pi / 2  # variance of a median over that of a mean
#: A second difference of independent offsets has 6 times their variance.
_CURVE = 6.0
_STANDS_OUT = 8.0  # times the noise, and three times what the pixels around differ by
_OFTEN = 0.75  # of the frames
_LEAST_FRAMES = 8  # in which a pixel that measures would have changed
_MOVES = 8.0  # times the noise: the pixels around a frozen one


@dataclass(frozen=True)
class Pattern:
    """Offsets along one axis, in the unit of the frames."""

    sigma: float
    """Standard deviation of the offsets within a frame; 0 where none is above ``limit``."""
    error: float
    limit: float
    """What noise alone would look like: less cannot be seen."""
    fixed: float | None
    """Standard deviation of what is the same in all frames; None for too few frames, or for a
    scene that stands still."""
    offsets: np.ndarray
    """The offsets' second differences of the mean frame, for the picture."""


def line_curvature(frame: np.ndarray, axis: int) -> np.ndarray:
    """Second differences between neighbouring lines, the median along the lines.

    Args:
        frame: H x W, float32; NaN is a missing pixel.
        axis: 1 for columns, 0 for rows.

    Returns:
        Lines - 2 values; NaN where a line is missing.
    """
    lines = frame if axis == 1 else frame.T
    second = lines[:, :-2] - 2.0 * lines[:, 1:-1] + lines[:, 2:]
    if np.isnan(second).any():
        with np.errstate(all="ignore"):
            found = np.full(second.shape[1], np.nan)
            some = np.isfinite(second).any(axis=0)
            found[some] = np.nanmedian(second[:, some], axis=0)
            return found
    return np.median(second, axis=0)


def fit_pattern(
    curvatures: list[np.ndarray], along: int, noise: float, moved: bool
) -> Pattern | None:
    """Offsets of lines from their curvature in each frame; None for too few lines.

    Args:
        curvatures: of each frame, from :func:`line_curvature`.
        along: pixels of a line.
        noise: white noise of one frame.
        moved: whether the scene did, so that what stays is the camera's.
    """
    if not curvatures or curvatures[0].size < _LEAST_LINES or along < _LEAST_LINES:
        return None
    table = np.stack(curvatures)
    by_noise = _MEDIAN_COST * noise**2 / along
    squares = np.array([_robust_square(row) / _CURVE for row in table]) - by_noise
    square = float(np.median(squares))
    lines = table.shape[1]
    relative = (2.0 / (0.37 * lines)) ** 0.5  # of a variance from a MAD, 37 % efficient
    limit = (by_noise * 3.0 * relative) ** 0.5 if noise > 0 else 0.0
    sigma = square**0.5 if square > limit**2 else 0.0
    error = 0.5 * relative * (square + by_noise) / sigma if sigma > 0 else limit
    mean = np.median(table, axis=0)
    fixed = None
    if len(table) >= 8 and moved:
        left = _robust_square(mean) / _CURVE - _MEDIAN_COST * by_noise / len(table)
        fixed = min(max(left, 0.0) ** 0.5, sigma)
    return Pattern(sigma, error / max(len(table), 1) ** 0.5, limit, fixed, mean)


def _robust_square(values: np.ndarray) -> float:
    known = values[np.isfinite(values)]
    if known.size == 0:
        return 0.0
    return spread(known - np.median(known)) ** 2


def stands_out(frame: np.ndarray, noise: float) -> np.ndarray:
    """Mask of pixels that no optics could make: alone far above or below all around, or missing."""
    import cv2

    known = np.isfinite(frame)
    filled = np.where(known, frame, np.nanmedian(frame) if known.any() else 0.0).astype(np.float32)
    ring = np.ones((3, 3), np.uint8)
    ring[1, 1] = 0
    high, low = cv2.dilate(filled, ring), cv2.erode(filled, ring)
    beyond = np.maximum(filled - high, low - filled)
    return ~known | (beyond > np.maximum(_STANDS_OUT * max(noise, 0.5e-6), 3.0 * (high - low)))


def stuck_pixels(masks: np.ndarray) -> np.ndarray:
    """Pixels that stand out in most frames; N x H x W masks in, K x 2 (row, column) out."""
    return np.argwhere(masks.mean(axis=0) >= _OFTEN)


def frozen_pixels(values: list[np.ndarray], noise: float) -> np.ndarray:
    """Pixels that have one value in all frames while those around them move.

    Such a pixel need not stand out: it may be stuck within what the scene spans.

    Args:
        values: frames, H x W, float32; NaN is a missing pixel.
        noise: white noise of one frame, or what values are rounded to.

    Returns:
        K x 2 (row, column); none for too few frames.
    """
    import cv2

    if len(values) < _LEAST_FRAMES:
        return np.empty((0, 2), int)
    low, high = values[0].copy(), values[0].copy()
    for frame in values[1:]:
        np.minimum(low, frame, out=low)
        np.maximum(high, frame, out=high)
    moved = np.nan_to_num(high - low)
    around = cv2.medianBlur(moved, 5)
    return np.argwhere(np.isfinite(low) & (moved == 0) & (around > _MOVES * noise))
