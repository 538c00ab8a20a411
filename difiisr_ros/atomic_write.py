"""Files that appear whole or not at all."""

from __future__ import annotations

import contextlib
import os
import tempfile
from pathlib import Path

from difiisr_ros.errors import DataError


def write_whole(path: Path, data: bytes, *, sync: bool = False) -> None:
    """Write a file beside its place and move it there, making its folder when missing.

    Args:
        path: of the file; what was there is replaced.
        data: all of it.
        sync: wait until it is on the disk, so that it is whole after a loss of power too.

    Raises:
        OSError: a read-only or full disk, among others; nothing is left behind.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            if sync:
                file.flush()
                os.fsync(file.fileno())
        # mkstemp makes the file private; give it what open() would have given.
        mask = os.umask(0)
        os.umask(mask)
        os.chmod(temporary, 0o666 & ~mask)
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise


def write_atomically(path: str | os.PathLike[str], data: bytes) -> None:
    """Write a file that appears whole or not at all, making its folder when missing.

    Raises:
        DataError: It cannot be written (the reason, and the path, are in the message).
    """
    path = Path(path)
    try:
        write_whole(path, data)
    except OSError as error:
        raise DataError(f"{path}: cannot be written: {error.strerror}") from error
