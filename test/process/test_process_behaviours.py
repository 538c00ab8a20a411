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

"""The behaviours of test/launch, checked where launch is missing: the processes started by hand.

Each test ends its node by SIGINT, and expects exit code 0 and no traceback.
"""

from __future__ import annotations

import contextlib
import re

import pytest

pytest.importorskip("rclpy", reason="rclpy is missing: source ROS 2, or use `make test`")

import yaml

from difiisr_ros.io.bags import BagReader
from difiisr_ros.ros.conversions import image_to_array
from support.behaviours import (
    check_malformed_frames,
    check_output_encoding,
    check_parameters,
    check_replayed,
    check_silent,
    check_topics,
    check_two_cameras,
    check_upscales,
    write_bag,
)
from support.ros_peer import Peer, Stream
from support.ros_process import RosProcess
from support.waiting import wait_for


@pytest.fixture
def peer():
    with Peer() as made:
        yield made


@contextlib.contextmanager
def bicubic_node(folder, *ros_args, **parameters):
    """A node that must end cleanly when it is interrupted."""
    with RosProcess("node", folder, ros_args, **{"backend": "bicubic", **parameters}) as node:
        yield node
        assert node.interrupt() == 0, node.text
        assert "Traceback" not in node.text, node.text


def test_starts_and_upscales(tmp_path, peer):
    with bicubic_node(tmp_path):
        check_upscales(Stream(peer))
        assert peer.values("super_resolution: backend")["backend"] == "bicubic"


def test_parameters_from_a_file_and_the_command_line(tmp_path, peer):
    file = tmp_path / "parameters.yaml"
    values = {"output_encoding": "mono8", "stale_after": 7.5, "num_threads": 3}
    file.write_text(yaml.safe_dump({"/**": {"ros__parameters": {**values, "backend": "torch"}}}))
    with bicubic_node(tmp_path, "--params-file", str(file)):
        # The command line comes after the file, as arguments of a launch file do.
        check_parameters(peer, {**values, "backend": "bicubic", "autostart": True})
        check_output_encoding(Stream(peer), "mono8")


def test_remaps_and_namespace(tmp_path, peer, repository):
    remaps = ("-r", "__ns:=/rig", "-r", "image_raw:=/driver/thermal/image")
    with bicubic_node(tmp_path, *remaps):
        stream = Stream(peer, "/driver/thermal/image", output="/rig/sr/image_raw")
        check_topics(peer, stream, "/driver/thermal/camera_info", "/rig/super_resolution")
        names = peer.status_names()
    text = (repository / "config" / "diagnostics_aggregator.yaml").read_text()
    analyzers = yaml.safe_load(text)["/**"]["ros__parameters"].values()
    expressions = [e for a in analyzers if isinstance(a, dict) for e in a["regex"]]
    assert len(names) == 3
    for name in names:
        assert sum(bool(re.fullmatch(expression, name)) for expression in expressions) == 1


def test_lifecycle_by_services(tmp_path, peer):
    stream = Stream(peer)
    with bicubic_node(tmp_path, autostart=False):
        assert peer.state() == "unconfigured"
        check_silent(peer, stream)
        assert not peer.transition("activate")  # not possible yet, and not fatal
        assert peer.transition("configure")
        check_silent(peer, stream)
        assert peer.transition("activate")
        check_upscales(stream, 1)
        assert peer.transition("deactivate")
        check_silent(peer, stream)
        assert peer.transition("activate")
        check_upscales(stream, 1)
        assert peer.transition("deactivate") and peer.transition("cleanup")
        assert peer.state() == "unconfigured"


def test_interrupted_while_it_works(tmp_path, peer):
    stream = Stream(peer)
    with bicubic_node(tmp_path) as node:
        check_upscales(stream, 1)
        message = stream.message(image_to_array(stream.images[0]))
        for _ in range(20):
            stream.send(message)
    assert node.process.returncode == 0


def test_malformed_frames(tmp_path, peer):
    with bicubic_node(tmp_path) as node:
        check_malformed_frames(peer, Stream(peer))
        assert "thermal14" in node.text


def test_two_cameras(tmp_path, peer):
    with (
        bicubic_node(tmp_path, "-r", "__ns:=/front"),
        bicubic_node(tmp_path, "-r", "__ns:=/rear"),
    ):
        front = Stream(peer, "/front/image_raw", output="/front/sr/image_raw")
        rear = Stream(peer, "/rear/image_raw", output="/rear/sr/image_raw")
        check_two_cameras(peer, front, rear, "front/super_resolution: input")


@pytest.mark.needs("rosbags")
def test_bag_replay(tmp_path, peer):
    """As replay_evaluation.launch.py does it: player, node and recorder."""
    pictures = write_bag(tmp_path / "bag", 8)
    space = ("-r", "__ns:=/replay")
    recorded = {"bag": tmp_path / "out", "bag_seconds": 0.0}
    player = {
        "source": tmp_path / "bag",
        "rate": 50.0,
        "loop": False,
        "reliability": "reliable",
        "wait_for_subscribers": 2,
    }
    with (
        bicubic_node(tmp_path, *space, drop_policy="block"),
        RosProcess("monitor", tmp_path, space, **recorded) as monitor,
    ):
        peer.until("active", "/replay/super_resolution")
        output = "/replay/sr/image_raw"
        # The node's publisher must know the recorder before the first result.
        wait_for(lambda: peer.node.count_subscribers(output) > 0, "the recorder subscribes")
        with RosProcess("player", tmp_path, space, **player) as playing:
            assert playing.wait() == 0, playing.text
        peer.values(
            "replay/super_resolution: inference",
            lambda values: int(values["frames published"]) == len(pictures),
            "count all frames",
        )
        assert monitor.interrupt() == 0, monitor.text
    with BagReader(tmp_path / "out") as bag:
        check_replayed([record.frame for record in bag.read_images(output)], pictures)
