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

"""`difiisr demo` as a user runs it: three processes, figures, pictures, a bag, a clean end."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import time

import cv2
import numpy as np
import pytest

pytest.importorskip("rclpy", reason="rclpy is not installed")
pytest.importorskip("rosbags", reason="the demo records with rosbags: pip install rosbags")

from difiisr_ros.cli import main
from difiisr_ros.core.camera_profile import CameraProfile
from difiisr_ros.io.bags import BagReader
from difiisr_ros.io.images import list_files, read_image, write_image
from difiisr_ros.messages.cdr import stamp_of
from difiisr_ros.scene.street import SyntheticScene
from support.ros_process import environment, processes_mentioning


def demo(folder, *arguments):
    """Start `difiisr demo` from another folder, as a person who installed the package would."""
    env = environment()
    env.pop("ROS_DOMAIN_ID", None)  # it chooses its own
    folder.mkdir(exist_ok=True)
    return subprocess.Popen(
        [
            sys.executable,
            "-m",
            "difiisr_ros.cli",
            "demo",
            "--out",
            folder / "out",
            *map(str, arguments),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=env,
        cwd=folder,
    )


def finish(process, timeout=150):
    try:
        out, err = process.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        process.kill()
        out, err = process.communicate()
        raise AssertionError(f"the demo hangs\n{out}\n{err}") from None
    return process.returncode, out, err


def logs(folder):
    return "\n".join(f"--- {p.name}\n{p.read_text()}" for p in (folder / "out").glob("*.log"))


def test_the_demo_on_the_synthetic_scene(tmp_path):
    also = tmp_path / "also.json"
    code, out, err = finish(
        demo(
            tmp_path,
            "--seconds",
            4,
            "--size",
            "96x72",
            "--backend",
            "bicubic",
            "--json",
            also,
            "--keep-bag",
        )
    )
    folder = tmp_path / "out"
    assert code == 0, f"{out}\n{err}\n{logs(tmp_path)}"
    summary = json.loads((folder / "summary.json").read_text())
    assert summary == json.loads(also.read_text())

    # figures: 4 s at 30 Hz, nearly all of it out, at nearly that rate
    assert summary["frames_in"] == 120
    assert summary["frames_out"] >= 108, f"{summary}\n{logs(tmp_path)}"
    assert summary["dropped"] == 120 - summary["frames_out"]
    assert summary["fps"] == pytest.approx(30.0, rel=0.1)
    p = summary["latency_ms"]
    assert 0 < p["p50"] <= p["p95"] <= p["p99"] < 1000
    assert (summary["backend"], summary["unmatched_outputs"]) == ("bicubic", 0)
    # a node that interpolates, against interpolation
    assert summary["psnr_gain_db"] == pytest.approx(0.0, abs=0.5)
    assert summary["psnr_db"]["bicubic"] > 20 and summary["frames_compared"] == 40

    # a line a second, and a summary, for people
    assert sum("latency p50" in line for line in out.splitlines()) >= 3, out
    assert "120 in" in out and "dB PSNR over bicubic" in out

    # the synthetic camera's noise and blur are in a profile, and the node was told
    scene = SyntheticScene(96, 72, real_camera=True)
    told = CameraProfile.read(folder / "camera.yaml")
    assert (told.noise, told.blur) == (pytest.approx(scene.profile.noise), scene.profile.blur)
    assert summary["camera"] == CameraProfile.read((folder / "camera.yaml").resolve()).describe()
    assert f"told      {summary['camera']}" in out

    # pictures: camera, bicubic, ours, truth
    pictures = sorted(folder.glob("frame_*.png"))
    assert [p.name for p in pictures] == summary["pictures"] and len(pictures) == 5
    for picture in pictures:
        sheet = cv2.imread(str(picture))
        assert sheet.shape[1] > 4 * 480 and sheet.std() > 20

    # the bag: all four topics, results four times the size, with their frames' stamps
    with BagReader(folder / "bag") as reader:
        assert reader.image_topics() == ["/image_raw", "/sr/image_raw"]
        assert reader.camera_info_topics() == ["/camera_info", "/sr/camera_info"]
        stamps = {topic: [] for topic in reader.image_topics() + reader.camera_info_topics()}
        for connection, _, data in reader.read_raw():
            stamps[connection.topic].append(stamp_of(data))
        assert set(stamps["/sr/image_raw"]) <= set(stamps["/image_raw"])
        assert len(stamps["/sr/image_raw"]) == summary["frames_out"]
        first = next(reader.read_images("/image_raw"))
        np.testing.assert_array_equal(first.frame, scene.frame(0)[0])
        assert next(reader.read_images("/sr/image_raw")).frame.shape == (288, 384)
        assert reader.first_camera_info("/sr/camera_info").width == 384

    for name in ("player", "node", "monitor"):
        assert (folder / f"{name}.log").is_file()
    assert "Traceback" not in logs(tmp_path)
    assert processes_mentioning(str(tmp_path)) == []


def test_own_frames_and_a_second_run_into_the_same_folder(tmp_path, drone_frames):
    frames = tmp_path / "two words: ä"  # paths are passed as they are
    for path in drone_frames:
        small = cv2.resize(read_image(path), (160, 128), interpolation=cv2.INTER_AREA)
        write_image(frames / f"{path.stem}.png", 27_000 + 20 * small.astype(np.uint16))
    arguments = ("--input", frames, "--seconds", 1.5, "--rate", 20, "--backend", "bicubic")
    (frames / "zz.png").write_text("no picture")
    (tmp_path / "out").mkdir()
    flight_log = tmp_path / "out" / "flight.log"
    flight_log.write_text("of the user")
    for bag_seconds, keep in ((60, ["--keep-bag"]), (60, []), (0, [])):
        code, out, err = finish(demo(tmp_path, *arguments, "--bag-seconds", bag_seconds, *keep))
        assert code == 0, f"{out}\n{err}\n{logs(tmp_path)}"
        summary = json.loads((tmp_path / "out" / "summary.json").read_text())
        assert summary["frames_in"] == 30
        assert summary["psnr_gain_db"] is None  # nobody knows the truth
        assert summary["camera"].endswith("(auto)")  # nor the camera
        assert not (tmp_path / "out" / "camera.yaml").exists()
        assert list(summary["left_out"]) == ["zz.png"]
        assert "left out  1: " in out and "zz.png: is not an image" in out
        assert bool(summary["pictures"]) == bool(bag_seconds)
        assert (tmp_path / "out" / "bag").exists() == bool(keep) == bool(summary["bag"])
        # In the first second the first frame may still be on its way.
        seconds = [line for line in out.splitlines() if re.match(r" +\d+ s ", line)]
        assert "out   0.0 fps" not in "".join(seconds[1:]), out
        if keep:
            files = (tmp_path / "out" / "bag").iterdir()
            written = sum(file.stat().st_size for file in files) / 1e6
            assert summary["bag"]["megabytes"] == pytest.approx(written, abs=0.06)
            with BagReader(tmp_path / "out" / "bag") as reader:
                first = next(reader.read_images("/image_raw"))
            np.testing.assert_array_equal(first.frame, read_image(list_files(frames)[0]))
    assert not list((tmp_path / "out").glob("frame_*.png"))  # of the first run
    assert flight_log.read_text() == "of the user"


def refused(folder, capsys, *arguments):
    """What the command says on standard error; it ends before it starts a process."""
    assert main(["demo", "--out", str(folder / "out"), *map(str, arguments)]) == 2
    return capsys.readouterr().err


def test_a_node_that_cannot_start_is_reported_with_its_reason(tmp_path, capsys):
    model = tmp_path / "broken.safetensors"
    model.write_bytes(b"not a model")
    err = refused(tmp_path, capsys, "--seconds", 2, "--size", "32x24", "--model", model)
    assert "broken.safetensors" in err and "Traceback" not in err
    assert not (tmp_path / "out").exists()  # nothing was begun


@pytest.mark.parametrize(("sent", "expected"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupted_demo_leaves_no_process(tmp_path, sent, expected):
    write_image(tmp_path / "in" / "a.png", np.arange(768, dtype=np.uint16).reshape(24, 32))
    process = demo(tmp_path, "--seconds", 60, "--input", tmp_path / "in", "--backend", "bicubic")
    end = time.monotonic() + 90
    while "latency" not in (line := process.stdout.readline()):  # it runs
        assert line and time.monotonic() < end, logs(tmp_path)
    assert len(processes_mentioning(str(tmp_path))) >= 3
    process.send_signal(sent)
    code, _, err = finish(process, 60)
    assert code == expected, err
    assert "Traceback" not in err
    assert processes_mentioning(str(tmp_path)) == []


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--input", "/nowhere"), "/nowhere: no such file or folder"),
        (("--size", "big"), "--size is 'big'; accepted are sizes such as 160x120"),
        (("--size", "2x2"), "width is 2, accepted are 8 and up"),
        (("--seconds", "0"), "--seconds is 0"),
        (("--rate", "-1"), "--rate is -1"),
        (("--camera", "/nowhere.yaml"), "/nowhere.yaml: the camera profile cannot be read"),
    ],
)
def test_what_cannot_be_run_is_said_before_anything_starts(tmp_path, capsys, arguments, said):
    err = refused(tmp_path, capsys, *arguments)
    assert said in err and len(err.strip().splitlines()) == 1
    assert not (tmp_path / "out").exists()


def test_a_folder_in_the_way_is_not_deleted(tmp_path, capsys):
    treasure = tmp_path / "out" / "bag" / "treasure.txt"
    treasure.parent.mkdir(parents=True)
    treasure.write_text("gold")
    assert "is in the way" in refused(tmp_path, capsys, "--seconds", 1)
    assert treasure.read_text() == "gold"
