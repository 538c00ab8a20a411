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

"""Whether new frames show a pattern that was learnt: what keeps a wrong one from being applied."""

from __future__ import annotations

import cv2
import numpy as np

from difiisr_ros.core.robust import spread

_BOX = 5  # pixels: a pattern is finer than most of the scene
_AREA = 7  # pixels, whose activity says how much one of them tells
_CLIP = 3.0  # times the noise
_MEMORY = 0.97  # of what earlier looks said, at each new one
_PRIOR = 0.5  # looks' worth of doubt at the start
_SURE, _GONE = 0.5, 0.6  # of the pattern in the frames; of what was there, when less is left
_COMPARED = 5  # frames until a shutter's pattern is taken or dropped
_EVEN = 0.6  # of what single pixels do: what blocks of 4 x 4 do, beside rows and columns


class PatternFit:
    """Compares offsets with frames that they were not learnt from, yet."""

    def __init__(self) -> None:
        self._together = self._alone = 0.0
        self._doubt = _PRIOR
        self._best = 0.0
        self._powers: list[tuple[float, float]] = []

    @property
    def trust(self) -> float:
        """Share of the offsets that frames show, 0..1."""
        if self._alone <= 0.0:
            return 0.0
        return min(max(self._together / (self._alone * (1.0 + self._doubt)), 0.0), 1.0)

    @property
    def is_gone(self) -> bool:
        """Whether the camera has another pattern, or another gain, than when this was learnt."""
        return self._best > _SURE and self.trust < _GONE * self._best

    def believe(self, offsets: np.ndarray) -> None:
        """Begin with a pattern that was measured before."""
        power = float((_fine(offsets) ** 2).mean())
        self._together = self._alone = power / (1.0 - _MEMORY)
        self._doubt = 0.0
        self._best = 1.0

    def look(
        self, frame: np.ndarray, offsets: np.ndarray, usable: np.ndarray, noise: float
    ) -> None:
        """See how much of the offsets is in a frame (both H x W, float32, counts)."""
        expected, seen = _fine(offsets), _fine(frame)
        # Weights must not know what the pixel itself shows: limits would take from the pattern.
        busy = cv2.blur(seen * seen, (_AREA, _AREA), borderType=cv2.BORDER_REFLECT_101)
        weights = np.float32(noise**2) / (busy + np.float32(noise**2))
        weights *= weights
        weights *= usable
        weights *= expected
        # Sums of numpy's own: those of BLAS depend on the number of threads.
        seen *= weights
        expected *= weights
        self._together = _MEMORY * self._together + float(seen.mean(dtype=np.float64))
        self._alone = _MEMORY * self._alone + float(expected.mean(dtype=np.float64))
        self._doubt *= _MEMORY
        self._best = max(self._best, self.trust)

    def compare(self) -> None:
        """Begin to compare two patterns."""
        self._powers = []

    def compared(
        self, frame: np.ndarray, first: np.ndarray, second: np.ndarray, noise: float
    ) -> bool | None:
        """Whether frames are smoother with the second of two patterns; None: not known yet."""
        most = (_CLIP * noise) ** 2
        powers = [
            np.minimum(_fine(frame - pattern) ** 2, most).mean() for pattern in (first, second)
        ]
        self._powers.append((float(powers[0]), float(powers[1])))
        if len(self._powers) < _COMPARED:
            return None
        one, other = np.sum(self._powers, axis=0)
        self._powers = []
        return bool(other < one)


def is_even(flat: np.ndarray) -> bool:
    """Whether a frame (H x W, NaN: missing) shows an even surface: pixels, rows and columns only.

    A scene has structure of several pixels; what is wider than some dozens of pixels, as the
    warmth of the shutter and of the housing, does not count.
    """
    level = np.nanmedian(flat) if np.isfinite(flat).any() else np.nan
    if not np.isfinite(level):
        return False
    values = np.where(np.isfinite(flat), flat - level, 0.0).astype(np.float32)
    values -= cv2.blur(values, (31, 31), borderType=cv2.BORDER_REFLECT_101)
    values -= np.median(values, axis=0, keepdims=True)
    values -= np.median(values, axis=1, keepdims=True)
    single = spread(_fine(values))
    rows, columns = (side // 4 for side in values.shape)
    blocks = cv2.resize(
        values[: 4 * rows, : 4 * columns], (columns, rows), interpolation=cv2.INTER_AREA
    )
    return float(blocks.std()) <= _EVEN * single


def _fine(image: np.ndarray) -> np.ndarray:
    return image - cv2.blur(image, (_BOX, _BOX), borderType=cv2.BORDER_REFLECT_101)
