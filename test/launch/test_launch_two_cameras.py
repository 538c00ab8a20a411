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

"""multi_camera.launch.py: two cameras in one process; a broken one does not disturb the other.

Who includes it can refer to the node.
"""

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
from launch.actions import IncludeLaunchDescription, OpaqueFunction, RegisterEventHandler
from launch_ros.event_handlers import OnStateTransition

from support.behaviours import check_parameters, check_two_cameras
from support.launch_case import ExitsCleanly, WithPeer, describe, node_of, source
from support.ros_peer import Stream
from support.waiting import wait_for

#: "true" must stay a name.
NAMES = ["front", "true"]

#: Grows when launch hears that the node is active.
ACTIVE: list[bool] = []


@pytest.mark.launch_test
def generate_test_description():
    file = Path(tempfile.mkdtemp()) / "parameters.yaml"
    # The argument of this name wins over the file's.
    sections = {"/**": {"ros__parameters": {"num_threads": 2, "camera_names": ["other"]}}}
    file.write_text(yaml.safe_dump(sections))
    arguments = {
        "params_file": str(file),
        "camera_names": ",".join(NAMES),
        "namespace": "truck",
        "image": "thermal/image_raw",
        "backend": "bicubic",
    }
    ours = source("multi_camera")
    return describe(
        RegisterEventHandler(
            OnStateTransition(
                target_lifecycle_node=node_of(ours),
                goal_state="active",
                entities=[OpaqueFunction(function=lambda _: ACTIVE.append(True))],
            )
        ),
        IncludeLaunchDescription(ours, launch_arguments=arguments.items()),
    )


class TwoCameras(WithPeer, unittest.TestCase):
    def test_each_gets_its_own_results(self):
        front, other = (
            Stream(
                self.peer,
                f"/truck/{name}/thermal/image_raw",
                output=f"/truck/{name}/sr/image_raw",
            )
            for name in NAMES
        )
        check_two_cameras(self.peer, front, other, "truck/super_resolution: front input")

    def test_they_share_parameters(self):
        wanted = {"num_threads": 2, "backend": "bicubic", "camera_names": NAMES}
        check_parameters(self.peer, wanted, "/truck/super_resolution")

    def test_its_transitions_are_seen(self):
        self.peer.until("active", "/truck/super_resolution")
        wait_for(lambda: ACTIVE == [True], "the node to be seen active")


@launch_testing.post_shutdown_test()
class AfterShutdown(ExitsCleanly, unittest.TestCase):
    pass
