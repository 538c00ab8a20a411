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

"""YAML that is written by hand, without what it reads otherwise than it looks."""

from __future__ import annotations

import re
from typing import Any

import yaml

from difiisr_ros.errors import OptionError

#: Numbers that YAML 1.1 reads as octal, and as minutes and seconds.
_OCTAL, _SIXTIETHS = re.compile(r"[-+]?0[0-9_]+"), re.compile(r"[-+]?[0-9_]+(:[0-9.]+)+")

_NUMBERS = ("tag:yaml.org,2002:int", "tag:yaml.org,2002:float")


def read_yaml(text: str) -> Any:
    """The content of a YAML file, None where it is empty.

    Raises:
        yaml.YAMLError: it is no YAML.
        OptionError: a key that is there twice, or a number that is another to YAML; names it.
    """
    tree = yaml.compose(text, Loader=yaml.SafeLoader)
    if tree is not None:
        _check(tree, "", set())
    return yaml.safe_load(text)


def _check(node: yaml.Node, key: str, seen: set[int]) -> None:
    if id(node) in seen:  # an alias, which may lead around in a circle
        return
    seen.add(id(node))
    if isinstance(node, yaml.MappingNode):
        lines: dict[str, int] = {}
        for name, value in node.value:
            line = name.start_mark.line + 1
            word = str(name.value) if isinstance(name, yaml.ScalarNode) else key
            if word in lines:
                raise OptionError(f"{word} is there twice, in lines {lines[word]} and {line}")
            if isinstance(name, yaml.ScalarNode):
                lines[word] = line
            _check(value, word, seen)
    elif isinstance(node, yaml.SequenceNode):
        for value in node.value:
            _check(value, key, seen)
    elif node.tag in _NUMBERS and (
        _OCTAL.fullmatch(node.value) or _SIXTIETHS.fullmatch(node.value)
    ):
        raise OptionError(
            f"{key}: {node.value} is {yaml.safe_load(node.value)} to YAML; write the decimal "
            "number, without a 0 in front and without colons"
        )
