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

"""Thermal frames in ROS bags, without ROS: rosbag2 in mcap and sqlite3, and ROS 1 bags to read.

A bag is a folder of storage files, or one ``.mcap``, ``.db3`` or ``.bag`` file; rosbag2's may be
compressed in any of its ways. The reader hands out frames as arrays, or serialised messages as they
are, so that copying a bag into a :class:`BagWriter` changes no byte of a message.
"""

from __future__ import annotations

import contextlib
import itertools
import logging
import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from difiisr_ros.core.camera_profile import AUTO
from difiisr_ros.errors import DataError, DifiisrError, FrameError, first_line
from difiisr_ros.io.bag_files import METADATA, PACKED, bag_files, is_storage
from difiisr_ros.io.bag_salvage import SalvagedBag
from difiisr_ros.io.bag_writer import IMAGE, BagWriter
from difiisr_ros.io.camera_info_types import standard_camera_info
from difiisr_ros.io.ros1_bag import Ros1Bag
from difiisr_ros.io.stack import ReadOptions
from difiisr_ros.io.storage_scan import has_mcap_index
from difiisr_ros.io.unpack import (
    LARGEST,
    ZSTD_MAGIC,
    TooLargeError,
    bound_rosbags,
    unpack_file,
    unzstd,
)
from difiisr_ros.messages.any_image import message_to_gray
from difiisr_ros.messages.read import ImageFormat

_log = logging.getLogger(__name__)

__all__ = [
    "CAMERA_INFO",
    "COMPRESSED_IMAGE",
    "IMAGE",
    "BagReader",
    "BagWriter",
    "ImageRecord",
    "camera_info_topic_for",
    "is_bag",
]

COMPRESSED_IMAGE = "sensor_msgs/msg/CompressedImage"
CAMERA_INFO = "sensor_msgs/msg/CameraInfo"
MOST_PIXELS = ReadOptions().max_pixels
_ROS1 = ".bag"
_ACCEPTED = (
    "accepted: a rosbag2 folder with metadata.yaml, or a .mcap, .db3 (also .zstd) or (ROS 1) .bag "
    "file"
)


class ImageRecord(NamedTuple):
    """One frame of a bag."""

    topic: str
    log_time_ns: int
    """When the message was recorded, ns."""
    message: Any
    """The image message; ``message.header`` has stamp and frame_id."""
    frame: np.ndarray
    """Height x width, uint8, uint16 or float32; may look into the message's memory."""
    format: ImageFormat
    """What the message holds."""


def is_bag(path: str | os.PathLike[str]) -> bool:
    """Whether a path looks like a bag: by its name, or by metadata.yaml or storage files in it."""
    path = Path(path)
    if path.is_dir():
        return (path / METADATA).is_file() or any(is_storage(p) for p in path.iterdir())
    return is_storage(path) or path.suffix.lower() == _ROS1


class BagReader:
    """Reads a bag. Use as a context manager, or call :meth:`close`.

    Of a folder the files that metadata.yaml names are read, and those that belong to them;
    :attr:`notices` names every difference. A ROS 1 bag looks like one of ROS 2.

    Args:
        path: The bag's folder, or its one file.
        salvage: Read what is left of a bag that is damaged, was cut off or has no index or no
            usable metadata.yaml, instead of refusing it; :attr:`notices` then says what is missing.
            Messages come in the order of writing, and custom message types cannot be deserialised.
        max_pixels: Larger images are refused before they are decoded.
        byte_order: Of pixels of several bytes: ``little``, ``big``, or ``auto``, as messages say.

    Raises:
        DataError: No such path, or not a bag that can be read; the message names the path and the
            reason. Methods raise it too when the bag turns out to be damaged.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        salvage: bool = False,
        max_pixels: int = MOST_PIXELS,
        byte_order: str = AUTO,
    ) -> None:
        self.path = path = Path(path)
        self.notices: list[str] = []
        """What a reader of the frames has to know about the bag, in sentences."""
        if not path.exists():
            raise DataError(f"{path}: no such bag")
        if not is_bag(path):
            raise DataError(f"{path}: is not a bag ({_ACCEPTED})")
        self.is_ros1 = path.suffix.lower() == _ROS1 and path.is_file()
        self._salvage = salvage and not self.is_ros1
        self._max_pixels, self._byte_order = max_pixels, byte_order
        self._noticed: set[tuple[str, str]] = set()
        self._folder = contextlib.ExitStack()
        try:
            self._files = self._storage_files()
            self._reader: Any = self._open()
        except BaseException:
            self._folder.close()
            raise

    def _storage_files(self) -> list[Path]:
        """The bag's files, those that are compressed as a whole unpacked."""
        if not self.path.is_dir():
            files = [self.path]
        else:
            files, notices, trouble = bag_files(self.path)
            if trouble and not self._salvage:
                raise DataError(f"{self.path}: cannot be read as a bag: {trouble}")
            self.notices += notices
            if not (self.path / METADATA).is_file():
                names = ", ".join(file.name for file in files)
                _log.warning("%s: has no metadata.yaml, reading %s alone", self.path, names)
        if not any(file.suffix == PACKED for file in files):
            return files
        folder = Path(self._folder.enter_context(tempfile.TemporaryDirectory(prefix="difiisr_")))
        return [self._unpacked(file, folder) if file.suffix == PACKED else file for file in files]

    def _unpacked(self, file: Path, folder: Path) -> Path:
        damage = unpack_file(file, folder)
        if damage and not self._salvage:
            raise DataError(f"{self.path}: cannot be read as a bag: {damage}")
        self.notices += [f"{self.path}: {damage}"] if damage else []
        return folder / file.name.removesuffix(PACKED)

    def _open(self) -> Any:
        from rosbags.highlevel import AnyReader
        from rosbags.typesys import Stores, get_typestore

        bound_rosbags()
        try:
            if self._salvage:
                self._check_finished()
            with self._errors():
                if self.is_ros1:
                    return Ros1Bag(self.path)
                # Bags of Humble and older carry no message definitions; those of sensor_msgs have
                # not changed since, so Jazzy's serve.
                store = get_typestore(Stores.ROS2_JAZZY)
                reader = AnyReader(self._files, default_typestore=store)
                reader.open()
                return reader
        except DataError as error:
            if not self._salvage:
                raise
            return self._salvaged(error)

    def _check_finished(self) -> None:
        """Raise DataError for what rosbags would read in part, or fail on half-way."""
        for file in self._files:
            if file.suffix == ".mcap" and not has_mcap_index(file):
                raise DataError("it has no index: the recording was not finished")
            log = file.with_name(file.name + "-wal")
            if file.suffix == ".db3" and log.is_file() and log.stat().st_size:
                raise DataError("its last messages are still in sqlite3's write-ahead log")

    def _salvaged(self, reason: Exception) -> SalvagedBag:
        try:
            with self._errors():
                bag = SalvagedBag(self._files)
        except DataError as error:
            raise DataError(f"{reason}; nor can it be read without its index: {error}") from error
        count = sum(c.msgcount for c in bag.connections)
        seconds = (bag.end_time - bag.start_time) / 1e9
        words = str(reason).removeprefix(f"{self.path}: cannot be read as a bag: ")
        words = words.partition(" (a recording that was cut off")[0].rstrip(".")
        self.notices.append(
            f"{self.path}: cannot be read by its index ({words}); its {count} readable messages, "
            f"over {seconds:.1f} s, are used"
        )
        self.notices += [f"{self.path}: {sentence}" for sentence in bag.damage]
        return bag

    def __enter__(self) -> BagReader:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the bag's files; may be called twice."""
        if self._reader.stack is not None:
            self._reader.close()
        self._folder.close()

    @property
    def start_time_ns(self) -> int:
        """Log time of the first message of any topic, ns; 0 for an empty bag."""
        return int(self._reader.start_time) if self._reader.connections else 0

    @property
    def end_time_ns(self) -> int:
        """1 ns after the log time of the last message, ns; 0 for an empty bag."""
        return int(self._reader.end_time) if self._reader.connections else 0

    @property
    def connections(self) -> list[Any]:
        """rosbags' connections: topic, msgtype, msgdef, digest, msgcount, QoS."""
        return list(self._reader.connections)

    def topics_of(self, *msgtypes: str) -> list[str]:
        """Topics of these message types (``sensor_msgs/msg/Image``), sorted."""
        return sorted({c.topic for c in self._reader.connections if c.msgtype in msgtypes})

    def image_topics(self) -> list[str]:
        """Topics with images, raw and compressed, sorted."""
        return self.topics_of(IMAGE, COMPRESSED_IMAGE)

    def check_image_topic(self, topic: str) -> str:
        """The same topic; raises DataError where the bag has no images on it."""
        known = self.image_topics()
        if topic not in known:
            raise DataError(
                f"{self.path}: has no images on {topic}; it has {', '.join(known) or 'none'}"
            )
        return topic

    def camera_info_topics(self) -> list[str]:
        """Topics with camera calibrations, sorted."""
        return self.topics_of(CAMERA_INFO)

    def count(self, topic: str) -> int:
        """How many messages a topic has; 0 for an unknown topic."""
        return sum(c.msgcount for c in self._reader.connections if c.topic == topic)

    def read_images(
        self,
        topic: str | None = None,
        on_error: Callable[[str, int, DifiisrError], None] | None = None,
        *,
        every: int = 1,
        start_ns: int | None = None,
        stop_ns: int | None = None,
    ) -> Iterator[ImageRecord]:
        """Yield the frames of one image topic, or of all of them, in recorded order.

        Args:
            topic: One of :meth:`image_topics`; None for all.
            every: Only the first and then each n-th message; what is left out is not decoded.
            start_ns, stop_ns: Only messages with start <= log time < stop.
            on_error: Called with (topic, log time, error) for a message that holds no usable
                frame, which is then left out. Without it the error is raised.

        Raises:
            DataError: No such image topic, or a damaged bag.
            FrameError: A message without a usable frame, where ``on_error`` is None.
        """
        known = self.image_topics()
        if topic is not None and topic not in known:
            has = ", ".join(known) if known else "no image topic at all"
            raise DataError(f"{self.path}: has no images on {topic}; it has {has}")
        if not known:
            raise DataError(
                f"{self.path}: has no topic of {IMAGE} or {COMPRESSED_IMAGE}; it has "
                f"{', '.join(sorted({c.topic for c in self._reader.connections})) or 'no topics'}"
            )
        messages = self.read_raw([topic] if topic else known, start_ns, stop_ns)
        images = (m for m in messages if m[0].msgtype in (IMAGE, COMPRESSED_IMAGE))
        for connection, log_time, data in itertools.islice(images, 0, None, every):
            try:
                yield self.read_image(connection, log_time, data)
            except DifiisrError as error:
                if on_error is None:
                    raise
                on_error(connection.topic, log_time, error)

    def read_image(self, connection: Any, log_time: int, data: bytes) -> ImageRecord:
        """The frame in a serialised image message; what is odd about it becomes a notice, once.

        Raises:
            DataError: The message cannot be deserialised.
            FrameError: It holds no usable frame; names topic and reason.
        """
        topic, msgtype = connection.topic, connection.msgtype
        message = self.deserialize(connection, data)
        try:
            frame, found = message_to_gray(message, self._max_pixels, self._byte_order)
        except (FrameError, DataError) as error:
            raise FrameError(f"{topic}: {error}") from error
        except (AttributeError, TypeError) as error:  # a damaged definition names other fields
            raise FrameError(f"{topic}: its messages are no {msgtype}: {error}") from error
        for notice in found.notices:
            self._notice(topic, notice.cause, notice.words)
        return ImageRecord(topic, log_time, message, frame, found)

    def _notice(self, topic: str, cause: str, words: str) -> None:
        if (topic, cause) not in self._noticed:
            self._noticed.add((topic, cause))
            self.notices.append(f"{self.path}: {topic}: {words}")

    def read_raw(
        self,
        topics: Sequence[str] | None = None,
        start_ns: int | None = None,
        stop_ns: int | None = None,
    ) -> Iterator[tuple[Any, int, bytes]]:
        """Yield (connection, log time in ns, serialised message), in recorded order.

        Args:
            topics: Only these; None for all.
            start_ns, stop_ns: Only messages with start <= log time < stop.
        """
        last = start_ns
        try:
            for item in self._read_raw(topics, start_ns, stop_ns):
                yield item
                last = item[1] + 1
        except DataError as error:
            if not self._salvage or isinstance(self._reader, SalvagedBag):
                raise
            # One damaged chunk must not hide those behind it.
            self._reader.close()
            self._reader = self._salvaged(error)
            yield from self._read_raw(topics, last, stop_ns)

    def _read_raw(
        self, topics: Sequence[str] | None, start_ns: int | None, stop_ns: int | None
    ) -> Iterator[tuple[Any, int, bytes]]:
        wanted = [c for c in self._reader.connections if topics is None or c.topic in topics]
        if not wanted:
            return
        messages = self._messages(wanted, start_ns, stop_ns)
        while True:
            with self._errors():
                item = next(messages, None)
            if item is None:
                return
            connection, log_time, data = item
            try:
                with self._errors():
                    data = self._plain(connection, data)
            except TooLargeError as error:
                self._notice(connection.topic, "too_large", f"left out is what {error}")
                continue
            yield connection, log_time, data

    def _messages(
        self, wanted: list[Any], start_ns: int | None, stop_ns: int | None
    ) -> Iterator[tuple[Any, int, bytes]]:
        """File after file, so that only one chunk of a long recording is in memory."""
        readers = getattr(self._reader, "readers", ())
        if len(readers) < 2:
            yield from self._reader.messages(wanted, start_ns, stop_ns)
            return
        for reader in readers:
            here = {id(c.owner) for c in reader.connections}
            if mine := [c for c in wanted if id(c.owner) in here]:
                yield from self._reader.messages(mine, start_ns, stop_ns)

    def _plain(self, connection: Any, data: bytes) -> bytes:
        """A message without the compression that rosbag2's mode "message" gives every one.

        The format's first bytes, which no message begins with, tell.
        """
        if bytes(data[:4]) != ZSTD_MAGIC:
            return data
        is_image = connection.msgtype in (IMAGE, COMPRESSED_IMAGE)
        # 8 bytes is a pixel of four channels, and a kilobyte what a message has beside them.
        return unzstd(data, min(LARGEST, 8 * self._max_pixels + 1024) if is_image else LARGEST)

    def deserialize(self, connection: Any, data: bytes) -> Any:
        """The message in serialised form, as an object with the message's fields."""
        with self._errors():
            message = self._reader.deserialize(data, connection.msgtype)
            return standard_camera_info(message) if connection.msgtype == CAMERA_INFO else message

    def first_camera_info(self, topic: str) -> Any | None:
        """The first ``CameraInfo`` of a topic, or None."""
        for connection, _, data in self.read_raw([topic]):
            if connection.msgtype == CAMERA_INFO:
                return self.deserialize(connection, data)
        return None

    @contextlib.contextmanager
    def _errors(self) -> Iterator[None]:
        """Turn whatever a damaged bag makes the libraries raise into one clear error."""
        try:
            yield
        except DifiisrError:
            raise
        except Exception as error:  # sqlite3's, struct's, zstd's, yaml's, rosbags' ...
            how = "'rosbag reindex'" if self.is_ros1 else "'ros2 bag reindex' or 'mcap recover'"
            raise DataError(
                f"{self.path}: cannot be read as a bag: {first_line(error)} (a recording that was "
                f"cut off may be mended by {how})"
            ) from error


def camera_info_topic_for(image_topic: str) -> str:
    """The topic that carries an image topic's calibration: its sibling ``camera_info``."""
    base = (
        image_topic[: -len("/compressed")] if image_topic.endswith("/compressed") else image_topic
    )
    return base.rpartition("/")[0] + "/camera_info"
