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

"""multi_camera.launch.py: a process for each camera, with parameters of its own."""

from __future__ import annotations

import sys
import tempfile
import unittest
from pathlib import Path

import pytest

pytest.importorskip("launch_testing", reason="launch_testing is missing: it comes with ROS 2")
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # for launch_test, without pytest

import launch_testing
import yaml
from launch.actions import OpaqueFunction, RegisterEventHandler
from launch_ros.event_handlers import OnStateTransition
from launch_ros.events.lifecycle import StateTransition

from support.behaviours import check_parameters, check_two_cameras
from support.launch_case import ExitsCleanly, WithPeer, describe, include
from support.ros_peer import Stream
from support.waiting import wait_for

#: Grows when launch hears that the rear camera's node is active.
ACTIVE: list[bool] = []


@pytest.mark.launch_test
def generate_test_description():
    file = Path(tempfile.mkdtemp()) / "parameters.yaml"
    sections = {
        # camera_names is for one process, and left out by the launch file.
        "/**": {"ros__parameters": {"seed": 5, "camera_names": ["front", "rear"]}},
        "/truck/front/super_resolution": {"ros__parameters": {"num_threads": 2}},
    }
    file.write_text(yaml.safe_dump(sections))

    def is_seen(event):
        return (
            isinstance(event, StateTransition)
            and event.goal_state == "active"
            and event.action.node_name == "/truck/rear/super_resolution"
        )

    return describe(
        RegisterEventHandler(
            OnStateTransition(
                matcher=is_seen,
                entities=[OpaqueFunction(function=lambda _: ACTIVE.append(True))],
            )
        ),
        include(
            "multi_camera",
            params_file=str(file),
            camera_names="front,rear",
            processes="one_each",
            namespace="truck",
            image="thermal/image_raw",
            backend="bicubic",
        ),
    )


class TwoProcesses(WithPeer, unittest.TestCase):
    def test_each_gets_its_own_results(self):
        front, rear = (
            Stream(
                self.peer,
                f"/truck/{name}/thermal/image_raw",
                output=f"/truck/{name}/sr/image_raw",
            )
            for name in ("front", "rear")
        )
        check_two_cameras(self.peer, front, rear, "truck/front/super_resolution: input")

    def test_each_has_its_own_parameters(self):
        for name, threads in (("front", 2), ("rear", 1)):
            wanted = {"num_threads": threads, "seed": 5, "camera_names": [""]}
            check_parameters(self.peer, wanted, f"/truck/{name}/super_resolution")

    def test_transitions_are_seen_by_the_node_s_name(self):
        self.peer.until("active", "/truck/rear/super_resolution")
        wait_for(lambda: ACTIVE == [True], "the node to be seen active")


@launch_testing.post_shutdown_test()
class AfterShutdown(ExitsCleanly, unittest.TestCase):
    pass
