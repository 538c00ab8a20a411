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

"""The fixed pattern of the camera whose frames pass by, and how sure it is.

From an even surface: the mean over time without its smooth part. From a moving camera: learnt as in
a stream, and twice more, each from one half of the frames, for what the halves have in common is
the camera's. From a still camera before a scene: not at all.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from difiisr_ros.core.camera_profile import CameraProfile
from difiisr_ros.core.fixed_pattern import without_smooth
from difiisr_ros.core.noise_level import estimate_noise
from difiisr_ros.core.pattern_fit import is_even
from difiisr_ros.core.pattern_learner import PatternLearner
from difiisr_ros.core.reading import read
from difiisr_ros.core.robust import spread
from difiisr_ros.errors import FrameError

#: How frames may be taken: as they show themselves to be, as of an even surface, or not at all.
MODES = ("auto", "flat", "off")
_LEAST_FLAT, _LEAST_MOVING = 8, 60  # frames
_ENOUGH = 1000  # frames learnt from: more say little more
_TURN = 40  # frames until the other half's turn
_MEASURED = 20  # frames between measurements of noise and evenness
_EVEN = 0.9  # of the frames that were looked at
_MOST_LEFT = 0.4  # of the pattern's power: less sure is not worth a file


@dataclass(frozen=True)
class FoundPattern:
    """What was measured."""

    offsets: np.ndarray
    """H x W as cropped, float32, counts."""
    frames: int
    """How many taught it."""
    left: float
    """Share of the pattern's power that correcting is expected to leave."""
    size: float
    """Standard deviation of the pattern, counts."""
    how: str
    """``an even surface`` or ``a moving camera``."""


class PatternSearch:
    """Looks at all frames of a source, one after the other.

    Args:
        camera: what is known of its pixels.
        mode: one of :data:`MODES`.
    """

    def __init__(self, camera: CameraProfile, mode: str = "auto") -> None:
        self._camera = replace(camera, pattern=None)
        self._mode = mode
        self._whole, self._halves = PatternLearner(), (PatternLearner(), PatternLearner())
        self._noise = 0.0
        self._seen = self._looked = self._even = 0
        self._sum = self._squares = np.zeros((0, 0))
        self._measured = np.zeros((0, 0), np.int64)

    def look(self, frame: np.ndarray) -> None:
        """See the next frame, H x W, as the camera has it; those of another size are left out."""
        if self._mode == "off":
            return
        try:
            scene = read(frame, self._camera).scene.astype(np.float32)
        except FrameError:
            return  # nothing of it measures
        if self._seen == 0:
            self._sum, self._squares = np.zeros(scene.shape), np.zeros(scene.shape)
            self._measured = np.zeros(scene.shape, np.int64)
        elif scene.shape != self._sum.shape:
            return
        self._add(scene)
        if self._seen % _MEASURED == 0:
            self._noise = estimate_noise(scene)
            self._looked += 1
            self._even += is_even(scene)
        if self._mode == "auto" and self._whole.frames < _ENOUGH:
            self._whole.learn(scene, self._noise)
            self._halves[self._seen // _TURN % 2].learn(scene, self._noise)
        self._seen += 1

    def found(self) -> FoundPattern | str:
        """The pattern, or why it is not known."""
        if self._mode == "off":
            return "not asked for"
        if self._mode == "flat" or self._even >= _EVEN * max(self._looked, 1):
            if self._seen >= _LEAST_FLAT:
                return self._from_flat()
            return (
                f"{self._seen} frames, {_LEAST_FLAT} or more of an even surface are needed, or "
                "some hundred of a moving camera"
            )
        return self._from_moving()

    def _add(self, scene: np.ndarray) -> None:
        known = np.isfinite(scene)
        # The level of each frame for itself, which drifts, and is no pattern.
        mean = float(scene[known].mean(dtype=np.float64))
        values = np.where(known, scene - np.float64(mean), 0.0)
        self._sum += values
        self._squares += values**2
        self._measured += known

    def _from_flat(self) -> FoundPattern | str:
        count = np.maximum(self._measured, 1)
        mean = np.where(self._measured > 0, self._sum / count, np.nan)
        changing = np.maximum(self._squares / count - np.nan_to_num(mean) ** 2, 0.0)
        error = float(np.median(changing)) / self._seen
        offsets = without_smooth(mean)
        found = _power(offsets) - error
        if found <= 0 or error > _MOST_LEFT * found:
            return _none_above(error)
        return FoundPattern(offsets, self._seen, error / found, found**0.5, "an even surface")

    def _from_moving(self) -> FoundPattern | str:
        looks, offsets = self._whole.frames, self._whole.offsets
        if looks < _LEAST_MOVING:
            if self._seen < _LEAST_MOVING:
                return (
                    f"{self._seen} frames, {_LEAST_MOVING} of a moving camera are needed, some "
                    f"hundred are good, or {_LEAST_FLAT} of an even surface"
                )
            return (
                f"the camera moved in {looks} of {self._seen} frames, {_LEAST_MOVING} are needed: "
                "what stays while it stands still cannot be told from the scene; move it slowly "
                "over a scene, or record an even surface (a lens cap, a wall out of focus)"
            )
        halves = [half.offsets for half in self._halves]
        if offsets is None or halves[0] is None or halves[1] is None:
            return "frames do not show what others taught: none is above the scene's fine structure"
        one, other = halves[0].astype(np.float64), halves[1].astype(np.float64)
        common = float((one * other).mean())
        # Each half's error is twice the whole's, and the difference has both.
        error = float(((one - other) ** 2).mean()) / 4.0
        if common <= 0 or error > _MOST_LEFT * common:
            return _none_above(error)
        return FoundPattern(offsets.copy(), looks, error / common, common**0.5, "a moving camera")


def _none_above(error: float) -> str:
    return (
        f"none above {(error / _MOST_LEFT) ** 0.5:.2g} counts, which could not be told from chance"
    )


def _power(offsets: np.ndarray) -> float:
    """Of most pixels: one that is far off is bad, and no pattern."""
    limit = 6.0 * spread(offsets)
    return float((np.clip(offsets, -limit, limit).astype(np.float64) ** 2).mean())
