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

"""The arguments of our launch files: what they accept, and what they set. No ROS here.

An argument that sets a parameter is named like it and takes its description and choices from the
parameter's table. Its default is the empty text, which means "not given": then the YAML file of
parameters decides, and after it the node's own default.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from difiisr_ros.errors import OptionError
from difiisr_ros.stream.parameter_spec import Change, ParameterSpec, Value, likely_meant
from difiisr_ros.stream.parameter_table import BY_NAME

PACKAGE = "difiisr_ros"

#: Both spellings, because launch files are written in Python and YAML alike.
_BOOLEANS = {"true": True, "True": True, "false": False, "False": False}


def _items(text: str, kind: type[str] | type[int]) -> Value:
    if kind is int:  # as in a YAML file, too
        text = text.strip().removeprefix("[").removesuffix("]")
    items = [item.strip() for item in text.split(",")]
    if not all(items):
        # An empty camera name is one, but between commas it is a slip.
        raise ValueError("nothing between two commas, or after the last")
    return items if kind is str else [int(item) for item in items]


@dataclass(frozen=True)
class LaunchArgument:
    """One argument of a launch file."""

    name: str
    description: str
    default: str | None = ""
    """None: must be given."""
    choices: tuple[str, ...] = ()
    """Accepted texts; empty: any."""
    parameter: ParameterSpec | None = None
    """The parameter that it sets when it is given."""

    @property
    def accepted(self) -> str:
        """The accepted texts in words, for docs."""
        if self.choices:
            return ", ".join(self.choices)
        if self.parameter is None or self.parameter.type_name == "string":
            return "any"
        return self.parameter.accepted

    @property
    def accepted_texts(self) -> tuple[str, ...]:
        """The choices, with the empty text where that is the default; empty: any text."""
        unset = ("",) if self.choices and self.default == "" else ()
        return unset + self.choices

    def value(self, text: str) -> Value:
        """The parameter's value that a text stands for.

        Raises:
            OptionError: The text is no such value; names the argument and what is accepted.
        """
        assert self.parameter is not None
        default = self.parameter.default
        value: Value = text
        try:
            if isinstance(default, bool):
                value = _BOOLEANS[text]
            elif isinstance(default, list):
                value = _items(text, type(default[0]))
            elif not isinstance(default, str):
                value = type(default)(text)
        except (KeyError, ValueError) as error:
            why = f" ({error})" if self.parameter.type_name == "string_array" else ""
            raise OptionError(
                f"{self.name}:={text}: must be of type {self.parameter.type_name}, "
                f"accepted: {self.parameter.accepted}{why}"
            ) from None
        wrong = self.parameter.check(value)
        if wrong is not None:
            raise OptionError(f"{self.name}:={text}: {wrong}")
        return value


def of_parameters(
    *names: str,
    table: Mapping[str, ParameterSpec] = BY_NAME,
    unset: str = "as in params_file",
    defaults: Mapping[str, str | None] | None = None,
) -> tuple[LaunchArgument, ...]:
    """Arguments that set the parameters of these names.

    Args:
        names: of parameters in the table.
        table: the node's parameters.
        unset: what applies when the argument is not given, in words.
        defaults: for arguments that are set unless the user gives something else; None for those
            that must be given.
    """
    arguments = []
    for name in names:
        spec = table[name]
        default = (defaults or {}).get(name, "")
        choices = tuple(_BOOLEANS) if spec.type_name == "bool" else tuple(map(str, spec.choices))
        description = spec.description
        if spec.type_name.endswith("_array"):
            description += " Separated by commas."
        if default == "":
            description += f" Empty: {unset}."
        arguments.append(LaunchArgument(name, description, default, choices, spec))
    return tuple(arguments)


def given_parameters(
    arguments: Iterable[LaunchArgument],
    texts: Mapping[str, str],
    table: Mapping[str, ParameterSpec],
) -> dict[str, Value]:
    """One node's parameters that were given, as values of the right type.

    Args:
        arguments: of the launch file.
        texts: what launch made of them, by name.
        table: the node's parameters.

    Raises:
        OptionError: A text that is no value of its parameter.
    """
    values = {}
    for argument in arguments:
        text = texts[argument.name]
        if text and argument.parameter and argument.parameter is table.get(argument.name):
            values[argument.name] = argument.value(text)
    return values


def likely_slips(command: Sequence[str], file: str, known: Iterable[str]) -> list[str]:
    """What to say of names on the command line that resemble an argument but are none.

    Only there can a name be told to be meant for this launch file: launch knows the arguments of an
    including file, and what launch_ros keeps for itself, by the same means.

    Args:
        command: of this process, as ``sys.argv`` has it.
        file: path of the launch file; nothing is said unless the command starts this very file.
        known: its arguments.
    """
    if not _starts(command, file):
        return []
    known = list(known)
    notes = []
    for word in command:
        name, is_given, _ = word.partition(":=")
        if is_given and name not in known and (meant := likely_meant(name, known, likeness=0.75)):
            notes.append(f"launch argument '{name}' does not exist; did you mean '{meant}'?")
    return notes


def _starts(command: Sequence[str], file: str) -> bool:
    """Whether a command names the launch file, by its path or after our package's name."""
    pairs = itertools.pairwise(command)
    by_package = any(package == PACKAGE and name == Path(file).name for package, name in pairs)
    return by_package or any(
        word.endswith(Path(file).name) and Path(word).absolute() == Path(file).absolute()
        for word in command
    )


PARAMS_FILE = LaunchArgument(
    "params_file",
    "YAML file of parameters, keyed /**: so that it fits any namespace; in config/ are some to "
    "copy from. Empty: none.",
)

NAMESPACE = LaunchArgument("namespace", "Namespace of the nodes and of their relative topics.")

#: The node's parameters, with the one that every ROS node has.
NODE_PARAMETERS = {
    **BY_NAME,
    "use_sim_time": ParameterSpec(
        "use_sim_time",
        False,
        "Take the time from /clock, as while a bag is played with --clock.",
        Change.START,
    ),
}

(USE_SIM_TIME,) = of_parameters("use_sim_time", table=NODE_PARAMETERS)

RESPAWN = LaunchArgument(
    "respawn",
    "Start the node again, a second later, whenever it has ended.",
    default="false",
    choices=tuple(_BOOLEANS),
)

ENCLAVE = LaunchArgument(
    "enclave",
    "SROS2 enclave of the node, for example /super_resolution, as in config/sros2_policy.xml. "
    "Empty: the root's.",
)

LOG_LEVEL = LaunchArgument(
    "log_level",
    "Least severity that is logged. Empty: info.",
    choices=("debug", "info", "warn", "error", "fatal"),
)
