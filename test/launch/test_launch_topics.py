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

"""The image argument and the namespace move all topics, camera_info along with them."""

from __future__ import annotations

import sys
import unittest
from pathlib import Path

import pytest

pytest.importorskip("launch_testing", reason="launch_testing is missing: it comes with ROS 2")
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # for launch_test, without pytest

import launch_testing

from support.behaviours import check_topics
from support.launch_case import ExitsCleanly, WithPeer, describe, include
from support.ros_peer import Stream


@pytest.mark.launch_test
def generate_test_description():
    return describe(
        include(
            "super_resolution", backend="bicubic", namespace="rig", image="/driver/thermal/image"
        )
    )


class Topics(WithPeer, unittest.TestCase):
    def test_image_info_and_results(self):
        stream = Stream(self.peer, "/driver/thermal/image", output="/rig/sr/image_raw")
        check_topics(self.peer, stream, "/driver/thermal/camera_info", "/rig/super_resolution")


@launch_testing.post_shutdown_test()
class AfterShutdown(ExitsCleanly, unittest.TestCase):
    pass
