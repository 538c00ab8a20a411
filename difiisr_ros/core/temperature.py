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

"""Counts of a radiometric camera as temperatures: ``kelvin_per_count`` and ``kelvin_offset``."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

KELVIN, CELSIUS = TEMPERATURES = ("kelvin", "celsius")
ZERO_CELSIUS = 273.15  # kelvin


@dataclass(frozen=True)
class TemperatureScale:
    """What one count of a camera is, in kelvin; linear, as TLinear modes of cameras are."""

    kelvin_per_count: float
    kelvin_offset: float = 0.0
    """Temperature of count 0, kelvin."""

    def convert(
        self, counts: np.ndarray, unit: str, missing: np.ndarray | None = None
    ) -> np.ndarray:
        """Temperatures, float32, of the shape of ``counts``.

        Args:
            counts: of any real dtype.
            unit: ``kelvin`` or ``celsius``.
            missing: mask of the counts that measure nothing, which become NaN; or of what is a
                whole factor smaller than ``counts``, as a frame is than its result.
        """
        if missing is not None:
            times = len(counts) // len(missing)
            missing = missing.repeat(times, axis=0).repeat(times, axis=1)
        offset = self.kelvin_offset - (ZERO_CELSIUS if unit == CELSIUS else 0.0)
        # In float64: 29 300 counts and 0.01 K are more digits than a float32 has left for a sum.
        kelvin = (counts.astype(np.float64) * self.kelvin_per_count + offset).astype(np.float32)
        if missing is not None:
            kelvin[missing] = np.nan
        return kelvin
