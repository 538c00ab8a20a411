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

"""Newest wins, nothing queues, one batch of what waits; and a worker that survives."""

from __future__ import annotations

import threading
import time

from difiisr_ros.stream.frame_slot import FrameSlots, FrameWorker


def test_the_newest_frame_wins():
    slots = FrameSlots(["a"])
    assert [slots.put("a", i) for i in range(3)] == [0, 1, 1]
    assert slots.take() == {"a": 2}
    assert slots.take(timeout=0.01) == {}


def test_frames_that_wait_together_are_taken_together():
    slots = FrameSlots(["a", "b", "c"])
    slots.put("a", 1)
    slots.put("c", 2)
    assert slots.take() == {"a": 1, "c": 2}


def test_a_deeper_slot_keeps_order_says_when_it_is_full_and_then_displaces():
    slots = FrameSlots(["a"], depth=2)
    for i in range(3):
        assert slots.full("a") is (i == 2)
        assert slots.put("a", i) == (i == 2)
    assert [slots.take()["a"] for _ in range(2)] == [1, 2]
    assert not slots.full("a")


def test_who_waits_for_room_is_told_when_a_full_slot_has_some():
    room = []
    slots = FrameSlots(["a", "b"], depth=2, on_room=lambda: room.append(slots.full("a")))
    slots.put("a", 1)
    slots.put("b", 1)
    slots.take()
    assert room == []  # nobody was held back
    slots.put("a", 2)
    slots.put("a", 3)
    slots.take()
    assert room == [False]


def test_taking_waits_for_a_frame():
    slots = FrameSlots(["a"])
    threading.Timer(0.05, slots.put, ("a", 5)).start()
    begin = time.monotonic()
    assert slots.take(timeout=5) == {"a": 5}
    assert time.monotonic() - begin >= 0.04


def test_closing_wakes_the_taker_and_refuses_frames():
    slots = FrameSlots(["a"])
    got = []
    taker = threading.Thread(target=lambda: got.append(slots.take()))
    taker.start()
    slots.close()
    taker.join(5)
    assert got == [{}]
    slots.put("a", 1)
    assert slots.take(timeout=0.01) == {}


def test_closing_counts_what_it_discards():
    slots = FrameSlots(["a", "b"])
    slots.put("a", 1)
    assert slots.close() == 1


def test_worker_goes_on_after_an_exception():
    slots, done, failures = FrameSlots(["a"]), threading.Event(), []

    def work(frames):
        if frames["a"] == 1:
            raise ValueError("bad frame")
        done.set()

    worker = FrameWorker(slots, work, failures.append)
    slots.put("a", 1)
    while not failures:
        time.sleep(0.001)
    slots.put("a", 2)
    assert done.wait(5)
    assert worker.stop(5)
    assert str(failures[0]) == "bad frame"


def test_stopping_waits_for_the_frame_in_work_and_says_when_it_cannot():
    slots, begun, release = FrameSlots(["a"]), threading.Event(), threading.Event()

    def work(frames):
        begun.set()
        release.wait(10)

    worker = FrameWorker(slots, work, print)
    slots.put("a", 1)
    assert begun.wait(5)
    assert not worker.stop(0.02)
    release.set()
    assert worker.stop(5)
