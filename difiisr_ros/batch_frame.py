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

"""BatchFrame: a frame of a batch, with what of its stream is remembered, as it is to be run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from difiisr_ros.core import radiometry
from difiisr_ros.core.camera_profile import CameraProfile
from difiisr_ros.core.condition import MOST_NOISE, Conditions, FrameMeasurement
from difiisr_ros.core.radiometry import ValueRange
from difiisr_ros.core.region import Region
from difiisr_ros.frame_runner import Alone, Follow
from difiisr_ros.options import UpscaleOptions
from difiisr_ros.stream_memory import OFF, Remembered, StreamMemory, Telling, by_itself


@dataclass(frozen=True)
class BatchFrame:
    """One frame, read and measured; made by :meth:`take`."""

    look: Remembered
    telling: Telling
    measured: FrameMeasurement
    """What there is to say of it before it has run."""
    memory: StreamMemory | None

    @classmethod
    def take(
        cls,
        frame: np.ndarray,
        options: UpscaleOptions,
        camera: CameraProfile,
        missing: np.ndarray | None,
        value_range: ValueRange | None,
        memory: StreamMemory | None,
        asked_range_is_seen: bool = False,
    ) -> BatchFrame:
        """Read a frame, and add it to the memory of its stream.

        Arguments and errors are those of :meth:`difiisr_ros.pipeline.SuperResolver.upscale`;
        ``asked_range_is_seen`` of :class:`difiisr_ros.backends.base.Backend`.
        """
        look = (by_itself if memory is None else memory.take)(frame, camera, missing)
        if value_range is None:
            shown, value_range = radiometry.shown_and_scene_range(
                look.scene,
                options.range_mode,
                options.range_min,
                options.range_max,
                is_integer=look.reading.is_integer,
                least=look.noise / MOST_NOISE,
            )
            # Networks were trained on scenes that take up their range: of one that takes a fifth
            # of it they make nearly a decibel less.
            if asked_range_is_seen:
                value_range = shown
        else:
            value_range = shown = radiometry.check_fixed_range(*value_range)
        telling = look.tell(value_range[1] - value_range[0], knows_blur=camera.blur is not None)
        measured = FrameMeasurement(
            value_range,
            telling.noise,
            camera,
            shown,
            frames=telling.frames,
            still=telling.still,
            pattern=look.pattern,
        )
        return cls(look, telling, measured, memory)

    def normalised(self, run: Region) -> np.ndarray:
        """The region that is run, float32, 0..1 of the range."""
        return radiometry.normalize(run.of(self.look.scene), self.measured.value_range)

    def alone(self, run: Region, told: Callable[[list[float]], Conditions]) -> Alone | None:
        """Where what is run is to be told the noise of one frame; None: nowhere."""
        if self.telling.alone is None:
            return None
        share = run.of(self.telling.alone)
        low, high = self.measured.value_range
        noise = self.telling.noise_alone / (high - low)
        return Alone(share, told([noise])) if share.any() else None

    @property
    def follow(self) -> Follow | None:
        """What becomes of the whole result; None: nothing."""
        if self.memory is None or self.memory.options.motion == OFF:
            return None
        return partial(self.memory.follow, self.look, self.measured.value_range)

    def measured_after(self) -> FrameMeasurement:
        """With what is known only when it has run."""
        if self.follow is None or self.memory is None:
            return self.measured
        return replace(self.measured, followed=self.memory.followed)
