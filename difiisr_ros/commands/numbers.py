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
