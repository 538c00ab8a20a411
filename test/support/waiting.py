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
