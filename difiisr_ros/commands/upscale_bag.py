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

"""Adds super-resolved topics to a copy of a bag. Every message of the old bag stays as it is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from difiisr_ros.commands.frame_notices import FrameNotices
from difiisr_ros.commands.result_infos import ResultInfos
from difiisr_ros.commands.stream_arguments import NO_MEMORIES, StreamMemories
from difiisr_ros.core.missing import missing_mask
from difiisr_ros.errors import BackendUnavailable, DataError, DifiisrError
from difiisr_ros.io.bags import (
    CAMERA_INFO,
    COMPRESSED_IMAGE,
    IMAGE,
    BagReader,
    BagWriter,
    ImageRecord,
    camera_info_topic_for,
)
from difiisr_ros.io.recorded_results import sort_topics
from difiisr_ros.io.stack import COUNTS
from difiisr_ros.messages.camera_info import CONVENTIONS
from difiisr_ros.messages.write import output_format, to_output
from difiisr_ros.stream_memory import StreamMemory

STORAGES = ("mcap", "sqlite3")

__all__ = ["CONVENTIONS", "STORAGES", "result_topic", "upscale_bag"]


class _Outcome(Protocol):
    done: int

    def fail(self, name: str, error: DifiisrError) -> None: ...

    def notice(self, sentence: str) -> None: ...

    def leave_out(self, name: str, what: str) -> None: ...


def result_topic(topic: str, namespace: str) -> str:
    """Where results go: ``/cam/image_raw`` (or its ``/compressed``) to ``/cam/sr/image_raw``."""
    base = topic[: -len("/compressed")] if topic.endswith("/compressed") else topic
    parent, _, name = base.rpartition("/")
    return f"{parent}/{namespace}/{name}"


def upscale_bag(
    source: Path,
    target: Path,
    resolver: Any,
    outcome: _Outcome,
    *,
    topics: Sequence[str] | None = None,
    namespace: str = "sr",
    convention: str = "pixel_center",
    storage: str | None = None,
    unit: str = COUNTS,
    memories: StreamMemories = NO_MEMORIES,
) -> None:
    """Copy a bag and add the super-resolved images and their camera_info.

    A result has its frame's header and log time, and comes right after it. Messages that hold no
    usable frame are copied, and noted in ``outcome``; so is what a damaged bag has lost. One
    message at a time is in memory.

    Args:
        source, target: A bag, of ROS 1 too, and the new one's folder.
        resolver: A ``SuperResolver``.
        outcome: Counts the frames, and collects what could not be used.
        topics: Image topics to upscale; None: all that are not results themselves.
        namespace: See :func:`result_topic`.
        convention: Of :func:`difiisr_ros.messages.camera_info.scale_camera_info`.
        storage: ``mcap``, ``sqlite3``, or None for the source's.
        unit: of the results: see :func:`in_unit`.
        memories: of the topics' frames before one.

    Raises:
        DataError: The source cannot be read, has no such topic or has results already, or the
            target exists or cannot be written.
        BackendUnavailable: The engine does not run.
    """
    from tqdm import tqdm

    pixels_accepted = resolver.options.max_input_pixels
    order = resolver.camera.byte_order
    with BagReader(source, salvage=True, max_pixels=pixels_accepted, byte_order=order) as reader:
        images = _choose(reader, topics, namespace, outcome)
        infos = _camera_infos(reader, images, namespace)
        checks = {topic: _check(topic, resolver, outcome) for topic in images}
        of_results = ResultInfos(reader, images, resolver, convention)
        with BagWriter(target, storage or _storage_of(source)) as writer:
            for connection in reader.connections:
                writer.add_topic_like(connection)
            _add_results(reader, writer, images, infos)
            total = sum(reader.count(topic) for topic in images)
            with tqdm(total=total, unit="frame", disable=None) as progress:
                for connection, log_time, data in reader.read_raw():
                    topic, kind = connection.topic, connection.msgtype
                    # Asked by name: a bag that turns out to be damaged is opened anew half-way.
                    writer.write_raw(writer.add_topic_like(connection), log_time, data)
                    try:
                        if topic in images and kind in (IMAGE, COMPRESSED_IMAGE):
                            progress.update()
                            record = reader.read_image(connection, log_time, data)
                            checks[topic](record)
                            of_results.frame(topic, record.frame)
                            memory = memories.of(topic)
                            pixels, encoding = _upscale(record, resolver, unit, memory)
                        elif topic in infos and kind == CAMERA_INFO:
                            info = reader.deserialize(connection, data)
                            scaled = of_results.of(topic, info)
                        else:
                            continue
                    except BackendUnavailable:  # no fault of the message
                        raise
                    except DifiisrError as error:
                        outcome.fail(f"{topic} at {log_time}", error)
                        continue
                    if kind == CAMERA_INFO:
                        writer.write(infos[topic], CAMERA_INFO, log_time, scaled)
                    else:
                        writer.write_image(
                            images[topic], log_time, pixels, record.message.header, encoding
                        )
                        outcome.done += 1
        for notice in reader.notices:
            outcome.notice(notice)


def in_unit(result: np.ndarray, frame: np.ndarray, resolver: Any, unit: str) -> np.ndarray:
    """A result in the unit that was asked for.

    Args:
        result, frame: as upscaled, and the message's H x W before the camera's crop.
        resolver: A ``SuperResolver``, whose camera says what a count is where ``unit`` needs it.
        unit: ``counts``: as it is; ``kelvin``, ``celsius``: float32, missing pixels NaN.
    """
    if unit == COUNTS:
        return result
    camera = resolver.camera
    picture = camera.crop.of(frame)
    wanted, geometry = resolver.view(*picture.shape)
    missing = missing_mask(wanted.of(picture), camera.missing)
    placed = None if missing is None else geometry.place_mask(missing)
    return camera.temperatures.convert(result, unit, placed)


def _upscale(
    record: ImageRecord, resolver: Any, unit: str, memory: StreamMemory | None
) -> tuple[np.ndarray, str]:
    """The result and its encoding: that of its message, or temperatures."""
    result = resolver.upscale(record.frame, memory=memory)
    result = in_unit(result, record.frame, resolver, unit)
    if unit != COUNTS:
        return result, "32FC1"
    output = output_format(record.format.encoding, "same")
    return to_output(result, output), output.name


def _check(topic: str, resolver: Any, outcome: _Outcome) -> Callable[[ImageRecord], None]:
    """A function that names what is odd about a topic's frames, once."""
    notices = FrameNotices(resolver)

    def check(record: ImageRecord) -> None:
        for words in notices.look(record.frame, record.format.order):
            outcome.notice(f"{topic}: {words}")

    return check


def camera_topics(reader: BagReader, namespace: str, outcome: _Outcome) -> list[str]:
    """Image topics of thermal cameras; results of an earlier run, colour and depth are noted."""
    found = sort_topics(reader, namespace)
    for topic, mark in found.results.items():
        outcome.leave_out(topic, f"results of an earlier run ({mark})")
    for topic, what in found.others.items():
        outcome.leave_out(topic, f"topics of {what} (--topic takes them)")
    return found.cameras


def _choose(
    reader: BagReader, topics: Sequence[str] | None, namespace: str, outcome: _Outcome
) -> dict[str, str]:
    """Image topic -> topic of its results."""
    known = reader.image_topics()
    if topics is None:
        chosen = camera_topics(reader, namespace, outcome)
        if not chosen:
            raise DataError(
                f"{reader.path}: has no image topic to upscale"
                + (f" besides {', '.join(known)}; name it by --topic" if known else "")
            )
    else:
        chosen = list(dict.fromkeys(topics))
        for topic in chosen:
            if topic not in known:
                raise DataError(
                    f"{reader.path}: has no images on {topic}; it has {', '.join(known) or 'none'}"
                )
    results: dict[str, str] = {}
    everything = {c.topic for c in reader.connections}
    for topic in chosen:
        result = result_topic(topic, namespace)
        if result in everything:
            raise DataError(
                f"{reader.path}: has {result} already; choose another name by --namespace, or "
                "other topics by --topic"
            )
        if result in results.values():
            # raw and compressed of one camera: the raw one, which comes first, has lost nothing
            if topics is not None:
                raise DataError(f"{topic}: its results would go to {result}, as another's do")
            continue
        results[topic] = result
    return results


def _camera_infos(reader: BagReader, images: dict[str, str], namespace: str) -> dict[str, str]:
    """camera_info topic of an upscaled image -> topic of the scaled one."""
    known = set(reader.camera_info_topics())
    everything = {c.topic for c in reader.connections}
    infos = {}
    for topic in map(camera_info_topic_for, images):
        scaled = result_topic(topic, namespace)
        if topic in known and scaled not in everything:
            infos[topic] = scaled
    return infos


def _add_results(
    reader: BagReader, writer: BagWriter, images: dict[str, str], infos: dict[str, str]
) -> None:
    """Add the result topics, offered as their originals are."""
    added: set[str] = set()
    for connection in reader.connections:
        result = {**images, **infos}.get(connection.topic)
        if result is None or result in added:
            continue
        added.add(result)
        if connection.msgtype in (IMAGE, CAMERA_INFO):
            writer.add_topic_like(connection, result)
        else:
            writer.add_topic(result, IMAGE)


def _storage_of(source: Path) -> str:
    files = source.iterdir() if source.is_dir() else [source]
    return "sqlite3" if any(".db3" in p.suffixes for p in files) else "mcap"
