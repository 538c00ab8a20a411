"""multi_camera.launch.py: two cameras, of which a broken one does not disturb the other."""

from __future__ import annotations

import sys
import unittest
from pathlib import Path

import pytest

pytest.importorskip("launch_testing", reason="launch_testing is missing: it comes with ROS 2")
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # for launch_test, without pytest

import launch_testing
from behaviours import check_two_cameras
from launch_case import ExitsCleanly, WithPeer, describe, include
from ros_peer import Stream


@pytest.mark.launch_test
def generate_test_description():
    return describe(
        include(
            "multi_camera",
            camera_names="front,rear",
            namespace="truck",
            image="thermal/image_raw",
            backend="bicubic",
        )
    )


class TwoCameras(WithPeer, unittest.TestCase):
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


@launch_testing.post_shutdown_test()
class AfterShutdown(ExitsCleanly, unittest.TestCase):
    pass
