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

"""A region of interest: by the parameter and by ``~/roi``, moving, clipped, outside."""

from __future__ import annotations

import time

import numpy as np
import pytest
from rclpy.parameter import Parameter
from rclpy.qos import DurabilityPolicy, QoSProfile
from sensor_msgs.msg import CameraInfo, Image, RegionOfInterest

from difiisr_ros import SuperResolver
from difiisr_ros.core.region import Region
from difiisr_ros.ros.camera_stream import Arrival
from difiisr_ros.ros.conversions import image_to_array
from support.node_harness import Graph, scene
from support.waiting import wait_for

FRAME = scene(96, 128)
LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)


class Tracker:
    """Who publishes the region of a camera."""

    def __init__(self, graph, camera="", qos=LATCHED):
        self._graph, self._camera = graph, camera
        topic = f"/super_resolution/{camera}/roi" if camera else "/super_resolution/roi"
        self._publisher = graph.tester.create_publisher(RegionOfInterest, topic, qos)

    def ask(self, x, y, width, height):
        """Publish it and wait until it has come; publishes again what is lost at first."""
        message = RegionOfInterest(x_offset=x, y_offset=y, width=width, height=height)
        wait_for(self._publisher.get_subscription_count, "the node listens")
        choice = self._graph.node.cameras[self._camera].region.choice
        self._publisher.publish(message)
        expected = Region(x, y, width, height) if width else None
        wait_for(lambda: choice._asked == expected, "the node knows it")

    def say(self, **fields):
        """Publish a message that is not taken."""
        wait_for(self._publisher.get_subscription_count, "the node listens")
        self._publisher.publish(RegionOfInterest(**fields))


def engine_for(graph, **options):
    """An engine like the node's."""
    return SuperResolver.load(backend=graph.node.parameters["backend"], **options)


def noticed(graph, cause, camera="input"):
    values, _ = graph.status(camera, lambda v, _: f"noticed: {cause}" in v)
    return int(values[f"noticed: {cause}"])


@pytest.mark.parametrize("backend", ["bicubic", "torch"])
def test_the_parameter_chooses_a_part_of_the_whole_result(log, backend):
    with Graph(roi=[40, 16, 32, 24], scale=2, backend=backend) as graph:
        graph.connect()
        engine = engine_for(graph, scale=2)
        wait_for(graph.info_publisher.get_subscription_count, "camera_info is heard")
        wait_for(lambda: graph.tester.count_publishers("sr/camera_info"), "and published")
        info = CameraInfo(width=128, height=96)
        info.k = [200.0, 0.0, 63.0, 0.0, 200.0, 47.0, 0.0, 0.0, 1.0]
        graph.info_publisher.publish(info)
        wait_for(lambda: graph.node.cameras[""]._infos, "camera_info is stored")
        result = image_to_array(graph.roundtrip(FRAME))
        whole = engine.upscale(FRAME)
        assert result.shape == (48, 64)
        difference = result.astype(int) - whole[32:80, 80:144]
        assert np.abs(difference).max() <= 1
        found = wait_for(lambda: graph.infos, "camera_info")[0]
        assert (found.width, found.height, found.k[0]) == (256, 192, 400.0)
        roi = found.roi
        assert (roi.x_offset, roi.y_offset, roi.width, roi.height) == (80, 32, 64, 48)
        assert roi.do_rectify
        said = "mono16 128x96, of which 32x24 at (40, 16); publishing mono16 64x48"
        assert said.replace("mono16", "16UC1") in log.wait("first frame")
        values, _ = graph.status("inference", lambda v, _: "region" in v)
        assert values["region"] == "32x24 at (40, 16)" and values["result scale"] == "2"
        parameter = Parameter("roi", value=[0, 0, 0, 0])
        (done,) = graph.in_executor(graph.node.set_parameters, [parameter])
        assert done.successful
        assert np.abs(image_to_array(graph.roundtrip(FRAME)) - whole.astype(int)).max() <= 1


def test_a_tracker_moves_it_from_frame_to_frame_within_few_sizes(monkeypatch):
    with Graph(backend="torch") as graph:
        graph.connect()
        engine, whole = graph.node._upscaler.engine, engine_for(graph).upscale(FRAME)
        sizes, run = set(), engine._backend.run

        def noting(lr, *arguments):
            sizes.add(lr.shape)
            return run(lr, *arguments)

        monkeypatch.setattr(engine._backend, "run", noting)
        tracker = Tracker(graph)
        for step in range(12):
            x, y, width, height = 3 + 7 * step, 2 + 5 * step, 20 + step % 3, 16 + step % 2
            tracker.ask(x, y, width, height)
            result = image_to_array(graph.roundtrip(FRAME, stamp=step))
            expected = whole[4 * y : 4 * (y + height), 4 * x : 4 * (x + width)]
            assert result.shape == expected.shape
            assert np.abs(result.astype(int) - expected).max() <= 1
        assert len(sizes) == 1
        tracker.ask(0, 0, 0, 0)
        assert image_to_array(graph.roundtrip(FRAME)).shape == whole.shape


def test_what_is_partly_outside_is_clipped_and_what_is_outside_changes_nothing(log):
    with Graph() as graph:
        graph.connect()
        tracker = Tracker(graph)
        tracker.ask(200, 0, 10, 10)
        assert graph.roundtrip(FRAME).width == 512
        tracker.ask(120, 90, 20, 20)
        result = graph.roundtrip(FRAME)
        assert (result.width, result.height) == (4 * 8, 4 * 6)
        assert "is clipped to 8x6 at (120, 90)" in log.wait("clipped")
        tracker.ask(0, 96, 10, 10)
        for _ in range(3):
            result = graph.roundtrip(FRAME)
            assert (result.width, result.height) == (4 * 8, 4 * 6)
        tracker.say(width=7)
        assert "[0, 0, 7, 0]" in log.wait("/super_resolution/roi not used")
        assert graph.roundtrip(FRAME).width == 4 * 8
        assert (noticed(graph, "roi_outside"), noticed(graph, "roi_clipped")) == (5, 1)
        assert noticed(graph, "roi_empty") == 1
        assert len(log.lines("lies outside")) == 1  # at most every 10 s
        assert graph.node.state_label == "active"


def test_a_latched_region_from_before_wins_over_the_parameter():
    with Graph(roi=[0, 0, 16, 16], autostart=False, wait_active=False) as graph:
        publisher = graph.tester.create_publisher(RegionOfInterest, "super_resolution/roi", LATCHED)
        publisher.publish(RegionOfInterest(x_offset=8, width=40, height=20))
        assert graph.transition("configure") and graph.transition("activate")
        graph.connect()
        choice = graph.node.cameras[""].region.choice
        wait_for(lambda: choice._asked == Region(8, 0, 40, 20), "the latched one has come")
        result = graph.roundtrip(FRAME)
        assert (result.width, result.height) == (160, 80)
        # What was asked for ends with the configuration.
        assert graph.transition("deactivate") and graph.transition("cleanup")
        assert choice._asked is None


def test_a_publisher_that_does_not_latch_is_named():
    with Graph() as graph:
        graph.connect()
        graph.tester.create_publisher(RegionOfInterest, "super_resolution/roi", 1)
        values, status = graph.status("input", lambda v, _: v["incompatible QoS"] != "")
        assert values["incompatible QoS"] == "incompatible QoS on /super_resolution/roi: DURABILITY"
        assert status.level == type(status).WARN
    override = "qos_overrides./super_resolution/roi.subscription.durability:=volatile"
    with Graph("-p", override) as graph:
        graph.connect()
        Tracker(graph, qos=QoSProfile(depth=1)).ask(8, 8, 16, 8)
        assert graph.roundtrip(FRAME).width == 64


def test_configure_runs_the_region_and_not_the_whole_frame(monkeypatch):
    seen, warmup = [], SuperResolver.warmup

    def noting(engine, *arguments):
        seen.append(arguments)
        return warmup(engine, *arguments)

    monkeypatch.setattr(SuperResolver, "warmup", noting)
    size = {"warmup_width": 128, "warmup_height": 96, "crop": "left 4"}
    with Graph(roi=[100, 16, 99, 24], **size):
        assert seen == [(96, 128, Region(96, 16, 28, 24))]
    with Graph(roi=[500, 16, 99, 24], **size):  # the camera's frames are larger
        assert seen[1:] == [(96, 128, None)]


def test_a_held_result_keeps_what_it_shows():
    flat = np.full_like(FRAME, 40000)
    with Graph(shutter_frames="hold", roi=[8, 8, 32, 24]) as graph:
        graph.connect()
        wait_for(graph.info_publisher.get_subscription_count, "camera_info is heard")
        wait_for(lambda: graph.tester.count_publishers("sr/camera_info"), "and published")
        graph.info_publisher.publish(CameraInfo(width=128, height=96))
        wait_for(lambda: graph.node.cameras[""]._infos, "camera_info is stored")
        tracker = Tracker(graph)
        for stamp in range(1, 7):
            before = graph.roundtrip(FRAME, stamp=stamp)
        tracker.ask(40, 8, 16, 24)
        held = graph.roundtrip(flat, stamp=7)
        assert image_to_array(held).tolist() == image_to_array(before).tolist()
        info = wait_for(lambda: [i for i in list(graph.infos) if i.header.stamp.sec == 7], "info")
        assert (info[0].roi.x_offset, info[0].roi.width) == (4 * 8, 4 * 32)
        after = graph.roundtrip(FRAME, stamp=8)
        assert after.width == 64


def test_each_camera_has_its_own(monkeypatch):
    names = ["", "left", "right"]
    with Graph(camera_names=names) as graph:
        results = {name: [] for name in names}
        publishers = {}
        for name in names:
            prefix = f"{name}/" if name else ""
            publishers[name] = graph.tester.create_publisher(Image, prefix + "image_raw", 10)
            graph.subscribe(Image, prefix + "sr/image_raw", results[name])
        for name in names:
            wait_for(publishers[name].get_subscription_count, "the node subscribes")
            wait_for(graph.node.cameras[name].output_subscribers, "the result is subscribed")
            wait_for(
                lambda n=name: graph.tester.count_publishers(f"{n}/sr/image_raw".strip("/")), "met"
            )
        Tracker(graph, "left").ask(0, 0, 24, 16)
        Tracker(graph, "right").ask(8, 0, 24, 16)
        upscaler = graph.node._upscaler
        batches, upscale = [], upscaler._upscale
        monkeypatch.setattr(upscaler, "_upscale", lambda f: (batches.append(len(f)), upscale(f)))

        def together():
            now = time.monotonic()
            upscaler.work({name: Arrival(graph.image(FRAME), now) for name in names})

        together()
        assert batches == [1, 1, 1]
        Tracker(graph, "right").ask(0, 0, 24, 16)
        batches.clear()
        together()
        assert sorted(batches) == [1, 2]
        for name, width in (("", 512), ("left", 96), ("right", 96)):
            wait_for(lambda n=name: len(results[n]) == 2, "results")
            assert results[name][1].width == width
