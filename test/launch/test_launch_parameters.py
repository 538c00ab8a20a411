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

"""Parameters come from the YAML file, and a launch argument that is given wins over it."""

from __future__ import annotations

import sys
import unittest
from pathlib import Path

import pytest

pytest.importorskip("launch_testing", reason="launch_testing is missing: it comes with ROS 2")
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # for launch_test, without pytest

import tempfile

import launch_testing
import yaml

from support.behaviours import check_output_encoding, check_parameters
from support.launch_case import ExitsCleanly, WithPeer, describe, include
from support.ros_peer import Stream

VALUES = {"output_encoding": "mono8", "num_threads": 3, "stale_after": 7.5}


@pytest.mark.launch_test
def generate_test_description():
    file = Path(tempfile.mkdtemp()) / "parameters.yaml"
    sections = {
        "/**": {"ros__parameters": {**VALUES, "stale_after": 1.0, "backend": "torch"}},
        # A section of the full name wins over /**:, but not over an argument either.
        "/rig/super_resolution": {"ros__parameters": {"stale_after": 7.5, "backend": "auto"}},
    }
    file.write_text(yaml.safe_dump(sections))
    return describe(
        include(
            "super_resolution",
            params_file=str(file),
            namespace="rig",
            backend="bicubic",
            model="2024",  # a text that launch must not take for a number
        )
    )


class Parameters(WithPeer, unittest.TestCase):
    def test_file_and_arguments(self):
        wanted = {**VALUES, "backend": "bicubic", "model": "2024", "autostart": True}
        check_parameters(self.peer, wanted, "/rig/super_resolution")

    def test_they_take_effect(self):
        stream = Stream(self.peer, "/rig/image_raw", output="/rig/sr/image_raw")
        check_output_encoding(stream, "mono8")


@launch_testing.post_shutdown_test()
class AfterShutdown(ExitsCleanly, unittest.TestCase):
    pass
