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

"""Our executables as processes, started without launch; logs appear in failure messages."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from support.paths import REPOSITORY
from support.waiting import DEADLINE, wait_for

MODULES = {
    "node": "main",
    "player": "frame_player",
    "monitor": "monitor",
    "mapper": "detection_mapper",
    "detector": "thermal_detector",
}


def environment() -> dict[str, str]:
    """This process's, in which Python finds these sources first."""
    paths = [str(REPOSITORY), os.environ.get("PYTHONPATH", "")]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))}


class RosProcess:
    """``with RosProcess("node", folder, backend="bicubic") as node:``, killed at the end.

    Args:
        kind: of :data:`MODULES`.
        folder: for the log.
        ros_args: further arguments, for example ``["-r", "__ns:=/rig"]``.
        env: variables beside this process's; None takes one away.
        parameters: by name.
    """

    def __init__(
        self,
        kind: str,
        folder: Path,
        ros_args: tuple[str, ...] = (),
        env: dict[str, str | None] | None = None,
        **parameters: Any,
    ) -> None:
        self.log = folder / f"{kind}_{len(list(folder.glob('*.log')))}.log"
        command = [sys.executable, "-m", f"difiisr_ros.ros.{MODULES[kind]}", "--ros-args"]
        command += ros_args
        for name, value in parameters.items():
            text = str(value).lower() if isinstance(value, bool) else str(value)
            command += ["-p", f"{name}:={text}"]
        variables = {**environment(), **(env or {})}
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                command,
                stdout=log,
                stderr=log,
                env={k: v for k, v in variables.items() if v is not None},
                start_new_session=True,
            )

    def __enter__(self) -> RosProcess:
        return self

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(10)
        if error is not None:
            print(f"--- {self.log.name}\n{self.text}")

    @property
    def text(self) -> str:
        """Its log."""
        return self.log.read_text(errors="replace")

    def logged(self, words: str) -> str:
        """The first whole line of its log that has these words, as soon as there is one."""

        def find() -> str | None:
            lines = self.text.splitlines(keepends=True)
            return next((s for s in lines if words in s and s.endswith("\n")), None)

        return wait_for(find, f"'{words}' in {self.log.name}")

    def wait(self, timeout: float = DEADLINE) -> int:
        """Its exit code, when it has ended by itself."""
        try:
            return self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"still running after {timeout:g} s:\n{self.text}") from None

    def interrupt(self, *signals: int, gap: float = 0.0) -> int:
        """Send SIGINT, as Ctrl-C and launch do, or these signals; returns the exit code."""
        for number in signals or (signal.SIGINT,):
            self.process.send_signal(number)
            time.sleep(gap)
        return self.wait()


def processes_mentioning(words: str) -> list[int]:
    """Process ids whose command line has these words (a path of the test), zombies left out."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if words in (folder / "cmdline").read_text(errors="replace"):
                found.append(int(folder.name))
        except OSError:  # it has ended meanwhile
            continue
    return [pid for pid in found if pid != os.getpid()]
