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
