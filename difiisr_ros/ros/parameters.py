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

"""Declares the parameter table on a node and keeps what users set within it.

A wrong value in a YAML file does not end the process: the parameter keeps its default, the node
says what is accepted, and refuses to configure until the value is corrected.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from typing import Any

from rcl_interfaces.msg import (
    FloatingPointRange,
    IntegerRange,
    ParameterDescriptor,
    SetParametersResult,
)
from rclpy.parameter import Parameter

from difiisr_ros.stream.parameter_spec import Change, ParameterSpec
from difiisr_ros.stream.parameter_table import BY_NAME, OTHER_NAMES, TABLE, check_together
from difiisr_ros.stream.settings import StreamSettings
from difiisr_ros.stream.unknown_parameters import unknown_notes

# Under this name a combination is rejected whose values are each right by themselves.
_TOGETHER = "a combination"


def descriptor(spec: ParameterSpec) -> ParameterDescriptor:
    """The ROS descriptor of a row, as ``ros2 param describe`` shows it."""
    when = {
        Change.LIVE: "Live: takes effect on the next frame.",
        Change.CONFIGURE: "Read-only once configured.",
        Change.START: "Read at start.",
    }
    message = ParameterDescriptor(
        description=f"{spec.description} {when[spec.change]}",
        read_only=spec.change is Change.START,
        additional_constraints=f"Accepted: {spec.accepted}",
    )
    if spec.minimum is not None and spec.maximum is not None:
        if spec.type_name in ("int", "int_array"):
            message.integer_range = [
                IntegerRange(from_value=int(spec.minimum), to_value=int(spec.maximum), step=0)
            ]
        else:
            message.floating_point_range = [
                FloatingPointRange(from_value=spec.minimum, to_value=spec.maximum, step=0.0)
            ]
    return message


def as_written(parameters: Iterable[Parameter]) -> list[Parameter]:
    """Parameters with the words for which ``ros2 param set`` sends YAML's booleans."""
    found = []
    for parameter in parameters:
        spec = BY_NAME.get(parameter.name)
        value = parameter.value if spec is None else spec.read(parameter.value)
        same = value is parameter.value
        found.append(parameter if same else Parameter(parameter.name, value=value))
    return found


def without_unchanged(node: Any, parameters: Iterable[Parameter]) -> list[Parameter]:
    """Those that would change something, or may be changed at all.

    rclpy refuses whatever would set a read-only parameter, also to what it is: a node would refuse
    what it has dumped itself.
    """

    def is_unchanged(new: Parameter) -> bool:
        if not node.has_parameter(new.name) or not node.describe_parameter(new.name).read_only:
            return False
        now = node.get_parameter(new.name)
        return now.type_ == new.type_ and _plain(now.value) == _plain(new.value)

    return [parameter for parameter in parameters if not is_unchanged(parameter)]


class NodeParameters:
    """The node's parameters: declared, validated, and read as one consistent set."""

    def __init__(
        self,
        node: Any,
        is_configured: Callable[[], bool],
        objection: Callable[[dict[str, Any]], str | None] = lambda values: None,
    ) -> None:
        """
        Args:
            node: an rclpy node; parameters are declared at once.
            is_configured: whether parameters that are read when configuring are in use now.
            objection: asked about every complete new set of values; a reason to refuse, or None.
        """
        self._node = node
        self._is_configured = is_configured
        self._objection = objection
        self._lock = threading.Lock()
        self._values: dict[str, Any] = {}
        self._told: set[str] = set()
        #: Wrong values from the command line or a YAML file, by parameter.
        self.rejected: dict[str, str] = {}
        for spec in TABLE:
            self._declare(spec)
        wrong = check_together(self._values)
        if wrong is not None:
            self.rejected[_TOGETHER] = wrong
        #: What every frame reads; another object after every accepted change.
        self.settings = StreamSettings.of(self._values)
        node.add_on_set_parameters_callback(self._on_set)

    def _declare(self, spec: ParameterSpec) -> None:
        override = self._overrides().get(spec.name)
        value = spec.default if override is None else _plain(override.value)
        if isinstance(spec.default, float) and type(value) is int:
            value = float(value)  # `stale_after: 2` is what people write
        if spec.name == "missing" and type(value) in (int, float):
            value = str(value)  # likewise `missing: 0`
        value = spec.read(value)
        wrong = spec.check(value)
        if wrong is not None:
            self.rejected[spec.name] = wrong
            value = spec.default
        self._node.declare_parameter(spec.name, value, descriptor(spec), ignore_override=True)
        self._values[spec.name] = value

    def _overrides(self) -> dict[str, Parameter]:
        return getattr(self._node, "_parameter_overrides", {})

    def unknown(self) -> list[str]:
        """What the user has given that is no parameter of the node, in words, once."""
        # Those that a subclass or rclpy has declared are in use.
        given = [n for n in self._overrides() if not self._node.has_parameter(n)]
        notes = unknown_notes(given, BY_NAME, OTHER_NAMES)
        news = [note for note in notes if note not in self._told]
        self._told.update(news)
        return news

    def values(self) -> dict[str, Any]:
        """All parameters as one consistent set."""
        with self._lock:
            return dict(self._values)

    def __getitem__(self, name: str) -> Any:
        with self._lock:
            return self._values[name]

    def _on_set(self, changes: list[Parameter]) -> SetParametersResult:
        ours = {p.name: _plain(p.value) for p in changes if p.name in BY_NAME}
        reason = self._refusal(ours)
        if reason is not None:
            return SetParametersResult(successful=False, reason=reason)
        with self._lock:
            self._values.update(ours)
            for name in ours:
                self.rejected.pop(name, None)
            if check_together(self._values) is None:
                self.rejected.pop(_TOGETHER, None)
            self.settings = StreamSettings.of(self._values)
        return SetParametersResult(successful=True)

    def _refusal(self, changes: dict[str, Any]) -> str | None:
        for name, value in changes.items():
            spec = BY_NAME[name]
            wrong = spec.check(value)
            if wrong is not None:
                return wrong
            changes_it = value != self[name]
            if changes_it and spec.change is Change.CONFIGURE and self._is_configured():
                return (
                    f"{name} is read-only once configured; "
                    "deactivate and clean up the node, set it, then configure again"
                )
        values = {**self.values(), **changes}
        return check_together(values) or self._objection(values)


def _plain(value: Any) -> Any:
    """Arrays as lists, which is what the table has; ROS hands some over as other sequences."""
    return value if isinstance(value, (bool, int, float, str, type(None))) else list(value)
