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

"""What numbers a file may hold, what they are computed in, and how results get back to their type.

======================  ==========================  ===========
stored                  computed in                 result
======================  ==========================  ===========
uint8, uint16, float32  itself                      itself
int8, int16             float32                     rounded to its own type
int32, uint32, (u)int64 uint16 where all values     rounded to its own type
                        fit, else float32
float16, float64        float32                     float32
======================  ==========================  ===========

Float32 holds whole numbers to 2**24 exactly; integers beyond are refused. Of a float64 the first 7
digits are kept; what float32 has no room for is refused.
"""

from __future__ import annotations

import numpy as np

from difiisr_ros.errors import DataError

ACCEPTED_NUMBERS = (
    "accepted are 8- and 16-bit integers, wider ones from -16777216 to 16777216, and floats"
)
#: The largest whole number up to which float32 holds all.
EXACT_IN_FLOAT32 = 1 << 24


def check_type(dtype: np.dtype, name: str) -> None:
    """Raise DataError unless values of this type are plain numbers."""
    if dtype.kind not in "iuf" or dtype.itemsize > 8:
        raise DataError(f"{name}: holds {dtype} values; {ACCEPTED_NUMBERS}")


def to_computed(image: np.ndarray, name: str) -> np.ndarray:
    """The same numbers as uint8, uint16 or float32, as the table above says.

    Raises:
        DataError: a type that is no number, or values that would not stay what they are.
    """
    check_type(image.dtype, name)
    image = image.astype(image.dtype.newbyteorder("="), copy=False)
    if image.dtype in (np.uint8, np.uint16, np.float32):
        return image
    if image.dtype.kind == "f":
        with np.errstate(over="ignore"):
            single = image.astype(np.float32)
        if np.isinf(single).sum() != np.isinf(image).sum():
            raise DataError(
                f"{name}: holds {image.dtype} values beyond float32 (3.4e38); {ACCEPTED_NUMBERS}"
            )
        return single
    low, high = int(image.min()), int(image.max())
    if image.dtype.itemsize > 2 and low >= 0 and high <= 65535:
        return image.astype(np.uint16)
    if low < -EXACT_IN_FLOAT32 or high > EXACT_IN_FLOAT32:
        raise DataError(
            f"{name}: holds {image.dtype} values from {low} to {high}; {ACCEPTED_NUMBERS}"
        )
    return image.astype(np.float32)


def to_stored(result: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """A result in the type that its frame was stored in, see the table above.

    What overshoots an integer type's ends is cut there, as it is for uint8 and uint16.
    """
    if result.dtype == dtype or dtype.kind == "f":
        return result
    if result.dtype.kind == "f":
        limits = np.iinfo(dtype)
        result = np.clip(np.rint(result.astype(np.float64)), limits.min, limits.max)
    return result.astype(dtype.newbyteorder("="))
