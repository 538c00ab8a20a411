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

"""replay_evaluation.launch.py plays, records and scores every frame, and ends by itself."""

from __future__ import annotations

import sys
import unittest
from pathlib import Path

import pytest

pytest.importorskip("launch_testing", reason="launch_testing is missing: it comes with ROS 2")
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # for launch_test, without pytest

import json
import tempfile

import launch_testing
from launch.actions import ExecuteProcess
from launch_testing.util import KeepAliveProc

from difiisr_ros.io.bags import BagReader
from difiisr_ros.lab.frames.degrade import degrade_bicubic
from support.behaviours import check_replayed, frames, same, write_bag
from support.launch_case import ExitsCleanly, describe, share

FOLDER = Path(tempfile.mkdtemp())
COUNT = 12


@pytest.mark.launch_test
def generate_test_description():
    share()
    pytest.importorskip("rosbags", reason="bags need rosbags: pip install rosbags")
    write_bag(FOLDER / "bag", COUNT)
    # As a user does it: a launch of its own, since the end of this one would end the test.
    replay = ExecuteProcess(
        cmd=[
            "ros2",
            "launch",
            "difiisr_ros",
            "replay_evaluation.launch.py",
            "backend:=bicubic",
            f"bag:={FOLDER / 'bag'}",
            f"output:={FOLDER / 'out'}",
            "select:=--degradation reduced",
        ],
        output="screen",
    )
    return describe(replay, KeepAliveProc()), {"replay": replay}


class Replay(unittest.TestCase):
    def test_it_ends_by_itself(self, proc_info, proc_output, replay):
        proc_info.assertWaitForShutdown(process=replay, timeout=150)
        proc_output.assertWaitFor(f"{COUNT} results", process=replay, stream="stdout", timeout=30)


@launch_testing.post_shutdown_test()
class AfterShutdown(ExitsCleanly, unittest.TestCase):
    def test_every_frame_was_recorded(self):
        with BagReader(FOLDER / "out" / "bag") as bag:
            results = [record.frame for record in bag.read_images("/replay/sr/image_raw")]
        check_replayed(results, [degrade_bicubic(frame) for frame in frames(COUNT)])
        result = json.loads((FOLDER / "out" / "result.json").read_text())
        self.assertEqual((result["frames_in"], result["frames_out"]), (COUNT, COUNT))
        player = json.loads((FOLDER / "out" / "player.json").read_text())
        self.assertEqual(player["frames"], COUNT)

    def test_online_and_offline_scores_are_equal(self):
        methods = json.loads((FOLDER / "out" / "results.json").read_text())["methods"]
        node, offline = (
            {k: v for k, v in methods[name].items() if not k.startswith("time_")}
            for name in ("node", "difiisr")
        )
        self.assertIn("psnr", node)
        same("scores of the node", node, offline)
        self.assertGreater(methods["node"]["time_ms_p50"], 0)
        self.assertIn("node", (FOLDER / "out" / "report.html").read_text())
