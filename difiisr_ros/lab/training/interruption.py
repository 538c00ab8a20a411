"""A training that is asked to end does so after its step, once its state is on the disk."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator


class Interruption:
    """What SIGINT or SIGTERM has asked for."""

    def __init__(self) -> None:
        #: The signal, or None while nothing was asked.
        self.signal: int | None = None

    def check(self, save: Callable[[], None]) -> None:
        """After each step: save and end, where that was asked.

        Raises:
            KeyboardInterrupt: after SIGINT.
            SystemExit: after SIGTERM, with 143.
        """
        if self.signal is None:
            return
        save()
        if self.signal == signal.SIGINT:
            raise KeyboardInterrupt
        raise SystemExit(128 + self.signal)


@contextlib.contextmanager
def interruption() -> Iterator[Interruption]:
    """While this lasts the first signal is noted; a second one ends the process as ever."""
    asked = Interruption()
    if threading.current_thread() is not threading.main_thread():
        yield asked
        return
    both = (signal.SIGINT, signal.SIGTERM)
    before = {number: signal.getsignal(number) for number in both}

    def note(number: int, _frame: object) -> None:
        asked.signal = number
        for each, handler in before.items():
            signal.signal(each, handler)

    for number in both:
        signal.signal(number, note)
    try:
        yield asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
