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

"""Where the time of an upscale goes: the pipeline's own calls, timed while it runs."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from difiisr_ros.core import radiometry

STAGES = ("normalise", "network", "project", "restore", "message")


class StageClock:
    """Seconds per stage since the last :meth:`take`."""

    def __init__(self) -> None:
        self._seconds: dict[str, float] = {}

    def timed(self, stage: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """The function itself, its time added to ``stage``."""

        def run(*args: Any, **kwargs: Any) -> Any:
            start = time.perf_counter()
            try:
                return function(*args, **kwargs)
            finally:
                spent = time.perf_counter() - start
                self._seconds[stage] = self._seconds.get(stage, 0.0) + spent

        return run

    def take(self) -> dict[str, float]:
        """The seconds per stage, and begin anew."""
        taken, self._seconds = self._seconds, {}
        return taken


@contextmanager
def watched(backend: Any, clock: StageClock) -> Iterator[None]:
    """Time the stages of every upscale on ``backend`` inside the block.

    Replaces functions of :mod:`difiisr_ros.core.radiometry` and the backend's ``run`` meanwhile,
    so that what is timed is the pipeline itself: for a process that does nothing else.
    """
    stages = {"measure_range": "normalise", "normalize": "normalise", "restore": "restore"}
    before = {name: getattr(radiometry, name) for name in stages}
    run = backend.run
    try:
        for name, stage in stages.items():
            setattr(radiometry, name, clock.timed(stage, before[name]))
        backend.run = clock.timed("network", run)
        yield
    finally:
        for name, function in before.items():
            setattr(radiometry, name, function)
        backend.run = run
