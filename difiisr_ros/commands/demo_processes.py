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

"""Starts processes that belong together, and ends them together, whatever happens."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO

#: Seconds a process has to end after SIGINT, and after SIGTERM, before harder means are taken.
GRACE = 6.0
_PR_SET_PDEATHSIG = 1


class Process:
    """A child in a process group of its own, whose output goes to a log file.

    Ctrl-C in the terminal does not reach it (the group is its own): its parent ends it, in order.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        log: Path,
        environment: Mapping[str, str],
        on_line: Callable[[str], None] | None = None,
    ) -> None:
        """``on_line`` is called, in a thread, with each line of stdout; all goes to the log."""
        self.name = name
        self.log = log
        self._file: IO[bytes] = log.open("wb")
        self._reader: threading.Thread | None = None
        self._stopped = False
        self._process = subprocess.Popen(
            list(command),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE if on_line else self._file,
            stderr=self._file,
            env=dict(environment),
            start_new_session=True,
            preexec_fn=_end_with_parent if sys.platform == "linux" else None,
        )
        if on_line:
            self._reader = threading.Thread(target=self._read, args=(on_line,), daemon=True)
            self._reader.start()

    @property
    def returncode(self) -> int | None:
        """The exit code, or None while it runs."""
        return self._process.poll()

    def wait(self, timeout: float) -> int | None:
        """Wait for the end; None when it has not come within ``timeout`` seconds."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            return self._process.wait(timeout)
        return None

    def stop(self) -> int | None:
        """Ask it to end (SIGINT), more firmly (SIGTERM), and end its whole group (SIGKILL).

        May be called twice; returns the exit code.
        """
        if self._stopped:
            return self._process.returncode
        for sent in (signal.SIGINT, signal.SIGTERM):
            if self._process.poll() is not None:
                break
            self._process.send_signal(sent)
            self.wait(GRACE)
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)  # and whatever it may have started
        self._process.wait()
        if self._reader is not None:
            self._reader.join(GRACE)
        self._file.close()
        self._stopped = True
        return self._process.returncode

    def tail(self, lines: int = 12) -> str:
        """The end of its log."""
        text = self.log.read_text(encoding="utf-8", errors="replace")
        return "\n".join(text.strip().splitlines()[-lines:])

    def has_logged(self, words: str) -> bool:
        """Whether its log has these words."""
        return words in self.log.read_text(encoding="utf-8", errors="replace")

    def _read(self, on_line: Callable[[str], None]) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._file.write(line)
            on_line(line.decode(errors="replace").rstrip())


class ProcessGroup:
    """Processes that are all gone when the ``with`` block is left."""

    def __init__(self) -> None:
        self.processes: list[Process] = []

    def __enter__(self) -> ProcessGroup:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with _signals_ignored():  # a second Ctrl-C must not leave half of them behind
            for process in self.processes:
                process.stop()

    def add(self, process: Process) -> Process:
        """Take charge of a process; returns it."""
        self.processes.append(process)
        return process

    def ended(self) -> list[Process]:
        """Those that have ended by themselves."""
        return [p for p in self.processes if p.returncode is not None]


@contextlib.contextmanager
def termination_raises() -> Iterator[None]:
    """While inside, SIGTERM raises SystemExit(143), so that ``with`` and ``finally`` clean up."""

    def terminate(_signal: int, _frame: object) -> None:
        raise SystemExit(128 + signal.SIGTERM)

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, terminate)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def sleep_until(condition: Callable[[], bool], timeout: float, period: float = 0.1) -> bool:
    """Poll until the condition holds (True) or the time is up (False)."""
    end = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(period)
    return True


@contextlib.contextmanager
def _signals_ignored() -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    both = (signal.SIGINT, signal.SIGTERM)
    before = [signal.signal(number, signal.SIG_IGN) for number in both]
    try:
        yield
    finally:
        for number, handler in zip(both, before):
            signal.signal(number, handler)


if sys.platform == "linux":
    _libc = ctypes.CDLL(None, use_errno=True)


def _end_with_parent() -> None:
    """In the child: be sent SIGTERM when the parent dies, even if it was killed outright."""
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
