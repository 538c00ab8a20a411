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

"""The smoothed range follows a jump at once, and not one broken frame."""

from __future__ import annotations

import itertools

import pytest

from difiisr_ros.core.radiometry import RangeSmoother

BEFORE = (29_000.0, 30_000.0)


def shown(ranges, time_constant=1.0, rate=30.0):
    smoother = RangeSmoother(time_constant)
    return [smoother.update(r, i / rate) for i, r in enumerate(ranges)]


@pytest.mark.parametrize(
    "after", [(2_900.0, 3_000.0), (290.0, 300.0), (29_950.0, 31_000.0), (-5.0, 25.0)]
)
def test_the_second_frame_of_another_gain_unit_or_offset_is_shown_as_it_is(after):
    results = shown([BEFORE] * 10 + [after] * 10)
    assert results[9:11] == [BEFORE, BEFORE]
    assert results[11:] == [after] * 9


def test_one_broken_frame_changes_nothing():
    results = shown([BEFORE] * 10 + [(0.0, 8.0)] + [BEFORE] * 5)
    assert results == [BEFORE] * 16
    twice = shown([BEFORE] * 3 + [(0.0, 8.0), BEFORE] * 4)
    assert twice == [BEFORE] * 11


@pytest.mark.parametrize(
    "other", [(29_000.0, 60_000.0), (29_400.0, 29_420.0), (29_500.0, 30_500.0)]
)
def test_what_has_much_in_common_is_followed_slowly(other):
    results = shown([BEFORE] * 10 + [other] * 30)
    assert results[10] != BEFORE and results[10] != other
    for previous, result in itertools.pairwise(results[10:]):
        assert abs(result[1] - other[1]) < abs(previous[1] - other[1])
        assert abs(result[1] - previous[1]) < 0.05 * abs(other[1] - BEFORE[1])
