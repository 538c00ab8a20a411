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

"""What our launch files share: declared arguments, and nodes that take them."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from ament_index_python.packages import PackageNotFoundError, get_package_prefix
from launch.actions import DeclareLaunchArgument, OpaqueFunction, RegisterEventHandler
from launch.condition import Condition
from launch.event import Event
from launch.event_handler import EventHandler
from launch.events import Shutdown
from launch.launch_context import LaunchContext
from launch.logging import get_logger
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue
from launch_ros.substitutions import FindPackageShare

from difiisr_ros.stream.launch_arguments import PACKAGE, LaunchArgument, likely_slips
from difiisr_ros.stream.parameter_spec import Value


def declare(arguments: Iterable[LaunchArgument]) -> list[DeclareLaunchArgument]:
    """Declarations as ``ros2 launch --show-args`` lists them."""
    return [
        DeclareLaunchArgument(
            argument.name,
            default_value=argument.default,
            description=argument.description,
            choices=list(argument.accepted_texts) or None,
        )
        for argument in arguments
    ]


def share(path: str | None) -> PathJoinSubstitution:
    """A file of the package's share folder, for example ``config/thermal.rviz``."""
    return PathJoinSubstitution([FindPackageShare(PACKAGE), *str(path).split("/")])


def texts_of(
    arguments: Iterable[LaunchArgument], context: LaunchContext, file: str
) -> dict[str, str]:
    """What the user gave, or the defaults, by argument name; likely slips are warned of.

    Args:
        arguments: of the launch file.
        context: of launch.
        file: path of the launch file.
    """
    texts = {a.name: LaunchConfiguration(a.name).perform(context) for a in arguments}
    for note in likely_slips(sys.argv, file, texts):
        get_logger("launch.user").warning(note)
    return texts


def is_given(argument: str, text: str) -> Condition:
    """The condition that a launch argument has this text; every ROS 2 from Humble on has it."""
    return Condition(predicate=lambda context: context.launch_configurations[argument] == text)


def parameters(values: Mapping[str, Value | PathJoinSubstitution]) -> dict[str, Any]:
    """Values for a node's ``parameters``; a text stays one, though it may look like a number."""
    return {name: _typed(value) for name, value in values.items()}


def _typed(value: Value | PathJoinSubstitution) -> Any:
    if isinstance(value, list):
        kind = list[int] if isinstance(value[0], int) else list[str]
        return ParameterValue(value, value_type=kind)
    if isinstance(value, (str, PathJoinSubstitution)):
        return ParameterValue(value, value_type=str)
    return value


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


def is_installed(package: str) -> bool:
    """Whether a ROS package can be found."""
    try:
        get_package_prefix(package)
    except PackageNotFoundError:
        return False
    return True
