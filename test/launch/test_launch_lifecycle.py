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

"""The lifecycle manager's way: the example of docs/examples, then further events."""

from __future__ import annotations

import sys
import unittest
from pathlib import Path

import pytest

pytest.importorskip("launch_testing", reason="launch_testing is missing: it comes with ROS 2")
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # for launch_test, without pytest

import launch_testing
from launch.actions import IncludeLaunchDescription, SetLaunchConfiguration
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch_ros.events.lifecycle import ChangeState
from lifecycle_msgs.msg import Transition

from support.behaviours import check_silent, check_upscales
from support.launch_case import ExitsCleanly, WithPeer, describe, share
from support.paths import REPOSITORY
from support.ros_peer import Stream


@pytest.mark.launch_test
def generate_test_description():
    share()
    file = REPOSITORY / "docs" / "examples" / "lifecycle.launch.py"
    assert '"autostart": "false"' in file.read_text()
    return describe(
        SetLaunchConfiguration("backend", "bicubic"),
        IncludeLaunchDescription(PythonLaunchDescriptionSource(str(file))),
    )


class Lifecycle(WithPeer, unittest.TestCase):
    def test_events(self, launch_service):
        def send(transition):
            event = ChangeState(lifecycle_node_matcher=lambda _: True, transition_id=transition)
            launch_service.emit_event(event)

        stream = Stream(self.peer)
        self.peer.until("active")
        check_upscales(stream, 1)
        send(Transition.TRANSITION_DEACTIVATE)
        self.peer.until("inactive")
        check_silent(self.peer, stream)
        send(Transition.TRANSITION_CLEANUP)
        self.peer.until("unconfigured")
        # The example's handler activates it as soon as it is configured.
        send(Transition.TRANSITION_CONFIGURE)
        self.peer.until("active")
        check_upscales(stream, 1)


@launch_testing.post_shutdown_test()
class AfterShutdown(ExitsCleanly, unittest.TestCase):
    pass
