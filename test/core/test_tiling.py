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

"""Tiles cover the frame, blend to one, and hold one row of tiles in memory."""

from __future__ import annotations

import itertools
import tracemalloc

import numpy as np
import pytest

from difiisr_ros.core.tiling import tile_starts, upscale_tiled
from difiisr_ros.errors import OptionError


@pytest.mark.parametrize("length", [1, 63, 64, 65, 100, 128, 333, 1000])
@pytest.mark.parametrize("overlap", [0, 16, 40, 56])
def test_tiles_cover_the_length_and_overlap(length, overlap):
    starts = tile_starts(length, 64, overlap)
    covered = np.zeros(length, int)
    for start in starts:
        assert start % 8 == 0
        covered[start : start + 64] += 1
    assert covered.min() >= 1
    for first, second in itertools.pairwise(starts):
        assert first + 64 - second >= overlap


@pytest.mark.parametrize("overlap", [-1, 57, 64])
def test_impossible_overlap_is_named(overlap):
    with pytest.raises(OptionError, match=r"tile_overlap must be in 0\.\.56"):
        tile_starts(100, 64, overlap)


@pytest.mark.parametrize("shape", [(50, 60), (64, 200), (200, 64), (150, 333), (97, 1)])
@pytest.mark.parametrize("overlap", [0, 16, 48])
def test_a_pointwise_operation_is_reproduced_exactly(shape, overlap):
    frame = np.random.default_rng(0).random(shape).astype(np.float32)

    def run(rows, columns):
        return np.kron(frame[rows, columns], np.ones((4, 4), np.float32))

    parts = list(upscale_tiled(run, shape, 64, overlap, 4))
    firsts = [first for first, _ in parts]
    assert firsts == list(np.cumsum([0] + [len(rows) for _, rows in parts[:-1]]))
    whole = np.concatenate([rows for _, rows in parts])
    np.testing.assert_allclose(whole, np.kron(frame, np.ones((4, 4))), atol=1e-6)


def test_disagreeing_tiles_are_blended_without_a_step():
    """Tiles that answer 0 and 1 in turn must meet in a ramp, not in an edge."""
    calls = []

    def run(rows, columns):
        calls.append(columns.start)
        side = ((rows.stop - rows.start) * 4, (columns.stop - columns.start) * 4)
        return np.full(side, float(len(calls) % 2), np.float32)

    rows = np.concatenate([r for _, r in upscale_tiled(run, (64, 112), 64, 16, 4)])
    assert rows.min() == 0
    assert rows.max() == 1
    assert np.abs(np.diff(rows, axis=1)).max() <= 1 / 64 + 1e-6


def test_memory_is_one_row_of_tiles():
    def run(rows, columns):
        side = ((rows.stop - rows.start) * 4, (columns.stop - columns.start) * 4)
        return np.zeros(side, np.float32)

    tracemalloc.start()
    for _ in upscale_tiled(run, (2048, 256), 128, 32, 4):
        pass
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    row_of_tiles = 128 * 4 * 256 * 4 * 4
    assert peak < 4 * row_of_tiles  # the whole result would be 16 of them
