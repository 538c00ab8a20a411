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

"""``super_resolution_node`` as an action of launch files."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from launch.actions import RegisterEventHandler
from launch.condition import Condition
from launch.event import Event
from launch.event_handlers import OnProcessExit
from launch.launch_context import LaunchContext
from launch.logging import get_logger
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution
from launch_ros.actions import LifecycleNode

from difiisr_ros.errors import DataError, OptionError
from difiisr_ros.ros.launch_actions import EndOnce, parameters, texts_of
from difiisr_ros.stream.launch_arguments import (
    NODE_PARAMETERS,
    PACKAGE,
    LaunchArgument,
    given_parameters,
)
from difiisr_ros.stream.parameter_spec import Value
from difiisr_ros.stream.params_sections import sets_nothing

#: Seconds until the node is started again, with ``respawn``.
RESPAWN_DELAY = 1.0

_TRUE = ("true", "True")

_WHAT = {"package": PACKAGE, "executable": "super_resolution_node", "name": "super_resolution"}

Remappings = Iterable[tuple[str, str]]


class SuperResolutionNode(LifecycleNode):
    """The node: parameters from ``params_file``, overridden by the arguments that were given.

    Args:
        texts: what launch made of the launch file's arguments, by name.
        arguments: of the launch file.
        namespace: instead of the argument of this name.
        remappings: of topics.
        more: parameters that the launch file itself sets, whatever the file of parameters says.
        presets: numbers that stand where neither the file nor an argument says anything.
        options: further ones of ``LifecycleNode``.

    Raises:
        OptionError: An argument that is no value of its parameter.
        DataError: There is no such file of parameters.
    """

    def __init__(
        self,
        arguments: Iterable[LaunchArgument],
        texts: Mapping[str, str],
        *,
        namespace: str | None = None,
        remappings: Remappings = (),
        more: Mapping[str, Value | PathJoinSubstitution] | None = None,
        presets: Mapping[str, Value] | None = None,
        **options: Any,
    ) -> None:
        file = texts["params_file"]
        if file and not Path(file).is_file():
            raise DataError(f"params_file:={file}: no such file")
        self._params_file = file
        self._builds_only = texts.get("build_only") in _TRUE
        respawns = texts.get("respawn") in _TRUE
        if respawns and self._builds_only:
            raise OptionError(
                "build_only:=true with respawn:=true would build for ever; accepted is one of them"
            )
        overrides = {**given_parameters(arguments, texts, NODE_PARAMETERS), **(more or {})}
        # launch_ros hands over values under the node's full name, which wins over the /**: section
        # of a file. What stands before the file on the command line, for any name, does not.
        ros_arguments = [a for k, v in (presets or {}).items() for a in ("-p", f"{k}:={v}")]
        for name in ("enclave", "log_level"):
            if texts.get(name):
                ros_arguments += [f"--{name.replace('_', '-')}", texts[name]]
        files = [file] if file else []
        super().__init__(
            **_WHAT,
            namespace=texts["namespace"] if namespace is None else namespace,
            parameters=[*files, *([parameters(overrides)] if overrides else [])] or None,
            remappings=list(remappings),
            ros_arguments=ros_arguments or None,
            output="screen",
            emulate_tty=True,
            respawn=respawns,
            respawn_delay=RESPAWN_DELAY,
            **options,
        )

    def execute(self, context: LaunchContext) -> list[Any]:
        """Start the process; with ``build_only``, launch fails where it does."""
        started = super().execute(context) or []
        if self._params_file:
            nothing = sets_nothing(self._params_file, self.node_name)
            if nothing:
                get_logger("launch.user").warning(nothing)
        return [*(self._watch_build() if self._builds_only else []), *started]

    def _watch_build(self) -> list[Any]:
        system = EndOnce()

        def when_exits(event: Event, context: LaunchContext) -> None:
            if event.returncode:
                system.fail(context, f"build_only: the node has ended with {event.returncode}")

        handler = OnProcessExit(target_action=self, on_exit=when_exits)
        return [system.handler(), RegisterEventHandler(handler)]


class DeclaredNode(SuperResolutionNode):
    """The node in a launch description, where a launch file that includes it can refer to it.

    What the arguments say is known only when launch comes to the action: it is made complete then.

    Args:
        arguments: of the launch file.
        file: path of the launch file.
        remappings: makes them from the arguments' texts.
        condition: whether the node is started at all.
    """

    def __init__(
        self,
        arguments: Iterable[LaunchArgument],
        file: str,
        remappings: Callable[[Mapping[str, str]], Remappings],
        condition: Condition | None = None,
    ) -> None:
        self._arguments, self._file, self._make_remappings = arguments, file, remappings
        namespace = LaunchConfiguration("namespace")
        LifecycleNode.__init__(self, **_WHAT, namespace=namespace, condition=condition)

    def execute(self, context: LaunchContext) -> list[Any]:
        """Take the arguments as they are now, and start the process."""
        texts = texts_of(self._arguments, context, self._file)
        remappings = self._make_remappings(texts)
        SuperResolutionNode.__init__(self, self._arguments, texts, remappings=remappings)
        return super().execute(context)
