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

"""Results that something else has made: a recorded bag as one more method of an evaluation.

A node that was live while its output was recorded is scored like this, by the code that scores the
engine itself: its results are matched to the frames by header stamp.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from difiisr_ros.errors import DataError, FrameError
from difiisr_ros.io.bags import COMPRESSED_IMAGE, IMAGE, BagReader
from difiisr_ros.io.recorded_results import recorded_results
from difiisr_ros.messages.cdr import stamp_of


class RecordedResults:
    """The images of one topic of a bag, by their header stamp.

    The bag is read forwards as frames are asked for in rising order; an earlier one is looked up by
    its log time. Only stamps and times are kept.

    Args:
        path: A rosbag2 bag.
        topic: Topic with the results; None: the only one that is recognised as results, or the
            only image topic.

    Raises:
        DataError: Not a bag that can be read, or it is not clear which topic is meant.
    """

    def __init__(self, path: str | os.PathLike[str], topic: str | None = None) -> None:
        self.path = Path(path)
        self._reader = BagReader(path, salvage=True)
        try:
            self.topic = _choose_topic(self._reader, topic)
        except DataError:
            self._reader.close()
            raise
        self._input = _input_of(self.topic, self._reader)
        self._messages = self._read()
        self._times: dict[int, int] = {}  # stamp -> log time of the result
        self._sent: dict[int, int] = {}  # stamp -> log time of the frame it was made of
        self._last: tuple[int, np.ndarray] | None = None

    def result(self, stamp_ns: int) -> np.ndarray:
        """The result of the frame with this header stamp, H x W in its own dtype.

        Raises:
            DataError: The recording has none, or none that can be used.
        """
        if self._last is not None and self._last[0] == stamp_ns:
            return self._last[1]
        seen = stamp_ns in self._times
        frame = self._again(stamp_ns) if seen else self._onwards(stamp_ns)
        self._last = stamp_ns, frame
        return frame

    def milliseconds(self, stamp_ns: int) -> float | None:
        """From a frame to its result, by the log times of both; None where the frame is missing.

        ``sr_monitor_node`` with ``latency_from: publication`` writes the times of publication as
        log times, so that this is the node's own latency; other recorders write when they received
        a message.
        """
        if stamp_ns not in self._times or stamp_ns not in self._sent:
            return None
        return (self._times[stamp_ns] - self._sent[stamp_ns]) / 1e6

    def close(self) -> None:
        """Close the bag; may be called twice."""
        self._reader.close()

    def _read(self) -> Iterator[tuple[Any, int, int, bytes]]:
        topics = [self.topic, *filter(None, [self._input])]
        for connection, log_time, data in self._reader.read_raw(topics):
            if connection.msgtype not in (IMAGE, COMPRESSED_IMAGE):
                continue
            stamp = stamp_of(data)
            times = self._times if connection.topic == self.topic else self._sent
            times.setdefault(stamp, log_time)
            if connection.topic == self.topic:
                yield connection, stamp, log_time, data

    def _onwards(self, wanted: int) -> np.ndarray:
        for connection, stamp, _, data in self._messages:
            if stamp == wanted:
                return self._decode(connection, data)
        raise DataError(
            f"{self.path}: has no result on {self.topic} with stamp {wanted} ns "
            f"({len(self._times)} results); every frame that is scored needs one"
        )

    def _again(self, wanted: int) -> np.ndarray:
        log_time = self._times[wanted]
        # A reader of its own: the other one is in the middle of the bag.
        with BagReader(self.path, salvage=True) as reader:
            for connection, _, data in reader.read_raw([self.topic], log_time, log_time + 1):
                if stamp_of(data) == wanted:
                    return self._decode(connection, data)
        raise DataError(f"{self.path}: the result with stamp {wanted} ns is not there any more")

    def _decode(self, connection: Any, data: bytes) -> np.ndarray:
        try:
            return np.array(self._reader.read_image(connection, 0, data).frame)
        except FrameError as error:
            raise DataError(f"{self.path}: {error}") from error


def _choose_topic(reader: BagReader, topic: str | None) -> str:
    if topic is not None:
        return reader.check_image_topic(topic)
    known = reader.image_topics()
    candidates = list(recorded_results(reader)) or known
    if len(candidates) != 1:
        raise DataError(
            f"{reader.path}: which of its image topics holds the results? "
            f"{', '.join(candidates) or 'It has none'}"
            + ("; name one after a colon" if candidates else "")
        )
    return candidates[0]


def _input_of(topic: str, reader: BagReader) -> str | None:
    """Topic of the frames that the results are made of: ``/a/image_raw`` of ``/a/sr/image_raw``."""
    known = reader.image_topics()
    above, _, name = topic.removesuffix("/compressed").rpartition("/")
    base = f"{above.rpartition('/')[0]}/{name}"
    return next((t for t in (base, f"{base}/compressed") if t in known and t != topic), None)
