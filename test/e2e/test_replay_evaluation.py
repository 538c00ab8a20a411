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

"""A bag through the live node: what is recorded scores exactly as what is upscaled offline.

Player, node and recorder are processes of their own, as the launch file starts them.
"""

from __future__ import annotations

import json

import cv2
import numpy as np
import pytest

pytest.importorskip("rclpy", reason="rclpy is not installed")
pytest.importorskip("rosbags", reason="bags need rosbags: pip install rosbags")

from difiisr_ros.cli import main
from difiisr_ros.io.bags import CAMERA_INFO, BagReader, BagWriter
from difiisr_ros.io.images import read_image
from difiisr_ros.stream.replay import NODE, PLAYER, RECORDER
from support.bag_messages import camera_info, header
from support.ros_process import RosProcess

COUNT = 10
T0 = 1_600_000_000_000_000_000
ENGINE = {"num_steps": 2, "backend": "torch", "precision": "fp32"}


@pytest.fixture
def bag(tmp_path, drone_frames):
    """Real frames in 16 bits, recorded years ago, stamped unevenly."""
    files = drone_frames[:COUNT]
    with BagWriter(tmp_path / "bag") as writer:
        for i, path in enumerate(files):
            stamp = T0 + i * 37_000_003 + (i % 3) * 1_000_000
            head = header(stamp)
            small = cv2.resize(read_image(path), (160, 120), interpolation=cv2.INTER_AREA)
            frame = 27_000 + 20 * small.astype(np.uint16)
            writer.write_image("/flir/image_raw", stamp + 5_000_000, frame, head)
            height, width = frame.shape
            info = camera_info(head, width, height, focal=160.0)
            writer.write("/flir/camera_info", CAMERA_INFO, stamp + 5_000_000, info)
    return tmp_path / "bag"


def evaluate(*arguments):
    engine = [word for k, v in ENGINE.items() for word in (f"--{k.replace('_', '-')}", str(v))]
    return main(["evaluate", *map(str, arguments), *engine])


@pytest.mark.parametrize(
    "selection",
    [[], pytest.param(["--no-reference", "--every", "2"], marks=pytest.mark.slow)],
    ids=["self-referenced", "no-reference"],
)
def test_online_and_offline_scores_agree_exactly(tmp_path, bag, selection):
    played = tmp_path / "input"
    assert evaluate(bag, *selection, "--write-lr", played) == 0
    recorded, result = tmp_path / "recorded", tmp_path / "result.json"
    report = tmp_path / "player.json"
    recorder = {**RECORDER, "bag": recorded, "result_file": result}
    player = {**PLAYER, "source": played, "report_file": report}
    with (
        RosProcess("monitor", tmp_path, **recorder) as monitor,
        RosProcess("node", tmp_path, **NODE, **ENGINE) as node,
        RosProcess("player", tmp_path, **player) as player_process,
    ):
        processes = (monitor, node, player_process)

        def logs():
            return "\n".join(f"--- {p.log.name}\n{p.text}" for p in processes)

        assert player_process.wait(150) == 0, logs()
        assert monitor.interrupt() == 0, logs()
        assert node.interrupt() == 0, logs()
        assert "Traceback" not in logs()

    frames = json.loads(report.read_text())["frames"]
    measured = json.loads(result.read_text())
    assert (measured["frames_in"], measured["frames_out"]) == (frames, frames)
    assert measured["dropped"] == measured["unmatched_outputs"] == measured["bag"]["dropped"] == 0

    scores = tmp_path / "scores.json"
    online = ["--results", f"node={recorded}"]
    assert evaluate(bag, *selection, *online, "--json", scores, "--csv", tmp_path / "f.csv") == 0
    found = json.loads(scores.read_text())
    assert found["frames"] == frames
    methods = found["methods"]
    kinds = {k for k in methods["difiisr"] if not k.startswith("time_")}
    assert len(kinds) > 3 and methods["node"].keys() >= kinds
    assert {k: methods["node"][k] for k in kinds} == {k: methods["difiisr"][k] for k in kinds}
    assert methods["bicubic"]["consistency"] != methods["difiisr"]["consistency"]
    # Its latency is the one that was measured while it was live, frame by frame.
    latencies = np.array(measured["latencies_ms"], float)
    assert np.isfinite(latencies).all() and (latencies > 0).all()
    assert methods["node"]["time_ms_p50"] == pytest.approx(np.percentile(latencies, 50), abs=1e-3)

    with BagReader(recorded) as reader:
        records = list(reader.read_images("/sr/image_raw"))
        infos = [reader.deserialize(c, d) for c, _, d in reader.read_raw(["/sr/camera_info"])]
        original = reader.first_camera_info("/camera_info")
    stamps = [r.message.header.stamp.sec * 10**9 + r.message.header.stamp.nanosec for r in records]
    step = 2 if selection else 1
    assert stamps == [T0 + i * 37_000_003 + (i % 3) * 1_000_000 for i in range(0, COUNT, step)]
    assert records[0].message.header.frame_id == "flir"
    # The degraded camera's calibration, upscaled, is the camera's own.
    info = infos[-1]
    assert (info.width, info.height) == ((640, 480) if selection else (160, 120))
    assert info.k[0] == 4 * original.k[0]


def test_a_lost_result_is_not_passed_over(tmp_path, bag, capsys):
    """A recording in which a frame is missing cannot be quoted as if it were whole."""
    assert evaluate(bag, "--write-lr", tmp_path / "input") == 0
    with BagReader(tmp_path / "input") as reader, BagWriter(tmp_path / "recorded") as writer:
        for i, record in enumerate(reader.read_images()):
            if i != 3:
                sr = np.repeat(np.repeat(record.frame, 4, 0), 4, 1)
                writer.write_image("/sr/image_raw", record.log_time_ns, sr, record.message.header)
    capsys.readouterr()
    scores = tmp_path / "scores.json"
    assert evaluate(bag, "--results", f"node={tmp_path / 'recorded'}", "--json", scores) == 2
    said = capsys.readouterr().err
    assert "has no result on /sr/image_raw with stamp 1600000000111000009 ns" in said
    assert not scores.exists()
