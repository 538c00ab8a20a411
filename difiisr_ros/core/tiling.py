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

"""Overlapping tiles, blended without seams, at a memory bounded by one row of tiles."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from difiisr_ros.errors import OptionError

_ALIGN = 8  # tile starts are multiples of this, so that networks that fold see the same phase

#: The smallest tile that may be asked for: a quarter of it is enough to blend over.
LEAST_TILE = 4 * _ALIGN


def tile_starts(length: int, tile: int, overlap: int) -> list[int]:
    """First pixels of the tiles that cover ``length``; neighbours share at least ``overlap``.

    Raises:
        OptionError: unless 0 <= overlap <= tile - 8.
    """
    if not 0 <= overlap <= tile - _ALIGN:
        raise OptionError(
            f"tile_overlap must be in 0..{tile - _ALIGN} for tile_size {tile}, got {overlap}"
        )
    if length <= tile:
        return [0]
    stride = (tile - overlap) // _ALIGN * _ALIGN
    starts = list(range(0, length - tile, stride))
    # The last tile may be short by up to _ALIGN - 1 pixels rather than start out of phase.
    last = -(-(length - tile) // _ALIGN) * _ALIGN
    return [*starts, last]


def _blend_weights(starts: list[int], length: int, tile: int, scale: int) -> list[np.ndarray]:
    """One weight profile per tile, falling towards its ends; all add up to 1 at every pixel."""
    spans = [(start * scale, min(start + tile, length) * scale) for start in starts]
    total = np.zeros(length * scale)
    profiles = []
    for begin, end in spans:
        position = np.arange(end - begin) + 0.5
        profiles.append(np.minimum(position, position[::-1]))
        total[begin:end] += profiles[-1]
    return [(p / total[b:e]).astype(np.float32) for p, (b, e) in zip(profiles, spans)]


def upscale_tiled(
    run: Callable[[slice, slice], np.ndarray],
    shape: tuple[int, int],
    tile: int,
    overlap: int,
    scale: int,
) -> Iterator[tuple[int, np.ndarray]]:
    """Run a frame tile by tile and yield finished rows of the blended result.

    Overlaps are blended with triangular weights that add up to one. At most one row of tiles
    is held in memory.

    Args:
        run: rows, columns of the input -> float32 output of ``scale`` times that size.
        shape: input height, width.
        tile, overlap: in input pixels; see :func:`tile_starts`.

    Yields:
        ``(first_row, rows)``: output row index, and float32 rows x (scale * width).
    """
    height, width = shape
    tops, lefts = tile_starts(height, tile, overlap), tile_starts(width, tile, overlap)
    vertical = _blend_weights(tops, height, tile, scale)
    horizontal = _blend_weights(lefts, width, tile, scale)
    carry = np.zeros((0, width * scale), np.float32)  # rows the previous tiles share with these
    for i, top in enumerate(tops):
        bottom = min(top + tile, height)
        strip = np.zeros(((bottom - top) * scale, width * scale), np.float32)
        for left, profile in zip(lefts, horizontal):
            right = min(left + tile, width)
            out = run(slice(top, bottom), slice(left, right))
            strip[:, left * scale : right * scale] += out * profile
        strip *= vertical[i][:, None]
        strip[: len(carry)] += carry
        done = strip.shape[0] if i + 1 == len(tops) else (tops[i + 1] - top) * scale
        yield top * scale, strip[:done]
        carry = strip[done:].copy()
