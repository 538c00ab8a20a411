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

"""How the small nodes declare their parameters: from a table, wrong values named all at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rclpy.node import Node

from difiisr_ros.errors import OptionError
from difiisr_ros.ros.parameters import descriptor
from difiisr_ros.stream.parameter_spec import ParameterSpec
from difiisr_ros.stream.unknown_parameters import unknown_notes


def declare_table(node: Node, table: Sequence[ParameterSpec]) -> dict[str, Any]:
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
    for note in unknown_notes(overrides, values):
        node.get_logger().warning(note)
    return values
