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

"""`difiisr calibrate`: what does not measure becomes a mask, what is declared is obeyed."""

from __future__ import annotations

import shlex

import cv2
import numpy as np
import pytest

from difiisr_ros import CameraProfile, SuperResolver
from difiisr_ros.cli import main
from difiisr_ros.core.bad_pixels import read_bad_pixels, write_bad_pixels
from difiisr_ros.io.images import write_image
from difiisr_ros.lab.calibration.measure import calibrate, sample_frames
from difiisr_ros.lab.calibration.pattern import frozen_pixels
from support.frames import street

#: Frames that lie far apart, so that all of the picture moves.
SCENE = street()
FRAMES = [np.roll(SCENE.frame(i)[0], 13 * n, axis=1) for n, i in enumerate(range(0, 60, 5))]
STUCK = [(5, 6), (40, 100), (41, 100), (80, 30), (119, 159)]


def with_stuck(frames=FRAMES):
    """Dead ones, and two that are stuck within what the scene spans."""
    found = []
    for frame in frames:
        frame = frame.copy()
        for (row, column), value in zip(STUCK, (0, 65535, 65535, 29_300, 29_400)):
            frame[row, column] = value
        found.append(frame)
    return found


def folder(path, frames):
    path.mkdir()
    for i, frame in enumerate(frames):
        write_image(path / f"{i:02}.png", frame)
    return path


def run(*arguments):
    return main(["calibrate", *map(str, arguments)])


def test_the_advice_is_quoted_for_a_shell_and_absolute_for_launch(tmp_path, capsys, monkeypatch):
    folder(tmp_path / "in", FRAMES)
    monkeypatch.chdir(tmp_path)
    assert run("in", "--out", "prof il/ä.yaml") == 0
    line = next(line for line in capsys.readouterr().out.splitlines() if "use it as" in line)
    words = shlex.split(line.partition("use it as ")[2].replace(",", ""))
    assert words == ["--camera", "prof il/ä.yaml", f"camera:={tmp_path}/prof il/ä.yaml"]


def test_the_mask_lies_beside_the_profile_which_refers_to_it(tmp_path, capsys):
    data = folder(tmp_path / "in", with_stuck())
    assert run(data, "--out", tmp_path / "camera.yaml") == 0
    mask = read_bad_pixels(tmp_path / "camera_bad_pixels.png")
    assert sorted(map(tuple, np.argwhere(mask).tolist())) == STUCK
    assert "camera_bad_pixels.png (5)" in capsys.readouterr().out
    assert 'bad_pixels: "camera_bad_pixels.png"' in (tmp_path / "camera.yaml").read_text()
    camera = CameraProfile.read(tmp_path / "camera.yaml")
    resolver = SuperResolver.load(backend="bicubic")
    result = resolver.upscale(with_stuck()[0], camera=camera).astype(int)
    whole = resolver.upscale(FRAMES[0]).astype(int)
    assert abs(result - whole).max() < 700  # nothing of 0 and 65535 is left


def test_no_mask_of_a_camera_without_any_or_of_a_scene_that_stood_still(tmp_path):
    assert run(folder(tmp_path / "good", FRAMES), "--out", tmp_path / "a.yaml") == 0
    still = folder(tmp_path / "still", with_stuck([FRAMES[0]] * 9))
    run(still, "--out", tmp_path / "b.yaml")
    assert not list(tmp_path.glob("*_bad_pixels.png"))
    assert CameraProfile.read(tmp_path / "a.yaml").bad_pixels is None


def test_what_was_declared_is_obeyed_and_in_the_profile(tmp_path):
    words = np.random.default_rng(0).integers(0, 65536, (2, 160)).astype(np.uint16)
    frames = []
    for i, frame in enumerate(FRAMES):
        frame = frame.copy()
        frame.flat[np.random.default_rng(i).choice(frame.size, 200, replace=False)] = 1
        frames.append(np.vstack([words, frame]))
    data = folder(tmp_path / "in", frames)
    more = ["--missing", "1", "--crop", "top 2", "--out", tmp_path / "camera.yaml"]
    assert run(data, *more) == 0
    found = CameraProfile.read(tmp_path / "camera.yaml")
    expected = calibrate(sample_frames(FRAMES))
    assert (found.missing, found.crop.top) == (((1, 1),), 2)
    assert found.noise == pytest.approx(expected.noise, rel=0.15)
    assert found.calibration["size"] == "160x120"
    assert found.calibration["range"] == pytest.approx(expected.span, rel=0.01)


def test_a_crop_does_not_move_the_mask_and_known_ones_stay_in_it(tmp_path):
    known = np.zeros((124, 163), bool)
    known[1, 1] = known[60, 60] = True
    write_bad_pixels(tmp_path / "known.png", known)
    frames = [np.pad(frame, ((3, 1), (0, 3))) for frame in with_stuck()]
    data = folder(tmp_path / "in", frames)
    more = ["--crop", "3,1,0,3", "--bad-pixels", tmp_path / "known.png"]
    assert run(data, *more, "--out", tmp_path / "camera.yaml") == 0
    mask = read_bad_pixels(tmp_path / "camera_bad_pixels.png")
    expected = sorted([(row + 3, column) for row, column in STUCK] + [(1, 1), (60, 60)])
    assert sorted(map(tuple, np.argwhere(mask).tolist())) == expected


def test_pixels_of_a_clipped_sky_and_of_still_parts_are_not_frozen():
    rng = np.random.default_rng(0)
    values = [rng.normal(500, 3, (30, 40)).astype(np.float32) for _ in range(10)]
    for frame in values:
        frame[:8] = 1023  # clipped
        frame[20, 20] = 500
    assert frozen_pixels(values, 3.0).tolist() == []  # noise alone is no movement
    moving = [
        np.where(frame < 1000, frame + np.float32(80 * i), frame) for i, frame in enumerate(values)
    ]
    for frame in moving:
        frame[20, 20] = 700
    assert frozen_pixels(moving, 3.0).tolist() == [[20, 20]]
    assert frozen_pixels(moving[:5], 3.0).tolist() == []


def test_real_clips_have_none(data_dir):
    for path in sorted((data_dir / "native" / "clips").glob("*.npz"))[:4]:
        frames = list(np.load(path)["frames"].astype(np.float32))
        assert len(frozen_pixels(frames, 3.0)) <= 3, path


def test_drone_frames_have_none(drone_frames):
    frames = [
        cv2.imread(str(path), cv2.IMREAD_GRAYSCALE).astype(np.float32) for path in drone_frames
    ]
    assert frozen_pixels(frames, 1.0).tolist() == []
