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

"""Rolling percentiles and rates."""

from __future__ import annotations

import pytest

from difiisr_ros.stream.rates import RateMeter, RollingDurations, percentiles
from difiisr_ros.stream.statistics import StreamStatistics, Throttle


def test_nearest_rank():
    assert percentiles(range(1, 101)) == {"p50": 50, "p95": 95, "p99": 99}
    assert percentiles([3.0]) == {"p50": 3.0, "p95": 3.0, "p99": 3.0}
    assert percentiles([]) == {}


def test_old_durations_are_forgotten():
    durations = RollingDurations(window=3)
    for seconds in (9.0, 0.001, 0.002, 0.003):
        durations.add(seconds)
    assert durations.milliseconds() == pytest.approx({"p50": 2.0, "p95": 3.0, "p99": 3.0})


def test_rate_of_the_last_seconds():
    meter = RateMeter(window=2.0)
    for i in range(90):
        meter.tick(now=i / 30)
    assert meter.hertz(now=3.0) == pytest.approx(30.0)
    assert meter.hertz(now=9.0) == 0.0


def test_durations_are_of_the_documented_300_frames():
    durations = RollingDurations()
    for seconds, frames in ((2.0, 300), (1.0, 290)):
        for _ in range(frames):
            durations.add(seconds)
    assert durations.milliseconds() == {"p50": 1000.0, "p95": 1000.0, "p99": 2000.0}
    for _ in range(10):
        durations.add(1.0)
    assert durations.milliseconds()["p99"] == 1000.0


def test_rates_are_of_the_documented_3_seconds():
    meter = RateMeter()
    meter.tick(now=0.0)
    meter.tick(now=2.5)
    assert meter.hertz(now=2.9) == pytest.approx(1 / 2.5)
    assert meter.hertz(now=3.1) == pytest.approx(1 / 2.5)
    assert meter.hertz(now=5.6) == 0.0  # nothing in the last 3 s


def test_a_burst_is_no_rate():
    meter = RateMeter()
    meter.tick(now=100.0)
    assert meter.hertz(now=100.01) == 0.0  # one event is no rate
    meter.tick(now=100.05)
    assert meter.hertz(now=102.75) == pytest.approx(2 / 2.75)
    for pair in range(1, 9):  # every 4 s
        meter.tick(now=100.0 + 4 * pair)
        meter.tick(now=100.05 + 4 * pair)
        for later in (0.06, 1.0, 2.9):
            assert meter.hertz(now=100.0 + 4 * pair + later) == pytest.approx(2 / 3, abs=0.3)


@pytest.mark.parametrize("rate", [0.5, 1.0, 7.3, 30.0, 240.0])
def test_a_steady_rate_is_told_exactly_from_the_second_event_on(rate):
    meter, phase = RateMeter(), 0.0
    for i in range(int(10 * rate) + 3):
        meter.tick(now=i / rate)
        phase = (phase + 0.381966) % 1
        told = meter.hertz(now=(i + phase) / rate)
        assert told == pytest.approx(rate if i else 0.0)


def test_a_rate_begins_anew_with_the_stream():
    meter = RateMeter()
    meter.tick(now=0.0)
    meter.tick(now=0.1)
    meter.clear()
    meter.tick(now=2.0)
    meter.tick(now=2.1)
    assert meter.hertz(now=2.15) == pytest.approx(10.0)


def test_counters():
    statistics = StreamStatistics()
    statistics.received("mono16 160x120")
    statistics.displaced(2)
    statistics.rejected("wrong_step", "step is 3")
    statistics.rejected("wrong_step", "step is 4")
    statistics.published(latency=0.02, upscale=0.01, late=True)
    now = statistics.snapshot()
    assert (now.received, now.displaced, now.published, now.late) == (1, 2, 1, 1)
    statistics.published(latency=0.02, upscale=0.01, late=False)
    assert statistics.snapshot().late == 1
    assert now.rejected == {"wrong_step": 2}
    assert now.last_error == "step is 4"
    assert now.latency_ms["p99"] == pytest.approx(20.0)
    assert now.upscale_ms["p50"] == pytest.approx(10.0)
    assert 0 <= now.seconds_since_input < 1


def test_throttle_is_per_key_and_counts_what_it_held():
    throttle = Throttle(period=1000.0)
    assert throttle.allow("a") == 0
    assert throttle.allow("a") is None
    assert throttle.allow("b") == 0
    throttle._next["a"] = 0.0  # the period has passed
    assert throttle.allow("a") == 1
