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

"""difiisr demo --detect, before anything is started; test_demo_report.py has what it draws."""

from __future__ import annotations

import argparse

import pytest

pytest.importorskip("rclpy", reason="rclpy is missing: source ROS 2, or use `make test`")
pytest.importorskip("rosbags", reason="bags need rosbags: pip install rosbags")
pytest.importorskip("torch", reason="the shipped detectors run in PyTorch")

from difiisr_ros.commands.demo import Demo, add_arguments
from difiisr_ros.errors import ModelError, OptionError


def demo(folder, *arguments):
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    given = [*arguments, "--size", "32x24", "--out", str(folder / "out"), "--backend", "bicubic"]
    return Demo(parser.parse_args(given))


def test_the_shipped_judge_is_taken_unless_another_is_named(tmp_path):
    assert demo(tmp_path, "--detect")._detector.classes[0] == "person"
    assert demo(tmp_path)._detector is None


def test_what_cannot_be_is_refused(tmp_path):
    with pytest.raises(OptionError, match="--bag-seconds is 0"):
        demo(tmp_path, "--detect", "--bag-seconds", "0")
    with pytest.raises(ModelError, match="nowhere"):
        demo(tmp_path, "--detect", "nowhere")
    assert not (tmp_path / "out").exists()
