"""What our launch files share: declared arguments, and nodes that take them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from ament_index_python.packages import PackageNotFoundError, get_package_prefix
from launch.actions import DeclareLaunchArgument, OpaqueFunction, RegisterEventHandler
from launch.event import Event
from launch.event_handler import EventHandler
from launch.event_handlers import OnProcessExit
from launch.events import Shutdown
from launch.launch_context import LaunchContext
from launch.logging import get_logger
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution
from launch_ros.actions import LifecycleNode, Node
from launch_ros.parameter_descriptions import ParameterValue
from launch_ros.substitutions import FindPackageShare

from difiisr_ros.errors import DataError
from difiisr_ros.stream.launch_arguments import (
    NODE_PARAMETERS,
    LaunchArgument,
    given_parameters,
    likely_slips,
)
from difiisr_ros.stream.parameter_spec import Value

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
    """What the user gave, or the defaults, by argument name; likely slips are warned of."""
    texts = {a.name: LaunchConfiguration(a.name).perform(context) for a in arguments}
    # launch takes any name; it may also be one of the launch file that includes ours.
    for note in likely_slips(context.launch_configurations, texts):
        get_logger("launch.user").warning(note)
    return texts


def parameters(values: Mapping[str, Value | PathJoinSubstitution]) -> dict[str, Any]:
    """Values for a node's ``parameters``; a text stays one, though it may look like a number."""
    types: dict[type, Any] = {str: str, list: list[str], PathJoinSubstitution: str}
    return {
        name: ParameterValue(value, value_type=types[type(value)])
        if type(value) in types
        else value
        for name, value in values.items()
    }


def super_resolution_node(
    arguments: Iterable[LaunchArgument],
    texts: Mapping[str, str],
    *,
    namespace: str | None = None,
    remappings: Iterable[tuple[str, str]] = (),
    more: Mapping[str, Value | PathJoinSubstitution] | None = None,
    presets: Mapping[str, Value] | None = None,
    **options: Any,
) -> LifecycleNode:
    """The node: parameters from ``params_file``, overridden by the arguments that were given.

    Args:
        arguments: of the launch file.
        texts: what launch made of them, by name.
        namespace: instead of the argument of this name.
        remappings: of topics.
        more: parameters that the launch file itself sets, whatever the file of parameters says.
        presets: numbers that stand where neither the file nor an argument says anything.
        options: further ones of ``LifecycleNode``.

    Raises:
        OptionError: An argument that is no value of its parameter.
        DataError: There is no such file of parameters.
    """
    file = texts["params_file"]
    if file and not Path(file).is_file():
        raise DataError(f"params_file:={file}: no such file")
    overrides = {**given_parameters(arguments, texts, NODE_PARAMETERS), **(more or {})}
    # launch_ros hands over values under the node's full name, which wins over the /**: section of
    # a file. What stands before the file on the command line, for any name, does not.
    ros_arguments = [a for k, v in (presets or {}).items() for a in ("-p", f"{k}:={v}")]
    level = texts.get("log_level")
    ros_arguments += ["--log-level", level] if level else []
    return LifecycleNode(
        package=PACKAGE,
        executable="super_resolution_node",
        name="super_resolution",
        namespace=texts["namespace"] if namespace is None else namespace,
        parameters=[*([file] if file else []), parameters(overrides)],
        remappings=list(remappings),
        ros_arguments=ros_arguments,
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


class Failure(Event):
    """Something has failed without which the others are of no use."""

    name = "difiisr_ros.Failure"

    def __init__(self, reason: str) -> None:
        super().__init__()
        self.reason = reason


class EndOnce:
    """Ends a launched system once, and says why.

    launch_ros fails with an error when a shutdown is asked for while one is under way, as when a
    required process ends because of Ctrl-C.
    """

    def __init__(self) -> None:
        self._asked = False

    def end(self, context: LaunchContext, reason: str) -> None:
        """Shut down; ``ros2 launch`` will return 0."""
        if self._first(context):
            get_logger("launch.user").info(reason)
            context.emit_event_sync(Shutdown(reason=reason))

    def fail(self, context: LaunchContext, reason: str) -> None:
        """Shut down; ``ros2 launch`` will say why and return 1. Needs :meth:`handler`."""
        if self._first(context):
            context.emit_event_sync(Failure(reason))

    def when_exits(self, what: str) -> Callable[[Event, LaunchContext], None]:
        """The ``on_exit`` of a process without which the others are of no use."""
        return lambda event, context: self.fail(context, f"{what} has ended")

    @staticmethod
    def handler() -> RegisterEventHandler:
        """To be among the actions of the launch file."""

        def raise_it(context: LaunchContext) -> None:
            # What a handler raises is all that launch takes for a failure.
            raise RuntimeError(context.locals.event.reason)

        return RegisterEventHandler(
            EventHandler(
                matcher=lambda event: isinstance(event, Failure),
                entities=[OpaqueFunction(function=raise_it)],
            )
        )

    def _first(self, context: LaunchContext) -> bool:
        first = not self._asked and not context.is_shutdown
        self._asked = True
        return first


def until_built(texts: Mapping[str, str], nodes: list[LifecycleNode]) -> list[Any]:
    """The nodes; with ``build_only`` also what makes ``ros2 launch`` fail where one of them does.

    Launch ends by itself when all of them have.
    """
    if texts["build_only"] not in ("true", "True"):
        return [*nodes]
    system = EndOnce()

    def when_exits(event: Event, context: LaunchContext) -> None:
        if event.returncode:
            system.fail(context, f"build_only: the node has ended with {event.returncode}")

    handlers = [
        RegisterEventHandler(OnProcessExit(target_action=node, on_exit=when_exits))
        for node in nodes
    ]
    return [system.handler(), *handlers, *nodes]


def is_installed(package: str) -> bool:
    """Whether a ROS package can be found."""
    try:
        get_package_prefix(package)
    except PackageNotFoundError:
        return False
    return True
