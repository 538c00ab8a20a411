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
    """Events per second over the last ``window`` seconds, or since the first event if that is less.

    Steady events give their rate to the last digit wherever the window begins between two of them,
    and a pause counts from when the next event is overdue: a burst is no rate.
    """

    def __init__(self, window: float = 3.0) -> None:
        self._lock = threading.Lock()
        self._window = window
        self._times: deque[float] = deque()  # the window's, and the last one before it

    def tick(self, now: float | None = None) -> None:
        """Record an event (``now`` in ``time.monotonic()`` seconds)."""
        now = time.monotonic() if now is None else now
        with self._lock:
            self._times.append(now)
            self._forget(now)

    def hertz(self, now: float | None = None) -> float:
        """The rate; 0 without an event in the window, or with the first one alone."""
        now = time.monotonic() if now is None else now
        with self._lock:
            self._forget(now)
            times, begin = self._times, now - self._window
            if len(times) < 2 or times[-1] < begin:
                return 0.0
            intervals = float(len(times) - 1)
            if times[0] < begin:  # the part of the first interval that lies in the window
                intervals -= (begin - times[0]) / (times[1] - times[0])
            begin = max(begin, times[0])
            span = times[-1] - begin
            if (now - times[-1]) * intervals > span:  # the next one is later than the mean
                return (intervals + 1) / (now - begin)
            return intervals / span if span > 0 else 0.0

    def clear(self) -> None:
        """Forget everything: what comes next is the first event."""
        with self._lock:
            self._times.clear()

    def _forget(self, now: float) -> None:
        while len(self._times) > 1 and self._times[1] < now - self._window:
            self._times.popleft()
