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

"""A ROS 1 bag with the messages, types and names of ROS 2, so that nobody else has to know."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import Any


class Ros1Bag:
    """Reads a ``.bag``; the members are those of rosbags' ``AnyReader`` for a rosbag2 bag.

    Messages are converted one by one when they are read. Types that ROS 2 has get its definition
    (``CameraInfo`` has k, not K); others keep their own, written as ROS 2 writes definitions.

    Args:
        path: The file.

    Raises:
        Whatever rosbags does of a bag that cannot be read.
    """

    is2 = True

    def __init__(self, path: Path) -> None:
        from rosbags.highlevel import AnyReader
        from rosbags.typesys import Stores, get_typestore

        self._reader = AnyReader([path])
        self._reader.open()
        self.typestore = get_typestore(Stores.ROS2_JAZZY)
        self._cache: dict[str, object] = {}
        self._converters: dict[str, Callable[[bytes], Any]] = {}
        self._old: dict[int, Any] = {}
        self.connections: list[Any] = []
        try:
            for number, old in enumerate(self._reader.connections, 1):
                self._old[number] = old
                self.connections.append(self._connection(number, old))
        except BaseException:
            self.close()
            raise

    @property
    def stack(self) -> Any:
        """None when it is closed."""
        return self._reader.stack

    @property
    def start_time(self) -> int:
        """Log time of the first message, ns."""
        return int(self._reader.start_time)

    @property
    def end_time(self) -> int:
        """1 ns after that of the last."""
        return int(self._reader.end_time)

    def close(self) -> None:
        """Close the file."""
        self._reader.close()

    def messages(
        self, connections: Collection[Any] = (), start: int | None = None, stop: int | None = None
    ) -> Iterator[tuple[Any, int, bytes]]:
        """Yield (connection, log time in ns, message as CDR) in recorded order."""
        wanted = {id(self._old[c.id]): c for c in connections or self.connections}
        old = [self._old[c.id] for c in wanted.values()]
        by_id = {self._old[c.id].id: c for c in wanted.values()}
        for found, log_time, data in self._reader.messages(old, start, stop):
            connection = by_id[found.id]
            yield connection, log_time, bytes(self._converter(found.msgtype)(data))

    def deserialize(self, data: bytes, msgtype: str) -> Any:
        """The message of its CDR."""
        return self.typestore.deserialize_cdr(data, msgtype)

    def _connection(self, number: int, old: Any) -> Any:
        from rosbags.convert.converter import LATCH
        from rosbags.interfaces import (
            Connection,
            ConnectionExtRosbag2,
            MessageDefinition,
            MessageDefinitionFormat,
        )

        msgtype = self._new_type(old.msgtype)
        definition, _ = self.typestore.generate_msgdef(msgtype, ros_version=2)
        return Connection(
            number,
            old.topic,
            msgtype,
            MessageDefinition(MessageDefinitionFormat.MSG, definition),
            self.typestore.hash_rihs01(msgtype),
            old.msgcount,
            ConnectionExtRosbag2("cdr", LATCH if old.ext.latching else []),
            self,
        )

    def _new_type(self, old: str) -> str:
        """The type's name in ROS 2; a type that ROS 2 lacks is made known."""
        from rosbags.convert.converter import STATIC_MSGTYPE_RENAMES
        from rosbags.typesys import get_types_from_msg

        new: str = STATIC_MSGTYPE_RENAMES.get(old, old)
        if new not in self.typestore.fielddefs:
            definition, _ = self._reader.typestore.generate_msgdef(old, ros_version=2)
            types = get_types_from_msg(definition, new)
            known = self.typestore.fielddefs
            self.typestore.register({k: v for k, v in types.items() if k not in known})
        return new

    def _converter(self, old: str) -> Callable[[bytes], Any]:
        from rosbags.convert.converter import is_same_wireformat, migrate_bytes

        if old not in self._converters:
            source, target, new = self._reader.typestore, self.typestore, self._new_type(old)

            def same(data: bytes) -> Any:
                return target.ros1_to_cdr(data, new)

            def field_by_field(data: bytes) -> Any:
                return migrate_bytes(
                    source, target, old, new, self._cache, data, src_is2=False, dst_is2=True
                )

            is_same = is_same_wireformat(source, target, old, new)
            self._converters[old] = same if is_same else field_by_field
        return self._converters[old]
