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

"""No hallucinated heat: does a result have the hot spots that the camera saw, and no others?

A hot spot is a local maximum that stands out: at or above the frame's 99.5th percentile, and with a
topographic prominence (how far one must go down to get to anything hotter) of at least five noise
units (the frame's noise, but at least a count). The result is reduced to the camera's grid
first, because there, and only there, its heat can be compared to what was measured.

Noise and rounding move what is near a limit to its other side, and the hottest pixel of a flat top
to its other end. So a spot that is looked for need only stand out half as much as one that is
claimed, and tops are compared, not pixels: they match where they come within one pixel.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from difiisr_ros.core.robust import spread
from difiisr_ros.core.scale import SCALE
from difiisr_ros.lab.scores.metrics import downsample

#: Keys of :meth:`HotSpots.measure`.
HEAT = ("hot_spots_created", "hot_spots_removed", "hot_spot_error")
#: Hot spots are not below this percentile of the frame.
PERCENTILE = 99.5
#: Prominence of a hot spot, in noise units.
PROMINENCE = 5.0
#: A spot that is looked for has at least this share of the prominence.
_LENIENCE = 0.5
#: Pixels between a spot of the frame and its counterpart in the result.
TOLERANCE = 1
#: Noise of integer frames, in counts, is at least that: two roundings differ by as much.
_LEAST_NOISE = 1.0
#: And of float frames, whose unit may be anything, at least this share of their range.
_LEAST_SHARE = 1e-3
_TILT = 1e-4  # of the prominence
_NEIGHBOURS = np.ones((2 * TOLERANCE + 1,) * 2, np.uint8)


@dataclass(frozen=True)
class HeatComparison:
    """Hot spots of a frame against those of a result on the camera's grid."""

    spots: int
    """In the frame."""
    created: int
    """In the result, and not in the frame."""
    removed: int
    """In the frame, and not in the result."""
    peak_error: float
    """Counts: the largest absolute difference between a spot's peak in frame and result; nan
    where there is none in both."""


class HotSpots:
    """The hot spots of one camera frame, to compare results with.

    Args:
        lr: H x W, uint8, uint16 or float32.
        scale: s, of the results.
    """

    def __init__(self, lr: np.ndarray, scale: int = SCALE) -> None:
        self._scale = scale
        self._level = np.float32(lr.min())
        self._lr = lr.astype(np.float32) - self._level
        self.noise = noise_level(self._lr)
        least = _LEAST_SHARE * float(np.ptp(self._lr)) if lr.dtype == np.float32 else _LEAST_NOISE
        self.noise = max(self.noise, least)
        self._threshold = float(np.percentile(self._lr, PERCENTILE))
        self._strict, self._lenient = self._find(self._lr)

    @property
    def positions(self) -> list[tuple[int, int]]:
        """Row and column of each hot spot's hottest pixel."""
        return [
            tuple(int(i) for i in np.unravel_index(_hottest(self._lr, top), top.shape))  # type: ignore[misc]
            for top in self._strict
        ]

    def compare(self, sr: np.ndarray) -> HeatComparison:
        """Compare with a result, sH x sW, of any dtype, in the frame's counts."""
        result = downsample(sr.astype(np.float32) - self._level, self._scale)
        strict, lenient = self._find(result)
        errors, removed = [], 0
        for top in self._strict:
            near = cv2.dilate(top, _NEIGHBOURS)
            if _touches(near, lenient):
                peak = self._lr.flat[_hottest(self._lr, top)]
                errors.append(abs(float(result[near > 0].max() - peak)))
            else:
                removed += 1
        created = sum(not _touches(cv2.dilate(top, _NEIGHBOURS), self._lenient) for top in strict)
        return HeatComparison(
            len(self._strict), created, removed, max(errors) if errors else float("nan")
        )

    def measure(self, sr: np.ndarray) -> dict[str, float]:
        """Every one of :data:`HEAT` of a result, as :meth:`compare` finds it."""
        found = self.compare(sr)
        return dict(zip(HEAT, (float(found.created), float(found.removed), found.peak_error)))

    def _find(self, frame: np.ndarray) -> tuple[list[np.ndarray], list[np.ndarray]]:
        """Tops of the hot spots, as masks: of those claimed, and of all that may be found."""
        height = PROMINENCE * self.noise
        claimed = _tops(frame, self._threshold, height, self.noise)
        lenient = height * _LENIENCE
        # So wide that a top takes in every minor peak, too close to be found by its prominence,
        # that noise could make the hottest.
        flatness = lenient + self.noise
        return claimed, _tops(frame, self._threshold - lenient, lenient, flatness)


def noise_level(frame: np.ndarray) -> float:
    """Standard deviation of a frame's noise, in its units.

    From second differences in both directions, which smooth scenes do not have (Immerkaer, CVIU
    64(2), 1996), by their median absolute value, which few edges do not change.
    """
    kernel = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float32)
    differences = cv2.filter2D(frame.astype(np.float32), cv2.CV_32F, kernel)[1:-1, 1:-1]
    if differences.size == 0:
        return 0.0
    return spread(differences) / float(np.linalg.norm(kernel))


def _tops(
    frame: np.ndarray, threshold: float, prominence: float, flatness: float
) -> list[np.ndarray]:
    """Maxima from a threshold on: masks of what is connected to the peak and hardly below it."""
    if prominence <= 0:
        return []  # a float frame of one value
    # Grayscale reconstruction (Vincent, IEEE TIP 2(2), 1993) fills the frame up to a prominence
    # below each peak that has it; minor peaks and slopes drown.
    # Of equally hot peaks one is the hottest: without the tilt all would have the prominence.
    tilt = np.linspace(0, _TILT * prominence, frame.size).reshape(frame.shape)
    tilted = frame + tilt
    filled = _filled(tilted - prominence, tilted)
    peaks = tilted - filled >= prominence * (1 - _TILT)
    # Nothing is hotter than the hottest pixel; it must stand out from the coldest.
    peaks &= frame >= max(threshold, float(frame.min()) + prominence)
    # Hottest first: what is as hot as a peak but for the flatness, and connected, is its top.
    rows, columns = np.nonzero(peaks)
    order = np.argsort(-frame[rows, columns], kind="stable")
    tops: list[np.ndarray] = []
    seen = np.zeros(frame.shape, bool)
    for row, column in zip(rows[order], columns[order]):
        if not seen[row, column]:
            near_peak = (frame >= frame[row, column] - flatness).astype(np.uint8)
            _, parts = cv2.connectedComponents(near_peak, connectivity=8)
            top = parts == parts[row, column]
            seen |= top
            tops.append(top.astype(np.uint8))
    return tops


def _filled(seed: np.ndarray, frame: np.ndarray) -> np.ndarray:
    """Grayscale reconstruction of a frame from a seed below it, by its eight neighbours."""
    try:
        from skimage.morphology import reconstruction
    except ImportError:  # the same result, slower where hills are wide
        around = np.ones((3, 3), np.uint8)
        while True:
            grown = np.minimum(cv2.dilate(seed, around), frame)
            if np.array_equal(grown, seed):
                return seed
            seed = grown
    return reconstruction(seed, frame, footprint=np.ones((3, 3)))


def _hottest(frame: np.ndarray, top: np.ndarray) -> int:
    return int(np.argmax(np.where(top > 0, frame, -np.inf)))


def _touches(mask: np.ndarray, tops: list[np.ndarray]) -> bool:
    return any(bool((mask & top).any()) for top in tops)
