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

"""Files and frames that cannot be used: left out and named, or, strictly, the end."""

from __future__ import annotations

import logging
from collections.abc import Callable

import numpy as np

from difiisr_ros.errors import DataError, DifiisrError
from difiisr_ros.io.frame_files import FramePlace

_log = logging.getLogger(__name__)


class LeftOut:
    """The names of what cannot be used, each with its reason.

    It has no length, so that an empty one is as true as any other: ``left_out or LeftOut()``.

    Args:
        strict: Raise the first error instead of going on.
        log: Tells of each at once; None where it is told later.
    """

    def __init__(
        self, strict: bool = False, log: Callable[[str], object] | None = _log.warning
    ) -> None:
        self._strict, self._log = strict, log
        self.items: list[tuple[str, str]] = []
        """Name and reason."""

    def add(self, name: str, error: DifiisrError) -> None:
        """Leave out ``name``; raises the error where that is strict."""
        if self._strict:
            raise error
        self.items.append((name, str(error)))
        if self._log is not None:
            self._log(f"left out: {self.sentences()[-1]}")

    def read(
        self, place: FramePlace, reader: Callable[[FramePlace], np.ndarray]
    ) -> np.ndarray | None:
        """A frame as ``reader`` reads it; None: left out."""
        try:
            return reader(place)
        except DataError as error:
            self.add(str(place), error)
            return None

    def __contains__(self, name: str) -> bool:
        return any(name == known for known, _ in self.items)

    def sentences(self) -> list[str]:
        """Each in one sentence, which has its name."""
        return [reason if name in reason else f"{name}: {reason}" for name, reason in self.items]

    def summary(self) -> str:
        """How many files, to be put behind what was done; empty for none."""
        return f", {len(self.items)} files left out" if self.items else ""
