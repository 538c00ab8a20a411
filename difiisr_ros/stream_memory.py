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

"""StreamMemory: what is known of a frame from those that came before it, of the same camera.

One for each camera, given to :meth:`SuperResolver.upscale` with every frame, in their order. No
frame waits for a later one, what is remembered has the size of a few frames, and the same frames
from the start give the same results.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np

from difiisr_ros.core.camera_profile import CameraProfile
from difiisr_ros.core.condition import (
    PatternInUse,
    estimated_noise,
    noise_to_tell,
    with_rounding,
)
from difiisr_ros.core.crop import NO_CROP
from difiisr_ros.core.fixed_pattern import FixedPattern
from difiisr_ros.core.moving_scene import MovingScene, within_reach
from difiisr_ros.core.noise_level import estimate_noise
from difiisr_ros.core.pattern_learner import PatternLearner
from difiisr_ros.core.radiometry import ValueRange, normalize
from difiisr_ros.core.reading import Reading, read
from difiisr_ros.core.running_noise import RunningNoise
from difiisr_ros.core.still_scene import Looks, StillScene
from difiisr_ros.errors import OptionError

OFF, ON, AUTO, PROFILE, LEARN = "off", "on", "auto", "profile", "learn"
STILL = (OFF, AUTO)
MOTION = (OFF, ON)
PATTERN = (OFF, PROFILE, LEARN)
NOISE = ("frame", "running")
_STILL_SHARE = 0.25  # of the pixels: with less of them the camera moves, and so do the others
_TYPICAL = 0.25  # quantile of these: whose noise is told of all
_SETTLED = 3.0  # frames from where it counts as any other that is
#: Times the noise that is told: up to where that serves, and from where it does not at all.
_FINE, _TOO_NOISY = 1.5, 2.0
_LEAST_TOLD, _LEAST_TOLD_BLIND = 0.0025, 0.0035
"""Of the range: networks that are told less sharpen what averaging leaves behind, patterns above
all, and where they have to guess the blur by the wrong one."""
_SOFT = 5  # pixels over which one result passes into the other


@dataclass(frozen=True)
class Telling:
    """What networks, which know one level of noise for a frame, are told of one."""

    noise: float
    """White noise, rounding's included, in the unit of the frame."""
    alone: np.ndarray | None = None
    """H x W, float32, 0 to 1: how much the result is to be one that is told :attr:`noise_alone`
    instead; None: nowhere."""
    noise_alone: float = 0.0
    """White noise of the frame without those before it."""
    frames: float = 1.0
    """How many frames are averaged where the scene stands still."""
    still: float = 0.0
    """Share of the pixels where it does."""


@dataclass(frozen=True)
class Remembered:
    """A frame with what is known of it from those before."""

    reading: Reading
    """The frame as its camera's profile says, and as its pattern is known by now."""
    scene: np.ndarray
    """H x W, as it is to be run."""
    noise: float
    """White noise of the frame by itself, rounding's included, in its unit."""
    looks: Looks | None = None
    """What the scene is a mean of; None: the frame alone."""
    still: float = 0.0
    """Share of the pixels that stand still; 0 where nobody looks."""
    pattern: PatternInUse | None = None
    """What was subtracted; None: nothing that is learnt."""

    def tell(self, span: float, *, knows_blur: bool) -> Telling:
        """What to tell of it: the noise of the pixels that stand still, and where that is too
        little for the others.

        Args:
            span: high minus low of the frame's range.
            knows_blur: whether the network is told the camera's blur.
        """
        looks = self.looks
        if looks is None:
            return Telling(self.noise, still=self.still)
        frames = looks.frames
        typical = float(np.quantile(frames[looks.still], _TYPICAL))
        left = float(looks.noise_after(typical))
        least = _LEAST_TOLD if knows_blur else _LEAST_TOLD_BLIND
        noise = min(self.noise, max(left, least * span))
        ratio = looks.noise_after(frames) / max(noise, 1e-12)
        noisy = (ratio - _FINE) / (_TOO_NOISY - _FINE)
        settled = min(_SETTLED, typical)
        fresh = (settled - frames) / (settled - 1)
        share = np.clip(np.maximum(noisy, fresh), 0.0, 1.0).astype(np.float32)
        if not share.any():
            return Telling(noise, frames=typical, still=self.still)
        around = cv2.dilate(share, np.ones((_SOFT, _SOFT), np.uint8))
        alone = cv2.blur(around, (_SOFT, _SOFT))
        return Telling(noise, alone, self.noise, typical, self.still)


def by_itself(
    frame: np.ndarray, camera: CameraProfile, missing: np.ndarray | None = None
) -> Remembered:
    """A frame without a memory; arguments are those of :func:`difiisr_ros.core.reading.read`."""
    reading = read(frame, camera, missing)
    return Remembered(reading, reading.scene, noise_to_tell(reading, camera))


@dataclass(frozen=True)
class MemoryOptions:
    """What of a stream is used. Checked when made.

    Raises:
        OptionError: naming the option, its value and what is accepted.
    """

    still: str = OFF
    """``auto``: where scene and camera stand still, frames are averaged over time; ``off``."""
    noise: str = "frame"
    """Where the noise that a camera's profile does not say comes from: each ``frame`` by itself,
    or ``running``, the median over the last ones."""
    pattern: str = PROFILE
    """The camera's fixed pattern is subtracted as its ``profile`` has it; is learnt from the frames
    while the camera moves (``learn``), from there on; or is left (``off``)."""
    motion: str = OFF
    """``on``: where the camera moves, results are averaged along its motion; ``off``."""

    def __post_init__(self) -> None:
        for name, accepted in (
            ("still", STILL),
            ("noise", NOISE),
            ("pattern", PATTERN),
            ("motion", MOTION),
        ):
            value = getattr(self, name)
            if value not in accepted:
                raise OptionError(f"{name} must be one of {', '.join(accepted)}, got {value!r}")


NO_MEMORY = MemoryOptions()
"""Every frame is looked at by itself."""


class StreamMemory:
    """The memory of one camera's stream; not to be shared between threads."""

    def __init__(self, options: MemoryOptions = NO_MEMORY) -> None:
        self.options = options
        self._still = StillScene()
        self._noise = RunningNoise()
        self._moving = MovingScene()
        self._learner: PatternLearner | None = None
        self._flat: tuple[np.ndarray, int] | None = None  # sum of a shutter's frames
        self._camera: CameraProfile | None = None
        self._raw: tuple[CameraProfile, CameraProfile] | None = None

    def configure(self, options: MemoryOptions) -> None:
        """Change the options from the next frame on; what is no longer used is forgotten."""
        before, self.options = self.options, options
        if options.still != before.still:
            self._still.reset()
        if options.noise != before.noise:
            self._noise.reset()
        if options.motion != before.motion:
            self._moving.reset()
        if options.pattern != before.pattern:
            self._learner = None

    def reset(self) -> None:
        """Forget every frame, and what was learnt from them: another camera, or a bag's start."""
        self._forget_scene()
        self._learner = None

    def _forget_scene(self) -> None:
        self._still.reset()
        self._noise.reset()
        self._moving.reset()

    @property
    def is_off(self) -> bool:
        """Whether frames are looked at by themselves."""
        return self.options == NO_MEMORY

    @property
    def pattern(self) -> FixedPattern | None:
        """What was learnt of the camera's fixed pattern, of the profile's too; None: nothing."""
        return None if self._learner is None else self._learner.as_pattern()

    def shutter(self, frame: np.ndarray, camera: CameraProfile) -> None:
        """Take note of a frame of the camera's closed shutter.

        The scene that was seen is over, and what the frame shows may be the camera's pattern.
        """
        self._forget_scene()
        if self._learner is None:
            return
        flat = read(frame, self._without_pattern(camera)[1]).scene.astype(np.float64)
        if self._flat is not None and self._flat[0].shape == flat.shape:
            flat = flat + self._flat[0]
            self._flat = flat, self._flat[1] + 1
        else:
            self._flat = flat, 1
        self._learner.shutter((flat / self._flat[1]).astype(np.float32), self._flat[1])

    def take(
        self, frame: np.ndarray, camera: CameraProfile, missing: np.ndarray | None = None
    ) -> Remembered:
        """Add the newest frame; returns it with what is known of it.

        Arguments and errors are those of :func:`difiisr_ros.core.reading.read`.
        """
        self._flat = None
        reading, pattern = self._read(frame, camera, missing)
        noise = self._single_noise(reading, camera)
        total = with_rounding(noise, reading)
        if self.options.still == OFF or camera.is_reduced:
            return Remembered(reading, reading.scene, total, pattern=pattern)
        rounding = with_rounding(0.0, reading)
        looks = self._still.take(reading.scene, total, rounding)
        still = float(looks.still.mean())
        if still < _STILL_SHARE:
            return Remembered(reading, reading.scene, total, None, still, pattern)
        return Remembered(reading, looks.mean, total, looks, still, pattern)

    @property
    def followed(self) -> float:
        """Share of the newest frame's pixels whose result was averaged along the motion."""
        return self._moving.followed

    def follow(self, look: Remembered, value_range: ValueRange, result: np.ndarray) -> np.ndarray:
        """What is to become of the result of a frame, of the whole of it.

        Args:
            look: what :meth:`take` has returned of the frame.
            value_range: of the frame.
            result: sH x sW, float32, 0..1 of the range.

        Returns:
            The same, averaged with those before it along the camera's motion where that was asked
            for, and the camera moves; nowhere beyond the result and the camera's 3x3 pixels around.
        """
        if self.options.motion == OFF:
            return result
        low, high = value_range
        counts = result * np.float32(high - low) + np.float32(low)
        if look.looks is not None:  # the past is in the scene already
            self._moving.begin(counts, look.looks.frames)
            return result
        mean = self._moving.take(counts, look.scene, look.noise, high - low)
        if mean is counts:
            return result
        mean = (mean - np.float32(low)) / np.float32(high - low)
        return within_reach(mean, result, normalize(look.scene, value_range))

    def _read(
        self, frame: np.ndarray, camera: CameraProfile, missing: np.ndarray | None
    ) -> tuple[Reading, PatternInUse | None]:
        if self.options.pattern == PROFILE or camera.is_reduced:
            return read(frame, camera, missing), None
        cropped, whole = self._without_pattern(camera)
        if self.options.pattern == OFF:
            return read(frame, cropped, missing), None
        if self._learner is None:
            if camera.pattern is not None and camera.fixed_pattern.shape != frame.shape:
                read(frame, camera, missing)  # which says so
            start = None if camera.pattern is None else camera.fixed_pattern
            self._learner = PatternLearner(start, camera.crop)
        raw = read(frame, whole, missing).scene.astype(np.float32)
        self._learner.learn(raw, estimate_noise(raw))
        offsets, frames = self._learner.offsets, self._learner.frames
        reading = read(frame, cropped, missing, offsets)
        return reading, PatternInUse(offsets, frames, not self._learner.frozen)

    def _without_pattern(self, camera: CameraProfile) -> tuple[CameraProfile, CameraProfile]:
        """The profile without its pattern, and without its crop either."""
        if self._raw is None or self._camera is not camera:
            cropped = replace(camera, pattern=None)
            self._raw, self._camera = (cropped, replace(cropped, crop=NO_CROP)), camera
        return self._raw

    def _single_noise(self, reading: Reading, camera: CameraProfile) -> float:
        # A profile without the pattern has the noise of frames that were not corrected.
        learnt = self._learner is not None and self._learner.frames > 0
        corrected = learnt and camera.pattern is None
        if camera.is_reduced or (camera.noise is not None and not corrected):
            return estimated_noise(reading, camera)
        noise = estimate_noise(reading.scene)
        return noise if self.options.noise == "frame" else self._noise.update(noise)
