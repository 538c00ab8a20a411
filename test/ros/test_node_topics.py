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

"""Where the node listens and publishes, and that it says so."""

from __future__ import annotations

import re

from sensor_msgs.msg import CameraInfo

from difiisr_ros.ros.conversions import array_to_image
from support.node_harness import Graph, scene
from support.waiting import wait_for


def test_first_frame_is_announced_once(log):
    with Graph() as graph:
        graph.connect()
        graph.roundtrip(scene(), "mono16")
        graph.roundtrip(scene(), "mono16")
        line = log.wait("first frame of /image_raw")
        form = (
            r"first frame of /image_raw: mono16 32x24; publishing mono16 128x96 on /sr/image_raw; "
            r"backend bicubic on cpu \(\w+\), (\d+\.\d) ms; camera: "
        )
        found = re.search(form, line)
        assert found, line
        assert 0.05 < float(found[1]) < 10_000
        assert len(log.lines("first frame")) == 1


def test_remapped_image_takes_camera_info_along():
    remap = ["-r", "image_raw:=/rig/thermal/image", "-r", "__ns:=/rig"]
    with Graph(*remap) as graph:
        graph.connect("/rig/thermal/image", "/rig/sr/image_raw")
        graph.info_publisher.publish(CameraInfo(width=32, height=24))
        assert graph.node.cameras[""].info_topic == "/rig/thermal/camera_info"
        assert graph.info_publisher.topic_name == "/rig/thermal/camera_info"
        wait_for(lambda: graph.info_publisher.get_subscription_count(), "camera_info is heard")
        assert graph.roundtrip(scene()).width == 128


def test_remapped_camera_info_is_respected():
    with Graph("-r", "image_raw:=/a/image", "-r", "camera_info:=/b/info") as graph:
        assert graph.node.cameras[""].info_topic == "/b/info"


def test_each_cause_is_logged_once_and_then_held_back(log):
    with Graph() as graph:
        graph.connect()
        statistics = graph.node.cameras[""].statistics
        for i in range(10):
            message = array_to_image(scene(), "mono16")
            name, value = (("encoding", "thermal14"), ("step", 3))[i % 2]
            setattr(message, name, value)
            graph.publisher.publish(message)
            wait_for(lambda: sum(statistics.snapshot().rejected.values()) > i, "rejection")  # noqa: B023
        lines = log.lines("dropped")
        assert sum("thermal14" in line for line in lines) == 1
        assert sum("step" in line for line in lines) == 1
        assert all("/image_raw" in line for line in lines)
