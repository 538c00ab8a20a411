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

"""What of a frame is no measurement, in the running node: declared, and noticed."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="rclpy is missing: source ROS 2, or use `make test`")

from rclpy.parameter import Parameter
from sensor_msgs.msg import CameraInfo

from difiisr_ros import CameraProfile, SuperResolver
from difiisr_ros.core.bad_pixels import write_bad_pixels
from difiisr_ros.ros.conversions import image_to_array
from difiisr_ros.stream import diagnostic_keys as keys
from support.node_harness import Graph, scene
from support.waiting import wait_for

FRAME = scene(48, 64)
WORDS = np.random.default_rng(0).integers(0, 65536, (2, 64)).astype(np.uint16)
UPSCALED = SuperResolver.load(backend="bicubic").upscale


def with_zeros():
    frame = FRAME.copy()
    frame[5, 6], frame[20:22, 30] = 0, 0
    return frame


def profile(folder, text):
    (folder / "camera.yaml").write_text(text)
    return {"camera": str(folder / "camera.yaml")}


@pytest.mark.parametrize("how", ["profile", "parameters"])
def test_a_crop_and_its_camera_info(tmp_path, how, log):
    parameters = {"crop": "0,2,0,3"}
    if how == "profile":
        parameters = profile(tmp_path, "crop: {bottom: 2, right: 3}\n")
    info = CameraInfo(width=67, height=50)
    info.k = [50.0, 0, 32.0, 0, 50.0, 24.0, 0, 0, 1]
    info.header.stamp.sec = 1
    with Graph(**parameters) as graph:
        graph.connect()
        wait_for(graph.info_publisher.get_subscription_count, "camera_info is heard")
        wait_for(lambda: graph.tester.count_publishers("sr/camera_info"), "and published")
        graph.info_publisher.publish(info)
        wait_for(lambda: graph.node.cameras[""]._infos, "stored")
        result = graph.roundtrip(np.pad(np.vstack([FRAME, WORDS]), ((0, 0), (0, 3))))
        np.testing.assert_array_equal(image_to_array(result), UPSCALED(FRAME))
        scaled = wait_for(lambda: graph.infos, "camera_info")[0]
        assert (scaled.width, scaled.height) == (256, 192) == (result.width, result.height)
        assert (scaled.k[0], scaled.k[2], scaled.k[5]) == (200.0, 129.5, 97.5)
        values, _ = graph.status("input")
        assert values[keys.LOOKS_WRONG] == ""
    assert "telemetry" not in log.text


@pytest.mark.parametrize("how", ["profile", "text", "number"])
def test_missing_values_come_back(tmp_path, how):
    parameters = {
        "profile": lambda: profile(tmp_path, "missing: 0\n"),
        "text": lambda: {"missing": "0, 65535"},
        "number": lambda: {"missing": 0},  # as a YAML file has it
    }[how]()
    expected = UPSCALED(with_zeros(), camera=CameraProfile(missing=0))
    with Graph(**parameters) as graph:
        graph.connect()
        np.testing.assert_array_equal(image_to_array(graph.roundtrip(with_zeros())), expected)


def test_parameters_win_over_the_profile_and_bad_pixels_are_interpolated(tmp_path):
    bad = with_zeros() == 0
    write_bad_pixels(tmp_path / "bad.png", bad)
    camera = CameraProfile(bad_pixels=str(tmp_path / "bad.png"), missing=7)
    parameters = profile(tmp_path, "missing: 0\n")
    with Graph(**parameters, missing="7", bad_pixels=str(tmp_path / "bad.png")) as graph:
        graph.connect()
        result = image_to_array(graph.roundtrip(with_zeros()))
        np.testing.assert_array_equal(result, UPSCALED(with_zeros(), camera=camera))
        assert result.min() > FRAME.min() - 500


def test_a_message_that_lies_about_its_bytes(log):
    with Graph() as graph:
        graph.connect()
        for stamp in range(1, 5):
            message = graph.image(FRAME, stamp=stamp)
            message.is_bigendian = 1
            graph.publisher.publish(message)
            wait_for(lambda n=stamp: len(graph.images) == n, "a result")
        log.wait("the bytes of its pixels look swapped")
        assert len(log.lines("byte_order: little")) == 1
        values, _ = graph.status("input", lambda v, _: v[keys.LOOKS_WRONG])
        assert "byte_order: little" in values[keys.LOOKS_WRONG]
    with Graph(byte_order="little") as graph:
        graph.connect()
        message = graph.image(FRAME)
        message.is_bigendian = 1
        graph.publisher.publish(message)
        result = wait_for(lambda: graph.images, "a result")[0]
        np.testing.assert_array_equal(image_to_array(result), UPSCALED(FRAME))
        values, _ = graph.status("input")
        assert values[keys.LOOKS_WRONG] == ""


def test_what_nobody_declared_is_named_once_and_forgotten_with_the_configuration(log):
    with Graph() as graph:
        graph.connect()
        for stamp in range(1, 9):
            graph.roundtrip(np.vstack([FRAME, WORDS]), stamp=stamp)
        assert "crop (bottom 2)" in log.wait("look like telemetry")
        assert len(log.lines("look like telemetry")) == 1
        values, _ = graph.status("input", lambda v, _: v[keys.LOOKS_WRONG])
        assert "crop (bottom 2) leaves them out" in values[keys.LOOKS_WRONG]
        assert graph.transition("deactivate") and graph.transition("cleanup")
        values, _ = graph.status("input", lambda v, _: not v[keys.LOOKS_WRONG])
        parameters = [Parameter("crop", value="bottom 2")]
        assert graph.in_executor(graph.node.set_parameters, parameters)[0].successful
        assert graph.transition("configure") and graph.transition("activate")
        graph.matched()
        result = graph.roundtrip(np.vstack([FRAME, WORDS]), stamp=20)
        np.testing.assert_array_equal(image_to_array(result), UPSCALED(FRAME))


@pytest.mark.parametrize("dtype", [np.uint16, np.float32])
def test_frames_without_a_measurement_are_counted_and_the_node_goes_on(dtype, log):
    empty = np.zeros(FRAME.shape, dtype)
    if dtype is np.float32:
        empty[:] = np.nan
    with Graph(missing="0") as graph:
        graph.connect()
        graph.send(empty)
        values, _ = graph.status("input", lambda v, _: v["frames rejected"] == "1")
        assert values["rejected: unusable_frame"] == "1"
        words = "no pixel of the frame is a measurement: all 3072 are missing or bad"
        assert values["last error"] == words and words in log.wait("dropped")
        frame = FRAME.astype(dtype)
        result = image_to_array(graph.roundtrip(frame, stamp=2))
        np.testing.assert_allclose(result, UPSCALED(frame), rtol=1e-6)


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ({"missing": "zero"}, "missing must be numbers"),
        ({"crop": "1,2"}, "crop must have whole numbers"),
        ({"byte_order": "middle"}, "byte_order is 'middle'; accepted: auto, little, big"),
        ({"bad_pixels": "/nowhere.png"}, "/nowhere.png: the bad pixels cannot be read"),
    ],
)
def test_what_cannot_be_is_refused_by_name(parameters, words, log):
    with Graph(**parameters, wait_active=False) as graph:
        log.wait(words)
        wait_for(lambda: graph.node.state_label == "unconfigured", "it is unconfigured again")


def test_a_crop_that_cannot_be_is_refused_when_it_is_set():
    with Graph(autostart=False, wait_active=False) as graph:
        parameters = [Parameter("crop", value="side 3")]
        (done,) = graph.in_executor(graph.node.set_parameters, parameters)
        assert not done.successful and "crop must have whole numbers" in done.reason
