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

"""Files that appear whole or not at all."""

from __future__ import annotations

import os

import pytest

from difiisr_ros.atomic_write import replacing, write_atomically, write_whole
from difiisr_ros.errors import DataError


@pytest.mark.parametrize("sync", [False, True])
def test_a_write_replaces_whole_files(tmp_path, sync):
    path = tmp_path / "new" / "file"
    mask = os.umask(0o022)
    try:
        write_whole(path, b"one", sync=sync)
        write_whole(path, b"two", sync=sync)
    finally:
        os.umask(mask)
    assert path.read_bytes() == b"two"
    assert path.stat().st_mode & 0o777 == 0o644  # others may read it
    assert [p.name for p in path.parent.iterdir()] == ["file"]


@pytest.mark.parametrize("error", [OSError("disk full"), KeyboardInterrupt()])
def test_what_was_there_stays_when_a_write_fails(tmp_path, error):
    path = tmp_path / "file"
    path.write_bytes(b"before")
    with pytest.raises(type(error)), replacing(path) as temporary:
        temporary.write_bytes(b"half")
        raise error
    assert path.read_bytes() == b"before"
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


def test_nothing_is_seen_before_the_end(tmp_path):
    path = tmp_path / "file"
    with replacing(path) as temporary:
        temporary.write_bytes(b"half")
        assert not path.exists()
    assert path.read_bytes() == b"half"


def test_a_file_that_the_user_named_and_cannot_be_written_is_named_again(tmp_path):
    (tmp_path / "folder").mkdir()
    with pytest.raises(DataError, match="folder: cannot be written: Is a directory"):
        write_atomically(tmp_path / "folder", b"")
    assert [p.name for p in tmp_path.iterdir()] == ["folder"]
