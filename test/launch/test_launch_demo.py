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

"""demo.launch.py shows a running system, in the viewers that are installed."""

from __future__ import annotations

import os
import sys
import tempfile
import unittest
from pathlib import Path

import pytest

pytest.importorskip("launch_testing", reason="launch_testing is missing: it comes with ROS 2")
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # for launch_test, without pytest

import launch_testing
from sensor_msgs.msg import Image

from difiisr_ros.io.images import write_image
from support.behaviours import HEIGHT, WIDTH, frames
from support.launch_case import ExitsCleanly, WithPeer, describe, include
from support.waiting import wait_for

PREFIX = Path(tempfile.mkdtemp())
STARTED = PREFIX / "started"

#: Stands for a viewer: notes how it was started, and ends as one does.
VIEWER = f"""#!{sys.executable}
import signal, sys
signal.signal(signal.SIGINT, lambda *_: sys.exit(0))
with open({str(STARTED)!r}, "a") as file:
    file.write(" ".join(sys.argv) + "\\n")
signal.pause()
"""


def install(package: str) -> None:
    """A ROS package with one executable of the same name."""
    marker = PREFIX / "share" / "ament_index" / "resource_index" / "packages" / package
    executable = PREFIX / "lib" / package / package
    for file in (marker, executable):
        file.parent.mkdir(parents=True, exist_ok=True)
    marker.touch()
    executable.write_text(VIEWER)
    executable.chmod(0o755)


@pytest.mark.launch_test
def generate_test_description():
    for package in ("image_view", "rviz2"):
        install(package)
    os.environ["AMENT_PREFIX_PATH"] = f"{PREFIX}{os.pathsep}{os.environ['AMENT_PREFIX_PATH']}"
    os.environ["DISPLAY"] = os.environ.get("DISPLAY", ":0")
    folder = PREFIX / "frames"  # the synthetic scene takes a while to render
    for index, frame in enumerate(frames(8)):
        write_image(folder / f"{index}.png", frame)
    return describe(include("demo", backend="bicubic", source=str(folder), rate="10"))


class Demo(WithPeer, unittest.TestCase):
    def test_results_come_out(self):
        images = []
        self.peer.node.create_subscription(Image, "/sr/image_raw", images.append, 10)
        wait_for(lambda: len(images) > 3, "results")
        self.assertEqual((images[-1].width, images[-1].height), (4 * WIDTH, 4 * HEIGHT))
        self.assertEqual(images[-1].encoding, "mono8")

    def test_the_monitor_tells_rate_and_latency(self, proc_output):
        proc_output.assertWaitFor("latency p50", timeout=60, stream="stdout")

    def test_viewers_show_both_images(self):
        lines = wait_for(
            lambda: (
                STARTED.exists()
                and len(STARTED.read_text().splitlines()) == 3
                and STARTED.read_text()
            ),
            "three viewers",
        )
        self.assertEqual(lines.count("image_view/image_view"), 2)
        self.assertIn("image:=/image_raw", lines)
        self.assertIn("image:=/sr/image_raw", lines)
        self.assertRegex(lines, r"rviz2 -d \S+/config/thermal\.rviz")


@launch_testing.post_shutdown_test()
class AfterShutdown(ExitsCleanly, unittest.TestCase):
    pass
