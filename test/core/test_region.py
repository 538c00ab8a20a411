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

"""Regions of interest: what is asked for, and what has to be run for it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from difiisr_ros.core.region import MARGIN, QUANTUM, Region
from difiisr_ros.errors import FrameError

SIDES = st.integers(1, 700)


@given(width=SIDES, height=SIDES, data=st.data())
def test_the_margin_is_all_that_the_frame_has_of_it(width, height, data):
    x, y = data.draw(st.integers(0, width - 1)), data.draw(st.integers(0, height - 1))
    region = Region(
        x, y, data.draw(st.integers(1, width - x)), data.draw(st.integers(1, height - y))
    )
    run = region.with_margin(width, height)
    assert run.x % 8 == run.y % 8 == 0
    for first, length, start, extent, side in (
        (run.x, run.width, region.x, region.width, width),
        (run.y, run.height, region.y, region.height, height),
    ):
        assert first <= max(0, start - MARGIN)
        assert min(side, start + extent + MARGIN) <= first + length <= side


def test_a_region_that_moves_makes_few_sizes():
    for width, height, most in ((640, 512, 1), (643, 509, 4)):
        sizes = set()
        for x in range(0, width - 100, 3):
            for y in range(0, height - 60, 7):
                run = Region(x, y, 100, 60).with_margin(width, height)
                sizes.add((run.width, run.height))
        assert len(sizes) <= most, sizes
        assert all(side % QUANTUM == 0 for side in next(iter(sizes))) or most > 1


def test_clipping_is_said():
    assert Region(0, 0, 40, 12).clipping(40, 12) == ""
    assert "10x10 at (35, 5) is clipped to 5x7 at (35, 5)" in Region(35, 5, 10, 10).clipping(40, 12)
    assert Region(40, 0, 10, 10).clipping(40, 12) == ""  # its error says it


def test_it_is_clipped_to_the_frame_or_refused():
    assert Region(30, 5, 100, 10).clipped(40, 12) == Region(30, 5, 10, 7)
    with pytest.raises(FrameError, match=r"10x10 at \(40, 0\) lies outside the frame of 40x12"):
        Region(40, 0, 10, 10).clipped(40, 12)
    for wrong in ((-1, 0, 4, 4), (0, 0, 0, 4)):
        with pytest.raises(FrameError, match="region of interest"):
            Region(*wrong)


def test_it_is_cut_out_and_scaled():
    frame = np.arange(48).reshape(6, 8)
    region = Region(2, 1, 3, 2)
    np.testing.assert_array_equal(region.of(frame), frame[1:3, 2:5])
    assert region.times(4) == Region(8, 4, 12, 8)
    assert region.within(Region(1, 1, 6, 4)) == Region(1, 0, 3, 2)
