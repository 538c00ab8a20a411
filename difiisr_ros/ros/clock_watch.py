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

"""What the clock of the node does, for diagnostics: it goes back, stands still, or is missing.

Nothing in the node waits by this clock or measures with it; but what stamps its diagnostics, and
what others do with its results, depends on it.
"""

from __future__ import annotations

import time
from typing import Any

from rclpy.clock import JumpThreshold
from rclpy.duration import Duration

#: Seconds after which a simulated clock counts as standing still; /clock comes at 10 Hz and more.
STILL_AFTER = 2.0


class ClockWatch:
    """Follows the clock of a node, which is simulated with ``use_sim_time``."""

    def __init__(self, node: Any) -> None:
        self._clock = node.get_clock()
        self._logger = node.get_logger()
        #: How often the simulated time has gone back, as when a bag is looped.
        self.jumps_back = 0
        self._last = (0, time.monotonic())
        self._handle = self._clock.create_jump_callback(
            JumpThreshold(
                min_forward=None, min_backward=Duration(nanoseconds=-1), on_clock_change=False
            ),
            post_callback=self._on_jump,
        )

    def _on_jump(self, jump: Any) -> None:
        self.jumps_back += 1
        self._logger.warning(
            f"the simulated time went back by {-jump.delta.nanoseconds / 1e9:g} s",
            throttle_duration_sec=10.0,
        )

    def close(self) -> None:
        """Stop following."""
        self._handle.unregister()

    def describe(self) -> tuple[str, bool]:
        """The clock in words, and whether that is something to look at. Call it regularly."""
        if not self._clock.ros_time_is_active:
            return "system time", False
        now, seen = self._clock.now().nanoseconds, time.monotonic()
        if now != self._last[0]:
            self._last = (now, seen)
        if now == 0:
            return "simulated time: use_sim_time is set, but nothing came on /clock", True
        still = seen - self._last[1]
        if still > STILL_AFTER:
            return f"simulated time, standing still for {still:.0f} s", False
        return "simulated time", False
