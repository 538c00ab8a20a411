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

"""How busy other processes keep this machine: times measured beside them decide nothing."""

from __future__ import annotations

import os
import time
from pathlib import Path

_STAT = Path("/proc/stat")
_IDLE = (3, 4)  # idle and iowait of a "cpu" line, man proc_stat


class OtherProcesses:
    """Share of the machine's processors that others have used since this was made."""

    def __init__(self) -> None:
        self._before = self._read()

    def share(self) -> float:
        """0 to 1; 0 where the system does not say, or no time has passed."""
        now = self._read()
        if now is None or self._before is None:
            return 0.0
        total, idle, own = (b - a for a, b in zip(self._before, now))
        return max(0.0, (total - idle - own) / total) if total > 0 else 0.0

    @staticmethod
    def _read() -> tuple[float, float, float] | None:
        """Seconds of all processors together: in all, idle, and used by this process."""
        try:
            words = _STAT.read_text().split("\n", 1)[0].split()[1:9]
        except OSError:
            return None
        ticks = [int(word) for word in words]
        idle = sum(ticks[index] for index in _IDLE)
        per_second = os.sysconf("SC_CLK_TCK")
        return sum(ticks) / per_second, idle / per_second, time.process_time()
