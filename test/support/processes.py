"""Real processes for the end-to-end tests, whose logs appear in the failure message."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

from support.paths import REPOSITORY

MODULES = {"player": "frame_player", "node": "main", "monitor": "monitor"}


def environment():
    """The test session's own (conftest.py isolates its DDS domain), with the package importable."""
    paths = [str(REPOSITORY), os.environ.get("PYTHONPATH", "")]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))}


class RosProcess:
    """One of our nodes, started as ``ros2 run`` would, with parameters."""

    def __init__(self, name, folder, **parameters):
        self.name = name
        self.log = folder / f"{name}.log"
        command = [sys.executable, "-m", f"difiisr_ros.ros.{MODULES[name]}", "--ros-args"]
        for key, value in parameters.items():
            text = str(value).lower() if isinstance(value, bool) else value
            command += ["-p", f"{key}:={text}"]
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                command, stdout=log, stderr=log, env=environment(), start_new_session=True
            )

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(10)

    def text(self):
        """Its log."""
        return self.log.read_text(errors="replace")

    def wait(self, timeout):
        """Wait until it has ended by itself; returns the exit code."""
        try:
            return self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"{self.name} still runs; its log:\n{self.text()}") from None

    def interrupt(self, timeout=20):
        """Send SIGINT, as Ctrl-C and ros2 launch do; returns the exit code."""
        self.process.send_signal(signal.SIGINT)
        return self.wait(timeout)


def processes_mentioning(words):
    """Process ids whose command line has these words (a path of the test), zombies left out."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if words in (folder / "cmdline").read_text(errors="replace"):
                found.append(int(folder.name))
        except OSError:  # it has ended meanwhile
            continue
    return [pid for pid in found if pid != os.getpid()]
