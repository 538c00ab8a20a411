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

"""Player, node and a subscriber, each a process, over real DDS, on real thermal frames."""

from __future__ import annotations

import json
import time

import cv2
import numpy as np
import pytest

pytest.importorskip("rclpy", reason="rclpy is not installed")

from sensor_msgs.msg import CameraInfo, Image

from difiisr_ros import SuperResolver
from difiisr_ros.io.images import list_files, read_image, write_image
from difiisr_ros.ros.conversions import image_to_array
from support.ros_peer import Peer
from support.ros_process import RosProcess
from support.waiting import wait_for

FRAMES = 8


TOPICS = {
    "image_raw": Image,
    "camera_info": CameraInfo,
    "sr/image_raw": Image,
    "sr/camera_info": CameraInfo,
}


class Subscriber(Peer):
    """This test's own process as a consumer of the topics."""

    def __init__(self):
        super().__init__()
        self.received = {topic: self.listen(kind, topic) for topic, kind in TOPICS.items()}

    def matched(self):
        """What the node publishes before it knows of this subscriber would be lost."""
        self.values("super_resolution: inference", lambda v: int(v["subscribers"]) > 0, "match")

    def wait(self, topic, count):
        received = self.received[topic]
        wait_for(lambda: len(received) >= count, f"{count} messages on {topic}")
        return received[:count]


def bits_8(paths, folder):
    """Real frames from a drone, reduced to the size of a small camera, 160x128."""
    for path in paths[:FRAMES]:
        small = cv2.resize(read_image(path), (160, 128), interpolation=cv2.INTER_AREA)
        write_image(folder / f"{path.stem}.png", small)


def bits_16(paths, folder):
    """The same as a radiometric camera would give them."""
    bits_8(paths, folder)
    for path in list_files(folder):
        write_image(path, 27_000 + 20 * read_image(path).astype(np.uint16))


def stamp(message):
    return message.header.stamp.sec * 10**9 + message.header.stamp.nanosec


@pytest.mark.parametrize(
    ("source", "encoding", "engine"),
    [
        pytest.param(bits_16, "mono16", {"backend": "bicubic"}, id="16-bits-bicubic"),
        pytest.param(bits_16, "mono16", {"range_mode": "minmax"}, id="16-bits-minmax"),
        # what the node smooths over time is for looking at, and must not change the counts
        pytest.param(
            bits_8, "mono8", {"range_mode": "percentile", "num_steps": 2}, id="8-bits-2-steps"
        ),
    ],
)
def test_frames_come_out_as_the_engine_makes_them(tmp_path, drone_frames, source, encoding, engine):
    folder = tmp_path / "frames"
    folder.mkdir()
    source(drone_frames, folder)
    files = list_files(folder)
    assert len(files) == FRAMES
    report = tmp_path / "report.json"
    node_parameters = {"drop_policy": "block", **engine}
    player_parameters = {
        "source": folder,
        "rate": 10.0,
        "loop": False,
        "reliability": "reliable",
        "frame_id": "thermal_optical",
        "wait_for_subscribers": 2,
        "report_file": report,
    }
    with (
        Subscriber() as subscriber,
        RosProcess("node", tmp_path, **node_parameters) as node,
    ):
        subscriber.matched()
        with RosProcess("player", tmp_path, **player_parameters) as player:

            def logs():
                return f"--- node\n{node.text}\n--- player\n{player.text}"

            assert player.wait(90) == 0, logs()
        images = subscriber.wait("sr/image_raw", FRAMES)
        # The first frame may be done before the first calibration has arrived.
        subscriber.wait("sr/camera_info", FRAMES - 1)
        time.sleep(0.2)
        infos = list(subscriber.received["sr/camera_info"])
        inputs = subscriber.wait("image_raw", FRAMES)
        originals = subscriber.wait("camera_info", FRAMES)
        assert node.interrupt() == 0, logs()
        assert "Traceback" not in logs()

    played = json.loads(report.read_text())
    assert played["names"] == [path.name for path in files]
    resolver = SuperResolver.load(**engine)
    for i, path in enumerate(files):
        frame = read_image(path)
        height, width = frame.shape
        np.testing.assert_array_equal(image_to_array(inputs[i]), frame)
        assert images[i].header == inputs[i].header == originals[i].header
        assert stamp(images[i]) == played["stamps_ns"][i]
        assert images[i].header.frame_id == "thermal_optical"
        assert (images[i].height, images[i].width) == (4 * height, 4 * width)
        assert images[i].encoding == inputs[i].encoding == encoding
        info = next((m for m in infos if m.header == images[i].header), None)
        assert info is not None or i == 0
        if info is not None:
            assert (info.height, info.width) == (4 * height, 4 * width)
            assert info.k[0] == pytest.approx(4 * originals[i].k[0])
        result = image_to_array(images[i])
        np.testing.assert_array_equal(result, resolver.upscale(frame), err_msg=path.name)
        assert result.std() > 0
    resolver.close()


def test_a_best_effort_camera_loses_little_at_an_easy_pace(tmp_path):
    """What users have: a camera with sensor-data QoS, and a node with its default drop policy."""
    with Subscriber() as subscriber, RosProcess("node", tmp_path, backend="bicubic"):
        subscriber.matched()
        camera = {"rate": 10.0, "frame_limit": 20, "wait_for_subscribers": 1}
        with RosProcess("player", tmp_path, **camera) as player:
            assert player.wait(90) == 0, player.text
        images = subscriber.wait("sr/image_raw", 18)
    assert len({stamp(m) for m in images}) == len(images)
    assert all((m.height, m.width) == (480, 640) for m in images)
