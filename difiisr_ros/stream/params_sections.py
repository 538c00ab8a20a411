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

"""Which nodes a YAML file of parameters is for. No ROS here.

A file whose sections name other nodes sets nothing on ours, without a word from rcl: as when the
file is another system's, whose launch argument ``params_file`` has reached our launch file too.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from difiisr_ros.errors import DataError

#: What rcl's wildcards stand for in a node's full name: one part of it, or any number of them.
_WILDCARDS = {"*": r"/\w+", "**": r"(?:/\w+)*"}


def sections(document: Any, above: str = "") -> Iterator[str]:
    """The full names, wildcards among them, that a parsed file has parameters for."""
    for key, value in document.items() if isinstance(document, dict) else ():
        if key == "ros__parameters":
            yield above
        else:
            yield from sections(value, f"{above}/{str(key).strip('/')}")


def fits(section: str, node: str) -> bool:
    """Whether a section is for a node of this full name, by rcl's rules."""
    parts = section.strip("/").split("/")
    pattern = "".join(_WILDCARDS.get(part, "/" + re.escape(part)) for part in parts)
    return re.fullmatch(pattern, node) is not None


def sets_nothing(file: str, node: str) -> str | None:
    """Why a file of parameters has none for a node; None where it has some.

    Args:
        file: path of the YAML file.
        node: the node's full name, with the leading slash.

    Raises:
        DataError: The file cannot be read.
    """
    try:
        document = yaml.safe_load(Path(file).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise DataError(f"params_file:={file}: cannot be read: {error}") from error
    found = list(sections(document))
    if any(fits(section, node) for section in found):
        return None
    has = f"has only sections for {', '.join(found)}" if found else "has no ros__parameters"
    return (
        f"params_file:={file} sets nothing on {node}: it {has}; accepted are /**: and {node}:. "
        "Where it is another system's, include this launch file in a "
        "GroupAction(scoped=True, forwarding=False)"
    )
