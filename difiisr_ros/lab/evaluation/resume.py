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

"""The state of a run in a file, so that an interrupted evaluation continues where it was."""

from __future__ import annotations

import hashlib
import json
import os
import time
from dataclasses import replace
from pathlib import Path
from typing import Any, TextIO

from difiisr_ros.errors import DataError
from difiisr_ros.lab.evaluation.stream_scores import Batch, StreamScores
from difiisr_ros.version import __version__

_FORMAT = 1
#: Seconds of work that an interruption can cost.
FLUSH_PERIOD_S = 5.0


def run_identity(settings: dict[str, Any]) -> str:
    """Digest of everything that the numbers of a run depend on (JSON values)."""
    content = {"format": _FORMAT, "version": __version__, **settings}
    text = json.dumps(content, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()


class RunState:
    """Batches on disk, one JSON line each, behind a line that says which run they belong to.

    Args:
        path: The file; None keeps nothing.
        identity: Of :func:`run_identity`. A file of another run is replaced.

    Raises:
        DataError: The file cannot be written.
    """

    def __init__(self, path: Path | None, identity: str) -> None:
        self.path = path
        self._identity = identity
        self._file: TextIO | None = None
        self._waiting: dict[int, Batch] = {}
        self._due = time.monotonic() + FLUSH_PERIOD_S
        self.replaced = False
        """Whether a file of another run was there."""

    def load(self, scores: list[StreamScores]) -> int:
        """Fill in what an earlier run has found; returns the number of frames.

        Opens the file for what follows, so it is called once, before :meth:`add`.
        """
        if self.path is None:
            return 0
        batches, size = self._read()
        for batch in batches:
            scores[batch.stream].add(batch)
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            # What comes after the last whole line was cut off.
            self._file = self.path.open("r+" if size else "w", encoding="utf-8")
            self._file.seek(size)
            self._file.truncate()
            if not size:
                self._write({"run": self._identity})
        except OSError as error:
            raise DataError(f"{self.path}: cannot be written: {error.strerror}") from error
        return sum(map(len, scores))

    def _read(self) -> tuple[list[Batch], int]:
        """The batches in the file, and how many bytes of it they are; none of another run's."""
        assert self.path is not None
        batches: list[Batch] = []
        size = 0
        try:
            with self.path.open("rb") as file:
                for number, line in enumerate(file):
                    try:
                        content = json.loads(line) if line.endswith(b"\n") else None
                    except ValueError:
                        content = None
                    if number == 0 and (content or {}).get("run") != self._identity:
                        if not line.startswith(b'{"run"'):
                            raise DataError(
                                f"{self.path}: is in the way, and no state of an evaluation; move "
                                "it away, or name another output"
                            )
                        self.replaced = True
                        return [], 0
                    if content is None:
                        break
                    if number:
                        batches.append(Batch(**content))
                    size += len(line)
        except FileNotFoundError:
            return [], 0
        except OSError as error:
            raise DataError(f"{self.path}: cannot be read: {error.strerror}") from error
        return batches, size

    def add(self, batch: Batch) -> None:
        """Keep a batch; it is on disk a few seconds later, or when :meth:`flush` is called."""
        if self._file is None:
            return
        waiting = self._waiting.get(batch.stream)
        if waiting is not None:  # the caller's own stays as it is
            batch = replace(batch, rows=waiting.rows + batch.rows)
        self._waiting[batch.stream] = batch
        if batch.done or time.monotonic() >= self._due:
            self.flush()

    def flush(self) -> None:
        """Write what waits."""
        self._due = time.monotonic() + FLUSH_PERIOD_S
        waiting, self._waiting = self._waiting, {}
        for batch in waiting.values():
            self._write(vars(batch))

    def _write(self, content: dict[str, Any]) -> None:
        if self._file is None:
            return
        try:
            self._file.write(json.dumps(content) + "\n")
            self._file.flush()
        except OSError as error:
            raise DataError(f"{self.path}: cannot be written: {error.strerror}") from error

    def close(self, finished: bool) -> None:
        """Close the file, and remove it when the run has come to its end."""
        if self._file is None:
            return
        self.flush()
        self._file.close()
        self._file = None
        if finished and self.path is not None:
            os.unlink(self.path)
