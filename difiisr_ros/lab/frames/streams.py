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

"""What an evaluation goes through: streams of frames to upscale, from folders and bags.

A stream is one camera of one bag, or one folder. It reads frame by frame while it is iterated, any
number of times, and gives the same frames each time, so that an interrupted run can continue and a
report can make the pictures of one frame again.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from difiisr_ros.core.camera_profile import CameraProfile
from difiisr_ros.errors import DataError, OptionError
from difiisr_ros.lab.frames.degrade import (
    CAMERA,
    NOISE_PERCENT,
    SCALE,
    check_degradation,
    degrade,
    truth_at,
)

SELF_REFERENCED = "self_referenced"
"""The recorded frames are the truth; LR is made from them."""
PAIRED = "paired"
"""Truth and LR are both given."""
NO_REFERENCE = "no_reference"
"""The recorded frames are LR, and there is no truth."""

#: Smallest side of an HR frame: below it neither a spectrum nor SSIM's window has a meaning.
MIN_HR_SIDE = 16


@dataclass(frozen=True)
class Sample:
    """One frame to upscale."""

    name: str
    """File name, or topic and number."""
    index: int
    """Number within the stream; frames that are left out count too."""
    lr: np.ndarray
    """H x W, uint8, uint16 or float32."""
    hr: np.ndarray | None
    """4H x 4W of the same dtype: the truth, where it is known; sH x sW where it was reduced to a
    scale s (:meth:`at_scale`)."""
    topic: str = ""
    """Empty for files."""
    stamp_ns: int = -1
    """Header stamp, the log time where that is 0; -1 for files."""
    log_time_ns: int = -1
    """When the message was recorded; -1 for files."""

    def at_scale(self, scale: int) -> Sample:
        """The same with the truth that results of a scale are compared to.

        Raises:
            DataError: That truth is too small to be compared.
        """
        if self.hr is None or scale == SCALE:
            return self
        hr = truth_at(self.hr, scale)
        if min(hr.shape) < MIN_HR_SIDE:
            raise DataError(
                f"{self.name}: its truth at x{scale} is {hr.shape[1]}x{hr.shape[0]}, too small to "
                f"be compared, it takes {MIN_HR_SIDE}x{MIN_HR_SIDE}"
            )
        return replace(self, hr=hr)


@dataclass(frozen=True)
class StreamOptions:
    """Which frames, and what their truth is. Checked when made.

    Raises:
        OptionError: naming the option, its value and what is accepted.
    """

    degradation: str = CAMERA
    """How LR comes from HR: ``camera`` (optics' blur, area sampling, row and column pattern, white
    noise, whole counts) or ``reduced`` (Pillow's antialiased bicubic in the frame's own type)."""
    noise_percent: float = NOISE_PERCENT
    """White noise of the simulated camera, % of each frame's 1st to 99th percentile range."""
    seed: int = 0
    """Of the simulated camera: its blur, pattern and noise."""
    no_reference: bool = False
    """The frames are LR as they are, and there is no truth."""
    sequence: bool = False
    """The frames of a folder are consecutive frames of one camera, as those of a bag are."""
    topics: tuple[str, ...] = ()
    """Cameras of a bag; empty: every image topic that is not another one's copy or result."""
    reference_topic: str | None = None
    """Topic with the HR frames of the one camera: these are the truth."""
    match_tolerance_s: float = 0.005
    """How far the stamps of LR and HR messages may be apart."""
    start_s: float = 0.0
    """Seconds of a bag to leave out at its beginning."""
    duration_s: float | None = None
    """Seconds of a bag to take from there."""
    every: int = 1
    """Take every n-th frame of each stream."""
    limit: int | None = None
    """Take at most this many frames of each stream."""
    pixels: CameraProfile = field(default_factory=CameraProfile)
    """What of the recorded frames is a measurement, and the order of their bytes."""
    strict: bool = False
    """End at a file that cannot be read, instead of leaving it out."""

    def __post_init__(self) -> None:
        check_degradation(self.degradation, self.noise_percent)
        if self.every < 1 or (self.limit is not None and self.limit < 1):
            raise OptionError(
                f"every and limit must be at least 1, got {self.every} and {self.limit}"
            )
        if not self.start_s >= 0 or (self.duration_s is not None and not self.duration_s > 0):
            raise OptionError(
                "start must be 0 s or more and duration above 0 s, got "
                f"{self.start_s} and {self.duration_s}"
            )
        if not self.match_tolerance_s >= 0:
            raise OptionError(f"match tolerance must be 0 s or more, got {self.match_tolerance_s}")
        if self.reference_topic is not None:
            if self.no_reference:
                raise OptionError("a reference topic and no-reference exclude each other")
            if len(self.topics) != 1:
                raise OptionError(
                    "a reference topic needs the one camera topic that it belongs to, got "
                    f"{len(self.topics)} topics"
                )
            for name, value in self.for_degraded.items():
                raise OptionError(
                    f"a reference topic is the truth of LR frames, so {name} {value!r} has nothing "
                    "to do"
                )

    def degrade(self, hr: np.ndarray, frame: str, camera: str | None = None) -> np.ndarray:
        """The LR frame of an HR one: 4H x 4W to H x W.

        Args:
            hr: The frame.
            frame: Its name, which the noise depends on and on no other frame.
            camera: Name of the camera that it shares with others; None: one of its own.
        """
        seeds = [self.seed ^ zlib.crc32(name.encode()) for name in (frame, camera or frame)]
        return degrade(hr, self.degradation, seeds[0], self.noise_percent, seeds[1])

    @property
    def for_degraded(self) -> dict[str, Any]:
        """What was chosen that has a meaning only where LR is made here, by name."""
        default = StreamOptions()
        names = ("degradation", "noise_percent")
        return {n: getattr(self, n) for n in names if getattr(self, n) != getattr(default, n)}

    @property
    def for_bags(self) -> dict[str, Any]:
        """What was chosen that has a meaning for bags only, by name."""
        default = StreamOptions()
        names = ("topics", "reference_topic", "start_s", "duration_s")
        return {n: getattr(self, n) for n in names if getattr(self, n) != getattr(default, n)}


class Stream(Protocol):
    """One camera of one bag, or one folder."""

    label: str
    """What tables call it: path, and topic where there is one."""
    path: Path
    mode: str
    """``self_referenced``, ``paired`` or ``no_reference``."""
    in_time: bool
    """Whether consecutive frames are consecutive in time, and so depend on each other."""
    settings: dict[str, Any]
    """How LR and HR come about, for the report."""
    notices: list[str]
    """What was left out or could not be read; complete when an iteration has ended."""

    @property
    def topic(self) -> str | None:
        """The camera's topic; None for files."""
        ...

    def __len__(self) -> int:
        """How many frames to expect; for a progress bar, as messages may turn out unusable."""
        ...

    def samples(self, after: int = -1, done: int = 0) -> Iterator[Sample]:
        """Yield the frames whose index is above ``after``, in order.

        Args:
            after: Index of the last frame that is done with.
            done: How many frames are done with, which a limit counts in.

        Raises:
            DataError: A frame that does not fit the others, or, by ``options.strict``, a file that
                cannot be read.
        """
        ...

    def frame(self, index: int, log_time_ns: int) -> Sample:
        """Read one frame again.

        Raises:
            DataError: It is not there any more.
        """
        ...

    def fingerprint(self) -> list[Any]:
        """What changes when the data do: paths, sizes, times of modification (for JSON)."""
        ...


def first_samples(streams: Sequence[Stream]) -> list[Sample]:
    """The first frame of each stream, so that what cannot be evaluated is known at once.

    Raises:
        DataError: A stream without a usable frame, or streams of different types.
    """
    samples = []
    for stream in streams:
        sample = next(iter(stream.samples()), None)
        if sample is None:
            reason = f": {stream.notices[0]}" if stream.notices else ""
            raise DataError(f"{stream.label}: has no frame to evaluate{reason}")
        samples.append(sample)
    for stream, sample in zip(streams, samples):
        if sample.lr.dtype != samples[0].lr.dtype:
            # Counts of 8 and of 16 bits cannot be averaged.
            raise DataError(
                f"{streams[0].label} is {samples[0].lr.dtype}, {stream.label} is "
                f"{sample.lr.dtype}; evaluate them separately"
                + (" (--topic chooses cameras)" if stream.topic else "")
            )
    return samples


def check_pair(hr: np.ndarray, lr: np.ndarray, hr_name: str, lr_name: str) -> None:
    """Raise DataError unless ``hr`` is a truth for ``lr``: x4, of one type, large enough."""
    expected = (lr.shape[0] * SCALE, lr.shape[1] * SCALE)
    if hr.shape != expected:
        raise DataError(
            f"{hr_name}: is {hr.shape[1]}x{hr.shape[0]}, {SCALE} times {lr_name} "
            f"({lr.shape[1]}x{lr.shape[0]}) is {expected[1]}x{expected[0]}"
        )
    if hr.dtype != lr.dtype:
        raise DataError(f"{hr_name}: is {hr.dtype}, but {lr_name} is {lr.dtype}")
    check_hr_size(hr, hr_name)


def check_hr_size(hr: np.ndarray, name: str) -> None:
    """Raise DataError for a truth too small to be degraded and compared."""
    if min(hr.shape) < MIN_HR_SIDE:
        raise DataError(
            f"{name}: {hr.shape[1]}x{hr.shape[0]} is too small to be degraded x{SCALE} "
            f"and compared, it takes {MIN_HR_SIDE}x{MIN_HR_SIDE}"
        )


def has_truth(mode: str) -> bool:
    """Whether results can be compared to a truth in this mode."""
    return mode != NO_REFERENCE
