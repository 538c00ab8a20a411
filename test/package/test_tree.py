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

"""The tests' own folders: a room of the package has one of its name, and file names are unique."""

from __future__ import annotations

import re
from collections import defaultdict
from pathlib import Path

import pytest

from support.paths import REPOSITORY

TESTS = REPOSITORY / "test"
#: Folders that mirror no room, and what they are about.
OTHERS = {
    "benchmarks": "benchmarks/",
    "docs": "the pages, and tools/ that write them",
    "e2e": "real processes over DDS, a real colcon workspace",
    "fixtures": "files",
    "launch": "launch files",
    "package": "what concerns the whole package",
    "process": "the nodes as processes",
    "soak": "ten minutes at 30 Hz",
    "support": "helpers",
}


def twice(files: list[Path]) -> list[list[str]]:
    """Files of the same name in several folders."""
    by_name = defaultdict(list)
    for file in files:
        by_name[file.name].append(str(file))
    return [found for found in by_name.values() if len(found) > 1]


def test_no_two_test_files_have_the_same_name():
    """Without packages, pytest refuses the second one, and `colcon test` then runs none at all."""
    files = sorted(TESTS.rglob("test_*.py"))
    assert len(files) > 100
    assert twice(files) == []
    assert twice([*files, TESTS / "io" / files[0].name]) != []


def test_a_folder_mirrors_a_room_or_is_about_something_else():
    folders = {file.parent for file in TESTS.rglob("*.py")} - {TESTS}
    unknown = [
        str(folder.relative_to(TESTS))
        for folder in folders
        if folder.relative_to(TESTS).parts[0] not in OTHERS
        and not (REPOSITORY / "difiisr_ros" / folder.relative_to(TESTS)).is_dir()
    ]
    assert unknown == []


@pytest.mark.parametrize("pattern", ["*.md", "Makefile", "docs/**/*.md", "test/**/*.py"])
def test_a_test_that_is_named_exists(repository, pattern):
    for file in repository.glob(pattern):
        for named in re.findall(r"\btest/[\w/]+\.py", file.read_text(encoding="utf-8")):
            assert (repository / named).is_file(), f"{file.relative_to(repository)}: {named}"
