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

"""How a player learns that a frame is done, so that it never runs ahead of the node. No ROS here.

The recorder publishes on ``frames_done`` how many frames need no more waiting for: results that it
holds, and frames that the node has refused. The topic is latched, so nothing depends on who starts
first. Because the player goes on only then, no queue on the way fills, nothing is lost however
busy the machine is, memory stays bounded, and every frame is timed alone.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping

from difiisr_ros.stream import diagnostic_keys as keys

#: What becomes of a frame that the node has received without a result, by diagnostics task and key.
WITHOUT_RESULT = (
    (keys.INPUT, keys.FRAMES_REJECTED),
    (keys.INPUT, keys.FRAMES_DISPLACED),
    (keys.INFERENCE, keys.FRAMES_SKIPPED),
)


def without_result(tasks: Mapping[str, Mapping[str, str]]) -> int:
    """Frames that the node will not publish a result of, by its diagnostics.

    Args:
        tasks: Task (``input``, ``inference``) to its values by key; what is missing counts 0.
    """
    return sum(int(tasks.get(task, {}).get(key) or 0) for task, key in WITHOUT_RESULT)


class DoneGate:
    """Lets a thread wait until enough frames are done."""

    def __init__(self) -> None:
        self._count: int | None = None
        self._stopped = False
        self._changed = threading.Condition()

    @property
    def count(self) -> int | None:
        """Frames that are done; None before the recorder was heard."""
        return self._count

    def update(self, count: int) -> None:
        """The recorder says that so many are done."""
        with self._changed:
            self._count = count
            self._changed.notify_all()

    def stop(self) -> None:
        """Let whoever waits go."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()

    def wait(self, wanted: int, patience: float) -> bool:
        """Wait until ``wanted`` frames are done; 0 waits until the recorder is heard at all.

        Args:
            wanted: of :attr:`count`.
            patience: seconds without any progress after which to give up.

        Returns:
            False where patience has run out or :meth:`stop` was called.
        """
        with self._changed:
            while not self._stopped and (self._count is None or self._count < wanted):
                before = self._count
                progressed = self._changed.wait_for(
                    lambda before=before: self._stopped or self._count != before,  # type: ignore[misc]
                    patience,
                )
                if not progressed:
                    return False
            return not self._stopped
