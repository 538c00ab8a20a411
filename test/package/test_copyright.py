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

"""Every Python file says whose it is and under what licence, in words ament_copyright knows."""

from __future__ import annotations

from pathlib import Path

from support.paths import REPOSITORY

#: What stands above everything but a shebang. ament_copyright compares the licence's part with
#: its own template, so a shorter one, or an SPDX line, is an error there.
HEADER = """\
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
"""
#: What builds and runs leave beside the sources.
NOT_OURS = {"build", "install", "log", "out"}
#: Of every contribution's licence, in CONTRIBUTING.md; ament_copyright looks for them too.
CONTRIBUTIONS = (
    "Any contribution that you make to this repository will",
    "5. Submission of Contributions. Unless You explicitly state otherwise,",
    "with Licensor regarding such Contributions.",
)


def python_files() -> list[Path]:
    """Those of the repository, without what builds and virtual environments hold."""
    folders = [
        folder
        for folder in REPOSITORY.iterdir()
        if folder.is_dir()
        and not folder.name.startswith(".")
        and folder.name not in NOT_OURS
        and not (folder / "pyvenv.cfg").is_file()
    ]
    found = [file for folder in folders for file in folder.rglob("*.py")]
    return sorted([*found, *REPOSITORY.glob("*.py")])


def has_header(source: str) -> bool:
    """Whether the header is the first comment and stands alone, so that it is read as a whole."""
    if source.startswith("#!"):
        source = source.partition("\n")[2]
    after = source.removeprefix(HEADER)
    return after != source and after[:1] in ("", "\n")


def test_every_python_file_has_the_header():
    files = python_files()
    assert len(files) > 600
    assert {file.parts[len(REPOSITORY.parts)] for file in files} >= {
        "benchmarks", "difiisr_ros", "docs", "launch", "setup.py", "test", "tools",
    }  # fmt: skip
    without = [file for file in files if not has_header(file.read_text(encoding="utf-8"))]
    names = [str(file.relative_to(REPOSITORY)) for file in without]
    assert names == [], f"begin these with the header in {Path(__file__).name}"


def test_what_is_no_header():
    assert has_header(HEADER) and has_header(f"#!/usr/bin/env python3\n{HEADER}\nx = 1\n")
    assert not has_header(f"import os\n{HEADER}")
    assert not has_header(HEADER.replace("Apache", "Other"))
    assert not has_header(f"{HEADER}# a comment that runs on\n")
    assert not has_header("# SPDX-License-Identifier: Apache-2.0\n")


def test_the_command_can_still_be_completed():
    """Argcomplete looks for its marker in a file's first 1024 bytes."""
    start = (REPOSITORY / "difiisr_ros" / "cli.py").read_bytes()[:1024]
    assert b"PYTHON_ARGCOMPLETE_OK" in start


def test_contributions_are_under_the_licence_too():
    page = (REPOSITORY / "CONTRIBUTING.md").read_text(encoding="utf-8")
    assert [part for part in CONTRIBUTIONS if part not in page] == []
