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

"""Text between markers in a page, for the scripts that write parts of the documentation."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def marked(text: str, name: str, content: str) -> str:
    """The text with ``content`` between ``<!-- name -->`` and ``<!-- /name -->``.

    Raises:
        ValueError: the two markers are not there exactly once.
    """
    pattern = re.compile(
        rf"(<!-- {re.escape(name)} -->\n).*?(<!-- /{re.escape(name)} -->)", re.DOTALL
    )
    found = pattern.findall(text)
    if len(found) != 1:
        raise ValueError(f"{len(found)} places between <!-- {name} --> and <!-- /{name} -->, not 1")
    return pattern.sub(lambda match: f"{match[1]}{content.strip()}\n{match[2]}", text)


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def write_files(files: Mapping[Path, str], check: bool) -> int:
    """Write the files that differ; with ``check`` only name them, and return 1 if there are any."""
    different = [
        path for path, text in files.items() if not path.is_file() or path.read_text() != text
    ]
    for path in different:
        print(f"{'differs' if check else 'wrote'}: {path.relative_to(ROOT)}")
        if not check:
            path.write_text(files[path])
    if check and different:
        print(f"run {Path(sys.argv[0]).name} without --check", file=sys.stderr)
    return int(check and bool(different))
