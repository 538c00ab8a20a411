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

"""Matching results to frames: counts and latencies that can be checked by hand."""

from __future__ import annotations

import numpy as np
import pytest

from difiisr_ros.stream.matching import StreamMatcher, percentiles

MS = 10**6
S = 10**9


def test_rates_latencies_and_drops_of_a_stream():
    matcher = StreamMatcher()
    matcher.look(0)
    for i in range(30):
        stamp = i * 33 * MS
        matcher.input(stamp, stamp + MS)
        if i % 3:
            matcher.output(stamp, stamp + (10 + i) * MS)
    interval = matcher.look(S)
    assert (interval.inputs_per_second, interval.outputs_per_second) == (30.0, 20.0)
    np.testing.assert_allclose(interval.latencies_ms, [10 + i for i in range(30) if i % 3])
    assert matcher.dropped(S) == 0  # nobody has waited for long yet
    assert matcher.dropped(3 * S) == 10
    later = matcher.look(2 * S)
    assert later.outputs_per_second == 0 and len(later.latencies_ms) == 0
    matcher.finish()
    assert (matcher.frames_in, matcher.frames_out, matcher.unmatched) == (30, 20, 0)
    assert matcher.dropped(3 * S) == 10


def test_a_result_may_come_before_its_frame():
    matcher = StreamMatcher()
    matcher.output(5, 6)
    matcher.input(5, 7)
    matcher.finish()
    assert (matcher.unmatched, matcher.dropped(0)) == (0, 0)


def test_a_result_that_is_seen_before_its_frame_is_timed_by_their_publications():
    matcher = StreamMatcher(from_stamp=False)
    matcher.output(5, 20 * MS, 12 * MS)
    matcher.output(6, 21 * MS, 13 * MS)  # whose frame is never seen
    matcher.output(7, 22 * MS)  # of which nothing is known but when it came
    assert np.isnan(matcher.latencies_ms).all()
    matcher.input(5, 23 * MS, 4 * MS)
    matcher.input(7, 24 * MS)
    matcher.input(8, 25 * MS, 14 * MS)
    matcher.output(8, 30 * MS, 17 * MS)
    np.testing.assert_array_equal(matcher.latencies_ms, [8.0, np.nan, np.nan, 3.0])
    matcher.finish()
    assert not matcher._untimed


def test_results_of_no_frame_and_results_that_come_twice_are_counted():
    matcher = StreamMatcher()
    matcher.input(5, 6)
    matcher.output(5, 8)
    matcher.output(5, 9)
    matcher.output(99, 100)  # a header that was not copied
    matcher.finish()
    assert (matcher.frames_out, matcher.duplicates, matcher.unmatched) == (2, 1, 1)


def test_memory_of_a_long_run_is_bounded():
    matcher = StreamMatcher()
    for i in range(20000):
        stamp = i * 33 * MS
        matcher.input(stamp, stamp)
        if i % 2:
            matcher.output(stamp, stamp + MS)
        else:
            matcher.output(stamp + 1, stamp + MS)
        if i % 30 == 0:
            matcher.look(stamp)
    assert len(matcher._inputs) < 1100 and len(matcher._outputs) < 1100
    matcher.finish()
    assert (matcher.dropped(0), matcher.unmatched) == (10000, 10000)


def test_percentiles_are_values_that_occurred():
    values = np.arange(1.0, 101.0)
    np.random.default_rng(0).shuffle(values)
    assert percentiles(values) == {"p50": 50.0, "p95": 95.0, "p99": 99.0}
    assert percentiles(np.array([7.0])) == {"p50": 7.0, "p95": 7.0, "p99": 7.0}
    assert percentiles(np.array([])) == {"p50": None, "p95": None, "p99": None}


def test_the_stamp_is_read_from_serialised_messages():
    pytest.importorskip("rosbags", reason="serialising needs rosbags: pip install rosbags")
    from rosbags.typesys import Stores, get_typestore

    from difiisr_ros.errors import FrameError
    from difiisr_ros.messages.cdr import stamp_of

    store = get_typestore(Stores.ROS2_JAZZY)
    stamp = store.types["builtin_interfaces/msg/Time"](1_700_000_000, 123_456_789)
    header = store.types["std_msgs/msg/Header"](stamp=stamp, frame_id="any")
    for little in (True, False):
        data = store.serialize_cdr(header, "std_msgs/msg/Header", little_endian=little)
        assert stamp_of(data) == 1_700_000_000_123_456_789
    with pytest.raises(FrameError, match="11 bytes"):
        stamp_of(b"\0" * 11)
