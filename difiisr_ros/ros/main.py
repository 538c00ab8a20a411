"""Runs ``super_resolution_node``: start, spin, and a clean exit however it is asked to end."""

from __future__ import annotations

import signal
import sys
from collections.abc import Sequence
from typing import Any

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class StopRequest:
    """SIGINT and SIGTERM as a KeyboardInterrupt that cannot get lost.

    rclpy's own handlers would shut the context down in the middle of whatever runs, and until
    ``rclpy.init`` there are none. An interrupt may be raised where an import or a destructor
    swallows it, so it is remembered as well.
    """

    def __init__(self) -> None:
        self.made = False
        for number in _SIGNALS:
            signal.signal(number, self._on_signal)

    def _on_signal(self, number: int, frame: Any) -> None:
        self.made = True
        raise KeyboardInterrupt

    @staticmethod
    def ignore_further() -> None:
        """A terminal and ros2 launch both send SIGINT; the second must not hit the clean-up."""
        for number in _SIGNALS:
            signal.signal(number, signal.SIG_IGN)


def main(args: Sequence[str] | None = None) -> int:
    """Entry point; 0 after SIGINT, SIGTERM or shutdown, also while still starting."""
    stop = StopRequest()
    started: dict[str, Any] = {}
    try:
        return _run(args, stop, started)
    except KeyboardInterrupt:
        return 0
    finally:
        stop.ignore_further()
        _clean_up(**started)


def _run(args: Sequence[str] | None, stop: StopRequest, started: dict[str, Any]) -> int:
    from difiisr_ros.ros.dds_profile import use_large_image_profile

    profile = use_large_image_profile()  # Fast DDS reads it when rclpy starts
    try:
        import rclpy
    except ImportError as error:
        print(  # noqa: T201 - there is no logger yet
            f"super_resolution_node needs rclpy, which {sys.executable} cannot import ({error}); "
            "source your ROS 2 installation, or use the Python that has it",
            file=sys.stderr,
        )
        return 1
    from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
    from rclpy.signals import SignalHandlerOptions

    from difiisr_ros.ros.node import SuperResolutionNode

    rclpy.init(
        args=None if args is None else list(args), signal_handler_options=SignalHandlerOptions.NO
    )
    started["node"] = node = SuperResolutionNode()
    node.get_logger().info(profile)
    started["executor"] = executor = SingleThreadedExecutor()
    executor.add_node(node)
    try:
        while rclpy.ok() and not stop.made:
            executor.spin_once(timeout_sec=0.25)  # a signal does not interrupt the wait
    except ExternalShutdownException:
        pass  # something else in this process called rclpy.shutdown
    return 0


def _clean_up(node: Any = None, executor: Any = None) -> None:
    if executor is not None:
        executor.shutdown()
    if node is not None:
        node.destroy_node()
    if "rclpy" in sys.modules:
        sys.modules["rclpy"].try_shutdown()


if __name__ == "__main__":
    sys.exit(main())
