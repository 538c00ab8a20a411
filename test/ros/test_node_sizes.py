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

"""``scale``, ``output_size`` and ``output_fit``: the result, its camera_info and diagnostics."""

from __future__ import annotations

import numpy as np
import pytest
from rclpy.parameter import Parameter
from sensor_msgs.msg import CameraInfo

from difiisr_ros import SuperResolver
from difiisr_ros.ros.conversions import image_to_array
from support.node_harness import Graph, scene
from support.waiting import wait_for

FOCAL, CENTRE = 40.0, (15.3, 11.9)


def spot(u, v, height=24, width=32):
    """A warm spot on an even scene, centred at a pixel."""
    rows, columns = np.mgrid[0:height, 0:width]
    warm = np.exp(-((columns - u) ** 2 + (rows - v) ** 2) / (2 * 1.5**2))
    return (29000 + 2000 * warm).astype(np.uint16)


def centre_of(picture):
    """Of what is warmer than anything else, in pixels."""
    weight = np.clip(picture.astype(float) - picture.min() - 0.6 * np.ptp(picture), 0, None)
    rows, columns = np.mgrid[0 : picture.shape[0], 0 : picture.shape[1]]
    return (weight * columns).sum() / weight.sum(), (weight * rows).sum() / weight.sum()


def result_and_info(graph, frame, stamp):
    """A frame's result, and its camera_info."""
    info = CameraInfo(width=frame.shape[1], height=frame.shape[0])
    info.header.stamp.sec = stamp
    info.k = [FOCAL, 0.0, CENTRE[0], 0.0, FOCAL, CENTRE[1], 0.0, 0.0, 1.0]
    info.p = [FOCAL, 0.0, CENTRE[0], 0.0, 0.0, FOCAL, CENTRE[1], 0.0, 0.0, 0.0, 1.0, 0.0]
    wait_for(graph.info_publisher.get_subscription_count, "camera_info is heard")
    wait_for(lambda: graph.tester.count_publishers("sr/camera_info"), "and published")
    graph.info_publisher.publish(info)
    wait_for(lambda: (stamp, 0) in graph.node.cameras[""]._infos, "camera_info is stored")
    result = image_to_array(graph.roundtrip(frame, stamp=stamp))
    found = wait_for(
        lambda: [i for i in list(graph.infos) if i.header.stamp.sec == stamp], "camera_info"
    )
    return result, found[0]


def set_parameters(graph, **values):
    parameters = [Parameter(name, value=value) for name, value in values.items()]
    done = graph.in_executor(graph.node.set_parameters_atomically, parameters)
    assert done.successful, done.reason


def test_the_scale_may_change_between_two_frames_of_one_calibration():
    engine, frame = SuperResolver.load(backend="bicubic"), scene()
    with Graph(scale=2) as graph:
        graph.connect()
        for stamp, scale in enumerate((2, 1, 4), start=1):
            set_parameters(graph, scale=scale)
            engine.configure(scale=scale)
            # The same camera_info for all: it comes once.
            if stamp == 1:
                result, info = result_and_info(graph, frame, stamp)
            else:
                graph.infos.clear()
                result = image_to_array(graph.roundtrip(frame, stamp=stamp))
                info = wait_for(lambda: graph.infos, "camera_info")[0]
            np.testing.assert_array_equal(result, engine.upscale(frame))
            assert (info.width, info.height) == (32 * scale, 24 * scale) == result.shape[::-1]
            assert info.k[0] == scale * FOCAL
            assert info.k[2] == pytest.approx(scale * (CENTRE[0] + 0.5) - 0.5)
        values, _ = graph.status("inference", lambda v, _: v["result size"] == "128x96")
        assert (values["result scale"], values["region"]) == ("4", "whole frame")


@pytest.mark.parametrize(
    ("size", "fit", "shape", "scale"),
    [
        ([80, 100], "letterbox", (100, 80), "2.5"),
        ([80, 100], "stretch", (100, 80), "2.5 x 4.167"),
        ([50, 60], "crop", (60, 50), "2.5"),
        ([48, 0], "stretch", (36, 48), "1.5"),
    ],
)
def test_a_point_is_seen_where_camera_info_says(size, fit, shape, scale):
    u, v = 18.0, 9.0
    with Graph(output_size=size, output_fit=fit) as graph:
        graph.connect()
        result, info = result_and_info(graph, spot(u, v), 1)
        assert result.shape == shape == (info.height, info.width)
        assert (info.roi.width, info.binning_x) == (0, 0)
        x, y = (u - CENTRE[0]) / FOCAL, (v - CENTRE[1]) / FOCAL
        assert centre_of(result) == pytest.approx(
            (info.k[0] * x + info.k[2], info.k[4] * y + info.k[5]), abs=0.1
        )
        assert (info.p[0], info.p[2], info.p[6]) == (info.k[0], info.k[2], info.k[5])
        if fit == "letterbox":
            assert len(np.unique(result[:20])) == 1
            assert result[20, 0] == 29000 < result[19, 0] < 31000
        values, _ = graph.status("inference", lambda v, _: "result scale" in v)
        assert values["result size"] == f"{shape[1]}x{shape[0]}"
        assert values["result scale"] == scale


def test_what_was_set_and_is_not_read_is_named_once(log):
    with Graph("-p", "output_size:=[64, 0]", scale=2) as graph:
        graph.connect()
        words = "scale 2, because output_size decides it"
        assert words in log.wait("not used")
        values, _ = graph.status("backend")
        assert values["not used"] == words
        for _ in range(3):
            assert graph.roundtrip(scene()).width == 64
        assert len(log.lines("not used")) == 1
        set_parameters(graph, output_size=[0, 0])
        assert graph.roundtrip(scene()).width == 64
        values, _ = graph.status("backend")
        assert values["not used"] == ""


def test_missing_pixels_of_temperatures_are_nan_where_they_lie():
    frame = scene()
    frame[5, 7] = 0
    parameters = {"output_unit": "kelvin", "kelvin_per_count": 0.01, "missing": "0"}
    how = {"output_size": [64, 96], "output_fit": "letterbox"}
    with Graph(**parameters, **how) as graph:
        graph.connect()
        result = image_to_array(graph.roundtrip(frame))
        assert result.shape == (96, 64)
        gone = np.zeros((96, 64), bool)
        gone[24 + 10 : 24 + 12, 14:16] = True
        np.testing.assert_array_equal(np.isnan(result), gone)


def test_a_result_that_is_too_large_is_refused_and_the_node_goes_on(log):
    with Graph(warmup_width=0) as graph:
        graph.connect()
        set_parameters(graph, output_size=[0, 20000])
        graph.send(scene())
        assert "output_size 0x20000 makes 26667x20000 pixels" in log.wait("dropped")
        values, _ = graph.status("input", lambda v, _: int(v["frames rejected"]) == 1)
        assert values["rejected: unusable_frame"] == "1"
        set_parameters(graph, output_size=[0, 20])
        assert graph.roundtrip(scene()).height == 20
