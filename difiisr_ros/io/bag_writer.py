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

"""Writes thermal frames, or serialised messages, into a rosbag2 bag, without ROS."""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from difiisr_ros.errors import DataError
from difiisr_ros.messages.image_encoding import encoding_for

IMAGE = "sensor_msgs/msg/Image"


class BagWriter:
    """Writes a rosbag2 bag that appears, whole, when it is closed.

    Use as a context manager: left by an exception, nothing remains. The format (metadata version
    8) is one that Humble, Jazzy and later play.

    Args:
        path: The bag's folder; must not exist.
        storage: ``mcap`` or ``sqlite3``.

    Raises:
        DataError: The path exists or cannot be written, or the storage is unknown.
    """

    def __init__(self, path: str | os.PathLike[str], storage: str = "mcap") -> None:
        from rosbags.rosbag2 import StoragePlugin, Writer
        from rosbags.typesys import Stores, get_typestore

        self.path = Path(path)
        plugins = {"mcap": StoragePlugin.MCAP, "sqlite3": StoragePlugin.SQLITE3}
        if storage not in plugins:
            raise DataError(f"storage is '{storage}'; accepted are {', '.join(plugins)}")
        if self.path.exists():
            raise DataError(f"{self.path}: exists already, and bags are never overwritten")
        self._typestore = get_typestore(Stores.ROS2_JAZZY)
        self._topics: dict[str, Any] = {}
        with self._errors():
            self.path.parent.mkdir(parents=True, exist_ok=True)
            # The storage file is named after its folder, so the temporary name is one level up.
            self._temporary = Path(
                tempfile.mkdtemp(prefix=f".{self.path.name}.", dir=self.path.parent)
            )
        try:
            with self._errors():
                self._writer: Any = Writer(
                    self._temporary / self.path.name, version=8, storage_plugin=plugins[storage]
                )
                self._writer.open()
        except DataError:
            shutil.rmtree(self._temporary, ignore_errors=True)
            raise

    def __enter__(self) -> BagWriter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is None:
            self.close()
        else:
            self.discard()

    def close(self) -> None:
        """Finish the bag and give it its name; may be called twice."""
        if self._writer is None:
            return
        writer, self._writer = self._writer, None
        try:
            with self._errors():
                writer.close()
                os.rename(self._temporary / self.path.name, self.path)
        finally:
            shutil.rmtree(self._temporary, ignore_errors=True)

    def discard(self) -> None:
        """Drop what was written; nothing appears under the bag's name."""
        if self._writer is None:
            return
        writer, self._writer = self._writer, None
        with contextlib.suppress(OSError, sqlite3.Error):
            getattr(writer, "abort", writer.close)()  # rosbags before 0.11 cannot abort
        shutil.rmtree(self._temporary, ignore_errors=True)

    def add_topic(self, topic: str, msgtype: str, reliable: bool = True) -> Any:
        """Add a topic; returns the connection that :meth:`write_raw` takes.

        ``reliable`` is the QoS that a player will offer (depth 10, volatile).
        """
        from rosbags.interfaces import (
            Qos,
            QosDurability,
            QosHistory,
            QosLiveliness,
            QosReliability,
            QosTime,
        )

        never = QosTime(9223372036, 854775807)  # how rosbag2 writes "infinite"
        qos = Qos(
            QosHistory.KEEP_LAST,
            10,
            QosReliability.RELIABLE if reliable else QosReliability.BEST_EFFORT,
            QosDurability.VOLATILE,
            never,
            never,
            QosLiveliness.AUTOMATIC,
            never,
            False,
        )
        self._topics[topic] = connection = self._writer.add_connection(
            topic, msgtype, typestore=self._typestore, offered_qos_profiles=[qos]
        )
        return connection

    def add_topic_like(self, other: Any, topic: str | None = None) -> Any:
        """Add a topic of another bag's connection: same type, definition, type hash and QoS.

        Bags of Humble and older lack definitions and hashes; they are added where the type is a
        standard one, or the bag has the definition.

        Args:
            other: rosbags' connection. Several of one topic, as two publishers leave them, become
                one, because rosbag2 knows a topic once.
            topic: Its name here; None: the same.
        """
        name, known = topic or other.topic, other.msgtype in self._typestore.fielddefs
        if name in self._topics and self._topics[name].msgtype == other.msgtype:
            return self._topics[name]
        definition, digest = other.msgdef.data, other.digest
        if not definition and known:
            definition, _ = self._typestore.generate_msgdef(other.msgtype, ros_version=2)
        self._topics[name] = connection = self._writer.add_connection(
            name,
            other.msgtype,
            msgdef=definition,
            rihs01=digest or _type_hash(other.msgtype, definition),
            serialization_format=other.ext.serialization_format,
            offered_qos_profiles=other.ext.offered_qos_profiles,
        )
        return connection

    def write_raw(self, connection: Any, log_time_ns: int, data: bytes | memoryview) -> None:
        """Write a serialised message as it is."""
        with self._errors():
            self._writer.write(connection, log_time_ns, data)

    def write(self, topic: str, msgtype: str, log_time_ns: int, message: Any) -> None:
        """Serialise and write a message that has the fields of ``msgtype``."""
        connection = self._topics.get(topic) or self.add_topic(topic, msgtype)
        self.write_raw(connection, log_time_ns, self._typestore.serialize_cdr(message, msgtype))

    def write_image(
        self,
        topic: str,
        log_time_ns: int,
        frame: np.ndarray,
        header: Any = None,
        encoding: str | None = None,
    ) -> None:
        """Write a frame as ``sensor_msgs/Image``.

        Args:
            topic: Added when it is new.
            log_time_ns: Recording time, ns; the stamp too, where no header is given.
            frame: Height x width, or height x width x channels where ``encoding`` has several.
            header: Fields of ``std_msgs/Header``; copied.
            encoding: Must fit the array; by default mono8, mono16 or 32FC1, by its dtype.
        """
        types = self._typestore.types
        stamp = types["builtin_interfaces/msg/Time"](*divmod(log_time_ns, 10**9))
        frame_id = ""
        if header is not None:
            stamp = types["builtin_interfaces/msg/Time"](header.stamp.sec, header.stamp.nanosec)
            frame_id = header.frame_id
        frame = np.ascontiguousarray(frame)
        image = types[IMAGE](
            header=types["std_msgs/msg/Header"](stamp=stamp, frame_id=frame_id),
            height=frame.shape[0],
            width=frame.shape[1],
            encoding=encoding or encoding_for(frame.dtype),
            is_bigendian=0,
            step=frame.strides[0],
            data=frame.reshape(-1).view(np.uint8),
        )
        self.write(topic, IMAGE, log_time_ns, image)

    @contextlib.contextmanager
    def _errors(self) -> Iterator[None]:
        """Say of a full or broken disk, whichever storage noticed it, which bag it was."""
        try:
            yield
        except OSError as error:
            raise DataError(f"{self.path}: cannot be written: {error.strerror}") from error
        except sqlite3.Error as error:
            raise DataError(f"{self.path}: cannot be written: {error}") from error


def _type_hash(msgtype: str, definition: str) -> str:
    """The type hash (REP 2016) of a definition as a bag holds it; zeros where it does not parse.

    rosbags refuses a bag with a hash that does not fit its definition, even an empty one.
    """
    from rosbags.typesys import (
        Stores,
        TypesysError,
        get_types_from_idl,
        get_types_from_msg,
        get_typestore,
    )

    store = get_typestore(Stores.EMPTY)
    mark = "=" * 80 + "\n"
    try:
        if definition.startswith(f"{mark}IDL: "):
            for part in definition.split(mark)[1:]:
                store.register(get_types_from_idl(part.partition("\n")[2]))
        else:
            store.register(get_types_from_msg(definition, msgtype))
        return store.hash_rihs01(msgtype)
    except (TypesysError, KeyError):
        return "RIHS01_" + 64 * "0"
