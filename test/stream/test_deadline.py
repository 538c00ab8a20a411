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

"""Steps are given up before frames, quickly; and taken back slowly."""

from __future__ import annotations

import pytest

from difiisr_ros.stream.deadline import PATIENCE, PROBE_INTERVAL, RECOVERY, DeadlineController


class Machine:
    """Feeds a controller with frames of a machine that takes so many seconds a step."""

    def __init__(self, controller, seconds_per_step, frame_time=1 / 30, age=0.0):
        self.controller, self.age = controller, age
        self.seconds_per_step, self.frame_time = seconds_per_step, frame_time
        self.now, self.latencies, self.skipped = 100.0, [], 0

    def run(self, frames):
        self.latencies, self.skipped = [], 0
        for _ in range(frames):
            self.now += self.frame_time
            if not self.controller.admit(self.age, self.now):
                self.skipped += 1
                continue
            latency = self.age + self.seconds_per_step * self.controller.steps
            self.now += latency
            self.controller.observe(self.age, latency, self.now)
            self.latencies.append(latency)


def test_without_a_deadline_nothing_is_given_up():
    controller = DeadlineController(0.0, num_steps=4)
    machine = Machine(controller, seconds_per_step=9.0)
    machine.run(100)
    assert (controller.steps, machine.skipped) == (4, 0)


def test_a_deadline_that_is_kept_changes_nothing():
    controller = DeadlineController(0.050, num_steps=4)
    machine = Machine(controller, seconds_per_step=0.010)
    machine.run(200)
    assert (controller.steps, machine.skipped) == (4, 0)


def test_steps_are_reduced_to_what_fits():
    controller = DeadlineController(0.050, num_steps=8)
    machine = Machine(controller, seconds_per_step=0.020)
    machine.run(100)
    assert controller.steps == 2
    assert machine.skipped == 0
    assert sum(latency > 0.050 for latency in machine.latencies) == PATIENCE
    assert max(machine.latencies[PATIENCE:]) <= 0.050


def test_one_late_frame_is_forgiven():
    controller = DeadlineController(0.050, num_steps=4)
    for latency in [0.09, 0.04, 0.09, 0.09, 0.04] * 5:
        controller.observe(0.0, latency, 1.0)
    assert controller.steps == 4


def test_steps_come_back_one_by_one_and_not_at_once():
    controller = DeadlineController(0.050, num_steps=4)
    machine = Machine(controller, seconds_per_step=0.020)
    machine.run(30)
    assert controller.steps == 2
    machine.seconds_per_step = 0.005
    machine.run(RECOVERY - 1)
    assert controller.steps == 2
    machine.run(RECOVERY * 2 + 40)
    assert controller.steps == 4


def test_a_borderline_load_does_not_alternate():
    controller = DeadlineController(0.050, num_steps=2)
    machine = Machine(controller, seconds_per_step=0.026)  # two steps take 52 ms
    changes, before = 0, controller.steps
    for _ in range(600):
        machine.run(1)
        changes += controller.steps != before
        before = controller.steps
    assert changes == 1


def test_when_one_step_does_not_fit_old_frames_are_skipped():
    controller = DeadlineController(0.050, num_steps=3)
    machine = Machine(controller, seconds_per_step=0.040, age=0.030)
    machine.run(PATIENCE * 3)
    assert (controller.steps, controller.skipping) == (1, True)
    machine.run(1)
    assert machine.skipped == 1
    # A frame that has not waited can be kept in time, so it is taken.
    assert controller.admit(age=0.0, now=machine.now)
    assert not controller.admit(age=0.030, now=machine.now)


def test_an_impossible_deadline_is_probed_once_a_second():
    controller = DeadlineController(0.010, num_steps=1)
    machine = Machine(controller, seconds_per_step=0.040)
    machine.run(10)
    begin = machine.now
    machine.run(300)
    seconds = machine.now - begin
    assert len(machine.latencies) == pytest.approx(seconds / PROBE_INTERVAL, abs=2)
    assert machine.skipped > 250


def test_skipping_ends_when_the_machine_is_fast_again():
    controller = DeadlineController(0.050, num_steps=1)
    machine = Machine(controller, seconds_per_step=0.080)
    machine.run(10)
    assert controller.skipping
    machine.seconds_per_step = 0.010
    machine.run(600)
    assert not controller.skipping
    machine.run(10)
    assert machine.skipped == 0
