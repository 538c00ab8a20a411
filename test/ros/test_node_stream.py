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

"""A stream goes in, an upscaled stream comes out."""

from __future__ import annotations

import numpy as np
import pytest
from sensor_msgs.msg import CameraInfo

from difiisr_ros import SuperResolver
from difiisr_ros.ros.conversions import image_to_array
from support.node_harness import Graph, scene
from support.waiting import wait_for


@pytest.fixture(scope="module")
def graph():
    with Graph() as running:
        yield running.connect()


@pytest.fixture(scope="module")
def engine():
    return SuperResolver.load(backend="bicubic")


@pytest.mark.parametrize(
    ("encoding", "dtype"),
    [
        ("mono8", np.uint8),
        ("8UC1", np.uint8),
        ("mono16", np.uint16),
        ("16UC1", np.uint16),
        ("32FC1", np.float32),
    ],
)
def test_result_is_what_the_engine_gives(graph, engine, encoding, dtype):
    pixels = scene(dtype=dtype)
    sent = graph.send(pixels, encoding, stamp=7)
    before = len(graph.images)
    got = wait_for(lambda: graph.images[before:] or None, encoding)[0]
    assert got.encoding == encoding
    assert (got.width, got.height) == (4 * sent.width, 4 * sent.height)
    assert got.header == sent.header
    np.testing.assert_array_equal(image_to_array(got), engine.upscale(pixels))


@pytest.mark.parametrize("size", [(1, 1), (3, 5), (5, 3), (1, 40), (37, 23)])
def test_odd_sizes(graph, engine, size):
    pixels = scene(*size)
    got = graph.roundtrip(pixels)
    np.testing.assert_array_equal(image_to_array(got), engine.upscale(pixels))


@pytest.mark.parametrize("encoding", ["rgb8", "bgr8", "rgba8", "bgra8"])
def test_three_equal_channels_come_back_as_such(graph, engine, encoding):
    gray = scene(dtype=np.uint8)
    pixels = np.repeat(gray[..., None], 4 if "a" in encoding else 3, axis=2)
    got = graph.roundtrip(pixels, encoding)
    assert got.encoding == encoding
    result = image_to_array(got)
    for channel in range(3):
        np.testing.assert_array_equal(result[..., channel], engine.upscale(gray))
    if "a" in encoding:
        assert (result[..., 3] == 255).all()


def test_the_same_frame_gives_the_same_result_whatever_came_before(graph):
    frame, other = scene(seed=1), scene(seed=2)
    first = graph.roundtrip(frame, stamp=1)
    graph.roundtrip(other, stamp=2)
    again = graph.roundtrip(frame, stamp=3)
    assert first.data == again.data


def test_camera_info_follows_with_the_header_of_the_image(graph):
    info = CameraInfo(width=32, height=24)
    info.header.stamp.sec = 41
    info.k = [50.0, 0, 15.5, 0, 51.0, 11.5, 0, 0, 1]
    info.p = [50.0, 0, 15.5, -5.0, 0, 51.0, 11.5, 0, 0, 0, 1, 0]
    graph.info_publisher.publish(info)
    graph.infos.clear()

    def paired():  # until the node has heard of the camera_info
        got = graph.roundtrip(scene(), stamp=41)
        return [i for i in graph.infos if i.header == got.header]

    scaled = wait_for(paired, "camera_info with the image's header")[0]
    assert scaled.header.frame_id == "thermal_optical"
    assert (scaled.width, scaled.height) == (128, 96)
    assert scaled.k[0] == 200.0
    assert scaled.p[3] == -20.0
