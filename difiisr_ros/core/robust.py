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

"""Spreads that a few values far off do not change."""

from __future__ import annotations

import numpy as np

MAD_TO_SIGMA = 1.4826
"""Standard deviation of Gaussian noise over its median absolute deviation."""


def spread(values: np.ndarray) -> float:
    """Standard deviation of Gaussian noise around 0, from the median absolute value.

    Args:
        values: any shape, finite, at least one; subtract their median where they are around another
            value than 0.
    """
    return float(MAD_TO_SIGMA * np.median(np.abs(values)))
