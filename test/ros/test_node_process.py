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

"""The executable as a process: it starts, says what it does, and ends with 0."""

from __future__ import annotations

import signal

import numpy as np
import pytest

from difiisr_ros.ros.conversions import image_to_array
from support.ros_peer import Peer, Stream
from support.ros_process import RosProcess

FAST_DDS = ("FASTRTPS_DEFAULT_PROFILES_FILE", "FASTDDS_DEFAULT_PROFILES_FILE")


@pytest.mark.parametrize(
    ("signals", "gap"),
    [
        ([signal.SIGINT], 0.0),
        ([signal.SIGTERM], 0.0),
        # A terminal and ros2 launch both send it; some of these meet the clean-up.
        ([signal.SIGINT] * 20, 0.01),
    ],
)
def test_signals_end_it_with_0(tmp_path, signals, gap):
    with RosProcess("node", tmp_path, backend="bicubic") as node:
        node.logged("backend bicubic")
        assert node.interrupt(*signals, gap=gap) == 0
        assert "Traceback" not in node.text


def test_a_signal_while_configuring_ends_it_with_0(tmp_path):
    large = {"warmup_width": 800, "warmup_height": 800}
    with RosProcess("node", tmp_path, backend="bicubic", **large) as node:
        node.logged("Fast DDS profile")
        assert node.interrupt() == 0


def test_a_failing_configure_leaves_it_waiting(tmp_path):
    with RosProcess("node", tmp_path, device="tpu", backend="torch") as node:
        assert "tpu" in node.logged("configure failed")
        node.logged("not started")
        assert node.process.poll() is None
        assert node.interrupt(signal.SIGTERM) == 0


def test_the_profile_is_set_unless_the_user_set_one(tmp_path):
    unset = dict.fromkeys(FAST_DDS)
    with RosProcess("node", tmp_path, env=unset, backend="bicubic") as node:
        assert "fastdds_large_images.xml" in node.logged("Fast DDS profile")
    own = tmp_path / "own.xml"
    own.write_text("<profiles/>")
    for variable in FAST_DDS:
        env = {**unset, variable: str(own)}
        with RosProcess("node", tmp_path, env=env, backend="bicubic") as node:
            line = node.logged("Fast DDS profile")
            assert str(own) in line
            assert variable in line


def test_frames_cross_processes(tmp_path):
    frame = (np.arange(19200).reshape(120, 160) + 28000).astype(np.uint16)
    arguments = ("-r", "image_raw:=/driver/image", "-r", "__ns:=/rig")
    with Peer() as peer, RosProcess("node", tmp_path, arguments, backend="bicubic") as node:
        stream = Stream(peer, "/driver/image", output="/rig/sr/image_raw")
        for _ in range(5):
            _, result, _ = stream.roundtrip(frame)
            assert image_to_array(result).shape == (480, 640)
        node.logged("first frame of /driver/image")
        assert node.interrupt() == 0
