"""What our launch files share: declared arguments, and nodes that take them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from ament_index_python.packages import PackageNotFoundError, get_package_prefix
from launch.actions import DeclareLaunchArgument
from launch.event import Event
from launch.events import Shutdown
from launch.launch_context import LaunchContext
from launch.logging import get_logger
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution
from launch_ros.actions import LifecycleNode, Node
from launch_ros.parameter_descriptions import ParameterValue
from launch_ros.substitutions import FindPackageShare

from difiisr_ros.errors import DataError
from difiisr_ros.ros.launch_arguments import NODE_PARAMETERS, LaunchArgument, given_parameters
from difiisr_ros.ros.parameter_table import Value

PACKAGE = "difiisr_ros"


def declare(arguments: Iterable[LaunchArgument]) -> list[DeclareLaunchArgument]:
    """Declarations as ``ros2 launch --show-args`` lists them."""
    return [
        DeclareLaunchArgument(
            argument.name,
            default_value=share(argument.default) if argument.in_share else argument.default,
            description=argument.description,
            choices=list(argument.accepted_texts) or None,
        )
        for argument in arguments
    ]


def share(path: str | None) -> PathJoinSubstitution:
    """A file of the package's share folder, for example ``config/thermal.rviz``."""
    return PathJoinSubstitution([FindPackageShare(PACKAGE), *str(path).split("/")])


def texts_of(arguments: Iterable[LaunchArgument], context: LaunchContext) -> dict[str, str]:
    """What the user gave, or the defaults, by argument name."""
    return {a.name: LaunchConfiguration(a.name).perform(context) for a in arguments}


def parameters(values: Mapping[str, Value]) -> dict[str, Any]:
    """Values for a node's ``parameters``; a text stays one, though it may look like a number."""
    return {
        name: ParameterValue(value, value_type=str) if isinstance(value, str) else value
        for name, value in values.items()
    }


def super_resolution_node(
    arguments: Iterable[LaunchArgument],
    texts: Mapping[str, str],
    *,
    namespace: str | None = None,
    remappings: Iterable[tuple[str, str]] = (),
    more: Mapping[str, Value] | None = None,
    **options: Any,
) -> LifecycleNode:
    """The node: parameters from ``params_file``, overridden by the arguments that were given.

    Args:
        arguments: of the launch file.
        texts: what launch made of them, by name.
        namespace: instead of the argument of this name.
        remappings: of topics.
        more: parameters that the launch file itself sets.
        options: further ones of ``LifecycleNode``.

    Raises:
        OptionError: An argument that is no value of its parameter.
        DataError: There is no such file of parameters.
    """
    file = texts["params_file"]
    if file and not Path(file).is_file():
        raise DataError(f"params_file:={file}: no such file")
    overrides = {**given_parameters(arguments, texts, NODE_PARAMETERS), **(more or {})}
    level = texts.get("log_level")
    return LifecycleNode(
        package=PACKAGE,
        executable="super_resolution_node",
        name="super_resolution",
        namespace=texts["namespace"] if namespace is None else namespace,
        parameters=[*([file] if file else []), parameters(overrides)],
        remappings=list(remappings),
        ros_arguments=["--log-level", level] if level else [],
        output="screen",
        emulate_tty=True,
        **options,
    )


def tool_node(
    executable: str,
    name: str,
    values: Mapping[str, Value],
    *,
    namespace: str = "",
    **options: Any,
) -> Node:
    """``frame_player_node`` or ``sr_monitor_node`` with these parameters."""
    return Node(
        package=PACKAGE,
        executable=executable,
        name=name,
        namespace=namespace,
        parameters=[parameters(values)] if values else [],
        output="screen",
        emulate_tty=True,
        **options,
    )


class EndOnce:
    """Shuts a launched system down, once.

    launch_ros fails with an error when a shutdown is asked for while one is under way, as when a
    required process ends because of Ctrl-C.
    """

    def __init__(self) -> None:
        self._asked = False

    def end(self, context: LaunchContext, reason: str, *, failed: bool = False) -> None:
        """Say why and shut down, unless that is under way."""
        if not self._asked and not context.is_shutdown:
            self._asked = True
            logger = get_logger("launch.user")
            (logger.error if failed else logger.info)(reason)
            context.emit_event_sync(Shutdown(reason=reason))

    def when_exits(self, what: str) -> Callable[[Event, LaunchContext], None]:
        """For a process without which the others are of no use: its ``on_exit``."""
        return lambda event, context: self.end(context, f"{what} has ended", failed=True)


def is_installed(package: str) -> bool:
    """Whether a ROS package can be found."""
    try:
        get_package_prefix(package)
    except PackageNotFoundError:
        return False
    return True
