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

"""What a moving camera has shown before of what it sees now: results averaged along its motion.

Each frame of a moving camera samples the scene anew. The results of the frames before, kept as one
mean, are moved to where the new frame has them, and the new result is averaged in where both agree.
The motion is that of a plane (:mod:`difiisr_ros.core.frame_motion`). It is measured between the
frame and the mean itself, so that its errors do not add up. What moves otherwise, what has come
into view and what is hidden now disagrees, and is the new frame's result alone.

Results of one scene differ by more than noise at edges, where each frame's samples lie otherwise.
So agreement is within the noise that the quietest places have, and a small share of the contrast
that both show around a pixel. That share is what an edge may lag behind a moving object, and falls
with the noise: without noise there is little to gain.
"""

from __future__ import annotations

import cv2
import numpy as np

from difiisr_ros.core.changing_noise import ChangingNoise
from difiisr_ros.core.frame_motion import IDENTITY, KeptFrame, enlarged, moved, reduced, reduction
from difiisr_ros.core.missing import filled
from difiisr_ros.core.running_mean import box, kept, weighed

_LEAST_WEIGHT = 1 / 6  # of the newest result: each motion blurs the mean a little
_REGISTERED = 40_000  # pixels, at most, of the images that motion is measured in
_SMOOTH = 1.2  # pixels of these
_SMOOTHED = 0.25  # of the noise of a pixel, what is left then
_SAME_GAIN = 0.05
_LEAST_KEPT = 0.25  # of the pixels: with fewer it is another scene, or no plane's motion
_SIDES = {1: 1.0, 3: 0.8, 7: 0.5}  # of squares, pixels: how much of the contrast is borne there
_BORNE, _AT_NOISE = 0.045, 0.01  # of the contrast; at that noise, a share of the range, and above
_DOUBT, _CHANGE = 2.0, 3.5  # from where the past counts less, and not at all
_NEXT = np.ones((3, 3), np.uint8)


class MovingScene:
    """The mean over the results of one camera, in their order."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forget every result."""
        self._mean: np.ndarray | None = None
        self._frames = np.zeros((0, 0), np.float32)
        self._speed = IDENTITY
        self._noise = ChangingNoise()
        #: Share of the newest frame's pixels whose results were averaged with those before.
        self.followed = 0.0

    def begin(self, result: np.ndarray, frames: np.ndarray) -> None:
        """Take a result as the mean, whatever was before.

        Args:
            result: sH x sW, float32, counts; kept, not to be changed.
            frames: H x W, float32: how many frames its pixels are worth.
        """
        self._mean, self._frames = result, frames
        self._speed, self.followed = IDENTITY, 0.0

    def take(self, result: np.ndarray, scene: np.ndarray, noise: float, span: float) -> np.ndarray:
        """Average a result with those before it.

        Args:
            result: sH x sW, float32, counts, of the frame by itself; not to be changed afterwards.
            scene: H x W, the frame, counts; NaN where nothing was measured.
            noise: its white noise, counts.
            span: its range, counts.

        Returns:
            sH x sW, float32: the result itself where nothing before it shows the same. Not to be
            changed.
        """
        scene = np.ascontiguousarray(filled(scene.astype(np.float32)))
        alone = np.ones_like(scene)
        mean = self._mean
        if mean is None or mean.shape != result.shape or self._frames.shape != scene.shape:
            self.reset()
            self.begin(result, alone)
            return result
        motion = self._motion(_at_camera(mean, scene.shape), scene, noise)
        if motion is None:
            self.begin(result, alone)
            return result
        scale = len(result) // len(scene)
        before, frames = _warped(mean, enlarged(motion, scale)), moved(self._frames, motion)
        old, new = (_at_camera(image, scene.shape) for image in (before, result))
        differing = self._noise.update(new - old, np.maximum(frames, 1.0), noise, 0.0)
        keep = _agreement(
            old, new, frames, differing, _BORNE * min(1.0, noise / span / _AT_NOISE) ** 0.5
        )
        seen = np.where(frames >= 0.99, keep * frames, np.float32(0.0))
        self.followed = float((seen > 0.5).mean())
        if self.followed < _LEAST_KEPT:
            self.begin(result, alone)
            return result
        weight, self._frames = weighed(seen, _LEAST_WEIGHT)
        size = (result.shape[1], result.shape[0])
        share = cv2.resize(weight, size, interpolation=cv2.INTER_LINEAR)
        share *= result - before
        share += before
        self._mean = share
        return share

    def _motion(self, mean: np.ndarray, scene: np.ndarray, noise: float) -> np.ndarray | None:
        """Where the new frame's pixels lie in the mean, 3 x 3; None: not to be told."""
        factor = reduction(scene.shape, _REGISTERED)
        if min(scene.shape) < 16 * factor:
            return None
        before = KeptFrame(reduced(mean, factor, _SMOOTH))
        now = reduced(scene, factor, _SMOOTH)
        found = before.motion_to(now, self._speed, _SMOOTHED * noise / factor)
        if found is None or abs(found[1] - 1.0) > _SAME_GAIN:
            return None
        self._speed = found[0]
        return enlarged(np.linalg.inv(found[0]), factor)


def within_reach(mean: np.ndarray, result: np.ndarray, scene: np.ndarray) -> np.ndarray:
    """A mean that goes nowhere beyond its newest result and the camera's pixels around.

    So the bound on that result (:mod:`difiisr_ros.core.bound`) holds for it.

    Args:
        mean, result: sH x sW, float32.
        scene: H x W, float32, finite, in the same unit.
    """
    size = (result.shape[1], result.shape[0])
    low, high = (
        cv2.resize(of(scene, _NEXT), size, interpolation=cv2.INTER_NEAREST)
        for of in (cv2.erode, cv2.dilate)
    )
    return np.clip(mean, np.minimum(low, result), np.maximum(high, result))


def _agreement(
    old: np.ndarray, new: np.ndarray, frames: np.ndarray, noise: float, borne: float
) -> np.ndarray:
    """H x W, 0 to 1: 1 where the results before show the same as the new one, 0 where they do not.

    Args:
        old, new: H x W, means over the camera's pixels.
        frames: H x W: what the old ones are worth.
        noise: by which single results differ.
        borne: share of the contrast around.
    """
    difference = new - old
    spread = np.float32(max(noise, 1e-12)) * np.sqrt(1.0 + 1.0 / np.maximum(frames, 1.0))
    contrast = np.minimum(
        *(cv2.dilate(image, _NEXT) - cv2.erode(image, _NEXT) for image in (old, new))
    )
    worst = np.zeros_like(difference)
    for side, part in _SIDES.items():
        within = np.hypot(1.5 / side * spread, borne * part * box(contrast, max(side, 3)))
        worst = np.maximum(worst, np.abs(box(difference, side)) / within)
    return kept(worst, _DOUBT, _CHANGE, len(_NEXT))


def _at_camera(image: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Means over the camera's pixels."""
    return cv2.resize(image, (shape[1], shape[0]), interpolation=cv2.INTER_AREA)


def _warped(image: np.ndarray, motion: np.ndarray) -> np.ndarray:
    return cv2.warpAffine(
        image,
        motion[:2],
        (image.shape[1], image.shape[0]),
        flags=cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    )
