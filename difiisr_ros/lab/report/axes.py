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

"""Axes of the report's plots: values to positions, with round ticks."""

from __future__ import annotations

import math
from collections.abc import Callable


class Axis:
    """Maps values to positions, with round ticks."""

    def __init__(
        self, low: float, high: float, start: float, end: float, tight: bool = False
    ) -> None:
        if not high > low:
            low, high = low - 0.5 * (abs(low) or 1), high + 0.5 * (abs(high) or 1)
        if not tight:
            low, high = low - 0.03 * (high - low), high + 0.03 * (high - low)
        step = _round_step((high - low) / 6)
        self.low, self.high, self._start, self._end = low, high, start, end
        first = math.ceil(low / step - 1e-9)
        self.ticks = [i * step for i in range(first, math.floor(high / step + 1e-9) + 1)]
        digits = max(0, -math.floor(math.log10(step) + 1e-9))
        self.label: Callable[[float], str] = lambda v: f"{v + 0.0:.{digits}f}".replace("-", "−")

    def at(self, value: float) -> float:
        """Position of a value."""
        return self._start + (value - self.low) / (self.high - self.low) * (self._end - self._start)


class LogAxis(Axis):
    """Logarithmic; made from decimal exponents, ticks are values."""

    def __init__(self, low: float, high: float, start: float, end: float) -> None:
        margin = 0.04 * (high - low) + 0.05
        super().__init__(low - margin, high + margin, start, end, tight=True)
        steps = (1, 2, 5) if self.high - self.low < 3 else (1,)
        decades = range(math.floor(self.low), math.ceil(self.high) + 1)
        values = [m * 10.0**d for d in decades for m in steps]
        self.ticks = [v for v in values if self.low <= math.log10(v) <= self.high]
        self.label = short

    def at_log(self, exponent: float) -> float:
        """Position of a decimal exponent."""
        return super().at(exponent)

    def at(self, value: float) -> float:
        """Position of a value."""
        return super().at(math.log10(value))


def short(value: float) -> str:
    """Three digits that count."""
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"


def _round_step(step: float) -> float:
    magnitude = 10.0 ** math.floor(math.log10(step))
    return next(m for m in (1, 2, 5, 10) if m * magnitude >= step * 0.999) * magnitude
