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

"""The complete node of docs/examples, behind the real node: boxes and rays are the camera's."""

from __future__ import annotations

import importlib.util
import sys
import types

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="rclpy is missing: source ROS 2, or use `make test`")

from geometry_msgs.msg import PolygonStamped, Vector3Stamped
from sensor_msgs.msg import CameraInfo

from difiisr_ros.ros.conversions import array_to_image
from support.node_harness import Graph
from support.waiting import wait_for

#: A pixel of the camera, right and above its principal point.
COLUMN, ROW = 21, 7
FOCAL, CENTRE = 40.0, (15.3, 11.9)


class Subscriber:
    """What message_filters.Subscriber does, which has no release on PyPI."""

    def __init__(self, node, kind, topic, qos_profile):
        self.callbacks = []
        node.create_subscription(kind, topic, self._pass_on, qos_profile)

    def _pass_on(self, message):
        for callback in self.callbacks:
            callback(message)


class TimeSynchronizer:
    """What message_filters.TimeSynchronizer does: a call with messages of equal stamps."""

    def __init__(self, filters, queue_size):
        self.callbacks, queues = [], [{} for _ in filters]
        for queue, source in zip(queues, filters):
            source.callbacks.append(lambda m, queue=queue: self._add(m, queue, queues, queue_size))

    def registerCallback(self, callback):
        self.callbacks.append(callback)

    def _add(self, message, queue, queues, size):
        stamp = (message.header.stamp.sec, message.header.stamp.nanosec)
        queue[stamp] = message
        if len(queue) > size:
            del queue[min(queue)]
        if all(stamp in q for q in queues):
            messages = [q.pop(stamp) for q in queues]
            for callback in self.callbacks:
                callback(*messages)


@pytest.fixture
def example(repository, monkeypatch):
    """The example as a module."""
    if importlib.util.find_spec("message_filters") is None:
        stand_in = types.ModuleType("message_filters")
        stand_in.Subscriber, stand_in.TimeSynchronizer = Subscriber, TimeSynchronizer
        monkeypatch.setitem(sys.modules, "message_filters", stand_in)
    file = repository / "docs" / "examples" / "hot_spot_detector.py"
    spec = importlib.util.spec_from_file_location("hot_spot_detector", file)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def frame():
    """One hot pixel."""
    pixels = np.full((24, 32), 29000, np.uint16)
    pixels[ROW, COLUMN] = 31000
    return pixels


def camera_info(header, distortion=()):
    info = CameraInfo(header=header, width=32, height=24, distortion_model="plumb_bob")
    info.k = [FOCAL, 0.0, CENTRE[0], 0.0, FOCAL, CENTRE[1], 0.0, 0.0, 1.0]
    info.p = [FOCAL, 0.0, CENTRE[0], 0.0, 0.0, FOCAL, CENTRE[1], 0.0, 0.0, 0.0, 1.0, 0.0]
    info.d = list(distortion)
    return info


def detect_in(example, graph, **info):
    """The box and the ray for the hot pixel."""
    boxes, rays = [], []
    node = example.HotSpotDetector(context=graph.context)
    graph.executor.add_node(node)
    try:
        graph.connect()
        graph.subscribe(PolygonStamped, "hot_spot", boxes)
        graph.subscribe(Vector3Stamped, "hot_spot/direction", rays)
        header = graph.image(frame()).header

        def send():
            # Again until all know each other; camera_info first, so that it is there in time.
            graph.info_publisher.publish(camera_info(header, **info))
            graph.send(frame())

        timer = graph.tester.create_timer(0.1, send)
        wait_for(lambda: boxes and rays and graph.infos, "a detection")
        graph.in_executor(graph.tester.destroy_timer, timer)
    finally:
        graph.in_executor(graph.executor.remove_node, node)
        node.destroy_node()
    assert boxes[0].header == rays[0].header == header
    corners = [(point.x, point.y) for point in boxes[0].polygon.points]
    ray = rays[0].vector
    return corners, (ray.x / ray.z, ray.y / ray.z), graph.infos[-1]


@pytest.mark.parametrize("encoding", ["same", "mono8", "bgr8"])
def test_box_and_ray_are_those_of_the_camera_pixel(example, encoding):
    # By percentile an even scene has no extent; docs/tasks/yolo.md fixes the range, too.
    fixed = {"range_mode": "fixed", "range_min": 27315.0, "range_max": 31315.0}
    with Graph(output_encoding=encoding, **fixed) as graph:
        corners, ray, _ = detect_in(example, graph)
    left, top, right, bottom = COLUMN, ROW, COLUMN + 1, ROW + 1
    assert corners == [(left, top), (right, top), (right, bottom), (left, bottom)]
    assert ray == pytest.approx(((COLUMN - CENTRE[0]) / FOCAL, (ROW - CENTRE[1]) / FOCAL))


def test_the_ray_of_a_lens_with_distortion(example):
    cv2 = pytest.importorskip("cv2")
    distortion = (-0.3, 0.1, 0.001, -0.002, 0.0)
    with Graph() as graph:
        _, ray, _ = detect_in(example, graph, distortion=distortion)
    matrix = np.array([[FOCAL, 0, CENTRE[0]], [0, FOCAL, CENTRE[1]], [0, 0, 1.0]])
    pixel = np.array([[[COLUMN, ROW]]], np.float64)
    expected = cv2.undistortPoints(pixel, matrix, np.array(distortion))[0, 0]
    assert ray == pytest.approx(tuple(expected))
    assert abs(ray[0] - (COLUMN - CENTRE[0]) / FOCAL) > 1e-4


def test_image_procs_convention_shifts_rays_by_as_much_as_the_page_says(example):
    with Graph(camera_info_convention="image_proc") as graph:
        corners, ray, info = detect_in(example, graph)
    assert corners[0] == (COLUMN, ROW)  # the image is the same
    assert (info.k[2], info.k[5]) == pytest.approx((4 * CENTRE[0], 4 * CENTRE[1]))
    expected = ((COLUMN - CENTRE[0]) / FOCAL, (ROW - CENTRE[1]) / FOCAL)
    assert ray == pytest.approx([e + 1.5 / (4 * FOCAL) for e in expected])


def test_without_a_calibration_there_is_a_box_and_no_ray(example):
    with Graph() as graph:
        node = example.HotSpotDetector(context=graph.context)
        try:
            published = []
            node.boxes = node.rays = types.SimpleNamespace(publish=published.append)
            node.on_image(array_to_image(frame()), CameraInfo())
            assert [type(message) for message in published] == [PolygonStamped]
        finally:
            node.destroy_node()
