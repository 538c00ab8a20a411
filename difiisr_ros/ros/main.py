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

"""Entry points of the executables; each imports its node when it runs, to say what is missing."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from typing import Any

from difiisr_ros.ros.executable import run_executable
from difiisr_ros.stream.node_help import help_text


def _run(name: str, make: Callable[[], Any], args: Sequence[str] | None) -> int:
    """Run a node, or explain it where ``--help`` is asked for, which needs no ROS."""
    text = help_text(name, sys.argv[1:] if args is None else args)
    if text is None:
        return run_executable(name, make, args)
    try:
        print(text, flush=True)  # noqa: T201 - what was asked for
    except BrokenPipeError:
        # The reader went away (`... --help | head`); Python flushes once more when it ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


#: Seconds at most that a node which was given its name waits before its first transition for who
#: follows it. launch's LifecycleNode, which does, names its node always; others seldom.
LISTENER_WAIT = 3.0


def listener_wait(command: Sequence[str]) -> float:
    """How long a node of this command line waits for who follows its transitions, seconds."""
    return LISTENER_WAIT if any(word.startswith("__node:=") for word in command) else 0.0


def main(args: Sequence[str] | None = None) -> int:
    """``super_resolution_node``."""

    def make() -> Any:
        from difiisr_ros.ros.node import SuperResolutionNode

        return SuperResolutionNode(listener_wait=listener_wait(sys.argv if args is None else args))

    return _run("super_resolution_node", make, args)


def frame_player(args: Sequence[str] | None = None) -> int:
    """``frame_player_node``."""

    def make() -> Any:
        from difiisr_ros.ros.frame_player import FramePlayer

        return FramePlayer()

    return _run("frame_player_node", make, args)


def monitor(args: Sequence[str] | None = None) -> int:
    """``sr_monitor_node``."""

    def make() -> Any:
        from difiisr_ros.ros.monitor import Monitor

        return Monitor()

    return _run("sr_monitor_node", make, args)


def detection_mapper(args: Sequence[str] | None = None) -> int:
    """``detection_mapper_node``."""

    def make() -> Any:
        from difiisr_ros.ros.detection_mapper import DetectionMapper

        return DetectionMapper()

    return _run("detection_mapper_node", make, args)


def thermal_detector(args: Sequence[str] | None = None) -> int:
    """``thermal_detector_node``."""

    def make() -> Any:
        from difiisr_ros.ros.thermal_detector import ThermalDetector

        return ThermalDetector()

    return _run("thermal_detector_node", make, args)


if __name__ == "__main__":
    sys.exit(main())
