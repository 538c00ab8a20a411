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

"""Records serialised messages into a bag in a thread of its own, so that nobody waits for disk."""

from __future__ import annotations

import os
import queue
import threading
from collections.abc import Mapping

from difiisr_ros.errors import DataError
from difiisr_ros.io.bag_writer import BagWriter

#: Bytes that may wait to be written: about five seconds of a 640x512 camera's results.
QUEUE_BYTES = 256 * 2**20


class BagRecorder:
    """Writes what :meth:`put` is given, in the background, until :meth:`close`.

    Args:
        path: The bag's folder; must not exist.
        topics: Topic to (message type, whether a player should offer it reliably).
        max_queue_bytes: More waiting messages than this are dropped, and counted.

    Raises:
        DataError: The bag cannot be begun.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        topics: Mapping[str, tuple[str, bool]],
        max_queue_bytes: int = QUEUE_BYTES,
    ) -> None:
        self._writer = BagWriter(path)
        self._topics = {
            name: self._writer.add_topic(name, kind, reliable)
            for name, (kind, reliable) in topics.items()
        }
        self._limit = max_queue_bytes
        self._queue: queue.SimpleQueue[tuple[str, int, bytes] | None] = queue.SimpleQueue()
        self._room = threading.Condition()
        self._waiting = 0
        #: Messages written, and left out because the disk was too slow.
        self.written = self.dropped = 0
        #: Why recording ended early, or None.
        self.error: str | None = None
        self._thread = threading.Thread(target=self._run, name="recorder", daemon=True)
        self._thread.start()

    def put(self, topic: str, log_time_ns: int, data: bytes, wait: bool = False) -> bool:
        """Hand over a serialised message; False when it was dropped.

        Args:
            topic: One of the topics given at first.
            log_time_ns: ns.
            data: CDR.
            wait: Wait for the disk rather than drop a message.
        """
        with self._room:
            while wait and self.error is None and self._waiting > self._limit - len(data):
                if not self._waiting:  # alone it is too large, but there is nothing to wait for
                    break
                self._room.wait()
            if self.error is not None or (not wait and self._waiting + len(data) > self._limit):
                self.dropped += 1
                return False
            self._waiting += len(data)
        self._queue.put((topic, log_time_ns, data))
        return True

    def close(self) -> None:
        """Write what waits and finish the bag; may be called twice.

        Raises:
            DataError: The bag could not be finished.
        """
        self._queue.put(None)
        self._thread.join()
        if self.error is not None:
            self._writer.discard()
        else:
            self._writer.close()

    def _run(self) -> None:
        while (item := self._queue.get()) is not None:
            topic, log_time_ns, data = item
            if self.error is None:
                try:
                    self._writer.write_raw(self._topics[topic], log_time_ns, data)
                    self.written += 1
                except DataError as error:
                    self.error = str(error)
            with self._room:
                self._waiting -= len(data)
                self._room.notify_all()
