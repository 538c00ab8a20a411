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

"""What a network is told of the camera that took a frame, as a few numbers for each frame.

The blur comes with the standard deviation of its error, so that one network serves a calibrated
camera, one whose blur is only roughly known, and one of which nothing is known.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from difiisr_ros.core.camera_profile import CameraProfile
from difiisr_ros.core.noise_level import estimate_noise
from difiisr_ros.core.radiometry import ValueRange
from difiisr_ros.core.reading import Reading

FEATURES = 5
"""Numbers that networks read: noise (logarithm, and as it is), blur, its error, reduced or not."""
WIDTH = FEATURES + 2
"""Numbers of one frame in all: beside them the noise and the overshoot that is allowed."""
NOISE, OVERSHOOT = FEATURES, FEATURES + 1

#: Blur that an unknown one is told as, and its error: centre and spread of what cameras have.
UNKNOWN_BLUR, UNKNOWN_ERROR = 0.5, 0.3
DEFAULT_OVERSHOOT = 0.5
_ROUNDING = 12**-0.5  # standard deviation of the error, counts
MOST_NOISE = 0.05
"""Share of the range, up to which networks were trained."""
_NOISE_LIMITS = 5e-4, 0.2  # of the range
_MOST_BLUR = 1.1  # camera pixels, up to which networks were trained: of more they make patterns


def features(
    noise: np.ndarray | float,
    blur: np.ndarray | float = UNKNOWN_BLUR,
    blur_error: np.ndarray | float = UNKNOWN_ERROR,
    reduced: np.ndarray | float = 0.0,
) -> np.ndarray:
    """Encode what is known, ... x 5 float32, each number of the order of 1.

    Args:
        noise: standard deviation of the white noise, share of the range.
        blur: Gaussian sigma of the optics, camera pixels; more than 1.1 is told as 1.1.
        blur_error: standard deviation of its error, at most that of an unknown blur.
        reduced: 1 where the frame is known to be an antialiased-bicubic reduction.
    """
    noise, blur, blur_error, reduced = np.broadcast_arrays(noise, blur, blur_error, reduced)
    noise = np.clip(noise, 0, _NOISE_LIMITS[1])
    level = np.log2(np.maximum(noise, _NOISE_LIMITS[0]) / 0.01) / 3
    error = np.minimum(blur_error, UNKNOWN_ERROR) / 0.1
    blur = np.minimum(blur, _MOST_BLUR)
    columns = [level, noise / 0.05, (blur - UNKNOWN_BLUR) / 0.3, error, reduced]
    return np.stack(columns, axis=-1).astype(np.float32)


def told(
    noise: np.ndarray | float,
    blur: np.ndarray | float = UNKNOWN_BLUR,
    blur_error: np.ndarray | float = UNKNOWN_ERROR,
    reduced: np.ndarray | float = 0.0,
    overshoot: float = DEFAULT_OVERSHOOT,
) -> np.ndarray:
    """All numbers of frames, ... x :data:`WIDTH` float32: :func:`features`, and what these lack.

    Args:
        noise, blur, blur_error, reduced: see :func:`features`.
        overshoot: see :func:`difiisr_ros.core.bound.bound`.
    """
    known = features(noise, blur, blur_error, reduced)
    rest = np.stack(np.broadcast_arrays(noise, overshoot), axis=-1).astype(np.float32)
    return np.concatenate([known, rest], axis=-1)


def noise_to_tell(reading: Reading, profile: CameraProfile) -> float:
    """White noise of a frame in its unit, that of rounding to whole counts included.

    The profile's, or estimated from the frame where the camera's is not known; 0 where there is no
    camera (``reduced``).
    """
    return with_rounding(estimated_noise(reading, profile), reading)


def estimated_noise(reading: Reading, profile: CameraProfile) -> float:
    """The same without what rounding adds."""
    if profile.is_reduced:
        return 0.0
    return estimate_noise(reading.scene) if profile.noise is None else profile.noise


def with_rounding(noise: float, reading: Reading) -> float:
    """White noise with what rounding to whole counts adds, where a frame was rounded."""
    return float(np.hypot(noise, _ROUNDING)) if reading.is_integer else noise


@dataclass(frozen=True, eq=False)
class PatternInUse:
    """The fixed pattern that a stream's frames have taught so far."""

    offsets: np.ndarray | None
    """H x W, float32, counts; None while nothing is known."""
    frames: int
    """How many frames have taught something."""
    learning: bool
    """Whether the newest one has: not while the camera stands still."""

    @property
    def size(self) -> float:
        """Standard deviation of the offsets, counts."""
        return 0.0 if self.offsets is None else float(self.offsets.std())


@dataclass(frozen=True)
class FrameMeasurement:
    """What was measured of one frame, or is known of its camera, and told to the network."""

    value_range: ValueRange
    """What became 0 and 1 for the network, counts."""
    noise: float
    """Standard deviation of its white noise, counts; of reduced frames rounding's alone."""
    camera: CameraProfile
    shown: ValueRange
    """What becomes black and white where results are shown by a few levels of gray, counts."""
    frames: float = 1.0
    """How many frames it was averaged from where the scene stands still."""
    still: float = 0.0
    """Share of its pixels that did; 0 where no stream is remembered."""
    followed: float = 0.0
    """Share of its pixels whose result was averaged with those before it, along the motion."""
    pattern: PatternInUse | None = None
    """What was learnt of the camera's pattern, and subtracted; None: nothing is learnt."""

    @property
    def noise_is_estimated(self) -> bool:
        """Whether the noise is the frame's own, and not what the camera's profile says.

        Of a profile without a pattern that is so where one was learnt: it has the noise of frames
        of which none was subtracted.
        """
        learnt = self.pattern is not None and self.pattern.frames > 0
        return self.camera.noise is None or (learnt and self.camera.pattern is None)

    @property
    def noise_share(self) -> float:
        """The noise as a share of the range."""
        low, high = self.value_range
        return self.noise / (high - low)


@dataclass(frozen=True)
class Conditions:
    """What is told of a batch of frames."""

    values: np.ndarray
    """N x :data:`WIDTH` (or 1 x, the same for all), float32."""
    exact: bool = False
    """Whether results are projected exactly: frames that were reduced by antialiased bicubic."""

    def part(self, frames: slice) -> Conditions:
        """Of some of the frames."""
        return self if len(self.values) == 1 else Conditions(self.values[frames], self.exact)

    @classmethod
    def of(
        cls, profile: CameraProfile, noise: Sequence[float], overshoot: float = DEFAULT_OVERSHOOT
    ) -> Conditions:
        """Conditions of frames of one camera.

        Args:
            profile: what is known of it.
            noise: of each frame, share of its range.
            overshoot: see :func:`difiisr_ros.core.bound.bound`.
        """
        level = np.asarray(noise, np.float32)
        blur, error = UNKNOWN_BLUR, UNKNOWN_ERROR
        if profile.is_reduced:
            blur = error = 0.0
        elif profile.blur is not None:
            blur, error = profile.blur, profile.blur_error or 0.0
        values = told(level, blur, error, float(profile.is_reduced), overshoot)
        return cls(values, profile.is_reduced)


NOTHING_KNOWN = Conditions.of(CameraProfile(), [0.005])
"""A camera of which nothing is known, with little noise."""
