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

"""Standard-normal noise that depends on the seed and the frame's shape alone.

The same frame therefore gives the same result whatever was processed before, a still scene does
not flicker, and any window of the field can be drawn without drawing the rest, which is what
tiles need.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

_BLOCK = 128  # HR pixels: side of the squares that are drawn independently


def noise_field(
    seed: int,
    shape: tuple[int, int],
    count: int,
    window: tuple[slice, slice] | None = None,
) -> np.ndarray:
    """Draw ``count`` noise images of ``shape`` (height, width), float32, count x H x W.

    Args:
        seed: 0 or more.
        window: rows and columns (with start and stop) to return; the whole field by default.
            A window equals the same cut of the whole field.
    """
    rows, columns = window or (slice(0, shape[0]), slice(0, shape[1]))
    out = np.empty((count, rows.stop - rows.start, columns.stop - columns.start), np.float32)
    for by in range(rows.start // _BLOCK, -(-rows.stop // _BLOCK)):
        for bx in range(columns.start // _BLOCK, -(-columns.stop // _BLOCK)):
            y, x = by * _BLOCK, bx * _BLOCK
            top, bottom = max(y, rows.start), min(y + _BLOCK, rows.stop)
            left, right = max(x, columns.start), min(x + _BLOCK, columns.stop)
            for k in range(count):
                block = _block(seed, shape, by, bx, k)
                out[
                    k,
                    top - rows.start : bottom - rows.start,
                    left - columns.start : right - columns.start,
                ] = block[top - y : bottom - y, left - x : right - x]
    return out


@lru_cache(maxsize=64)
def _block(seed: int, shape: tuple[int, int], by: int, bx: int, k: int) -> np.ndarray:
    generator = np.random.default_rng([seed, shape[0], shape[1], by, bx, k])
    return generator.standard_normal((_BLOCK, _BLOCK), dtype=np.float32)
