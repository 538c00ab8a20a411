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

"""Deadlines at an exact rate."""

from __future__ import annotations

import threading
import time


class Pacer:
    """Waits for the deadlines ``start + n / rate``, so that a late frame delays no later one.

    A deadline that has passed by more than a period is skipped rather than caught up with: a
    camera that missed a frame does not send two at once.
    """

    def __init__(self, rate: float) -> None:
        """``rate``: deadlines a second."""
        self._period = 1.0 / rate
        self._next = 0
        self._start: float | None = None
        #: Deadlines that were skipped.
        self.skipped = 0

    def wait(self, stop: threading.Event) -> bool:
        """Wait for the next deadline, the first of which is now; False when ``stop`` is set."""
        now = time.monotonic()
        if self._start is None:
            self._start = now
        behind = int((now - self._start) / self._period) - self._next
        if behind >= 1:
            self.skipped += behind
            self._next += behind
        deadline = self._start + self._next * self._period
        self._next += 1
        # Event.wait ends up to a tenth of a millisecond late, and never early.
        return not stop.wait(max(0.0, deadline - now))
