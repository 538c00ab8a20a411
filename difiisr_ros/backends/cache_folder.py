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

"""Where results that are slow to make are kept between runs, and how processes share them.

The folder, and a lock between processes; :mod:`difiisr_ros.atomic_write` writes the files. Others
may read them, so that what root or the build of an image has made serves the user who runs the
node. Nothing here ends a run: without a usable folder the caller works without a cache, and says
so.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

_POLL = 0.1  # seconds between two tries to get a lock


def cache_folder() -> Path:
    """``$DIFIISR_CACHE``, else ``$XDG_CACHE_HOME/difiisr_ros``, else ``~/.cache/difiisr_ros``.

    The folder need not exist. A relative ``XDG_CACHE_HOME`` counts as unset, as the XDG base
    directory specification has it; a relative ``DIFIISR_CACHE`` is relative to the present folder.

    Raises:
        OSError: none of them is set and the user has no home.
    """
    own = os.environ.get("DIFIISR_CACHE")
    if own:
        return Path(own).expanduser().absolute()
    xdg = os.environ.get("XDG_CACHE_HOME", "")
    if os.path.isabs(xdg):
        return Path(xdg) / "difiisr_ros"
    try:
        return Path.home() / ".cache" / "difiisr_ros"
    except RuntimeError as error:
        raise OSError(f"no folder for a cache ({error}); set DIFIISR_CACHE") from error


@contextlib.contextmanager
def locked(path: Path, waiting: Callable[[float], None] | None = None) -> Iterator[None]:
    """Hold a lock that one process at a time can have, and one thread of it.

    The file stays when the lock is given back: removing it would let two processes lock two files
    of one name. A process that dies gives its lock back.

    Args:
        path: file to lock, made where it is not there.
        waiting: called about ten times a second with the seconds waited while somebody else has
            the lock; what it raises ends the wait.

    Raises:
        OSError: the file cannot be made, or its file system cannot lock.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    began = time.monotonic()
    with path.open("a") as file:
        while not _try_lock(file.fileno()):
            if waiting is not None:
                waiting(time.monotonic() - began)
            time.sleep(_POLL)
        try:
            yield
        finally:
            fcntl.flock(file.fileno(), fcntl.LOCK_UN)


def _try_lock(number: int) -> bool:
    try:
        fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
