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

"""Whatever arrives, the node stays up, says what was wrong, and counts it by cause."""

from __future__ import annotations

import math

import numpy as np
import pytest

from difiisr_ros.ros.conversions import array_to_image, image_to_array
from support.node_harness import Graph, scene
from support.waiting import wait_for


@pytest.fixture(scope="module")
def graph():
    with Graph(max_input_pixels=10_000) as running:
        yield running.connect()


def broken(**changes):
    message = array_to_image(scene(), "mono16")
    for name, value in changes.items():
        setattr(message, name, value)
    return message


def with_data(message, data):
    del message.data[:]
    message.data.frombytes(data)
    return message


NAN = np.full((6, 8), math.nan, np.float32)
COLOUR = np.random.default_rng(0).integers(0, 255, (6, 8, 3), np.uint8)

CASES = [
    # message, cause, what the error names
    (broken(encoding="thermal14"), "unknown_encoding", "mono16"),
    (broken(encoding=""), "unknown_encoding", "mono16"),
    (broken(encoding="16SC1"), "unsupported_encoding", "mono16"),
    (broken(step=3), "wrong_step", "64"),
    (broken(step=0), "wrong_step", "64"),
    (broken(width=0, step=0), "zero_size", "at least 1"),
    (broken(height=0), "zero_size", "at least 1"),
    (broken(height=25), "short_data", "1536"),
    (with_data(broken(), b""), "short_data", "0 bytes"),
    (with_data(broken(), b"\0" * 1535), "short_data", "1535"),
    (array_to_image(COLOUR, "8UC3"), "unsupported_encoding", "rgb8"),
    (array_to_image(np.zeros((101, 100), np.uint8)), "unusable_frame", "max_input_pixels"),
    (array_to_image(NAN, "32FC1"), "unusable_frame", "no pixel of the frame is a measurement"),
]


@pytest.mark.parametrize(("message", "cause", "names"), CASES)
def test_bad_frame_is_named_counted_and_dropped(graph, message, cause, names):
    statistics = graph.node.cameras[""].statistics
    before = statistics.snapshot()
    graph.images.clear()
    graph.publisher.publish(message)
    wait_for(lambda: statistics.snapshot().rejected != before.rejected, cause)
    after = statistics.snapshot()
    assert after.rejected[cause] == before.rejected.get(cause, 0) + 1
    assert names in after.last_error
    # The node is up, and the bad frame left nothing behind.
    graph.roundtrip(scene(), stamp=77)
    assert [image.header.stamp.sec for image in graph.images] == [77]


def test_diagnostics_show_the_counters_and_the_last_error(graph):
    def counted(values, status):
        return values.get("rejected: wrong_step")

    graph.publisher.publish(broken(step=3))
    values, status = graph.status("input", counted)
    assert int(values["frames rejected"]) >= int(values["rejected: wrong_step"]) >= 1
    graph.publisher.publish(broken(encoding="thermal14"))
    values, status = graph.status("input", lambda v, s: "thermal14" in v["last error"])
    assert status.level == b"\x01"
    assert "thermal14" in status.message


def test_surplus_data_is_used_and_noticed(graph):
    message = array_to_image(scene(), "mono16")
    message.data.frombytes(b"surplus")
    graph.images.clear()
    graph.publisher.publish(message)
    got = wait_for(lambda: graph.images, "the frame is used")[0]
    assert got.data == graph.roundtrip(scene(), "mono16").data
    assert graph.node.cameras[""].statistics.snapshot().noticed["surplus_data"] >= 1


def test_colour_is_upscaled_as_luma_and_noticed(graph):
    got = graph.roundtrip(COLOUR, "rgb8")
    channels = image_to_array(got)
    assert (channels[..., 0] == channels[..., 1]).all()
    assert graph.node.cameras[""].statistics.snapshot().noticed["colour_input"] >= 1


def test_some_nan_pixels_are_no_reason_to_drop_a_frame(graph):
    pixels = scene(dtype=np.float32)
    pixels[3, 4] = np.nan
    result = image_to_array(graph.roundtrip(pixels))
    assert np.isnan(result[12:16, 16:20]).all()
    assert np.isnan(result).sum() == 16


def test_a_worker_that_meets_a_bug_goes_on(graph, monkeypatch):
    engine = graph.node._upscaler.engine
    real = engine.upscale
    calls = []

    def fail_once(*args, **kwargs):
        calls.append(1)
        if len(calls) == 1:
            raise RuntimeError("out of cheese")
        return real(*args, **kwargs)

    monkeypatch.setattr(engine, "upscale", fail_once)
    graph.send(scene())
    wait_for(
        lambda: "cheese" in graph.node.cameras[""].statistics.snapshot().last_error, "the failure"
    )
    assert graph.roundtrip(scene()).width == 128
