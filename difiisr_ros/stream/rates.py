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

"""Rolling rates and percentiles of the last frames, cheap enough to feed on every frame.

All durations are differences of ``time.monotonic()``: neither a bag's clock nor an NTP step may
show up as latency. No ROS here.
"""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from collections.abc import Iterable

PERCENTILES = (50, 95, 99)


def percentiles(values: Iterable[float]) -> dict[str, float]:
    """``{"p50": ..., "p95": ..., "p99": ...}`` by the nearest-rank rule; empty without values."""
    ordered = sorted(values)
    if not ordered:
        return {}
    return {f"p{p}": ordered[max(0, math.ceil(p / 100 * len(ordered)) - 1)] for p in PERCENTILES}


class RollingDurations:
    """The last ``window`` durations, in seconds."""

    def __init__(self, window: int = 300) -> None:
        self._lock = threading.Lock()
        self._seconds: deque[float] = deque(maxlen=window)

    def add(self, seconds: float) -> None:
        """Record one duration."""
        with self._lock:
            self._seconds.append(seconds)

    def milliseconds(self) -> dict[str, float]:
        """p50, p95 and p99 in ms; empty before the first duration."""
        with self._lock:
            values = list(self._seconds)
        return {name: 1e3 * value for name, value in percentiles(values).items()}

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._seconds.clear()


class RateMeter:
    """Events per second over the last ``window`` seconds."""

    def __init__(self, window: float = 3.0) -> None:
        self._lock = threading.Lock()
        self._window = window
        self._times: deque[float] = deque()

    def tick(self, now: float | None = None) -> None:
        """Record an event (``now`` in ``time.monotonic()`` seconds)."""
        now = time.monotonic() if now is None else now
        with self._lock:
            self._times.append(now)
            self._forget(now)

    def hertz(self, now: float | None = None) -> float:
        """The rate; 0 with fewer than two events in the window."""
        now = time.monotonic() if now is None else now
        with self._lock:
            self._forget(now)
            if len(self._times) < 2:
                return 0.0
            span = self._times[-1] - self._times[0]
            return (len(self._times) - 1) / span if span > 0 else 0.0

    def _forget(self, now: float) -> None:
        while self._times and self._times[0] < now - self._window:
            self._times.popleft()
