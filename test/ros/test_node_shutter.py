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

"""``shutter_frames``: what the node does while a camera's shutter is closed."""

from __future__ import annotations

import numpy as np
import pytest

from difiisr_ros.ros.conversions import image_to_array
from difiisr_ros.stream import diagnostic_keys as keys
from support.node_harness import Graph, scene

FLAT = np.full((24, 32), 40_000, np.uint16)


def frame(seed: int = 0) -> np.ndarray:
    return (29_000 + 10 * (scene(seed=seed).astype(np.int64) % 97)).astype(np.uint16)


def run(count: int, **parameters):
    """Results by stamp of six frames, ``count`` of a shutter (one where dropped), and one more."""
    with Graph(backend="bicubic", **parameters) as graph:
        graph.connect()
        for stamp in range(1, 7):
            graph.roundtrip(frame(), stamp=stamp)
        for stamp in range(7, 7 + count):
            if parameters.get("shutter_frames") == "drop":
                graph.send(FLAT, stamp=stamp)
                graph.status("input", lambda v, _: int(v[keys.SHUTTER_FRAMES]) == count)
            else:
                graph.roundtrip(FLAT, stamp=stamp)
        graph.roundtrip(frame(), stamp=99)
        graph.status("input", lambda v, _: int(v[keys.SHUTTER_FRAMES]) == count)
        return {m.header.stamp.sec: image_to_array(m) for m in graph.images}


def test_they_pass_by_default_and_leave_the_range_alone():
    results = run(3, output_encoding="mono8", range_time_constant=0.5)
    assert all((results[stamp] == 255).all() for stamp in (7, 8, 9))
    np.testing.assert_array_equal(results[99], results[6])


def test_held_is_the_last_result_under_the_frames_header():
    results = run(2, shutter_frames="hold")
    for stamp in (7, 8, 99):
        np.testing.assert_array_equal(results[stamp], results[6])


def test_dropped_is_nothing_published():
    assert sorted(run(1, shutter_frames="drop")) == [1, 2, 3, 4, 5, 6, 99]


@pytest.mark.parametrize("step", [-26_000, 20_000])
def test_a_jump_of_the_range_is_shown_from_its_second_frame_on(step):
    with Graph(backend="bicubic", output_encoding="mono8", range_time_constant=60.0) as graph:
        graph.connect()
        before = [image_to_array(graph.roundtrip(frame(), stamp=i)) for i in range(1, 4)]
        moved = (frame().astype(np.int64) + step).astype(np.uint16)
        after = [image_to_array(graph.roundtrip(moved, stamp=i)) for i in range(4, 7)]
        assert len(np.unique(after[0])) == 1
        for picture in after[1:]:
            np.testing.assert_allclose(picture.astype(int), before[-1].astype(int), atol=1)
