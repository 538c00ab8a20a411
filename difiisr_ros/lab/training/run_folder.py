"""The folder of a training run: what goes wrong with its files, as errors that say what to do."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from difiisr_ros.errors import DataError, first_line


@contextlib.contextmanager
def continuing(state_file: Path) -> Iterator[None]:
    """Around taking over a state: whatever is wrong with it becomes a DataError."""
    try:
        yield
    except Exception as error:
        raise DataError(
            f"{state_file} cannot be continued ({first_line(error)}); "
            "remove it, or choose another folder, to start anew"
        ) from error


@contextlib.contextmanager
def saving(folder: Path) -> Iterator[None]:
    """Around writing: a disk that is full or read-only becomes a DataError."""
    try:
        yield
    except (OSError, RuntimeError) as error:  # torch's own on a full disk
        reason = getattr(error, "strerror", None) or first_line(error)
        raise DataError(f"{folder}: cannot be written: {reason}") from error
