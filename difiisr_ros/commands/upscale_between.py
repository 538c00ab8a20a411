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

"""Frames of a bag to files, and files to a bag, as the ending of OUT says."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from difiisr_ros.commands.outcome import Outcome
from difiisr_ros.commands.stream_arguments import NO_MEMORIES, StreamMemories
from difiisr_ros.commands.upscale_bag import camera_topics, in_unit
from difiisr_ros.errors import BackendUnavailable, DataError, DifiisrError, OutputError
from difiisr_ros.io.bags import BagReader, BagWriter
from difiisr_ros.io.frames import ImageSource
from difiisr_ros.io.images import survey_folder, write_image
from difiisr_ros.io.not_used import kind_of_path
from difiisr_ros.io.recorded_results import NAMESPACE
from difiisr_ros.io.stack import COUNTS, ReadOptions

#: Endings of OUT for which a bag's results become files, numbered by their stamps.
FILES = (".png", ".tif", ".tiff")
#: Ending of OUT -> storage of the new bag that files become.
BAGS = {".mcap": "mcap", ".db3": "sqlite3"}
INPUT, OUTPUT = "/image_raw", "/sr/image_raw"
_STAMP = re.compile(r"_(\d{1,10})_(\d{9})\.[^.]+$")


class _Header:
    """What a bag needs of ``std_msgs/Header``."""

    frame_id = "thermal_optical_frame"

    def __init__(self, stamp_ns: int) -> None:
        self.stamp = self
        self.sec, self.nanosec = divmod(stamp_ns, 10**9)


def bag_to_files(
    source: Path,
    target: Path,
    resolver: Any,
    outcome: Outcome,
    topics: Sequence[str] | None,
    unit: str = COUNTS,
    memories: StreamMemories = NO_MEMORIES,
) -> None:
    """Write the results of a bag's topic as ``NAME_<seconds>_<nanoseconds>.png`` beside OUT's name.

    Raises:
        DataError: several topics, a bag that cannot be read, or such files are there already.
        OutputError: a result cannot be written.
    """
    from tqdm import tqdm

    if there := sorted(target.parent.glob(f"{target.stem}_*{target.suffix}")):
        raise DataError(f"{there[0]}: is there already; choose another name or folder")

    def failed(name: str, log_time: int, error: DifiisrError) -> None:
        outcome.fail(f"{name} at {log_time}", error)

    how = {
        "max_pixels": resolver.options.max_input_pixels,
        "byte_order": resolver.camera.byte_order,
    }
    with BagReader(source, salvage=True, **how) as reader:
        topic = _one_topic(reader, topics, outcome)
        memory = memories.of(topic)
        records = reader.read_images(topic, on_error=failed)
        for record in tqdm(records, total=reader.count(topic), unit="frame", disable=None):
            stamp = record.message.header.stamp
            name = f"{target.stem}_{stamp.sec:010d}_{stamp.nanosec:09d}{target.suffix}"
            try:
                result = resolver.upscale(record.frame, memory=memory)
                result = in_unit(result, record.frame, resolver, unit)
            except BackendUnavailable:  # no fault of the message
                raise
            except DifiisrError as error:
                failed(topic, record.log_time_ns, error)
                continue
            try:
                write_image(target.with_name(name), result)
            except DataError as error:
                raise OutputError(str(error)) from error
            outcome.done += 1
        for notice in reader.notices:
            outcome.notice(notice)


def _one_topic(reader: BagReader, topics: Sequence[str] | None, outcome: Outcome) -> str:
    known = reader.image_topics()
    if topics is None:
        topics = camera_topics(reader, NAMESPACE, outcome)
        topics = [t for t in topics if t.removesuffix("/compressed") == t or t[:-11] not in topics]
    if len(topics) != 1 or topics[0] not in known:
        raise DataError(
            f"{reader.path}: files are of one image topic, name it by --topic; it has "
            f"{', '.join(known) or 'none'}"
        )
    return topics[0]


def files_to_bag(
    source: Path,
    target: Path,
    resolver: Any,
    outcome: Outcome,
    rate: float,
    options: ReadOptions,
    memories: StreamMemories = NO_MEMORIES,
) -> None:
    """Write frames and results as a new bag, on ``/image_raw`` and ``/sr/image_raw``.

    Stamps are those in the files' names, as :func:`bag_to_files` gives them, else now and on at
    ``rate`` frames a second.

    Raises:
        DataError: no file can be used, the bag is there already, or cannot be written.
    """
    if source.is_dir():
        for path in survey_folder(source, False)[1]:
            outcome.leave_out(path.name, kind_of_path(path))
    frames = ImageSource(source, options)
    began = time.time_ns()
    with BagWriter(target, BAGS[target.suffix.lower()]) as writer:
        for frame in frames.frames():
            stamp = began + round(frame.index * 1e9 / rate)
            if found := _STAMP.search(frame.name):
                stamp = int(found[1]) * 10**9 + int(found[2])
            try:
                result = resolver.upscale(frame.image, memory=memories.of(INPUT))
            except BackendUnavailable:  # no fault of the file
                raise
            except DifiisrError as error:
                outcome.fail(frame.name, error)
                continue
            writer.write_image(INPUT, stamp, frame.image, _Header(stamp))
            writer.write_image(OUTPUT, stamp, result, _Header(stamp))
            outcome.done += 1
        if not outcome.done:
            raise DataError(f"{source}: no frame of it could be upscaled")
    outcome.failed.items += frames.left_out.items()
    outcome.notices += frames.lacks
    outcome.incomplete = bool(frames.lacks)
