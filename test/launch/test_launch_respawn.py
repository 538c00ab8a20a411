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

"""respawn:=true: a node that has ended is started again."""

from __future__ import annotations

import sys
import unittest
from pathlib import Path

import pytest

pytest.importorskip("launch_testing", reason="launch_testing is missing: it comes with ROS 2")
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # for launch_test, without pytest

import os
import signal

import launch_testing

from support.behaviours import check_upscales
from support.launch_case import ExitsCleanly, WithPeer, describe, include
from support.ros_peer import Stream
from support.waiting import wait_for


@pytest.mark.launch_test
def generate_test_description():
    return describe(include("super_resolution", backend="bicubic", respawn="true"))


def node_process() -> int | None:
    """The node among this process's children, which launch's are."""
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            if (
                parent == os.getpid()
                and "super_resolution_node" in (folder / "cmdline").read_text()
            ):
                return int(folder.name)
        except OSError:  # it has ended meanwhile
            continue
    return None


class Respawn(WithPeer, unittest.TestCase):
    def test_another_process_takes_over(self):
        stream = Stream(self.peer)
        check_upscales(stream, 1)
        first = wait_for(node_process, "the node's process")
        os.kill(first, signal.SIGINT)
        wait_for(lambda: node_process() not in (None, first), "another process")
        check_upscales(stream, 1)


@launch_testing.post_shutdown_test()
class AfterShutdown(ExitsCleanly, unittest.TestCase):
    pass
