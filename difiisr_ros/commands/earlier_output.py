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

"""Files that a command is to write and that are there: only its own of an earlier run are replaced.

What a file is follows from its content. An empty one is nobody's, and a device or a pipe takes what
it is given. :mod:`difiisr_ros.commands.own_results` does the same for the results in a folder.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from difiisr_ros.errors import DataError

_HEAD = 1 << 16  # bytes of a page or table that say what it is


def refuse_foreign(path: Path | None, what: str, is_own: Callable[[Path], bool]) -> None:
    """Raise DataError where a file is there that no earlier run has written.

    Args:
        path: of the file to write; None where none is.
        what: what it would be, in words.
        is_own: whether a file is such a one; what it raises of a file that cannot be read or is
            another is a no.
    """
    if path is None or not path.is_file() or not path.stat().st_size:
        return
    try:
        own = is_own(path)
    except (OSError, ValueError):  # of ours, all on files are ValueErrors
        own = False
    if not own:
        raise DataError(
            f"{path}: is there already and is no {what}, which alone would be replaced; choose "
            "another name, or move it away"
        )


def refuse_other_json(path: Path | None, *kinds: tuple[str, ...]) -> None:
    """Raise DataError where a file is there that is not what the command writes as JSON.

    Args:
        path: of the file to write; None where none is.
        kinds: keys that what it writes has; one of them must fit.
    """

    def is_own(path: Path) -> bool:
        found = json.loads(path.read_text(encoding="utf-8"))
        return isinstance(found, dict) and any(set(keys) <= set(found) for keys in kinds)

    refuse_foreign(path, "JSON that this command writes", is_own)


def refuse_other_text(path: Path | None, what: str, begins: str, has: str = "") -> None:
    """Raise DataError where a file is there that does not begin so, or has not this near there."""

    def is_own(path: Path) -> bool:
        with path.open("rb") as file:
            head = file.read(_HEAD).decode("utf-8", "replace")
        return head.startswith(begins) and has in head

    refuse_foreign(path, what, is_own)


def refuse_other_page(path: Path | None, title: str) -> None:
    """Raise DataError where a file is there that is no report whose title begins so."""
    refuse_other_text(path, "report that this command writes", "<!DOCTYPE html>", f"<title>{title}")
