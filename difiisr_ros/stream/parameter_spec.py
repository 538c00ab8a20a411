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

"""A row of a node's table of parameters: name, default, limits, and when it may change. No ROS."""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from typing import Any

Value = bool | int | float | str | list[str] | list[int]


class Change(Enum):
    """When a parameter may be changed."""

    LIVE = "live"
    """Any time; takes effect on the next frame."""
    CONFIGURE = "configure"
    """Read-only once configured: set it while unconfigured, then configure."""
    START = "start"
    """Read-only: read when the node starts."""


def likely_meant(name: str, known: Iterable[str], likeness: float = 0.8) -> str | None:
    """The name that a misspelt one stands for; None where there is none like it.

    The default likeness is high, as a name may well be another node's own: a file of parameters, or
    a SetParameter of launch, may be for several nodes.
    """
    return next(iter(difflib.get_close_matches(name, list(known), n=1, cutoff=likeness)), None)


def _with_article(type_name: str) -> str:
    """As ``a bool``, ``an int`` or ``an array of strings``."""
    kind, _, array = type_name.partition("_")
    if array:
        return f"an array of {kind}s"
    return f"an {kind}" if kind[0] in "aeiou" else f"a {kind}"


@dataclass(frozen=True)
class ParameterSpec:
    """One row of the table."""

    name: str
    default: Value
    description: str
    change: Change = Change.CONFIGURE
    minimum: float | None = None
    maximum: float | None = None
    least_but_0: int | None = None
    """The smallest number but for a minimum of 0, which switches something off."""
    choices: tuple[str | int, ...] = ()
    item: str = ""
    """Regular expression that every item of a list must match."""
    item_rule: str = ""
    """The same in words."""

    @property
    def type_name(self) -> str:
        """As ROS calls it: ``bool``, ``int``, ``double``, ``string``, or an array of one."""
        names = {bool: "bool", int: "int", float: "double", str: "string"}
        if isinstance(self.default, list):
            return f"{names[type(self.default[0])]}_array"
        return names[type(self.default)]

    @property
    def accepted(self) -> str:
        """The accepted values in words, for messages and docs."""
        if self.choices:
            return ", ".join(map(str, self.choices))
        if self.item_rule:
            return self.item_rule
        if self.minimum is not None and self.maximum is not None:
            form = "g" if self.type_name == "double" else ",d"
            least = self.minimum if self.least_but_0 is None else self.least_but_0
            limits = f"{least:{form}} to {self.maximum:{form}}".replace(",", " ")
            if least != self.minimum:
                return f"0, or {limits}"
            if isinstance(self.default, list):
                return f"{len(self.default)} whole numbers, each {limits}"
            return limits
        return "true, false" if self.type_name == "bool" else f"any {self.type_name}"

    def read(self, value: Any) -> Any:
        """A value as people write it: YAML reads the words ``on`` and ``off`` as booleans."""
        word = {True: "on", False: "off"}.get(value) if isinstance(value, bool) else None
        return word if word in self.choices else value

    def check(self, value: Any) -> str | None:
        """What is wrong with a value, naming what is accepted; None if nothing is."""
        if type(value) is not type(self.default):
            return (
                f"{self.name} is {value!r}, but must be {_with_article(self.type_name)} "
                f"(accepted: {self.accepted})"
            )
        if isinstance(value, list):
            return self._check_items(value)
        wrong = bool(self.choices) and value not in self.choices
        if isinstance(value, float) and not math.isfinite(value):
            wrong = True
        if self.minimum is not None and value < self.minimum:
            wrong = True
        if self.maximum is not None and value > self.maximum:
            wrong = True
        if self.least_but_0 is not None and 0 < value < self.least_but_0:
            wrong = True
        return f"{self.name} is {value!r}; accepted: {self.accepted}" if wrong else None

    def _check_items(self, items: list[Any]) -> str | None:
        if self.type_name == "int_array":
            return self._check_numbers(items)
        wrong = [f"{i!r} is none" for i in items if not self._is_item(i)]
        wrong += [f"{i!r} is there twice" for i in items if items.count(i) > 1]
        if wrong or not items:
            reason = wrong[0] if wrong else "at least one is needed"
            return f"{self.name} is {items!r}; accepted: {self.accepted}; {reason}"
        return None

    def _check_numbers(self, items: list[Any]) -> str | None:
        assert isinstance(self.default, list)
        assert self.minimum is not None and self.maximum is not None
        low, high = self.minimum, self.maximum
        fine = all(type(item) is int and low <= item <= high for item in items)
        if fine and len(items) == len(self.default):
            return None
        return f"{self.name} is {items!r}; accepted: {self.accepted}"

    def _is_item(self, item: Any) -> bool:
        return type(item) is str and re.fullmatch(self.item, item) is not None
