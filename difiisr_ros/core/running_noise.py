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

"""The noise of a camera from its running stream: steadier than what each frame says of it."""

from __future__ import annotations

from collections import deque
from statistics import median

REMEMBERED = 15
"""Frames whose median it is: an odd number."""
_JUMP = 1.5  # times more or less is another gain, or another camera
_IN_A_ROW = 3  # such frames, one after the other


class RunningNoise:
    """Median of the newest frames' estimates; what jumps is followed from its third frame on."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forget every frame."""
        self._levels: deque[float] = deque(maxlen=REMEMBERED)
        self._outside = 0

    def update(self, estimate: float) -> float:
        """Add a frame's estimate, 0 or more; returns the noise of the stream, in its unit."""
        self._levels.append(estimate)
        known = median(self._levels)
        self._outside = 0 if known / _JUMP <= estimate <= known * _JUMP else self._outside + 1
        if self._outside < _IN_A_ROW:
            return known
        newest = list(self._levels)[-_IN_A_ROW:]
        self.reset()
        self._levels.extend(newest)
        return median(newest)
