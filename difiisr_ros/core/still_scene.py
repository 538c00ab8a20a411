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

"""What several frames show of what stands still: a recursive mean over time, pixel by pixel.

A new frame is compared with the mean of those before. Where they agree within the noise, it is
averaged in; where they do not, the mean starts anew from the frame alone, so that nothing that has
moved leaves a trail. Frames before the newest are only ever remembered as that mean.

Agreement is tested at every pixel, on the difference in units of its noise: by itself, in its means
over small squares (targets that come and go), in its energy, and along the mean's gradient (Lucas
and Kanade 1981: what a shift of the scene would leave). The last has two degrees of freedom where
the energy has hundreds, so shifts of some hundredths of a pixel are seen where there is structure
to be blurred, and nothing is lost where there is none.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from difiisr_ros.core.changing_noise import ChangingNoise
from difiisr_ros.core.missing import filled
from difiisr_ros.core.running_mean import box, kept, weighed

MOST_FRAMES = 33
"""Frames that a mean is worth, at most."""
_LEAST_WEIGHT = 2.0 / (MOST_FRAMES + 1)  # of the newest frame: older ones fade
_MEANS = (3, 5, 9)  # sides of the squares, pixels
_ENERGY, _SHIFT = 7, 15
_DOUBT, _CHANGE = 3.75, 5.25  # standard deviations: from where the past counts less, and not at all
_AROUND = 5  # side of the square of pixels that go with one that has changed
_STILL_FRAMES = 1.5


@dataclass(frozen=True)
class Looks:
    """A frame with what those before it had seen of the same."""

    mean: np.ndarray
    """H x W, float32, in the unit of the frames: the newest one where it stands alone."""
    frames: np.ndarray
    """H x W, float32: how many frames the mean is worth, 1 to :data:`MOST_FRAMES`."""
    noise: float
    """Standard deviation of the white noise of one frame, as it was given."""
    changing: float
    """Standard deviation of the part of it that differs from frame to frame."""

    @property
    def still(self) -> np.ndarray:
        """H x W, bool: where the mean rests on frames before the newest."""
        return self.frames >= _STILL_FRAMES

    def noise_after(self, frames: np.ndarray | float) -> np.ndarray:
        """White noise that is left in a mean over some frames: what is fixed stays."""
        gone = min(self.changing, self.noise) ** 2 * (1 - 1 / np.asarray(frames, np.float64))
        return np.sqrt(self.noise**2 - gone)


class StillScene:
    """The mean over the frames of one camera, in their order."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forget every frame."""
        self._mean: np.ndarray | None = None
        self._frames: np.ndarray | None = None
        self._changing = ChangingNoise()

    def take(self, scene: np.ndarray, noise: float, rounding: float = 0.0) -> Looks:
        """Add a frame.

        Args:
            scene: H x W, NaN where nothing was measured; not kept. Another size starts anew.
            noise: standard deviation of its white noise, what rounding adds included.
            rounding: of what rounding adds, in the same unit; 0 for frames that are not rounded.
        """
        scene = scene.astype(np.float32)
        if self._mean is None or self._frames is None or self._mean.shape != scene.shape:
            self.reset()
            return self._start(scene, noise)
        mean, frames = self._mean, self._frames
        difference = scene - mean
        unknown = ~np.isfinite(difference)
        if unknown.all():
            return self._start(scene, noise)
        difference[unknown] = 0.0
        level = _common_offset(difference, noise)
        difference -= level
        mean = mean + level
        changing = self._changing.update(difference, frames, noise, rounding)
        keep = _agreement(mean, difference, frames, changing)
        seen = keep * frames
        weight, worth = weighed(seen, _LEAST_WEIGHT)
        new = np.where(seen > 0, mean + weight * difference, scene)
        # A pixel that did not measure now keeps what was known; one that never did learns.
        self._mean = np.where(unknown, np.where(np.isfinite(scene), scene, mean), new)
        self._frames = np.where(unknown, np.float32(1.0), worth)
        return Looks(self._mean, self._frames, noise, changing)

    def _start(self, scene: np.ndarray, noise: float) -> Looks:
        self._mean, self._frames = scene, np.ones_like(scene)
        return Looks(scene, self._frames, noise, noise)


def _common_offset(difference: np.ndarray, noise: float) -> float:
    """By which all pixels drift together: no motion, and no reason to forget."""
    near = np.abs(difference) < 4 * 2**0.5 * noise
    return float(difference[near].mean()) if near.any() else 0.0


def _agreement(
    mean: np.ndarray, difference: np.ndarray, frames: np.ndarray, noise: float
) -> np.ndarray:
    """H x W in 0..1: 1 where the difference may be noise, 0 where it cannot."""
    least = 1e-6 * float(np.abs(difference).max()) + 1e-12  # noise may be none at all
    z = difference / (np.float32(max(noise, least)) * np.sqrt(1.0 + 1.0 / frames))
    worst = np.abs(z) - 0.5  # a single pixel's tails are long
    for side in _MEANS:
        worst = np.maximum(worst, side * np.abs(box(z, side)))
    worst = np.maximum(worst, (box(z * z, _ENERGY) - 1) * (0.8 * _ENERGY / 2**0.5))
    worst = np.maximum(worst, _shift(mean, z) - 0.75)
    return kept(worst, _DOUBT, _CHANGE, _AROUND)


def _shift(mean: np.ndarray, z: np.ndarray) -> np.ndarray:
    """How far, in standard deviations, a shift of the scene around explains the difference."""
    known = filled(mean)
    across = cv2.Sobel(known, cv2.CV_32F, 1, 0, ksize=3, scale=1 / 8)
    down = cv2.Sobel(known, cv2.CV_32F, 0, 1, ksize=3, scale=1 / 8)
    xx, xy, yy = (box(a * b, _SHIFT) for a, b in ((across, across), (across, down), (down, down)))
    bx, by = box(across * z, _SHIFT), box(down * z, _SHIFT)
    ridge = 1e-3 * (xx + yy) + np.float32(1e-20)
    xx, yy = xx + ridge, yy + ridge
    explained = (yy * bx * bx - 2 * xy * bx * by + xx * by * by) / (xx * yy - xy * xy)
    return _SHIFT * np.sqrt(np.maximum(explained, 0.0))
