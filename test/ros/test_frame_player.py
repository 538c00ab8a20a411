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

"""The frame player: what a camera driver would publish, at an exact rate, from any source."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="rclpy is not installed")

from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CameraInfo, Image

from difiisr_ros.errors import DataError, OptionError
from difiisr_ros.io.images import write_image
from difiisr_ros.ros.conversions import image_to_array
from difiisr_ros.ros.frame_player import FramePlayer
from difiisr_ros.scene.street import SyntheticScene
from difiisr_ros.stream.frame_player_parameters import BY_NAME
from difiisr_ros.stream.pacing import Pacer
from support.spinning import Spinning
from support.waiting import wait_for

NEEDS_TIFFFILE = pytest.mark.needs("tifffile")
SMALL = {"width": 32, "height": 24, "rate": 200.0}


class Playing(Spinning):
    """The player and a subscriber to all its topics, spinning."""

    def __init__(self, **parameters):
        defaults = {"exit_when_done": False, "wait_for_subscribers": 1, "reliability": "reliable"}
        super().__init__(FramePlayer, **{**defaults, **parameters})
        qos = QoSProfile(depth=1000, reliability=ReliabilityPolicy.BEST_EFFORT)
        topics = {"camera_info": CameraInfo, "truth/image_raw": Image, "image_raw": Image}
        self.received = {topic: self.listen(kind, topic, qos) for topic, kind in topics.items()}

    def __enter__(self):
        self.node.start()
        return super().__enter__()

    def wait(self, count, topic="image_raw"):
        received = self.received[topic]
        wait_for(lambda: len(received) >= count, f"{count} messages on {topic}")
        return received


def test_the_synthetic_scene_is_published_with_camera_info_and_truth(tmp_path):
    report = tmp_path / "report.json"
    with Playing(
        **SMALL, seed=3, frame_limit=5, publish_truth=True, report_file=str(report)
    ) as playing:
        images = playing.wait(5)
        infos = playing.wait(5, "camera_info")
        truths = playing.wait(5, "truth/image_raw")
        time.sleep(0.1)
        assert len(images) == 5  # and no more
    scene = SyntheticScene(32, 24, seed=3, real_camera=True)
    for i, (image, info, truth) in enumerate(zip(images, infos, truths)):
        assert image.header == info.header == truth.header
        assert image.encoding == truth.encoding == "mono16"
        lr, hr = scene.frame(i)
        np.testing.assert_array_equal(image_to_array(image), lr)
        np.testing.assert_array_equal(image_to_array(truth), hr)
        assert (info.width, info.height) == (32, 24)
    stamps = [i.header.stamp.sec * 10**9 + i.header.stamp.nanosec for i in images]
    assert abs(stamps[0] - time.time_ns()) < 60e9
    assert images[0].header.frame_id == "thermal_optical_frame"
    written = json.loads(report.read_text())
    assert written["frames"] == 5
    assert written["stamps_ns"] == stamps
    assert written["names"] == [f"synthetic {i}" for i in range(5)]


def test_the_published_intrinsics_project_the_scene():
    # A point of the scene's world, projected by the published K, lands where the scene draws it:
    # the foot of the street lamp, 4.35 m right, 1.75 m below the camera and 11 m ahead.
    scene = SyntheticScene(32, 24)
    with Playing(**SMALL, frame_limit=1) as playing:
        (info,) = playing.wait(1, "camera_info")
    k = np.asarray(info.k).reshape(3, 3)
    u, v, w = k @ [4.35, 1.75, 11.0]
    column, row = scene._camera.project(4.35, 0.0, 11.0)
    # of truth pixels counted from the edge, to camera pixels counted from the centre
    np.testing.assert_allclose((u / w, v / w), (column / 4 - 0.5, row / 4 - 0.5), atol=1e-9)


@pytest.mark.parametrize(
    ("dtype", "encoding", "published"),
    [
        (np.uint8, "auto", "mono8"),
        (np.uint16, "auto", "mono16"),
        pytest.param(np.float32, "auto", "32FC1", marks=NEEDS_TIFFFILE),
        (np.uint16, "32FC1", "32FC1"),
        (np.uint16, "mono8", "mono8"),
        pytest.param(np.float32, "mono16", "mono16", marks=NEEDS_TIFFFILE),
    ],
)
def test_encodings(tmp_path, dtype, encoding, published):
    frame = np.linspace(20000, 30000, 70).reshape(7, 10)
    frame = (frame / 256 if dtype is np.uint8 else frame).astype(dtype)
    suffix = ".tiff" if dtype is np.float32 else ".png"
    write_image(tmp_path / f"a{suffix}", frame)
    with Playing(source=str(tmp_path), rate=100.0, frame_limit=1, encoding=encoding) as playing:
        (image,) = playing.wait(1)
    assert image.encoding == published
    pixels = image_to_array(image)
    if encoding in ("auto", "32FC1"):
        np.testing.assert_array_equal(pixels, frame.astype(pixels.dtype))
    else:  # spread over the full scale
        full = np.iinfo(pixels.dtype).max
        assert pixels.min() == 0 and pixels.max() == full
        assert np.all(np.diff(pixels.ravel().astype(int)) >= 0)


def test_a_folder_is_played_in_order_once_or_in_a_loop(tmp_path):
    for i in (1, 2, 10):
        write_image(tmp_path / f"f{i}.png", np.full((8, 8), i, np.uint8))

    def values(images):
        return [image.data[0] for image in images]

    with Playing(source=str(tmp_path), rate=100.0, loop=False) as playing:
        images = playing.wait(3)
        time.sleep(0.2)
        assert values(images) == [1, 2, 10]
    with Playing(source=str(tmp_path), rate=100.0, frame_limit=8) as playing:
        assert values(playing.wait(8)) == [1, 2, 10, 1, 2, 10, 1, 2]


def test_a_bag_is_played_with_its_own_calibration_and_frame(tmp_path):
    pytest.importorskip("rosbags", reason="bags need rosbags: pip install rosbags")
    from difiisr_ros.io.bags import CAMERA_INFO, BagWriter
    from support.bag_messages import camera_info, header

    calibration = {
        "distortion_model": "rational_polynomial",
        "d": np.arange(8.0),
        "k": np.arange(9.0),
        "p": np.arange(12.0),
        "binning_x": 2,
        "binning_y": 3,
    }
    info = camera_info(header(), 9, 6, roi=(1, 2, 3, 4, True), **calibration)
    frames = [np.full((6, 9), 1000 + i, np.uint16) for i in range(3)]
    with BagWriter(tmp_path / "bag") as writer:
        for i, frame in enumerate(frames):
            writer.write_image("/cam/image_raw", 10**18 + i, frame, header())
            writer.write("/cam/camera_info", CAMERA_INFO, 10**18 + i, info)
    with Playing(source=str(tmp_path / "bag"), rate=100.0, loop=False) as playing:
        images, infos = playing.wait(3), playing.wait(3, "camera_info")
    for image, frame in zip(images, frames):
        np.testing.assert_array_equal(image_to_array(image), frame)
        assert image.header.frame_id == "flir"
    got = infos[0]
    assert list(got.k) == list(range(9)) and list(got.p) == list(range(12))
    assert list(got.d) == list(range(8)) and got.distortion_model == "rational_polynomial"
    assert (got.binning_x, got.binning_y, got.roi.height, got.roi.do_rectify) == (2, 3, 3, True)


@pytest.mark.parametrize("reliability", ["best_effort", "reliable"])
def test_reliability_is_what_was_asked_for(reliability):
    with Playing(**SMALL, frame_limit=3, reliability=reliability) as playing:
        offered = wait_for(lambda: playing.tester.get_publishers_info_by_topic("/image_raw"))
    assert [o.qos_profile.reliability.name.lower() for o in offered] == [reliability]
    assert BY_NAME["reliability"].default == "best_effort"  # as camera drivers do


def test_it_waits_for_subscribers_and_gives_up_after_the_timeout():
    with Playing(**SMALL, frame_limit=3, wait_for_subscribers=3, wait_timeout=0.5) as playing:
        wait_for(lambda: playing.node.exit_code == 1, "it gives up")
        assert playing.node.published == 0


def test_wrong_parameters_and_sources_are_named(tmp_path):
    with pytest.raises(OptionError, match=r"rate is -1.*accepted.*encoding is 'png'.*mono16"):
        Playing(rate=-1, encoding="png")
    with pytest.raises(DataError, match="nowhere: no such file or folder"):
        Playing(source=str(tmp_path / "nowhere"))


class FakeTime:
    """A clock that moves only when somebody waits or works, and an event that waits on it."""

    def __init__(self):
        self.now = 1000.0

    def monotonic(self):
        return self.now

    def wait(self, seconds):
        self.now += seconds + 0.0001  # never exactly in time
        return False


def test_pacing_does_not_drift_and_skips_what_it_missed(monkeypatch):
    clock = FakeTime()
    monkeypatch.setattr("difiisr_ros.stream.pacing.time", clock)
    pacer = Pacer(10.0)
    published = []
    for i in range(100):
        assert pacer.wait(clock)
        published.append(clock.now - 1000.0)
        clock.now += 0.35 if i == 50 else 0.04  # the work of a frame, once far too long
    assert pacer.skipped == 2
    grid = [i / 10 for i in range(51)] + [0.35 + 5.0] + [(i + 2) / 10 for i in range(52, 100)]
    np.testing.assert_allclose(published, grid, atol=0.0011)


def test_pacing_ends_at_once_when_stopped():
    pacer, stop = Pacer(0.1), threading.Event()
    assert pacer.wait(stop)
    threading.Timer(0.2, stop.set).start()
    began = time.monotonic()
    assert not pacer.wait(stop)
    assert time.monotonic() - began < 5


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_signals_end_it_with_exit_code_0(tmp_path, sent):
    report = tmp_path / "report.json"
    write_image(tmp_path / "in" / "a.png", np.zeros((24, 32), np.uint16))
    process = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "difiisr_ros.ros.frame_player",
            "--ros-args",
            "-p",
            f"source:={tmp_path / 'in'}",
            "-p",
            f"report_file:={report}",
        ],
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        said = iter(process.stderr.readline, "")
        assert any("playing /" in line for line in said)
        time.sleep(0.3)
        process.send_signal(sent)
        _, rest = process.communicate(timeout=20)
    finally:
        process.kill()
    assert process.returncode == 0, rest
    assert "Traceback" not in rest
    assert json.loads(report.read_text())["frames"] > 3


def test_it_exits_by_itself_when_done_and_2_on_a_bad_source(tmp_path):
    command = [sys.executable, "-m", "difiisr_ros.ros.frame_player", "--ros-args"]
    done = subprocess.run(
        [
            *command,
            "-p",
            "width:=32",
            "-p",
            "height:=24",
            "-p",
            "frame_limit:=3",
            "-p",
            "looop:=true",
        ],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "published 3 frames" in done.stderr
    assert "'looop' does not exist; did you mean 'loop'?" in done.stderr
    bad = subprocess.run(
        [*command, "-p", f"source:={tmp_path}"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert bad.returncode == 2
    assert "no image in this folder" in bad.stderr and "Traceback" not in bad.stderr


def test_bytes_in_the_order_that_was_asked_for(tmp_path):
    frame = np.arange(768, dtype=np.uint16).reshape(24, 32)
    write_image(tmp_path / "a.png", frame.byteswap())
    with Playing(source=str(tmp_path / "a.png"), rate=200.0, byte_order="little") as playing:
        np.testing.assert_array_equal(image_to_array(playing.wait(1)[0]), frame)
