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
