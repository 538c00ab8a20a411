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

"""difiisr calibrate: the fixed pattern, of an even surface or a moving camera, else not at all."""

from __future__ import annotations

import json
import re

import cv2
import numpy as np
import pytest

from difiisr_ros.cli import main
from difiisr_ros.core.camera_profile import CameraProfile
from difiisr_ros.core.fixed_pattern import FixedPattern
from difiisr_ros.io.images import write_image

SIZE = HEIGHT, WIDTH = 60, 80
NOISE = 8.0


def _pattern():
    random = np.random.default_rng(5)
    found = 25 * random.standard_normal(SIZE) + 12 * random.standard_normal((1, WIDTH))
    return found - found.mean()


PATTERN = _pattern()


def _canvas():
    random = np.random.default_rng(3)
    canvas = np.full((640, 800), 4000.0, np.float32)
    for _ in range(150):
        corner = random.uniform(0, [780, 620])
        size = random.uniform(10, 120, 2)
        box = corner + np.array([[0, 0], [1, 0.2], [0.9, 1.1], [-0.1, 0.9]]) * size
        cv2.fillPoly(canvas, [box.astype(np.int32)], float(random.uniform(3000, 5500)))
    return cv2.GaussianBlur(canvas, (0, 0), 2.0)


CANVAS = _canvas()


def record(folder, count, *, moving=True, flat=False, fixed=PATTERN):
    random = np.random.default_rng(1)
    for t in range(count):
        x = 200 + 160 * np.sin(t / 31 + 0.3) if moving else 200
        y = 160 + 120 * np.sin(t / 23 + 1) if moving else 160
        matrix = np.array([[1.0, 0, x], [0, 1.0, y]])
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        part = cv2.warpAffine(CANVAS, matrix, (4 * WIDTH, 4 * HEIGHT), flags=flags)
        scene = cv2.resize(part, (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA)
        if flat:
            scene = 4000.0 + t
        frame = scene + fixed + NOISE * random.standard_normal(SIZE)
        write_image(folder / f"{t:04d}.png", np.rint(frame).astype(np.uint16))
    return folder


def left(offsets):
    return float(((PATTERN - offsets) ** 2).mean() / (PATTERN**2).mean())


@pytest.mark.parametrize("flat", [False, True])
def test_the_pattern_lies_beside_the_profile_which_refers_to_it(tmp_path, capsys, flat):
    data = record(tmp_path / "frames", 20 if flat else 110, flat=flat)
    out, numbers = tmp_path / "camera.yaml", tmp_path / "numbers.json"
    arguments = ["--out", str(out), "--json", str(numbers), "--report", str(tmp_path / "a.html")]
    assert main(["calibrate", str(data), *arguments]) == 0
    told = capsys.readouterr().out
    assert ("of an even surface" if flat else "of a moving camera") in told
    camera = CameraProfile.read(out)
    assert camera.pattern == str(tmp_path / "camera_pattern.npz")
    found = camera.fixed_pattern
    assert left(found.offsets) < 0.1 and found.source == str(data) and len(found.date) == 10
    # The noise that networks are told of is that of corrected frames.
    assert camera.noise == pytest.approx(NOISE, rel=0.25)
    sure = json.loads(numbers.read_text())["pattern"]
    assert sure["size"] == pytest.approx(PATTERN.std(), rel=0.2)
    assert sure["expected_left"] < 0.1 and sure["frames"] == found.frames
    assert "The fixed pattern" in (tmp_path / "a.html").read_text()


@pytest.mark.parametrize(
    "record_with, words",
    [
        ({"count": 70, "moving": False}, "the camera moved in 0 of 70 frames.*even surface"),
        ({"count": 20}, "20 frames, 60 of a moving camera are needed"),
        ({"count": 5, "flat": True}, "5 frames, 8 or more of an even surface"),
        ({"count": 100, "fixed": 0.0}, "not known: (none above|frames do not show)"),
        ({"count": 20, "flat": True, "fixed": 0.0}, "none above .* counts"),
    ],
)
def test_what_cannot_be_told_from_the_scene_is_refused_with_words(
    tmp_path, capsys, record_with, words
):
    data = record(tmp_path / "frames", **record_with)
    main(["calibrate", str(data), "--out", str(tmp_path / "camera.yaml")])
    line = next(x for x in capsys.readouterr().out.splitlines() if x.startswith("pattern "))
    assert line.startswith("pattern        not known: ")
    assert re.search(words, line), line
    assert not (tmp_path / "camera_pattern.npz").exists()
    if (tmp_path / "camera.yaml").exists():
        assert CameraProfile.read(tmp_path / "camera.yaml").pattern is None


def test_frames_are_taken_as_of_an_even_surface_or_not_at_all(tmp_path, capsys):
    data = record(tmp_path / "frames", 12, flat=True)
    out = tmp_path / "camera.yaml"
    assert main(["calibrate", str(data), "--out", str(out), "--pattern", "off"]) == 0
    assert "pattern        not known: not asked for" in capsys.readouterr().out
    assert not (tmp_path / "camera_pattern.npz").exists()
    moving = record(tmp_path / "moving", 12)
    assert main(["calibrate", str(moving), "--out", str(out), "--pattern", "flat"]) == 0
    assert (tmp_path / "camera_pattern.npz").exists()


def test_a_crop_does_not_move_the_pattern_and_a_known_one_stays(tmp_path, capsys):
    data = record(tmp_path / "frames", 20, flat=True)
    out = tmp_path / "camera.yaml"
    assert main(["calibrate", str(data), "--out", str(out), "--crop", "4,0,0,6"]) == 0
    offsets = CameraProfile.read(out).fixed_pattern.offsets
    assert offsets.shape == SIZE and not offsets[:4].any() and not offsets[:, -6:].any()
    assert ((PATTERN - offsets)[4:, :-6] ** 2).mean() < 0.15 * (PATTERN**2).mean()
    still = record(tmp_path / "still", 20, moving=False)
    again = tmp_path / "again.yaml"
    assert main(["calibrate", str(still), "--out", str(again), "--camera", str(out)]) == 0
    kept = CameraProfile.read(again)
    assert kept.pattern == str(tmp_path / "camera_pattern.npz")
    assert kept.noise == pytest.approx(NOISE, rel=0.4)
    FixedPattern(np.ones((9, 10), np.float32), 3).write(tmp_path / "camera_pattern.npz")
    assert main(["calibrate", str(still), "--camera", str(out), "--crop", "0,1,0,0"]) == 2
    assert "camera_pattern.npz: is of 10x8 pixels after the crop" in capsys.readouterr().err
