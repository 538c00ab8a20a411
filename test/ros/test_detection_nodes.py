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

"""thermal_detector and detection_mapper: from an image to boxes in the camera's pixels.

vision_msgs is no dependency of the tests: where it is missing, classes with the fields of its
messages take its place, and what would have been published is looked at.
"""

from __future__ import annotations

import sys
from types import SimpleNamespace as Fields

import numpy as np
import pytest
import rclpy
from rclpy.parameter import Parameter
from sensor_msgs.msg import Image

from difiisr_ros.errors import ModelError, OptionError
from difiisr_ros.messages.box_mapping import BoxMapping, map_yolo
from difiisr_ros.models.detector.boxes import Detections
from difiisr_ros.ros import detection_mapper, thermal_detector
from difiisr_ros.ros.conversions import array_to_image
from support.node_harness import LogCapture
from support.spinning import Spinning
from support.waiting import wait_for


def centre():
    return Fields(position=Fields(x=0.0, y=0.0), theta=0.0)


KINDS = Fields(
    Detection2DArray=lambda: Fields(header=None, detections=[]),
    Detection2D=lambda: Fields(
        header=None, id="", results=[], bbox=Fields(center=centre(), size_x=0.0, size_y=0.0)
    ),
    ObjectHypothesisWithPose=lambda: Fields(hypothesis=Fields(class_id="", score=0.0)),
)


class OneBox:
    """A detector that finds a car of 8x4 pixels."""

    classes = ("person", "car")

    def detect(self, frame, min_score):
        self.seen = frame
        box = np.array([[40, 80, 48, 84]], np.float32)
        return Detections(box, np.array([0.75], np.float32), np.array([1]))


@pytest.fixture
def context():
    context = rclpy.Context()
    context.init()
    yield context
    context.try_shutdown()


def parameters(**values):
    return [Parameter(name, value=value) for name, value in values.items()]


def message():
    image = array_to_image(np.zeros((120, 160), np.uint16), "mono16")
    image.header.stamp.sec, image.header.frame_id = 7, "thermal_optical"
    return image


def offline(kind, sent):
    """The node with its topics of vision_msgs taken off: its middleware need not know them."""

    class Offline(kind):
        def create_publisher(self, message_type, topic, depth, **options):
            if topic.endswith("detections"):
                return Fields(publish=sent.append)
            return super().create_publisher(message_type, topic, depth, **options)

        def create_subscription(self, message_type, topic, callback, qos, **options):
            if not topic.endswith("detections"):
                return super().create_subscription(message_type, topic, callback, qos, **options)
            return Fields(topic=topic, callback=callback)

    return Offline


def test_a_box_is_found_and_mapped_to_the_cameras_pixels(context, monkeypatch):
    found, mapped, detector = [], [], OneBox()
    for module in (thermal_detector, detection_mapper):
        monkeypatch.setattr(module, "messages_of", lambda package: KINDS)
    monkeypatch.setattr(thermal_detector, "load_detector", lambda *given: detector)
    node = offline(thermal_detector.ThermalDetector, found)(context=context)
    mapper = offline(detection_mapper.DetectionMapper, mapped)(context=context)
    try:
        image = message()
        node._on_image(image)
        wait_for(lambda: found, "detections")
        assert detector.seen.shape == (120, 160) and detector.seen.dtype == np.uint16
        (array,) = found
        (one,) = array.detections
        assert array.header == one.header == image.header
        (hypothesis,) = one.results
        assert (hypothesis.hypothesis.class_id, hypothesis.hypothesis.score) == ("car", 0.75)
        # Edges 40 and 48, 80 and 84: the middle lies between pixels 43 and 44, 81 and 82.
        place, box = one.bbox.center.position, one.bbox
        assert (place.x, place.y, box.size_x, box.size_y) == (43.5, 81.5, 8.0, 4.0)
        mapper._on_detections(array)
        assert mapped == [array] and array.header == image.header
        assert (place.x, place.y, box.size_x, box.size_y) == (10.5, 20.0, 2.0, 1.0)
    finally:
        node.stop()
        node.destroy_node()
        mapper.destroy_node()


def test_a_broken_image_is_logged_and_the_next_is_looked_at(context, monkeypatch, tmp_path):
    found = []
    monkeypatch.setattr(thermal_detector, "messages_of", lambda package: KINDS)
    monkeypatch.setattr(thermal_detector, "load_detector", lambda *given: OneBox())
    with LogCapture(tmp_path / "log") as log:
        node = offline(thermal_detector.ThermalDetector, found)(context=context)
        try:
            broken = message()
            broken.encoding = "thermal14"
            node._on_image(broken)
            assert "thermal14" in log.wait("no detections")
            node._on_image(message())
            wait_for(lambda: found, "detections")
        finally:
            node.stop()
            node.destroy_node()


@pytest.mark.parametrize(
    "kind", [thermal_detector.ThermalDetector, detection_mapper.DetectionMapper]
)
def test_missing_messages_are_named_with_how_to_install_them(context, monkeypatch, kind):
    monkeypatch.setitem(sys.modules, "vision_msgs", None)
    with pytest.raises(OptionError, match=r"vision_msgs .*sudo apt install ros-.*-vision-msgs"):
        kind(context=context)
    monkeypatch.setitem(sys.modules, "yolo_msgs", None)
    with pytest.raises(OptionError, match="part of yolo_ros"):
        detection_mapper.DetectionMapper(
            context=context, parameter_overrides=parameters(message_type="yolo_msgs")
        )


@pytest.mark.needs("torch")
def test_a_detector_that_is_none_ends_the_node(context, monkeypatch):
    monkeypatch.setattr(thermal_detector, "messages_of", lambda package: KINDS)
    with pytest.raises(ModelError, match="nowhere"):
        thermal_detector.ThermalDetector(
            context=context, parameter_overrides=parameters(detector="nowhere")
        )


def test_the_chain_over_dds(monkeypatch):
    kinds = pytest.importorskip("vision_msgs.msg", reason="vision_msgs is missing")
    monkeypatch.setattr(thermal_detector, "load_detector", lambda *given: OneBox())
    with Spinning(name="chain") as chain:
        node = thermal_detector.ThermalDetector(context=chain.context)
        mapper = detection_mapper.DetectionMapper(context=chain.context)
        for part in (node, mapper):
            chain.executor.add_node(part)
        received = []
        chain.node.create_subscription(kinds.Detection2DArray, "detections", received.append, 10)
        publisher = chain.node.create_publisher(Image, "sr/image_raw", 10)

        def sent_and_received():
            publisher.publish(message())
            return received

        wait_for(sent_and_received, "mapped detections")
        array = received[0]
        assert array.header == message().header == array.detections[0].header
        box = array.detections[0].bbox
        assert (box.center.position.x, box.center.position.y) == (10.5, 20.0)
        assert array.detections[0].results[0].hypothesis.class_id == "car"
        node.stop()
        for part in (node, mapper):
            chain.executor.remove_node(part)
            part.destroy_node()


def test_the_messages_of_yolo_ros_take_what_is_mapped():
    kinds = pytest.importorskip("yolo_msgs.msg", reason="yolo_msgs is missing: it is yolo_ros's")
    array = kinds.DetectionArray(detections=[kinds.Detection(id="7")])
    box = array.detections[0].bbox
    box.center.position.x, box.size.x = 40.0, 8.0
    array.detections[0].mask.data = [kinds.Point2D(x=4.0, y=8.0)]
    array.detections[0].mask.width = 640
    map_yolo(array, BoxMapping(4.0, "edges"))
    assert (box.center.position.x, box.size.x) == (10.0, 2.0)
    assert (array.detections[0].mask.data[0].y, array.detections[0].mask.width) == (2.0, 160)
