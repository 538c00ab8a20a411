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

"""Keeps the latency of what is published under ``deadline_ms``: fewer steps, then fewer frames.

Fewer diffusion steps cost detail, skipped frames cost motion, so steps are given up first. Both
are given up quickly and taken back slowly (hysteresis), so that a borderline load does not make
the picture alternate between two qualities. No ROS here.
"""

from __future__ import annotations

import time

#: Frames in a row that must be late before something is given up: one hiccup is none.
PATIENCE = 3

#: Frames in a row that must fit with room to spare before something is taken back.
RECOVERY = 30

#: A step more is tried when it is expected to take no more than this part of the deadline.
HEADROOM = 0.8

#: Seconds after which a frame is processed although it is expected to be late, to learn whether
#: the machine has become faster.
PROBE_INTERVAL = 1.0

_SMOOTHING = 0.2  # weight of the newest duration


class DeadlineController:
    """Decides for each frame whether to process it, and for all with how many steps."""

    def __init__(self, deadline: float, num_steps: int) -> None:
        """
        Args:
            deadline: seconds from the image callback to the publish call; 0 switches it off.
            num_steps: what the user asked for, and the most that is ever taken.
        """
        self.deadline = deadline
        self.num_steps = num_steps
        #: Steps to take now.
        self.steps = num_steps
        #: Whether frames that would be late are being skipped.
        self.skipping = False
        self._late = self._early = 0
        self._seconds_per_step: float | None = None
        self._last_processed = -float("inf")

    def admit(self, age: float, now: float | None = None) -> bool:
        """Whether to process a frame that has waited ``age`` seconds."""
        now = time.monotonic() if now is None else now
        if self.deadline <= 0 or not self.skipping:
            return True
        if age + self._expected(self.steps) <= self.deadline:
            return True
        if now - self._last_processed >= PROBE_INTERVAL:
            return True
        self._early = 0
        return False

    def observe(self, age: float, latency: float, now: float | None = None) -> None:
        """Frames that were taken together have been published: one, with a single camera.

        Args:
            age: seconds that the oldest waited before they were begun.
            latency: seconds from the arrival of the slowest to its publication.
            now: ``time.monotonic()``.
        """
        if self.deadline <= 0:
            return
        self._last_processed = time.monotonic() if now is None else now
        per_step = max(0.0, latency - age) / self.steps
        if self._seconds_per_step is None:
            self._seconds_per_step = per_step
        self._seconds_per_step += _SMOOTHING * (per_step - self._seconds_per_step)
        if latency > self.deadline:
            self._late += 1
            self._early = 0
            if self._late >= PATIENCE:
                self._give_up()
        else:
            self._late = 0
            wanted = self.steps if self.skipping else min(self.steps + 1, self.num_steps)
            fits = self._expected(wanted) <= HEADROOM * self.deadline
            self._early = self._early + 1 if fits else 0
            if self._early >= RECOVERY:
                self._take_back()

    def _expected(self, steps: int) -> float:
        return (self._seconds_per_step or 0.0) * steps

    def _give_up(self) -> None:
        self._late = 0
        if self.steps == 1:
            self.skipping = True
            return
        fitting = int(HEADROOM * self.deadline / max(self._expected(1), 1e-9))
        self.steps = max(1, min(self.steps - 1, fitting))

    def _take_back(self) -> None:
        self._early = 0
        if self.skipping:
            self.skipping = False
        elif self.steps < self.num_steps:
            self.steps += 1
