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

"""build_only:=true builds, and ends by itself with 0."""

from __future__ import annotations

import sys
import unittest
from pathlib import Path

import pytest

pytest.importorskip("launch_testing", reason="launch_testing is missing: it comes with ROS 2")
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # for launch_test, without pytest

import launch_testing

from support.launch_case import ExitsCleanly, describe, include


@pytest.mark.launch_test
def generate_test_description():
    return describe(include("super_resolution", backend="bicubic", build_only="true"))


class BuildOnly(unittest.TestCase):
    def test_it_ends(self, proc_info, proc_output):
        proc_output.assertWaitFor("build_only: everything is built", timeout=60)
        (node,) = (name for name in proc_info.process_names() if "super_resolution_node" in name)
        proc_info.assertWaitForShutdown(process=node, timeout=60)


@launch_testing.post_shutdown_test()
class AfterShutdown(ExitsCleanly, unittest.TestCase):
    pass
