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

"""SIGINT, which launch sends to end a node, ends it with 0 in the middle of its work."""

from __future__ import annotations

import sys
import unittest
from pathlib import Path

import pytest

pytest.importorskip("launch_testing", reason="launch_testing is missing: it comes with ROS 2")
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # for launch_test, without pytest

import launch_testing

from support.behaviours import check_upscales, frames
from support.launch_case import ExitsCleanly, WithPeer, describe, include
from support.ros_peer import Stream


@pytest.mark.launch_test
def generate_test_description():
    return describe(include("super_resolution", backend="bicubic"))


class Interrupt(WithPeer, unittest.TestCase):
    def test_frames_are_under_way_at_the_end(self):
        stream = Stream(self.peer)
        check_upscales(stream, 1)
        for frame in frames(20):
            stream.send(stream.message(frame))


@launch_testing.post_shutdown_test()
class AfterShutdown(ExitsCleanly, unittest.TestCase):
    def test_it_was_the_node(self, proc_info):
        self.assertEqual(len(proc_info.process_names()), 1)
