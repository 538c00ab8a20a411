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

"""Recognises frames of a camera's closed shutter (FFC, NUC). No ROS here.

Uncooled cameras close a shutter every few minutes for half a second or so and send what they see of
it: a flat frame. It is told from a flat scene by what must come together, within a frame: the
spread of the pixels collapses; what was seen before is gone, at most places, not just where an
object has left; and nothing of its structure is left, as would be after a change of gain. A scene
that is all that, say the sky after a quick turn, is taken for one for :data:`MOST_SECONDS` at most.
"""

from __future__ import annotations

from collections import deque

import numpy as np

MOST_SECONDS = 2.0
"""A shutter is not closed for longer: what stays flat is the scene."""
_COLLAPSED = 0.25  # of the least spread of the frames before; shutters have 0.01 to 0.1
_BEFORE = 5  # frames whose spread is known before one is judged
_ALIKE = 0.5  # correlation with the last frame from which on it is the same scene
_SAMPLED = 64  # pixels a side that are looked at
_PERCENTILES = (5, 95)


class ShutterWatch:
    """Looks at each frame of one camera, in order."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forget what was seen."""
        self._spreads: deque[float] = deque(maxlen=_BEFORE)
        self._last: np.ndarray | None = None
        self._since: float | None = None

    def sees(self, frame: np.ndarray, seconds: float) -> bool:
        """Whether this frame is one of a closed shutter.

        Args:
            frame: H x W.
            seconds: when it arrived; a clock that does not jump.
        """
        rows, columns = (-(-side // _SAMPLED) for side in frame.shape)
        pixels = frame[::rows, ::columns].astype(np.float64)
        known = np.isfinite(pixels)
        if not known.any():
            return False
        low, high = np.percentile(pixels[known], _PERCENTILES)
        spread = float(high - low)
        if self._last is not None and self._last.shape != pixels.shape:
            self.reset()
        if self._is_flat(pixels, spread):
            self._since = seconds if self._since is None else self._since
            if 0 <= seconds - self._since < MOST_SECONDS:
                return True
            self.reset()
        self._since = None
        self._spreads.append(spread)
        self._last = pixels
        return False

    def _is_flat(self, pixels: np.ndarray, spread: float) -> bool:
        if self._last is None or len(self._spreads) < _BEFORE:
            return False
        if not spread < _COLLAPSED * min(self._spreads):
            return False
        known = np.isfinite(pixels) & np.isfinite(self._last)
        if not known.any():
            return False
        now, before = pixels[known], self._last[known]
        if float(np.median(np.abs(now - before))) <= spread:
            return False  # most of it is where it was
        now, before = now - now.mean(), before - before.mean()
        norm = float(np.sqrt((now @ now) * (before @ before)))
        return norm == 0 or abs(float(now @ before)) < _ALIKE * norm
