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

"""What was given to a command and is not used, in words."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

_SHOWN = 8  # kinds that one line names


def kind_of_path(path: Path, folders: str = "sub-folders") -> str:
    """What a file without frames, or a folder, is called."""
    if path.is_dir():
        return folders
    return f"{path.suffix} files" if path.suffix else "files without an ending"


def notices(source: Path, items: list[tuple[str, str]]) -> list[str]:
    """What there is to say of ``items`` (see :func:`in_words`): nothing, or one sentence."""
    return [f"{source}: not used: {in_words(items)}"] if items else []


def in_words(items: Iterable[tuple[str, str]], more: str = "") -> str:
    """Names and their kinds in one line: each kind with one name, or with how many have it.

    Args:
        items: name and kind.
        more: where all of it is said, for kinds that the line has no room for.
    """
    kinds: dict[str, list[str]] = {}
    for name, kind in items:
        kinds.setdefault(kind, []).append(name)
    words = [
        f"{kind}: {names[0]}" if len(names) == 1 else f"{kind}: {len(names)}, as {names[0]}"
        for kind, names in kinds.items()
    ]
    left = len(words) - _SHOWN
    return "; ".join(words[:_SHOWN]) + (f"; {left} more kinds{more}" if left > 0 else "")
