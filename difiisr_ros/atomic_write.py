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

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from difiisr_ros.errors import DataError


@contextlib.contextmanager
def replacing(path: Path, *, sync: bool = False) -> Iterator[Path]:
    """A file beside ``path`` to write into, which takes its place when the block has ended.

    Makes the folder when missing. After an error what was there is still there, and nothing else.

    Args:
        path: of the file.
        sync: wait until it is on the disk, so that it is whole after a loss of power too.

    Raises:
        OSError: a read-only or full disk, among others.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        if sync:
            with temporary.open("rb") as file:
                os.fsync(file.fileno())
        # mkstemp makes the file private; give it what open() would have given.
        mask = os.umask(0)
        os.umask(mask)
        temporary.chmod(0o666 & ~mask)
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise


def write_whole(path: Path, data: bytes, *, sync: bool = False) -> None:
    """Write a file that appears whole or not at all; see :func:`replacing`.

    Raises:
        OSError: a read-only or full disk, among others; nothing is left behind.
    """
    with replacing(path, sync=sync) as temporary:
        temporary.write_bytes(data)


def write_atomically(path: str | os.PathLike[str], data: bytes) -> None:
    """The same for a file that the user has named.

    Raises:
        DataError: It cannot be written (the reason, and the path, are in the message).
    """
    path = Path(path)
    try:
        write_whole(path, data)
    except OSError as error:
        raise DataError(f"{path}: cannot be written: {error.strerror}") from error
