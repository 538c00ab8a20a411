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

"""Work of minutes inside somebody else's library: it says how far it is, and can be interrupted.

The work runs in a thread of its own, and the thread that wants it looks after it. So a signal finds
Python code to interrupt, and a node or a command is not silent for minutes.
"""

from __future__ import annotations

import contextlib
import logging
import signal
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, Generic, TypeVar

from difiisr_ros.errors import Interrupted

SAY_EVERY = 5.0  # seconds
PATIENCE = 3.0  # seconds that the work has to end when it is interrupted
_POLL = 0.1

_logger = logging.getLogger(__name__)
_Result = TypeVar("_Result")


class _Stop:
    requested = False
    interrupting = 0


def request_stop() -> None:
    """End the process's long work soon. For signal handlers: it sets a flag and takes no lock."""
    _Stop.requested = True


def stop_requested() -> bool:
    """Whether the process was asked to stop."""
    return _Stop.requested


@contextlib.contextmanager
def interrupting() -> Iterator[None]:
    """While this lasts, long work of any thread ends as if the process had been asked to stop."""
    _Stop.interrupting += 1
    try:
        yield
    finally:
        _Stop.interrupting -= 1


def check_stop() -> None:
    """Raise Interrupted once a stop was requested; for loops that wait."""
    if _Stop.requested or _Stop.interrupting:
        raise Interrupted("interrupted")


def forget_stop() -> None:
    """As if no stop had been requested: a process that goes on after all."""
    _Stop.requested = False


@contextlib.contextmanager
def stopping_at_signals() -> Iterator[None]:
    """While this lasts, Ctrl-C and SIGTERM request a stop; a second one ends the process as ever.

    For loops that look at :func:`stop_requested` and have something to save. Signals reach the main
    thread alone, so in another one this does nothing.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = {number: signal.getsignal(number) or signal.SIG_DFL for number in numbers}

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    def stop(_number: int, _frame: object) -> None:
        request_stop()
        restore()

    for number in numbers:
        signal.signal(number, stop)
    try:
        yield
    finally:
        restore()
        forget_stop()


class _Work(threading.Thread, Generic[_Result]):
    def __init__(self, work: Callable[[], _Result]) -> None:
        # A daemon: work that does not end must not keep the process from ending.
        super().__init__(name="long work", daemon=True)
        self._work = work
        self.result: Any = None
        self.error: BaseException | None = None
        # Unlike join(), it can be waited for whenever an interrupt comes, also inside start().
        self.done = threading.Event()

    def run(self) -> None:
        try:
            self.result = self._work()
        except BaseException as error:  # noqa: BLE001 - raised again where the work was asked for
            self.error = error
        finally:
            self.done.set()


def run_watched(
    work: Callable[[], _Result],
    *,
    what: str,
    progress: Callable[[], str] = lambda: "",
    cancel: Callable[[], None] = lambda: None,
) -> _Result:
    """Run ``work`` in a thread, and return what it returns or raise what it raises.

    Every five seconds the log says what is going on. When the process is asked to stop (Ctrl-C in
    the main thread, or :func:`request_stop`), the work is cancelled, and left to itself if it does
    not end within three seconds.

    Args:
        what: is done, for the log and for messages: ``building the engine``.
        progress: in words, for the log; called from this thread.
        cancel: asks the work to end early; called from this thread.

    Raises:
        Interrupted: a stop was requested.
        KeyboardInterrupt: Ctrl-C.
    """
    check_stop()
    thread = _Work(work)
    began = said = time.monotonic()
    try:
        thread.start()
        while not thread.done.wait(_POLL):
            if _Stop.requested or _Stop.interrupting:
                raise Interrupted(f"interrupted while {what}")
            if time.monotonic() - said >= SAY_EVERY:
                said = time.monotonic()
                text = f"{what}: {said - began:.0f} s"
                _logger.info("%s", ", ".join(filter(None, (text, progress()))))
    except (Interrupted, KeyboardInterrupt):
        cancel()
        if not thread.done.wait(PATIENCE):
            _logger.warning("interrupted while %s, which goes on until the process ends", what)
        raise
    if thread.error is not None:
        raise thread.error
    return thread.result
