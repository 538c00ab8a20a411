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

"""Random values for live parameters: each is refused with a reason, or the next frame bears it."""

from __future__ import annotations

import math

import pytest

pytest.importorskip("hypothesis", reason="install python3-hypothesis, or use `make test`")

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rclpy.parameter import Parameter

from difiisr_ros.stream.parameter_spec import Change
from difiisr_ros.stream.parameter_table import BY_NAME
from support.node_harness import Graph, scene
from support.waiting import wait_for

LIVE = sorted(name for name, spec in BY_NAME.items() if spec.change is Change.LIVE)

any_value = st.one_of(
    st.booleans(),
    st.integers(-3, 300),
    st.sampled_from([-(2**63), 2**31 - 1, 2**31, 2**63 - 1]),
    st.floats(),
    st.sampled_from([0.5, -1.0, math.nan, math.inf]),
    st.text(max_size=5),
    st.sampled_from(sorted({str(c) for name in LIVE for c in BY_NAME[name].choices})),
    st.lists(st.integers(0, 9), max_size=4),
    st.lists(st.text(max_size=2), max_size=2),
    st.just(None),
)


@st.composite
def change(draw):
    """A live parameter and a value, which is of its type more often than not."""
    name = draw(st.sampled_from(LIVE))
    spec = BY_NAME[name]
    if draw(st.booleans()):
        return name, draw(any_value)
    if spec.choices:
        return name, draw(st.sampled_from(spec.choices))
    if spec.type_name == "bool":
        return name, draw(st.booleans())
    if spec.type_name == "string":
        return name, ""  # a file's path
    low, high = spec.minimum, spec.maximum
    if spec.type_name == "int_array":
        number = st.one_of(st.just(0), st.integers(low, 40), st.integers(low, high))
        count = len(spec.default)
        return name, draw(st.lists(number, min_size=count, max_size=count))
    if spec.type_name == "int":
        return name, draw(st.one_of(st.integers(low, min(high, 64)), st.integers(low, high)))
    return name, draw(st.floats(low, high))


@pytest.mark.parametrize("backend", ["bicubic", "torch"])
def test_a_live_parameter_is_refused_or_the_next_frame_bears_it(backend):
    with Graph(backend=backend, stale_after=3600.0) as graph:
        graph.connect()
        statistics = graph.node.cameras[""].statistics
        defaults = [Parameter(name, value=BY_NAME[name].default) for name in LIVE]
        accepted = refused = 0

        def accounted() -> int:
            now = statistics.snapshot()
            return now.published + now.skipped + sum(now.rejected.values())

        @settings(
            derandomize=True,
            deadline=None,
            max_examples=120,
            database=None,
            suppress_health_check=[HealthCheck.too_slow],  # a busy machine is no fault
        )
        @given(st.lists(change(), min_size=1, max_size=4))
        def run(changes):
            nonlocal accepted, refused
            for result in graph.in_executor(graph.node.set_parameters, defaults):
                assert result.successful, result.reason
            graph.matched()  # lazy may have been true
            for name, value in changes:
                parameter = Parameter(name, value=value)
                (result,) = graph.in_executor(graph.node.set_parameters, [parameter])
                if result.successful:
                    accepted += 1
                    assert BY_NAME[name].check(value) is None
                else:
                    refused += 1
                    assert len(result.reason) > 10
            before = accounted()
            graph.send(scene(8, 10))
            wait_for(lambda: accounted() > before, f"the frame after {changes}")
            rejected = statistics.snapshot().rejected
            assert "internal_error" not in rejected, (changes, statistics.snapshot().last_error)

        run()
        assert accepted > 80
        assert refused > 80
