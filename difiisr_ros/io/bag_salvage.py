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

"""A bag whose recording was cut off, or that has lost its index: what of it can still be read.

:class:`SalvagedBag` stands in for rosbags' ``AnyReader``, which needs every file to be whole. It
goes through the storage files from front to end (:mod:`difiisr_ros.io.storage_scan`), once to find
topics and counts, and once for every reading.
"""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

from difiisr_ros.errors import DataError
from difiisr_ros.io.storage_scan import ScannedMessage, ScannedTopic, scan


class SalvagedBag:
    """Reads storage files without their index; the members are those of ``AnyReader``.

    Args:
        files: Storage files in recorded order.

    Raises:
        DataError: Not one message can be read.
    """

    is2 = True

    def __init__(self, files: list[Path]) -> None:
        from rosbags.typesys import Stores, get_typestore

        self.stack: contextlib.ExitStack | None = contextlib.ExitStack()
        self.damage: list[str] = []
        """A sentence for every place that could not be read."""
        # Definitions may be part of what is lost. Those of sensor_msgs have never changed.
        self.typestore = get_typestore(Stores.ROS2_JAZZY)
        self._files = files
        self.connections: list[Any] = []
        self.start_time = 0
        self.end_time = 0
        try:
            self._survey()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """End reading; may be called twice."""
        self.stack = None

    def messages(
        self,
        connections: Collection[Any] = (),
        start: int | None = None,
        stop: int | None = None,
    ) -> Iterator[tuple[Any, int, bytes]]:
        """Yield (connection, log time in ns, serialised message) in the order of writing."""
        wanted = {(c.topic, c.msgtype): c for c in connections or self.connections}
        for message in self._scan([]):
            connection = wanted.get((message.topic.name, message.topic.msgtype))
            late = stop is not None and message.log_time_ns >= stop
            early = start is not None and message.log_time_ns < start
            if connection is not None and not early and not late:
                yield connection, message.log_time_ns, message.data

    def deserialize(self, data: bytes, msgtype: str) -> Any:
        """The message in serialised form, as an object with the message's fields."""
        return self.typestore.deserialize_cdr(data, msgtype)

    def _scan(self, damage: list[str]) -> Iterator[ScannedMessage]:
        for path in self._files:
            try:
                yield from scan(path, damage)
            except DataError as error:
                damage.append(str(error))

    def _survey(self) -> None:
        counts: dict[tuple[str, str], int] = {}
        topics: dict[tuple[str, str], ScannedTopic] = {}
        first, last = None, 0
        for topic, time, _data in self._scan(self.damage):
            key = topic.name, topic.msgtype
            topics.setdefault(key, topic)
            counts[key] = counts.get(key, 0) + 1
            first = time if first is None else min(first, time)
            last = max(last, time)
        if first is None:
            names = ", ".join(path.name for path in self._files) or "an empty folder"
            reason = f": {self.damage[0]}" if self.damage else ""
            raise DataError(f"no message can be read from {names}{reason}")
        self.start_time, self.end_time = first, last + 1
        for number, (key, topic) in enumerate(topics.items(), 1):
            self.connections.append(_connection(number, topic, counts[key], self))


def _connection(number: int, topic: ScannedTopic, count: int, owner: Any) -> Any:
    from rosbags.interfaces import (
        Connection,
        ConnectionExtRosbag2,
        MessageDefinition,
        MessageDefinitionFormat,
    )

    formats = {"ros2msg": MessageDefinitionFormat.MSG, "ros2idl": MessageDefinitionFormat.IDL}
    definition = MessageDefinition(
        formats.get(topic.definition_encoding, MessageDefinitionFormat.NONE), topic.definition
    )
    ext = ConnectionExtRosbag2("cdr", topic.qos)
    return Connection(
        number, topic.name, topic.msgtype, definition, topic.type_hash, count, ext, owner
    )
