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

"""What one camera's stream has been through: counters, rates, latencies, the last error.

Written by callbacks and the worker, read by diagnostics once a second. No ROS here.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from dataclasses import dataclass, field

from difiisr_ros.core.condition import FrameMeasurement
from difiisr_ros.core.output_geometry import OutputGeometry
from difiisr_ros.core.region import Region
from difiisr_ros.stream.rates import RateMeter, RollingDurations


@dataclass(frozen=True)
class StreamSnapshot:
    """The state of a stream at one moment; durations in ms, ages in s, rates in Hz."""

    received: int
    published: int
    displaced: int
    skipped: int
    late: int
    shutter: int
    rejected: dict[str, int]
    noticed: dict[str, int]
    input_hz: float
    output_hz: float
    seconds_since_input: float
    latency_ms: dict[str, float]
    upscale_ms: dict[str, float]
    overhead_ms: dict[str, float]
    last_error: str
    last_input: str
    measurement: FrameMeasurement | None
    """Of the newest frame that was published; None before the first."""
    geometry: OutputGeometry | None
    """Of its result."""
    region: Region | None
    """What of the camera's image it shows; None: all."""
    oddities: dict[str, str]
    """What looks wrong about the frames, in words by cause."""


@dataclass
class StreamStatistics:
    """Counters of one camera since the node was activated first."""

    latency: RollingDurations = field(default_factory=RollingDurations)
    """From the image callback to the publish call."""
    upscale: RollingDurations = field(default_factory=RollingDurations)
    """The upscale alone."""
    overhead: RollingDurations = field(default_factory=RollingDurations)
    """Their difference: waiting, decoding, encoding, publishing."""

    def __post_init__(self) -> None:
        self._lock = threading.Lock()
        self._received = self._published = self._displaced = self._skipped = self._late = 0
        self._shutter = 0
        self._rejected: Counter[str] = Counter()
        self._noticed: Counter[str] = Counter()
        self._input_rate, self._output_rate = RateMeter(), RateMeter()
        self._since = time.monotonic()
        self._last_error = self._last_input = ""
        self._measurement: FrameMeasurement | None = None
        self._geometry: OutputGeometry | None = None
        self._region: Region | None = None
        self._oddities: dict[str, str] = {}

    def start(self) -> None:
        """The stream begins (again): waiting for input and rates count from now."""
        with self._lock:
            self._since = time.monotonic()
        self._input_rate.clear()
        self._output_rate.clear()

    def received(self, description: str) -> None:
        """An image message arrived, described as ``mono16 160x120``."""
        with self._lock:
            self._received += 1
            self._since = time.monotonic()
            self._last_input = description
        self._input_rate.tick()

    def published(
        self,
        latency: float,
        upscale: float,
        late: bool,
        measurement: FrameMeasurement | None = None,
        geometry: OutputGeometry | None = None,
        region: Region | None = None,
    ) -> None:
        """A result was published, perhaps after its deadline; durations in seconds."""
        with self._lock:
            self._published += 1
            self._measurement = measurement
            self._geometry, self._region = geometry, region
            self._late += late
        self._output_rate.tick()
        self.latency.add(latency)
        self.upscale.add(upscale)
        self.overhead.add(latency - upscale)

    def displaced(self, frames: int) -> None:
        """Frames gave way to newer ones: no fault, but the reason for a lower output rate."""
        with self._lock:
            self._displaced += frames

    def skipped(self) -> None:
        """A frame was skipped because it would have missed its deadline."""
        with self._lock:
            self._skipped += 1

    def shutter(self) -> None:
        """A frame showed the camera's closed shutter."""
        with self._lock:
            self._shutter += 1

    def held(self) -> None:
        """An earlier result was published again."""
        with self._lock:
            self._published += 1
        self._output_rate.tick()

    def rejected(self, cause: str, message: str) -> None:
        """A frame could not be used."""
        with self._lock:
            self._rejected[cause] += 1
            self._last_error = message

    def noticed(self, cause: str) -> None:
        """A frame was used although something about it was odd."""
        with self._lock:
            self._noticed[cause] += 1

    def odd(self, cause: str, words: str) -> None:
        """Something looks wrong about the frames of this camera; told of until it is configured."""
        with self._lock:
            self._oddities[cause] = words

    def forget_oddities(self) -> None:
        """The camera is configured anew."""
        with self._lock:
            self._oddities.clear()

    def snapshot(self) -> StreamSnapshot:
        """Everything, consistently."""
        input_hz, output_hz = self._input_rate.hertz(), self._output_rate.hertz()
        latency, upscale = self.latency.milliseconds(), self.upscale.milliseconds()
        overhead = self.overhead.milliseconds()
        with self._lock:
            return StreamSnapshot(
                received=self._received,
                published=self._published,
                displaced=self._displaced,
                skipped=self._skipped,
                late=self._late,
                shutter=self._shutter,
                rejected=dict(self._rejected),
                noticed=dict(self._noticed),
                input_hz=input_hz,
                output_hz=output_hz,
                seconds_since_input=time.monotonic() - self._since,
                latency_ms=latency,
                upscale_ms=upscale,
                overhead_ms=overhead,
                last_error=self._last_error,
                last_input=self._last_input,
                measurement=self._measurement,
                geometry=self._geometry,
                region=self._region,
                oddities=dict(self._oddities),
            )


class Throttle:
    """Lets a message through at once, then at most every ``period`` seconds for each key."""

    def __init__(self, period: float = 10.0) -> None:
        self._period = period
        self._next: dict[str, float] = {}
        self._held: Counter[str] = Counter()

    def allow(self, key: str) -> int | None:
        """None to stay silent, else how many were held back since the last one."""
        now = time.monotonic()
        if now < self._next.get(key, -1.0):
            self._held[key] += 1
            return None
        self._next[key] = now + self._period
        return self._held.pop(key, 0)
