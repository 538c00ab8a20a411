"""Player, node and a subscriber, each a process, over real DDS, on real thermal frames."""

from __future__ import annotations

import json
import threading
import time

import cv2
import numpy as np
import pytest

pytest.importorskip("rclpy", reason="rclpy is not installed")

import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.executors import SingleThreadedExecutor
from rclpy.qos import QoSProfile
from sensor_msgs.msg import CameraInfo, Image

from difiisr_ros import SuperResolver
from difiisr_ros.io.images import list_images, read_image, write_image
from difiisr_ros.ros.conversions import image_to_array
from support.processes import RosProcess

FRAMES = 8


class Subscriber:
    """This test's own process as a consumer of the topics."""

    TOPICS = (
        ("image_raw", Image),
        ("camera_info", CameraInfo),
        ("sr/image_raw", Image),
        ("sr/camera_info", CameraInfo),
    )

    def __enter__(self):
        self.context = rclpy.Context()
        self.context.init()
        self.node = rclpy.create_node("subscriber", context=self.context)
        self.received = {topic: [] for topic, _ in self.TOPICS}
        self._matched = ""
        self.node.create_subscription(DiagnosticArray, "/diagnostics", self._on_diagnostics, 10)
        for topic, kind in self.TOPICS:
            self.node.create_subscription(
                kind, topic, self.received[topic].append, QoSProfile(depth=100)
            )
        self.executor = SingleThreadedExecutor(context=self.context)
        self.executor.add_node(self.node)
        self.thread = threading.Thread(target=self.executor.spin, daemon=True)
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.executor.shutdown()
        self.thread.join(10)
        self.node.destroy_node()
        self.context.try_shutdown()

    def _on_diagnostics(self, message):
        for status in message.status:
            if status.name == "super_resolution: inference":
                self._matched = next(v.value for v in status.values if v.key == "subscribers")

    def wait_until_matched(self, timeout, because):
        """What the node publishes before it knows of this subscriber would be lost."""
        end = time.monotonic() + timeout
        while self._matched in ("", "0"):
            assert time.monotonic() < end, f"the node knows no subscriber\n{because()}"
            time.sleep(0.02)

    def wait(self, topic, count, timeout, because):
        end = time.monotonic() + timeout
        while len(self.received[topic]) < count:
            assert time.monotonic() < end, (
                f"{len(self.received[topic])} of {count} on {topic} within {timeout} s\n{because()}"
            )
            time.sleep(0.02)
        return self.received[topic][:count]


def bits_8(paths, folder):
    """Real frames from a drone, reduced to the size of a small camera, 160x128."""
    for path in paths[:FRAMES]:
        small = cv2.resize(read_image(path), (160, 128), interpolation=cv2.INTER_AREA)
        write_image(folder / f"{path.stem}.png", small)


def bits_16(paths, folder):
    """The same as a radiometric camera would give them."""
    bits_8(paths, folder)
    for path in list_images(folder):
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
    files = list_images(folder)
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
        subscriber.wait_until_matched(60, node.text)
        with RosProcess("player", tmp_path, **player_parameters) as player:

            def logs():
                return f"--- node\n{node.text()}\n--- player\n{player.text()}"

            assert player.wait(90) == 0, logs()
        images = subscriber.wait("sr/image_raw", FRAMES, 30, logs)
        # The first frame may be done before the first calibration has arrived.
        subscriber.wait("sr/camera_info", FRAMES - 1, 10, logs)
        time.sleep(0.2)
        infos = list(subscriber.received["sr/camera_info"])
        inputs = subscriber.wait("image_raw", FRAMES, 10, logs)
        originals = subscriber.wait("camera_info", FRAMES, 10, logs)
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
    with (
        Subscriber() as subscriber,
        RosProcess("node", tmp_path, backend="bicubic") as node,
    ):
        subscriber.wait_until_matched(60, node.text)
        camera = {"rate": 10.0, "frame_limit": 20, "wait_for_subscribers": 1}
        with RosProcess("player", tmp_path, **camera) as player:
            assert player.wait(90) == 0, player.text()
        images = subscriber.wait("sr/image_raw", 18, 10, node.text)
    assert len({stamp(m) for m in images}) == len(images)
    assert all((m.height, m.width) == (480, 640) for m in images)
