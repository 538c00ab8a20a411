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

"""What a command has written into a folder, in a list: it replaces that and nothing else.

The list names each file with its size and its time of change. A file of the same name that is not
on it, or that somebody has changed since, is somebody's, and is neither replaced nor removed.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from difiisr_ros.atomic_write import write_whole
from difiisr_ros.errors import DataError
from difiisr_ros.io.images import FRAME_SUFFIXES

_OF_BAGS = (".mcap", ".db3", ".bag", ".zstd")


class OwnResults:
    """The results of a command's last run in a folder.

    Args:
        folder: may be missing.
        command: whose results; each command has a list of its own.
    """

    def __init__(self, folder: Path, command: str) -> None:
        self.folder = folder
        self._list = folder / f".difiisr_{command}.json"
        self._known = self._read()

    def check(self, names: Iterable[str], inputs: Iterable[Path] = ()) -> None:
        """See whether results of these names may be written.

        Args:
            names: of files and folders in the folder.
            inputs: what the run reads; it may be an earlier result, but not one to be replaced.

        Raises:
            DataError: something of such a name is there that is not ours, or is an input.
        """
        used = [path.resolve() for path in inputs]
        for name in names:
            path = self.folder / name
            if path.is_symlink() or (path.exists() and not self._is_ours(name)):
                raise DataError(
                    f"{path}: is in the way, and no result of an earlier run, which alone would be "
                    "replaced; choose another folder, or move it away"
                )
            place = path.resolve()
            if any(place == one or place in one.parents for one in used):
                raise DataError(f"{path}: is an input, which is never overwritten")

    @contextlib.contextmanager
    def staged(self) -> Iterator[Path]:
        """A new folder in the folder, for results until they are complete; it is gone afterwards.

        Raises:
            DataError: the folder cannot be written.
        """
        with self._errors():
            self.folder.mkdir(parents=True, exist_ok=True)
            stage = Path(tempfile.mkdtemp(prefix=".difiisr_", dir=self.folder))
        try:
            yield stage
        finally:
            shutil.rmtree(stage, ignore_errors=True)

    def take(self, stage: Path, inputs: Iterable[Path] = ()) -> None:
        """Put the results in ``stage`` in the place of the last run's, whose others are removed.

        Raises:
            DataError: something is in the way by now, or cannot be written.
        """
        used = [path.resolve() for path in inputs]
        new = sorted(path.name for path in stage.iterdir())
        self.check(new, used)
        with self._errors():
            left = {}
            for name in self._known:
                path = self.folder / name
                if any(path.resolve() in (one, *one.parents) for one in used):
                    left[name] = self._known[name]
                elif path.exists() and self._is_ours(name):
                    _remove(path)
            for name in new:
                os.rename(stage / name, self.folder / name)
            self._write({**left, **{name: _state(self.folder / name) for name in new}})

    def put(self, stage: Path, name: str) -> None:
        """Make ``stage`` a folder of this name, in the place of the last one.

        Raises:
            DataError: something is in the way by now, or cannot be written.
        """
        self.check([name])
        with self._errors():
            path = self.folder / name
            if path.exists():
                _remove(path)
            os.rename(stage, path)
            path.chmod(self.folder.stat().st_mode & 0o777)
            self._write({**self._known, name: _state(path)})

    def note(self, names: Iterable[str]) -> None:
        """Note results that have been written in their place.

        Raises:
            DataError: the list cannot be written.
        """
        with self._errors():
            self._write({**self._known, **{n: _state(self.folder / n) for n in names}})

    def _is_ours(self, name: str) -> bool:
        return name in self._known and self._known[name] == _state(self.folder / name)

    def _read(self) -> dict[str, Any]:
        try:
            content = json.loads(self._list.read_text(encoding="utf-8"))
            return {str(name): state for name, state in content["results"].items()}
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return {}  # none, or none that can be read: nothing is ours

    def _write(self, known: dict[str, Any]) -> None:
        self._known = known
        text = json.dumps({"results": known}, indent=1) + "\n"
        write_whole(self._list, text.encode())

    @contextlib.contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise DataError(f"{self.folder}: cannot be written: {error.strerror}") from error


def refuse_inputs(output: Path, inputs: Iterable[Path]) -> None:
    """Raise DataError where a file to write is an input, or a frame or part of a bag in one."""
    place = output.resolve()
    read = place.suffix.lower() in (*FRAME_SUFFIXES, *_OF_BAGS) or place.name == "metadata.yaml"
    for path in inputs:
        of_folder = read and place.exists() and place.is_relative_to(path.resolve())
        if place == path.resolve() or of_folder:
            raise DataError(f"{output}: is an input, which is never overwritten")


def refuse_within(output: Path, source: Path, never: str = "overwritten") -> None:
    """Raise DataError where a folder or file to write is the input or in it."""
    if output.resolve().is_relative_to(source.resolve()):
        raise DataError(f"{output}: is the input or in it, which is never {never}")


def _state(path: Path) -> Any:
    """Of a file its size and time of change, of a folder those of what is in it."""
    if path.is_dir() and not path.is_symlink():
        return {entry.name: _state(entry) for entry in sorted(path.iterdir())}
    found = path.lstat()
    return [found.st_size, found.st_mtime_ns]


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink()
