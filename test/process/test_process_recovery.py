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

"""Other processes are killed, without a word to the middleware: the node goes on."""

from __future__ import annotations

import pytest

pytest.importorskip("rclpy", reason="rclpy is missing: source ROS 2, or use `make test`")

from sensor_msgs.msg import Image

from support.behaviours import check_upscales, write_bag
from support.ros_peer import Peer, Stream
from support.ros_process import RosProcess
from support.waiting import wait_for

INPUT, INFERENCE = "super_resolution: input", "super_resolution: inference"


@pytest.fixture
def peer():
    with Peer() as made:
        yield made


def published(values):
    return int(values["frames published"])


@pytest.mark.needs("rosbags")
def test_a_killed_camera_is_reported_and_replaced(tmp_path, peer):
    write_bag(tmp_path / "bag", 8)
    camera = {"source": tmp_path / "bag", "rate": 30.0, "loop": True}
    with RosProcess("node", tmp_path, backend="bicubic", stale_after=1.0) as node:
        for _ in range(2):
            with RosProcess("player", tmp_path, **camera) as player:
                before = published(peer.values(INFERENCE))
                peer.values(INFERENCE, lambda v, n=before: published(v) > n + 10, "go on")
                player.process.kill()
            peer.message(INPUT, lambda text: text.startswith("no image for"))
        stream = Stream(peer)
        check_upscales(stream)
        assert node.interrupt() == 0, node.text
        assert "Traceback" not in node.text, node.text


def test_a_killed_consumer_holds_up_nobody(tmp_path, peer):
    """It was reliable, but the node's publisher waits for nobody's acknowledgement."""
    with RosProcess("node", tmp_path, backend="bicubic") as node:
        stream = Stream(peer)
        check_upscales(stream, 1)
        with RosProcess("monitor", tmp_path, reliability="reliable") as consumer:
            peer.values(INFERENCE, lambda v: int(v["subscribers"]) == 2, "match")
            consumer.process.kill()
        # The middleware notices its end only when its lease has run out, which takes 20 s.
        assert peer.values(INFERENCE)["subscribers"] == "2"
        check_upscales(stream, 30)
        assert node.interrupt() == 0, node.text


@pytest.mark.slow
def test_a_lazy_node_stops_when_its_only_consumer_was_killed(tmp_path, peer):
    """As soon as the middleware gives the consumer up."""
    with RosProcess("node", tmp_path, backend="bicubic", lazy=True) as node:
        publisher = peer.node.create_publisher(Image, "image_raw", 1)
        for _ in range(2):
            with RosProcess("monitor", tmp_path) as consumer:
                wait_for(publisher.get_subscription_count, "the node subscribes")
                consumer.process.kill()
            wait_for(lambda: not publisher.get_subscription_count(), "the node unsubscribes")
        assert node.interrupt() == 0, node.text
