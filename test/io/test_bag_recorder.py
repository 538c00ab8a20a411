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

"""Recording in the background: everything is written, or counted as dropped."""

from __future__ import annotations

import threading

import numpy as np
import pytest

pytest.importorskip("rosbags", reason="bags need rosbags: pip install rosbags")

from difiisr_ros.errors import DataError
from difiisr_ros.io.bag_recorder import BagRecorder
from difiisr_ros.io.bags import IMAGE, BagReader, BagWriter

TOPICS = {"/a": (IMAGE, False), "/b": (IMAGE, True)}


@pytest.fixture
def message(tmp_path):
    """A serialised image."""
    with BagWriter(tmp_path / "one") as writer:
        writer.write_image("/x", 1, np.arange(12, dtype=np.uint16).reshape(3, 4))
    with BagReader(tmp_path / "one") as reader:
        ((_, _, data),) = reader.read_raw()
    return bytes(data)


def test_messages_come_out_as_they_went_in(tmp_path, message):
    recorder = BagRecorder(tmp_path / "bag", TOPICS)
    for i in range(20):
        assert recorder.put("/a" if i % 2 else "/b", 100 + i, message)
    recorder.close()
    recorder_again = recorder.close  # twice is allowed
    recorder_again()
    assert (recorder.written, recorder.dropped, recorder.error) == (20, 0, None)
    with BagReader(tmp_path / "bag") as reader:
        read = [(c.topic, t, bytes(d)) for c, t, d in reader.read_raw()]
    assert read == [("/a" if i % 2 else "/b", 100 + i, message) for i in range(20)]


def test_a_slow_disk_drops_and_counts_instead_of_waiting(tmp_path, message, monkeypatch):
    go = threading.Event()
    write = BagWriter.write_raw

    def slow(self, *arguments):
        go.wait(10)
        write(self, *arguments)

    monkeypatch.setattr(BagWriter, "write_raw", slow)
    recorder = BagRecorder(tmp_path / "bag", TOPICS, max_queue_bytes=5 * len(message))
    taken = [recorder.put("/a", i, message) for i in range(9)]
    assert taken == 5 * [True] + 4 * [False]
    go.set()
    recorder.close()
    assert (recorder.written, recorder.dropped) == (5, 4)


def test_a_full_disk_ends_the_recording_and_leaves_no_bag(tmp_path, message, monkeypatch):
    def full(self, *_arguments):
        raise DataError("bag: cannot be written: No space left on device")

    monkeypatch.setattr(BagWriter, "write_raw", full)
    recorder = BagRecorder(tmp_path / "bag", TOPICS)
    recorder.put("/a", 1, message)
    recorder.close()
    assert "No space left" in recorder.error
    assert not (tmp_path / "bag").exists()
    assert not recorder.put("/a", 2, message)


def test_a_bag_that_exists_is_refused(tmp_path):
    (tmp_path / "bag").mkdir()
    with pytest.raises(DataError, match="exists already"):
        BagRecorder(tmp_path / "bag", TOPICS)
