"""Entry points of the executables; each imports its node when it runs, to say what is missing."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

from difiisr_ros.ros.executable import run_executable


def main(args: Sequence[str] | None = None) -> int:
    """``super_resolution_node``."""

    def make() -> Any:
        from difiisr_ros.ros.node import SuperResolutionNode

        return SuperResolutionNode()

    return run_executable("super_resolution_node", make, args)


def frame_player(args: Sequence[str] | None = None) -> int:
    """``frame_player_node``."""

    def make() -> Any:
        from difiisr_ros.ros.frame_player import FramePlayer

        return FramePlayer()

    return run_executable("frame_player_node", make, args)


def monitor(args: Sequence[str] | None = None) -> int:
    """``sr_monitor_node``."""

    def make() -> Any:
        from difiisr_ros.ros.monitor import Monitor

        return Monitor()

    return run_executable("sr_monitor_node", make, args)


if __name__ == "__main__":
    sys.exit(main())
