"""Runs ``super_resolution_node``: start, spin, and a clean exit however it is asked to end."""

from __future__ import annotations

import signal
import sys
from collections.abc import Sequence


def main(args: Sequence[str] | None = None) -> int:
    """Entry point; 0 after SIGINT, SIGTERM or shutdown."""
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

    from difiisr_ros.ros.node import SuperResolutionNode

    node = executor = None
    try:
        rclpy.init(args=None if args is None else list(args))
        node = SuperResolutionNode()
        node.get_logger().info(profile)
        executor = SingleThreadedExecutor()
        executor.add_node(node)
        executor.spin()
    except (KeyboardInterrupt, ExternalShutdownException):
        pass  # SIGINT raises the first, SIGTERM the second, or spin() just returns
    finally:
        # A terminal and ros2 launch both send SIGINT; the second one must not hit the clean-up.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        if executor is not None:
            executor.shutdown()
        if node is not None:
            node.destroy_node()
        rclpy.try_shutdown()
    return 0


if __name__ == "__main__":
    sys.exit(main())
