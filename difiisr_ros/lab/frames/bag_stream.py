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

"""Frames to evaluate on from a bag: one camera, or a camera and the topic with its truth."""

from __future__ import annotations

import itertools
from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from difiisr_ros.errors import DataError, DifiisrError, FrameError
from difiisr_ros.io.bags import COMPRESSED_IMAGE, IMAGE, BagReader
from difiisr_ros.io.recorded_results import ImageTopics, sort_topics
from difiisr_ros.lab.frames.degrade import crop_to_scale
from difiisr_ros.lab.frames.folder_stream import file_state, self_referenced_settings
from difiisr_ros.lab.frames.put_right import OddityNotices, put_right, truth_of
from difiisr_ros.lab.frames.streams import (
    NO_REFERENCE,
    PAIRED,
    SELF_REFERENCED,
    Sample,
    StreamOptions,
    check_hr_size,
    check_pair,
)

#: Messages of one topic that may wait for their partner of the other one.
_WAITING = 32


@dataclass(frozen=True)
class _Message:
    """An image message that could be decoded."""

    index: int
    topic: str
    log_time_ns: int
    stamp_ns: int
    encoding: str
    """As the message says; empty for compressed images."""
    frame: np.ndarray

    @property
    def name(self) -> str:
        return f"{self.topic} {self.index}"


def bag_streams(path: Path, options: StreamOptions) -> list[BagStream]:
    """One stream for each camera of a bag.

    Without ``options.topics`` these are all image topics but copies (``compressed`` beside the
    raw one), results of the node, and depth.

    Raises:
        DataError: No bag, none of its messages can be read, or it has no such image topic.
    """
    with BagReader(path, salvage=True) as reader:
        known = reader.image_topics()
        counts = {topic: reader.count(topic) for topic in known}
        others = {c.topic: c.msgtype for c in reader.connections if c.topic not in known}
        span = reader.start_time_ns, reader.end_time_ns
        found = ImageTopics(known, {}, {}) if options.topics else sort_topics(reader)
        notices = list(reader.notices)
    if not known:
        raise DataError(
            f"{path}: has no image topic ({IMAGE} or {COMPRESSED_IMAGE}); it has "
            f"{', '.join(sorted(others)) or 'no topics'}"
        )
    wanted = (*options.topics, *([options.reference_topic] if options.reference_topic else []))
    for topic in wanted:
        if topic not in known:
            kind = f" ({others[topic]} only)" if topic in others else ""
            raise DataError(f"{path}: has no images on {topic}{kind}; it has {', '.join(known)}")
    chosen, left_out = _cameras(known, counts, found)
    if options.topics:
        chosen, left_out = options.topics, []
    if not chosen:
        raise DataError(
            f"{path}: has no image topic with frames of a camera; it has (--topic takes them) "
            f"{', '.join(left_out)}"
        )
    if left_out:
        notices.append(f"{path}: left out (--topic takes them): {', '.join(left_out)}")
    streams = [BagStream(path, topic, options, span, counts[topic]) for topic in chosen]
    streams[0].notices += notices
    return streams


def _cameras(
    known: list[str], counts: dict[str, int], found: ImageTopics
) -> tuple[tuple[str, ...], list[str]]:
    chosen, left_out = [], []
    for topic in known:
        raw, _, transport = topic.rpartition("/")
        if not counts[topic]:
            left_out.append(f"{topic} (no messages)")
        elif transport in ("compressed", "theora", "zstd") and counts.get(raw):
            left_out.append(f"{topic} (copy of {raw})")
        elif transport == "compressedDepth":
            left_out.append(f"{topic} (depth)")
        elif topic in found.others:
            left_out.append(f"{topic} ({found.others[topic]})")
        elif topic in found.results:
            left_out.append(f"{topic} (super-resolved already: {found.results[topic]})")
        else:
            chosen.append(topic)
    return tuple(chosen), left_out


class BagStream:
    """The frames of one camera of a bag, in recorded order; see :class:`Stream`.

    Messages without a usable frame are left out and counted in :attr:`notices`.
    """

    in_time = True

    def __init__(
        self, path: Path, topic: str, options: StreamOptions, span: tuple[int, int], count: int
    ) -> None:
        self.path, self.topic = path, topic
        self.label = f"{path} {topic}"
        self.notices: list[str] = []
        self._options = options
        self._oddities = OddityNotices(str(path), options.pixels, every=64)
        first, end = span
        self._start_ns = first + round(options.start_s * 1e9)
        self._stop_ns: int | None = None
        if options.duration_s is not None:
            self._stop_ns = self._start_ns + round(options.duration_s * 1e9)
        share = (min(end, self._stop_ns or end) - self._start_ns) / max(end - first, 1)
        self._count = round(count * min(max(share, 0.0), 1.0))
        if options.no_reference:
            self.mode = NO_REFERENCE
            self.settings: dict[str, Any] = {"data": "lr", "degradation": None}
        elif options.reference_topic:
            self.mode = PAIRED
            self.settings = {
                "data": "hr_lr_topics",
                "degradation": None,
                "reference_topic": options.reference_topic,
                "match_tolerance_s": options.match_tolerance_s,
            }
        else:
            self.mode = SELF_REFERENCED
            self.settings = self_referenced_settings(options)
        for name in ("start_s", "duration_s"):
            if name in options.for_bags:
                self.settings[name] = options.for_bags[name]

    def __len__(self) -> int:
        """See :class:`Stream`; the window of time counts as if messages came evenly."""
        count = -(-self._count // self._options.every)
        return min(count, self._options.limit or count)

    def samples(self, after: int = -1, done: int = 0) -> Iterator[Sample]:
        """See :class:`Stream`."""
        problems = _Problems(self.label)
        first: _Message | None = None
        with self._reader() as reader:
            known = len(reader.notices)
            pairs = self._pairs(reader, after, self._start_ns, self._stop_ns, problems)
            left = None if self._options.limit is None else max(0, self._options.limit - done)
            for message, partner in itertools.islice(pairs, left):
                first = first or message
                self._check_same(first, message)
                yield self._sample(message, partner)
            self.notices += [n for n in reader.notices[known:] if n not in self.notices]
        self.notices += [n for n in problems.sentences() if n not in self.notices]

    def frame(self, index: int, log_time_ns: int) -> Sample:
        """See :class:`Stream`."""
        margin = round(1e9 * max(1.0, self._options.match_tolerance_s)) if self._is_paired else 0
        problems = _Problems(self.label)
        with self._reader() as reader:
            start, stop = log_time_ns - margin, log_time_ns + margin + 1
            for message, partner in self._pairs(reader, -1, start, stop, problems, every=1):
                if message.log_time_ns == log_time_ns:
                    return self._sample(replace(message, index=index), partner)
        raise DataError(f"{self.label}: frame {index} cannot be read again")

    def fingerprint(self) -> list[Any]:
        """See :class:`Stream`."""
        files = sorted(self.path.iterdir()) if self.path.is_dir() else [self.path]
        return [self.topic, *(file_state(file) for file in files if file.is_file())]

    def _reader(self) -> BagReader:
        return BagReader(self.path, salvage=True, byte_order=self._options.pixels.byte_order)

    @property
    def _is_paired(self) -> bool:
        return self.mode == PAIRED

    def _pairs(
        self,
        reader: BagReader,
        after: int,
        start_ns: int,
        stop_ns: int | None,
        problems: _Problems,
        every: int | None = None,
    ) -> Iterator[tuple[_Message, _Message | None]]:
        """Every n-th usable message after ``after``, with the truth's where there is one."""
        every = every or self._options.every
        topics = [self.topic]
        reference = self._options.reference_topic if self._is_paired else None
        if reference is not None:
            topics.append(reference)
        matcher = _Matcher(round(self._options.match_tolerance_s * 1e9), problems)
        numbers = dict.fromkeys(topics, 0)
        for connection, log_time, data in reader.read_raw(topics, start_ns, stop_ns):
            kind, topic = connection.msgtype, connection.topic
            if kind not in (IMAGE, COMPRESSED_IMAGE):
                continue
            index = numbers[topic]
            numbers[topic] += 1
            # A truth may come before its frame, so those are all looked at.
            if topic == self.topic and (index % every or index <= after):
                continue
            message = self._decode(reader, connection, index, log_time, data, problems)
            if message is None:
                continue
            if reference is None:
                yield message, None
                continue
            pair = matcher.add(message, topic == reference)
            if pair is not None:
                yield pair
        if reference is not None:
            matcher.finish(self.label, reference)

    def _decode(
        self,
        reader: BagReader,
        connection: Any,
        index: int,
        log_time: int,
        data: bytes,
        problems: _Problems,
    ) -> _Message | None:
        try:
            record = reader.read_image(connection, log_time, data)
            message, frame = record.message, record.frame
            if frame.dtype == np.float32 and not np.isfinite(frame).all():
                raise FrameError(f"{connection.topic}: has NaN or infinite pixels")
            if connection.topic == self.topic:
                name = f"{connection.topic} {index}"
                self.notices += self._oddities.of(frame, name, record.format.order)
                frame = put_right(frame, self._options.pixels)
            else:
                frame = truth_of(frame, self._options.pixels)
            stamp = message.header.stamp.sec * 10**9 + message.header.stamp.nanosec
        except DifiisrError as error:
            problems.add(error)
            return None
        encoding = getattr(message, "encoding", "")
        return _Message(index, connection.topic, log_time, stamp or log_time, encoding, frame)

    def _sample(self, message: _Message, partner: _Message | None) -> Sample:
        name, stamp, log_time = message.name, message.stamp_ns, message.log_time_ns

        def sample(lr: np.ndarray, hr: np.ndarray | None) -> Sample:
            return Sample(name, message.index, lr, hr, self.topic, stamp, log_time)

        # Frames look into the message's memory, which is foreign and read-only.
        frame = np.array(message.frame)
        if self.mode == NO_REFERENCE:
            return sample(frame, None)
        if partner is not None:
            hr = np.array(partner.frame)
            check_pair(hr, frame, f"{self.path} {partner.name}", name)
            return sample(frame, hr)
        hr = crop_to_scale(frame)
        check_hr_size(hr, f"{self.path} {name}")
        return sample(self._options.degrade(hr, f"{self.topic} {stamp}", self.topic), hr)

    def _check_same(self, first: _Message, message: _Message) -> None:
        """A camera does not change its size or encoding while it is recorded."""
        kinds = [
            f"{m.frame.shape[1]}x{m.frame.shape[0]} {m.encoding or m.frame.dtype}"
            for m in (first, message)
        ]
        if kinds[0] != kinds[1] or first.frame.dtype != message.frame.dtype:
            raise DataError(
                f"{self.label}: the frames are of different kinds: {first.name} is {kinds[0]}, "
                f"{message.name} is {kinds[1]}; choose a part of the bag by --start and --duration"
            )


class _Problems:
    """Messages that had to be left out, counted, with the first reason."""

    def __init__(self, label: str) -> None:
        self._label = label
        self._count = 0
        self._first = ""
        self.unmatched = 0

    def add(self, error: DifiisrError) -> None:
        self._count += 1
        self._first = self._first or str(error)

    def sentences(self) -> list[str]:
        found = []
        if self._count:
            found.append(
                f"{self._label}: {self._count} messages hold no usable frame and are left out, the "
                f"first because: {self._first}"
            )
        if self.unmatched:
            found.append(
                f"{self._label}: {self.unmatched} messages have no partner of the same time and "
                "are left out"
            )
        return found


class _Matcher:
    """Pairs LR and HR messages by header stamp, in one pass and with few messages in memory."""

    def __init__(self, tolerance_ns: int, problems: _Problems) -> None:
        self._tolerance = tolerance_ns
        self._problems = problems
        self._waiting: tuple[OrderedDict[int, _Message], ...] = (OrderedDict(), OrderedDict())
        self._matched = 0
        self._nearest: int | None = None

    def add(self, message: _Message, is_hr: bool) -> tuple[_Message, _Message] | None:
        """Take a message in; returns (LR, HR) when it completes a pair."""
        mine, others = self._waiting[is_hr], self._waiting[not is_hr]
        distance: Callable[[int], int] = lambda stamp: abs(stamp - message.stamp_ns)  # noqa: E731
        best = min(others, key=distance, default=None)
        if best is not None and (self._nearest is None or distance(best) < self._nearest):
            self._nearest = distance(best)
        if best is None or distance(best) > self._tolerance:
            mine[message.stamp_ns] = message
            if len(mine) > _WAITING:
                mine.popitem(last=False)
                self._problems.unmatched += 1
            return None
        partner = others.pop(best)
        self._matched += 1
        return (partner, message) if is_hr else (message, partner)

    def finish(self, label: str, reference: str) -> None:
        """Raise DataError where nothing has found a partner."""
        self._problems.unmatched += sum(map(len, self._waiting))
        if self._matched == 0 and self._nearest is not None:
            raise DataError(
                f"{label}: no message has one of {reference} within {self._tolerance / 1e9:g} s of "
                f"its stamp; the nearest are {self._nearest / 1e9:.3f} s apart (--match-tolerance)"
            )
