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

"""The player goes on when the recorder says that frames are done, and gives up when it does not."""

from __future__ import annotations

import threading

from difiisr_ros.stream.frames_done import DoneGate, without_result


def test_frames_without_a_result_are_counted_from_diagnostics():
    tasks = {
        "input": {"frames rejected": "2", "frames displaced by newer ones": "1"},
        "inference": {"frames skipped for the deadline": "4", "frames published": "9"},
    }
    assert without_result(tasks) == 7
    assert without_result({}) == 0


def test_the_gate_opens_when_enough_are_done():
    gate = DoneGate()
    assert gate.count is None
    passed = []
    thread = threading.Thread(target=lambda: passed.append(gate.wait(3, 60.0)))
    thread.start()
    for count in (0, 1, 2):
        gate.update(count)
    assert not passed and thread.is_alive()
    gate.update(3)
    thread.join(60)
    assert passed == [True]
    assert gate.wait(2, 0.0)  # at once


def test_waiting_for_nothing_is_waiting_for_the_recorder():
    gate = DoneGate()
    assert not gate.wait(0, 0.05)
    gate.update(0)
    assert gate.wait(0, 0.0)
    assert not gate.wait(1, 0.05)


def test_patience_counts_from_the_last_progress():
    gate = DoneGate()
    passed = []
    thread = threading.Thread(target=lambda: passed.append(gate.wait(5, 2.0)))
    thread.start()
    for count in range(5):  # three seconds in all, more than the patience
        thread.join(0.6)
        assert thread.is_alive()
        gate.update(count)
    gate.update(5)
    thread.join(60)
    assert passed == [True]


def test_stopping_lets_it_go():
    gate = DoneGate()
    passed = []
    thread = threading.Thread(target=lambda: passed.append(gate.wait(1, 3600.0)))
    thread.start()
    gate.stop()
    thread.join(60)
    assert passed == [False]
