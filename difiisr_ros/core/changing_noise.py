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

"""The part of a camera's noise that differs from frame to frame, from differences of frames."""

from __future__ import annotations

from collections import deque

import cv2
import numpy as np

_BLOCK = 8  # pixels a side
_REMEMBERED = 31  # frames
_QUIETEST = 0.1  # quantile of the blocks: in others the scene moves
_OF_THE_MEAN = 0.78  # what that is of their mean, where all of them have the same noise
_AT_MOST = 1.5  # times the noise of a frame, which may be estimated too low


class ChangingNoise:
    """What the quietest blocks differ by, as the median over the last frames."""

    def __init__(self) -> None:
        self._levels: deque[float] = deque(maxlen=_REMEMBERED)

    def update(
        self, difference: np.ndarray, frames: np.ndarray, noise: float, rounding: float
    ) -> float:
        """Look at another difference.

        Blocks that differ by nothing at all are saturated, or hold no measurement.

        Args:
            difference: H x W, float32, finite: a frame minus the mean of some before it.
            frames: H x W: how many that mean is worth.
            noise: standard deviation of the white noise of one frame.
            rounding: of what rounding adds.

        Returns:
            Standard deviation, in the unit of the difference: from ``rounding`` to 1.5 times
            ``noise``.
        """
        energy = difference**2 / (1.0 + 1.0 / frames)
        height, width = (max(1, side // _BLOCK) for side in energy.shape)
        blocks = cv2.resize(energy, (width, height), interpolation=cv2.INTER_AREA)
        alive = blocks[blocks > 0]
        if alive.size:
            self._levels.append(float(np.quantile(alive, _QUIETEST)) / _OF_THE_MEAN)
        found = float(np.median(self._levels)) ** 0.5 if self._levels else 0.0
        return float(np.clip(found, min(rounding, noise), _AT_MOST * noise))
