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

"""detection_mapper by camera_info, behind the real node: any size, a region that moves."""

from __future__ import annotations

from types import SimpleNamespace as Fields

import numpy as np
import pytest
from rclpy.parameter import Parameter
from rclpy.qos import DurabilityPolicy, QoSProfile
from sensor_msgs.msg import CameraInfo, RegionOfInterest
from std_msgs.msg import Header

from difiisr_ros.ros import detection_mapper
from difiisr_ros.ros.conversions import image_to_array
from support.node_harness import Graph
from support.waiting import wait_for

KINDS = Fields(Detection2DArray=object, DetectionArray=object)
LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
HEIGHT, WIDTH = 48, 64


def spot(u, v):
    """A warm spot on an even scene, centred at a pixel."""
    rows, columns = np.mgrid[0:HEIGHT, 0:WIDTH]
    warm = np.exp(-((columns - u) ** 2 + (rows - v) ** 2) / (2 * 1.5**2))
    return (29000 + 2000 * warm).astype(np.uint16)


def detected(result):
    """What a detector publishes of a result: a box of its size around what is warmest, in edges."""
    picture = image_to_array(result).astype(float)
    weight = np.clip(picture - picture.min() - 0.6 * np.ptp(picture), 0, None)
    rows, columns = np.mgrid[0 : picture.shape[0], 0 : picture.shape[1]]
    x, y = (weight * columns).sum() / weight.sum(), (weight * rows).sum() / weight.sum()
    place = Fields(position=Fields(x=x + 0.5, y=y + 0.5))
    box = Fields(center=place, size_x=float(result.width), size_y=float(result.height))
    return Fields(header=result.header, detections=[Fields(bbox=box)])


def info_of(stamp, focal=80.0, **changes):
    info = CameraInfo(width=WIDTH, height=HEIGHT, **changes)
    info.header.stamp.sec = stamp
    info.k = [focal, 0.0, 31.2, 0.0, focal, 23.9, 0.0, 0.0, 1.0]
    return info


@pytest.fixture
def made(monkeypatch):
    """Makes the node with its topics of vision_msgs taken off, and what it would publish."""
    nodes = []
    monkeypatch.setattr(detection_mapper, "messages_of", lambda package: KINDS)

    def make(context, **values):
        sent = []

        class Offline(detection_mapper.DetectionMapper):
            def create_publisher(self, message_type, topic, depth, **options):
                if topic == "detections":
                    return Fields(publish=sent.append)
                return super().create_publisher(message_type, topic, depth, **options)

            def create_subscription(self, message_type, topic, callback, qos, **options):
                if topic == "sr/detections":
                    return Fields(callback=callback)
                return super().create_subscription(message_type, topic, callback, qos, **options)

        values = {"mapping": "camera_info", "coordinates": "edges", **values}
        overrides = [Parameter(name, value=value) for name, value in values.items()]
        node = Offline(context=context, parameter_overrides=overrides)
        nodes.append(node)
        return node, sent

    yield make
    for node in nodes:
        node.destroy_node()


@pytest.mark.parametrize(
    "parameters",
    [
        {"scale": 2, "camera_info_convention": "image_proc"},
        {"output_size": [200, 200], "output_fit": "letterbox"},
        {"output_size": [100, 120], "output_fit": "crop"},
        {"output_size": [99, 161], "crop": "left 2, bottom 3"},
    ],
)
def test_boxes_are_where_the_camera_saw_it_while_the_region_moves(made, parameters):
    with Graph(**parameters) as graph:
        graph.connect()
        convention = {k: v for k, v in parameters.items() if k == "camera_info_convention"}
        mapper, sent = made(graph.context, **convention)
        graph.in_executor(graph.executor.add_node, mapper)
        wait_for(lambda: graph.info_publisher.get_subscription_count() == 2, "camera_info is heard")
        wait_for(lambda: graph.tester.count_subscribers("sr/camera_info") == 2, "and of results")
        tracker = graph.tester.create_publisher(RegionOfInterest, "super_resolution/roi", LATCHED)
        choice = graph.node.cameras[""].region.choice
        regions = [(0, 0, 0, 0), (8, 6, 40, 30), (13, 9, 41, 31), (0, 0, 64, 48)]
        for stamp, region in enumerate(regions, start=1):
            tracker.publish(RegionOfInterest(**dict(zip(FIELDS, region))))
            wait_for(lambda r=region: _asked(choice) == r, "the node knows the region")
            graph.info_publisher.publish(info_of(stamp))
            known = graph.node.cameras[""]._infos
            wait_for(lambda k=known, s=stamp: (s, 0) in k, "camera_info is stored")
            u, v = 24.0 + stamp, 18.0 + 2 * stamp
            result = graph.roundtrip(spot(u, v), stamp=stamp)
            mapper._subscription.callback(detected(result))
            wait_for(lambda s=stamp: len(sent) == s, "the mapped box")
            box = sent[-1].detections[0].bbox
            place = box.center.position
            assert (place.x - 0.5, place.y - 0.5) == pytest.approx((u, v), abs=0.1)
            if "output_fit" not in parameters and "crop" not in parameters and any(region):
                assert (box.size_x, box.size_y) == pytest.approx(region[2:])
        graph.in_executor(graph.executor.remove_node, mapper)


FIELDS = ("x_offset", "y_offset", "width", "height")


def _asked(choice):
    region = choice._asked
    return (0, 0, 0, 0) if region is None else (region.x, region.y, region.width, region.height)


def of_stamp(stamp, x=40.0):
    header = Header()
    header.stamp.sec = stamp
    box = Fields(center=Fields(position=Fields(x=x, y=x)), size_x=8.0, size_y=8.0)
    return Fields(header=header, detections=[Fields(bbox=box)])


@pytest.fixture
def context():
    with Graph(wait_active=False) as graph:
        yield graph.context


def test_boxes_wait_for_the_calibration_of_their_frame(made, context, log):
    mapper, sent = made(context)
    known, take = mapper._known, mapper._subscription.callback
    take(of_stamp(1))
    take(of_stamp(2))
    mapper._on_info(known.result, info_of(2, focal=160.0))
    assert sent == []  # none of the camera yet
    mapper._on_info(known.camera, info_of(1))
    assert [m.header.stamp.sec for m in sent] == [2]
    assert sent[0].detections[0].bbox.size_x == 4.0
    mapper._on_info(known.result, info_of(1, focal=320.0))
    assert [m.header.stamp.sec for m in sent] == [2, 1]
    assert sent[1].detections[0].bbox.size_x == 2.0
    for _ in range(11):
        take(of_stamp(77))
    assert "no camera_info of a result has their stamp" in log.wait("detections dropped")
    assert len(mapper._waiting) == 10 and len(sent) == 2


def test_a_camera_without_a_calibration_needs_parameters(made, context, log):
    mapper, sent = made(context)
    mapper._on_info(mapper._known.camera, CameraInfo(width=WIDTH, height=HEIGHT))
    mapper._on_info(mapper._known.result, info_of(1))
    mapper._subscription.callback(of_stamp(1))
    line = log.wait("detections dropped")
    assert "the camera's camera_info has no calibration (K is 0)" in line
    assert "set mapping to parameters, and scale" in line and sent == []


def test_parameters_know_two_scales_and_a_letterbox(made, context):
    values = {"scale": 2.0, "scale_y": 4.0, "left": 10.0, "top": -8.0, "offset_x": 3.0}
    mapper, sent = made(context, mapping="parameters", **values)
    mapper._subscription.callback(of_stamp(1))
    place = sent[0].detections[0].bbox.center.position
    assert (place.x, place.y) == (3 + 30 / 2, 48 / 4)
