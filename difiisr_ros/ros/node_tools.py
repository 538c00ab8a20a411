"""What the small nodes share: parameters from a table, and a process that ends as it should."""

from __future__ import annotations

import difflib
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import rclpy
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor

from difiisr_ros.errors import DifiisrError, OptionError
from difiisr_ros.ros.dds_profile import use_large_image_profile
from difiisr_ros.ros.parameter_table import ParameterSpec
from difiisr_ros.ros.parameters import descriptor


def declare_table(node: Any, table: Sequence[ParameterSpec]) -> dict[str, Any]:
    """Declare a table of start parameters on a node and return the values.

    Raises:
        OptionError: A value given by the user has the wrong type or is out of range; all of them
            are named.
    """
    overrides: Mapping[str, Any] = getattr(node, "_parameter_overrides", {})
    values: dict[str, Any] = {}
    wrong: list[str] = []
    for spec in table:
        given = overrides.get(spec.name)
        value = spec.default if given is None else given.value
        if isinstance(spec.default, float) and type(value) is int:
            value = float(value)  # `rate:=30` is what people write
        if isinstance(spec.default, str) and type(value) in (int, float):
            value = str(value)  # a folder may be called 2024
        problem = spec.check(value)
        if problem:
            wrong.append(problem)
            continue
        node.declare_parameter(spec.name, value, descriptor(spec), ignore_override=True)
        values[spec.name] = value
    if wrong:
        raise OptionError("; ".join(wrong))
    for name in overrides:
        # A YAML file for several nodes names others' parameters, so only likely slips are named.
        close = difflib.get_close_matches(name, values, n=1)
        if close and name not in values:
            node.get_logger().warning(
                f"parameter '{name}' does not exist; did you mean '{close[0]}'?"
            )
    return values


def run_node(name: str, make: Callable[[], Any], args: Sequence[str] | None = None) -> int:
    """Start rclpy, make a node, spin it, end cleanly; returns the exit code.

    The node may have ``start()``, called before spinning; ``stop()``, called once afterwards
    whatever happened; and ``exit_code``.

    Returns:
        The node's ``exit_code`` (0 where it has none) after SIGINT, SIGTERM or shutdown; 2 when a
        parameter or an input cannot be used.
    """
    use_large_image_profile()  # Fast DDS reads it when rclpy starts
    node = executor = None
    try:
        rclpy.init(args=None if args is None else list(args))
        node = make()
        getattr(node, "start", lambda: None)()
        executor = SingleThreadedExecutor()
        executor.add_node(node)
        executor.spin()
    except (KeyboardInterrupt, ExternalShutdownException):
        pass  # SIGINT raises the first, SIGTERM the second, or spin() just returns
    except DifiisrError as error:
        print(f"{name}: error: {error}", file=sys.stderr)  # noqa: T201 - also where /rosout is not read
        return 2
    finally:
        # A terminal and ros2 launch both send SIGINT; the second one must not hit the clean-up.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        if node is not None:
            getattr(node, "stop", lambda: None)()
        if executor is not None:
            executor.shutdown()
        if node is not None:
            node.destroy_node()
        rclpy.try_shutdown()
    return int(getattr(node, "exit_code", 0))
