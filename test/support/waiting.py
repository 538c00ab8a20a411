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

"""Waiting for what must happen sooner or later, without knowing when."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

#: Seconds. On a busy machine a process takes long to start; nothing waits so long unless it fails.
DEADLINE = 60.0


def wait_for(condition: Callable[[], Any], what: str = "", timeout: float = DEADLINE) -> Any:
    """Poll until the condition is true; returns its value, or fails naming what was awaited."""
    end = time.monotonic() + timeout
    while time.monotonic() < end:
        value = condition()
        if value:
            return value
        time.sleep(0.005)
    raise AssertionError(f"not within {timeout:g} s: {what or condition}")
