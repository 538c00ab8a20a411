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

"""Runs a node as a process: start, spin, and a clean exit however it is asked to end."""

from __future__ import annotations

import re
import signal
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

from difiisr_ros.errors import DifiisrError, OptionError
from difiisr_ros.long_work import forget_stop, request_stop

_SIGNALS = (signal.SIGINT, signal.SIGTERM)

#: Seconds after the first signal from which another one interrupts what still runs. A terminal and
#: ros2 launch both send SIGINT, at nearly the same time; launch sends SIGTERM five seconds later.
_PATIENCE = 1.0


class StopRequest:
    """SIGINT and SIGTERM, so that neither gets lost and neither hits what cannot bear it.

    rclpy's own handlers would shut the context down in the middle of whatever runs, and until
    ``rclpy.init`` there are none. While the process starts, a signal raises KeyboardInterrupt.
    While it spins, a signal is only noted, because what is raised inside the middleware's bindings
    comes out as another exception or not at all. Work of minutes, such as a configure that builds
    an engine, looks at the note and ends; a later signal interrupts any other long callback.
    """

    def __init__(self) -> None:
        self.made = False
        #: Whether a first signal interrupts.
        self.interrupts = True
        self._first = 0.0
        forget_stop()
        for number in _SIGNALS:
            signal.signal(number, self._on_signal)

    def _on_signal(self, number: int, frame: Any) -> None:
        now = time.monotonic()
        request_stop()
        again = self.made and now - self._first > _PATIENCE
        if not self.made:
            self.made, self._first = True, now
        if self.interrupts or again:
            raise KeyboardInterrupt

    @staticmethod
    def ignore_further() -> None:
        """From here on a signal must not hit the clean-up."""
        for number in _SIGNALS:
            signal.signal(number, signal.SIG_IGN)


def run_executable(name: str, make: Callable[[], Any], args: Sequence[str] | None = None) -> int:
    """Start rclpy, make a node, spin it, end cleanly; returns the exit code.

    Args:
        name: of the executable, for messages.
        make: imports and creates the node. The node may have ``start()``, called before spinning;
            ``stop()``, called once afterwards whatever happened; and ``exit_code``.
        args: the command line; ``sys.argv`` unless given.

    Returns:
        The node's ``exit_code`` (0 where it has none) after SIGINT, SIGTERM or shutdown, also
        while still starting; 1 where rclpy is missing; 2 when a parameter or an input cannot be
        used.
    """
    stop = StopRequest()
    started: dict[str, Any] = {}
    try:
        code = _run(name, make, args, stop, started)
    except KeyboardInterrupt:
        code = 0
    except DifiisrError as error:
        print(f"{name}: error: {error}", file=sys.stderr)  # noqa: T201 - also without /rosout
        code = 2
    except Exception:
        if not stop.made:
            raise
        code = 0  # the interrupt, as the bindings that it was raised in passed it on
    finally:
        stop.ignore_further()
        _clean_up(**started)
    return code or int(getattr(started.get("node"), "exit_code", 0))


def _run(
    name: str,
    make: Callable[[], Any],
    args: Sequence[str] | None,
    stop: StopRequest,
    started: dict[str, Any],
) -> int:
    from difiisr_ros.allocator import keep_large_buffers
    from difiisr_ros.ros.dds_profile import use_large_image_profile

    keep_large_buffers()  # a frame and its result otherwise cost more in page faults than to copy
    profile = use_large_image_profile()  # Fast DDS reads it when rclpy starts
    try:
        import rclpy
    except ImportError as error:
        print(  # noqa: T201 - there is no logger yet
            f"{name} needs rclpy, which {sys.executable} cannot import ({error}); "
            "source your ROS 2 installation, or use the Python that has it",
            file=sys.stderr,
        )
        return 1
    from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
    from rclpy.signals import SignalHandlerOptions

    try:
        rclpy.init(
            args=None if args is None else list(args),
            signal_handler_options=SignalHandlerOptions.NO,
        )
    except RuntimeError as error:  # RCLError, UnknownROSArgsError: not exported by every rclpy
        if stop.made:
            raise
        # Without the line numbers in rcl's own sources.
        raise OptionError(f"ROS arguments: {re.sub(r', at /.*', '', str(error))}") from error
    started["node"] = node = make()
    node.get_logger().info(profile)
    getattr(node, "start", lambda: None)()
    started["executor"] = executor = SingleThreadedExecutor()
    executor.add_node(node)
    stop.interrupts = False
    try:
        while rclpy.ok() and not stop.made:
            executor.spin_once(timeout_sec=0.25)  # a signal does not interrupt the wait
    except ExternalShutdownException:
        pass  # something in this process called rclpy.shutdown
    return 0


def _clean_up(node: Any = None, executor: Any = None) -> None:
    if node is not None:
        getattr(node, "stop", lambda: None)()
    if executor is not None:
        executor.shutdown()
    if node is not None:
        node.destroy_node()
    if "rclpy" in sys.modules:
        sys.modules["rclpy"].try_shutdown()
