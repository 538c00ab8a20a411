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

"""How sharp edges are: the distance over which a step rises from 10 to 90 %."""

from __future__ import annotations

import cv2
import numpy as np

from difiisr_ros.core import radiometry
from difiisr_ros.core.scale import SCALE

#: A scene has soft edges, too: the sharpest ones show what camera and method do.
PERCENTILE = 15
#: Fewer edges say nothing about a frame.
LEAST_EDGES = 10
#: An edge is at least this many times the camera's noise, and this share of the frame's range.
_LEAST_CONTRAST = 20.0
_LEAST_SHARE = 0.1
#: Its direction is nearly that of rows or columns: this many times as much change across as along.
_LEAST_UPRIGHT = 4.0
_REACH = 5  # LR pixels to either side; the outer ones, from the third on, are its two levels
_LEVELS_FROM = 3
_MOST_BEYOND = 0.25  # of either level, share of the contrast; bicubic itself overshoots by 0.09
_MOST_UNEVEN = 0.1  # standard deviation of a level, share of the contrast
_LOW, _HIGH = 0.1, 0.9
_LIGHT_BLUR = 0.7  # LR pixels, for directions


class Edges:
    """Isolated edges of one camera frame, chosen once for all methods.

    Args:
        lr: H x W, any real dtype.
        noise: Standard deviation of the camera's noise, in the frame's unit; NaN: unknown.
        reference: sH x sW, the frame upscaled by interpolation: both levels of an edge must be
            even in it.
        scale: s.
    """

    def __init__(
        self, lr: np.ndarray, noise: float, reference: np.ndarray, scale: int = SCALE
    ) -> None:
        self._scale = scale
        low, high = radiometry.measure_range(lr, "percentile")
        least = max(
            _LEAST_CONTRAST * (0.0 if np.isnan(noise) else noise), _LEAST_SHARE * (high - low)
        )
        # Across columns, and, of the transposed frame, across rows.
        self._places = [
            _isolated(_candidates(turned, least), sr, least, scale)
            for turned, sr in ((lr, reference), (lr.T, reference.T))
        ]

    def __len__(self) -> int:
        return sum(map(len, self._places))

    def widths(self, sr: np.ndarray) -> np.ndarray:
        """10 to 90 % distance of every edge in a result (sH x sW), camera pixels; NaN: no edge."""
        return np.concatenate(
            [
                _rise(_profiles(turned, places, self._scale), self._scale)
                for turned, places in zip((sr, sr.T), self._places)
            ]
        )

    def width(self, sr: np.ndarray) -> float:
        """15th percentile of :meth:`widths`; NaN where the frame has too few edges."""
        widths = self.widths(sr) if len(self) else np.empty(0)
        known = widths[np.isfinite(widths)]
        return float(np.percentile(known, PERCENTILE)) if len(known) >= LEAST_EDGES else np.nan


def _candidates(lr: np.ndarray, least: float) -> np.ndarray:
    """n x 2: row and column where the frame changes most along its row, and hardly across."""
    if min(lr.shape) < 2 * _REACH + 3:
        return np.empty((0, 2), np.int64)
    smooth = cv2.GaussianBlur(np.ascontiguousarray(lr, np.float64), (0, 0), _LIGHT_BLUR)
    down, across = (np.abs(change) for change in np.gradient(smooth))
    peak = (across >= _LEAST_UPRIGHT * down) & (across > least / 8)
    peak[:, 1:-1] &= (across[:, 1:-1] >= across[:, :-2]) & (across[:, 1:-1] > across[:, 2:])
    inside = np.zeros_like(peak)
    inside[1:-1, _REACH + 1 : -_REACH - 1] = True
    return np.argwhere(peak & inside)


def _profiles(sr: np.ndarray, places: np.ndarray, scale: int) -> np.ndarray:
    """n x pixels, float64: the mean of a camera pixel's rows in the result, around its centre."""
    rows = sr.reshape(sr.shape[0] // scale, scale, -1).mean(axis=1, dtype=np.float64)
    columns = scale * places[:, 1:] + np.arange(-scale * _REACH, scale * (_REACH + 1))
    return rows[places[:, :1], columns]


def _levels(profiles: np.ndarray, scale: int) -> tuple[np.ndarray, np.ndarray]:
    """What lies before and behind an edge, n x pixels each."""
    count = scale * (_REACH + 1 - _LEVELS_FROM)
    return profiles[:, :count], profiles[:, -count:]


def _share(profiles: np.ndarray, scale: int) -> np.ndarray:
    """0 at the level before an edge, 1 at that behind it; 0 everywhere where these are equal."""
    before, behind = (level.mean(axis=1, keepdims=True) for level in _levels(profiles, scale))
    contrast = behind - before
    return (
        (profiles - before) * np.where(contrast == 0, 0, 1) / np.where(contrast == 0, 1, contrast)
    )


def _isolated(places: np.ndarray, reference: np.ndarray, least: float, scale: int) -> np.ndarray:
    """The places whose edge is large enough and has an even level on both sides."""
    if not len(places):
        return places
    profiles = _profiles(reference, places, scale)
    before, behind = _levels(profiles, scale)
    contrast = np.abs(behind.mean(axis=1) - before.mean(axis=1))
    uneven = np.maximum(before.std(axis=1), behind.std(axis=1))
    keep = (contrast >= least) & (uneven <= _MOST_UNEVEN * contrast)
    # No line on top of a step, whose own contrast would be a larger one.
    share = _share(profiles, scale)
    keep &= (share.min(axis=1) >= -_MOST_BEYOND) & (share.max(axis=1) <= 1 + _MOST_BEYOND)
    return places[keep & np.isfinite(_rise(profiles, scale))]


def _rise(profiles: np.ndarray, scale: int) -> np.ndarray:
    """Distance from 10 to 90 % of the way between both levels, in camera pixels, (n,)."""
    if not len(profiles):
        return np.empty(0)
    share = _share(profiles, scale)
    middle = share.shape[1] // 2
    position = np.arange(share.shape[1])
    # The last pixel below 10 % before the middle, the first above 90 % behind it.
    low = np.where((share <= _LOW) & (position < middle + scale), position, -1).max(axis=1)
    high = np.where((share >= _HIGH) & (position > low[:, None]), position, share.shape[1]).min(
        axis=1
    )
    found = (low >= 0) & (high < share.shape[1])
    width = np.full(len(profiles), np.nan)
    rows = np.flatnonzero(found)
    low, high = low[found], high[found]

    def crossing(level: float, left: np.ndarray) -> np.ndarray:
        a, b = share[rows, left], share[rows, left + 1]
        return left + (level - a) / np.where(b == a, 1.0, b - a)

    width[found] = (crossing(_HIGH, high - 1) - crossing(_LOW, low)) / scale
    return width
