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

"""Numbers as people and libraries hand them over, as Python's own.

NumPy's scalars count: what was computed is an ``np.int64`` or ``np.float32`` more often than not.
True and False do not.
"""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any


def plain_int(value: Any) -> int | None:
    """A whole number of any integer type as an int; None where it is none: 2.0, True."""
    if type(value) is int:  # of what is checked for each frame, nearly all
        return value
    return int(value) if isinstance(value, Integral) and not isinstance(value, bool) else None


def plain_ints(values: Any, count: int) -> tuple[int, ...] | None:
    """So many whole numbers in a tuple, as ints; None where it is anything else."""
    if not isinstance(values, tuple) or len(values) != count:
        return None
    found = tuple(number for number in map(plain_int, values) if number is not None)
    return found if len(found) == count else None


def plain_real(value: Any) -> int | float | None:
    """A real number of any type as an int or a float; None where it is none, also for True."""
    if type(value) is float:
        return value
    whole = plain_int(value)
    if whole is not None:
        return whole
    return float(value) if isinstance(value, Real) and not isinstance(value, bool) else None
