"""Types of numeric arguments, with limits: a value outside is named with what is accepted."""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable

from difiisr_ros.options import LIMITS

SEEDS = LIMITS["seed"]


def whole(low: int, high: int | None = None) -> Callable[[str], int]:
    """A whole number from ``low`` to ``high`` (None: any above), for argparse's ``type``."""

    def parse(text: str) -> int:
        value = int(text)
        if value < low or (high is not None and value > high):
            upwards = f"from {low} on" if high is None else f"in {low}..{high}"
            raise argparse.ArgumentTypeError(f"accepted are whole numbers {upwards}, got {text}")
        return value

    parse.__name__ = "whole number"  # argparse names the type in its own message
    return parse


def real(low: float = -math.inf) -> Callable[[str], float]:
    """A finite number from ``low`` on, for argparse's ``type``."""

    def parse(text: str) -> float:
        value = float(text)
        if not math.isfinite(value) or value < low:
            words = f"numbers from {low:g} on" if math.isfinite(low) else "finite numbers"
            raise argparse.ArgumentTypeError(f"accepted are {words}, got {text}")
        return value

    parse.__name__ = "number"
    return parse
