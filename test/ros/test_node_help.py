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

"""``--help`` explains each executable node and ends."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

pytest.importorskip("rclpy", reason="rclpy is missing: source ROS 2, or use `make test`")

import rclpy

from difiisr_ros.ros import main as executables
from difiisr_ros.ros.frame_player import FramePlayer
from difiisr_ros.ros.monitor import Monitor
from difiisr_ros.stream.node_help import NODES, help_text
from support.node_harness import Graph


def entry_points(repository):
    text = (repository / "setup.py").read_text()
    return dict(re.findall(r'"(\w+_node) = difiisr_ros\.ros\.main:(\w+)"', text))


def test_every_executable_explains_itself(repository, capsys):
    nodes = entry_points(repository)
    assert set(nodes) == set(NODES)
    for name, function in nodes.items():
        assert getattr(executables, function)(["--help"]) == 0
        text = capsys.readouterr().out
        assert text.startswith(f"{name}: ") and f"ros2 run difiisr_ros {name}" in text
        assert all(f"\n  {spec.name} (" in text for spec in NODES[name].table)
        assert max(map(len, text.splitlines())) <= 120


def test_a_reader_that_goes_away_causes_no_traceback():
    """Nothing reads at all, which is sooner than any `head`."""
    code = '"$0" -m difiisr_ros.ros.main --help | true; echo "${PIPESTATUS[0]}"'
    done = subprocess.run(
        ["bash", "-c", code, sys.executable], capture_output=True, text=True, check=True
    )
    assert (done.stdout.strip(), done.stderr) == ("0", "")


def test_the_launch_files_that_it_names_exist(repository):
    for node in NODES.values():
        for name in re.findall(r"\w+\.launch\.py", node.launch):
            assert (repository / "launch" / name).is_file()


def test_anything_else_starts_the_node():
    assert help_text("sr_monitor_node", ["--ros-args", "-p", "period:=2.0"]) is None


def test_the_topics_are_those_of_the_nodes():
    with Graph() as graph:
        graph.connect()
        check(graph.node, "super_resolution_node")
    rclpy.init()
    try:
        for kind, name in ((FramePlayer, "frame_player_node"), (Monitor, "sr_monitor_node")):
            node = kind()
            check(node, name)
            node.destroy_node()
    finally:
        rclpy.try_shutdown()


def check(node, name):
    text = NODES[name].text()
    own = "/rosout", "/parameter_events", f"/{node.get_name()}/"
    for end in (*node.publishers, *node.subscriptions):
        if not end.topic_name.startswith(own):
            assert re.search(rf"\b{end.topic_name.lstrip('/')}\b", text), end.topic_name
