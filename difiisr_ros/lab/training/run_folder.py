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
