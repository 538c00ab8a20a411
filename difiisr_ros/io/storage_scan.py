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

"""Reads the storage file of a bag from front to end, without its index, as far as it is whole.

What a recorder leaves behind when the power fails: an mcap file without summary and with half a
chunk at its end, an sqlite3 file that is shorter than its header says. Both formats keep every
message readable on its own, so what was written before can be had.
"""

from __future__ import annotations

import contextlib
import sqlite3
import struct
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

from difiisr_ros.errors import DataError, first_line
from difiisr_ros.io.unpack import LARGEST, unlz4, unzstd


class ScannedTopic(NamedTuple):
    """A topic as its file describes it."""

    name: str
    msgtype: str
    definition_encoding: str
    """``ros2msg``, ``ros2idl``, or empty where the file carries no definitions."""
    definition: str
    type_hash: str
    qos: Any
    """rosbags' list of QoS profiles."""


class ScannedMessage(NamedTuple):
    """One message as it was recorded."""

    topic: ScannedTopic
    log_time_ns: int
    data: bytes


def scan(path: Path, damage: list[str]) -> Iterator[ScannedMessage]:
    """Yield the messages of an ``.mcap`` or ``.db3`` file in the order in which they were written.

    Args:
        path: The file.
        damage: Gets a sentence for every place where something could not be read.

    Raises:
        DataError: The file holds nothing of its format, or another format.
    """
    scanners = {".mcap": _scan_mcap, ".db3": _scan_sqlite}
    if path.suffix not in scanners:
        raise DataError(f"{path}: only .mcap and .db3 files can be read without their index")
    yield from scanners[path.suffix](path, damage)


def has_mcap_index(path: Path) -> bool:
    """Whether an mcap file has a summary section that says where its messages are."""
    summary = _mcap_summary(path)
    if summary is None or summary.statistics is None:
        return False
    return bool(summary.chunk_indexes) or summary.statistics.message_count == 0


def _mcap_summary(path: Path) -> Any:
    from mcap.exceptions import McapError
    from mcap.reader import make_reader

    with path.open("rb") as file:
        try:
            return make_reader(file).get_summary()
        except (McapError, struct.error, ValueError, OverflowError, OSError):
            return None


def _scan_mcap(path: Path, damage: list[str]) -> Iterator[ScannedMessage]:
    from mcap.exceptions import McapError
    from mcap.records import Channel, Chunk, Message, Schema
    from mcap.stream_reader import StreamReader, breakup_chunk

    # The chunk that describes the topics may be the damaged one; the summary repeats them.
    summary = _mcap_summary(path)
    schemas: dict[int, Schema] = dict(summary.schemas) if summary else {}
    topics: dict[int, ScannedTopic] = {
        number: _mcap_topic(channel, schemas.get(channel.schema_id))
        for number, channel in (summary.channels.items() if summary else ())
    }
    with path.open("rb") as file:
        reader = StreamReader(file, emit_chunks=True, record_size_limit=LARGEST)
        records = iter(reader.records)
        while True:
            start = file.tell()
            try:
                record = next(records, None)
            except (McapError, struct.error, ValueError, OverflowError) as error:
                if start == 0:
                    raise DataError(f"{path}: is not an mcap file: {first_line(error)}") from error
                damage.append(f"{path.name} ends {_at(start)}, in the middle of a record")
                return
            if record is None:
                return
            inner = [record]
            if isinstance(record, Chunk):
                try:
                    inner = breakup_chunk(_unpacked(record), validate_crc=True)
                except Exception as error:  # noqa: BLE001  zstd's, lz4's, struct's, CRC mismatches
                    damage.append(
                        f"a chunk of {path.name} {_at(start)} is damaged: {first_line(error)}"
                    )
                    continue
            for item in inner:
                if isinstance(item, Schema):
                    schemas[item.id] = item
                elif isinstance(item, Channel):
                    topics[item.id] = _mcap_topic(item, schemas.get(item.schema_id))
                elif isinstance(item, Message) and item.channel_id in topics:
                    yield ScannedMessage(topics[item.channel_id], item.log_time, item.data)


def _unpacked(chunk: Any) -> Any:
    """A chunk with its records uncompressed: no more bytes than it claims and are accepted."""
    unpack = {"zstd": unzstd, "lz4": unlz4}.get(chunk.compression)
    if unpack is None:
        return chunk
    data = unpack(chunk.data, min(chunk.uncompressed_size, LARGEST))
    return replace(chunk, compression="", data=data)


def _mcap_topic(channel: Any, schema: Any) -> ScannedTopic:
    return ScannedTopic(
        channel.topic,
        schema.name if schema else "",
        schema.encoding if schema else "",
        schema.data.decode("utf-8", "replace") if schema else "",
        channel.metadata.get("topic_type_hash", ""),
        _qos(channel.metadata.get("offered_qos_profiles", "")),
    )


def _scan_sqlite(path: Path, damage: list[str]) -> Iterator[ScannedMessage]:
    try:
        connection = _open_sqlite(path)
    except sqlite3.Error as error:
        raise DataError(f"{path}: is not an sqlite3 bag: {first_line(error)}") from error
    with contextlib.closing(connection):
        try:
            topics = _sqlite_topics(connection)
        except sqlite3.Error as error:
            raise DataError(
                f"{path}: its list of topics cannot be read: {first_line(error)}"
            ) from error
        yield from _sqlite_messages(connection, topics, path, damage)


def _open_sqlite(path: Path) -> sqlite3.Connection:
    def connect(mode: str) -> sqlite3.Connection:
        # Readers may live in one thread and be closed by another, but never work in two.
        name = f"file:{quote(str(path))}?{mode}"
        connection = sqlite3.connect(name, uri=True, check_same_thread=False)
        # A file shorter than its header says counts as malformed, unless one is about to mend it.
        connection.execute("PRAGMA writable_schema=ON")
        connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
        return connection

    # Messages of the last seconds may be in a write-ahead log beside the file, which "immutable"
    # leaves out; on a read-only disk nothing else works.
    try:
        return connect("mode=ro")
    except sqlite3.Error:
        return connect("immutable=1")


def _sqlite_topics(connection: sqlite3.Connection) -> dict[int, ScannedTopic]:
    columns = {row[1] for row in connection.execute("PRAGMA table_info(topics)")}
    if not {"id", "name", "type"} <= columns:
        raise sqlite3.DatabaseError("it has no table of topics")
    definitions: dict[str, tuple[str, str]] = {}
    if list(connection.execute("PRAGMA table_info(message_definitions)")):
        definitions = {
            name: (encoding, text)
            for name, encoding, text in connection.execute(
                "SELECT topic_type, encoding, encoded_message_definition FROM message_definitions"
            )
        }
    qos = "offered_qos_profiles" if "offered_qos_profiles" in columns else "''"
    digest = "type_description_hash" if "type_description_hash" in columns else "''"
    return {
        number: ScannedTopic(
            name, kind, *definitions.get(kind, ("", "")), type_hash, _qos(profiles)
        )
        for number, name, kind, type_hash, profiles in connection.execute(
            f"SELECT id, name, type, {digest}, {qos} FROM topics"
        )
    }


def _sqlite_messages(
    connection: sqlite3.Connection, topics: dict[int, ScannedTopic], path: Path, damage: list[str]
) -> Iterator[ScannedMessage]:
    query = "SELECT id, topic_id, timestamp, data FROM messages WHERE id > ? ORDER BY id"
    last, jump, broken = 0, 0, ""
    while jump < 1 << 32:
        try:
            for row, topic, time, data in connection.execute(query, (last + jump,)):
                if broken:
                    damage.append(f"{path.name} is damaged after message {last}: {broken}")
                last, jump, broken = row, 0, ""
                if topic in topics:
                    yield ScannedMessage(topics[topic], time, data)
        except sqlite3.Error as error:
            # Pages behind a damaged one can still be found, from the row that they begin with.
            jump, broken = max(2 * jump, 1), first_line(error)
        else:
            break
    if broken:
        damage.append(f"{path.name} ends after message {last}: {broken}")


def _qos(text: str) -> Any:
    from rosbags.rosbag2.metadata import parse_qos

    try:
        return parse_qos(text)
    except Exception:  # noqa: BLE001  profiles are a courtesy to players, messages matter here
        return []


def _at(position: int) -> str:
    return f"at {position / 1e6:.1f} MB"
