"""Our executables as processes, started without launch; logs appear in failure messages."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from support.paths import REPOSITORY

MODULES = {"node": "main", "player": "frame_player", "monitor": "monitor"}


def environment() -> dict[str, str]:
    """This process's, in which Python finds these sources first."""
    paths = [str(REPOSITORY), os.environ.get("PYTHONPATH", "")]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))}


class RosProcess:
    """``with RosProcess("node", folder, backend="bicubic") as node:``, killed at the end.

    Args:
        kind: ``node``, ``player`` or ``monitor``.
        folder: for the log.
        ros_args: further arguments, for example ``["-r", "__ns:=/rig"]``.
        parameters: by name.
    """

    def __init__(
        self, kind: str, folder: Path, ros_args: tuple[str, ...] = (), **parameters: Any
    ) -> None:
        self.log = folder / f"{kind}_{len(list(folder.glob('*.log')))}.log"
        command = [sys.executable, "-m", f"difiisr_ros.ros.{MODULES[kind]}", "--ros-args"]
        command += ros_args
        for name, value in parameters.items():
            text = str(value).lower() if isinstance(value, bool) else str(value)
            command += ["-p", f"{name}:={text}"]
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                command, stdout=log, stderr=log, env=environment(), start_new_session=True
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

    def wait(self, timeout: float = 60.0) -> int:
        """Its exit code, when it has ended by itself."""
        try:
            return self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"still running after {timeout:g} s:\n{self.text}") from None

    def interrupt(self) -> int:
        """Send SIGINT, as Ctrl-C and launch do; returns the exit code."""
        self.process.send_signal(signal.SIGINT)
        return self.wait()
