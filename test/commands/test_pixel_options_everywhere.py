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

"""What of a frame is a measurement: the same options for every command that reads frames."""

from __future__ import annotations

import argparse
import json

import numpy as np
import pytest

from difiisr_ros.cli import main
from difiisr_ros.commands.pixel_arguments import add_pixel_arguments, camera_of
from difiisr_ros.core.camera_profile import CameraProfile
from difiisr_ros.errors import DataError
from difiisr_ros.io.images import write_image
from difiisr_ros.scene.street import SyntheticScene
from support.detection_scenes import CLASSES, write_set
from support.frames import smooth_frame

CROP = CameraProfile(crop=(8, 0, 16, 0))


def padded(picture):
    """With rows and columns before it that are no picture."""
    noise = np.random.default_rng(0).integers(0, 255, (picture.shape[0] + 8, picture.shape[1] + 16))
    noise[8:, 16:] = picture
    return noise.astype(picture.dtype)


@pytest.mark.parametrize(
    "command",
    [
        "upscale",
        "evaluate",
        "calibrate",
        "detect",
        "train",
        "train-detector",
        "fit-guidance",
        "demo",
        "convert",
    ],
)
def test_every_command_that_reads_frames_has_them(command, capsys):
    with pytest.raises(SystemExit):
        main([command, "--help"])
    text = capsys.readouterr().out
    crop = "camera-crop" if command.startswith("train") else "crop"
    for name in ("camera", "missing", crop, "bad-pixels", "byte-order"):
        assert f"--{name} " in text


def test_options_win_over_the_profile(tmp_path):
    (tmp_path / "camera.yaml").write_text("crop: {bottom: 2}\nmissing: 0\n")
    parser = argparse.ArgumentParser()
    add_pixel_arguments(parser, profile=True)
    words = ["--camera", str(tmp_path / "camera.yaml"), "--crop", "1,0,0,0"]
    found = camera_of(parser.parse_args(words))
    assert (found.crop, found.missing) == ((1, 0, 0, 0), ((0.0, 0.0),))
    assert camera_of(parser.parse_args([])) == CameraProfile(source="auto")


def test_frames_to_train_on_are_put_right(tmp_path):
    pytest.importorskip("torch")
    from difiisr_ros.io.left_out import LeftOut
    from difiisr_ros.lab.training.data import load_frames

    picture = smooth_frame(shape=(64, 64))
    stored = np.vstack([picture, np.zeros((2, 64), np.uint16)])
    stored[5, 6] = 65535
    write_image(tmp_path / "a.png", stored.byteswap())
    write_image(tmp_path / "b.png", np.full_like(stored, 65535))
    camera = CameraProfile(crop=(0, 2, 0, 0), missing=65535, byte_order="little")
    left_out = LeftOut()
    (frame,) = load_frames(tmp_path, 64, left_out, camera)
    away = np.ones(picture.shape, bool)
    away[5, 6] = False
    np.testing.assert_array_equal(frame.pixels[away], picture[away])
    assert abs(int(frame.pixels[5, 6]) - int(picture[5, 6])) < 200
    assert "b.png: no pixel of the frame is a measurement" in left_out.sentences()[0]


@pytest.mark.parametrize(
    ("command", "module"),
    [("train", "lab.training.train"), ("train-detector", "lab.detection.train")],
)
def test_both_trainings_are_told(tmp_path, command, module, monkeypatch, capsys):
    pytest.importorskip("torch")
    pytest.importorskip("pycocotools")
    seen = []

    def load_frames(*arguments):
        seen.append(arguments[-1])
        raise DataError("seen")

    monkeypatch.setattr(f"difiisr_ros.{module}.load_frames", load_frames)
    data = write_set(tmp_path / "data", 1)
    words = ["--classes", ",".join(CLASSES)] if command == "train-detector" else []
    words += ["--validation", data, "--out", tmp_path / "run", "--crop", "64"]
    assert main([command, *map(str, [data, *words]), "--missing", "7"]) == 2
    assert "seen" in capsys.readouterr().err and seen[0].missing == ((7.0, 7.0),)


def test_boxes_move_with_the_crop(tmp_path):
    pytest.importorskip("torch")
    from difiisr_ros.lab.detection.boxes import read_boxes
    from difiisr_ros.lab.detection.data import load_frames

    whole = load_frames(read_boxes(write_set(tmp_path / "a", 1), tmp_path / "a.json", CLASSES))[0]
    (cut,) = load_frames(read_boxes(tmp_path / "a", tmp_path / "a.json", CLASSES), None, CROP)
    np.testing.assert_array_equal(cut.pixels, whole.pixels[8:, 16:])
    inside = (whole.boxes >= [16, 8, 16, 8]).all(axis=1)
    moved = (whole.boxes - [16, 8, 16, 8])[inside]
    assert len(moved) and all((cut.boxes == box).all(axis=1).any() for box in moved)
    assert (cut.boxes >= 0).all() and len(cut.boxes) == len(cut.labels)


def test_what_is_detected_has_its_place_in_the_file(tmp_path, drone_frames):
    pytest.importorskip("torch")
    from difiisr_ros.io.images import read_image

    picture = read_image(drone_frames[0])
    found = {}
    for name, frame, words in (("a", picture, []), ("b", padded(picture), ["--crop", "8,0,16,0"])):
        write_image(tmp_path / name / "f.png", frame)
        report = tmp_path / f"{name}.json"
        words += ["--json", str(report), "--draw", str(tmp_path / f"{name}_drawn")]
        assert main(["detect", str(tmp_path / name), *words]) == 0
        found[name] = json.loads(report.read_text())["frames"]["f.png"]
    assert found["a"], "there is something to find"
    for one, other in zip(found["a"], found["b"], strict=True):
        np.testing.assert_allclose(np.add(one["box"], [16, 8, 16, 8]), other["box"], atol=0.11)
    drawn = read_image(tmp_path / "b_drawn" / "f.png")
    assert drawn.shape[:2] == picture.shape


def test_scores_of_cropped_frames_are_those_of_the_picture(tmp_path):
    pytest.importorskip("torch")
    pytest.importorskip("pycocotools")
    from difiisr_ros.io.images import read_image
    from difiisr_ros.lab.detection.boxes import read_boxes
    from difiisr_ros.lab.detection.score import detect_upscaled
    from difiisr_ros.models.detector.detector import Detector
    from difiisr_ros.models.detector.model import DetectorConfig, ThermalDetector

    small = DetectorConfig((8, 16, 16, 16, 16), (0, 1, 0, 0, 0), head_channels=16, classes=CLASSES)
    detector = Detector(ThermalDetector(small).eval().fuse())
    folder = write_set(tmp_path / "a", 1)
    plain = read_boxes(folder, tmp_path / "a.json", CLASSES)
    nearest = {"nearest": lambda lr: np.kron(lr, np.ones((4, 4), lr.dtype))}
    expected = detect_upscaled(detector, plain, nearest)
    write_image(folder / "0.png", padded(read_image(folder / "0.png")))
    found = detect_upscaled(detector, plain, nearest, camera=CROP)
    for method in ("hr", "nearest"):
        boxes = expected[method][100].boxes
        assert len(boxes)
        np.testing.assert_allclose(
            found[method][100].boxes, np.add(boxes, [16, 8, 16, 8]), atol=1e-3
        )


def test_a_camera_that_is_measured_again_keeps_what_was_known(tmp_path):
    scene = SyntheticScene(160, 120, real_camera=True)
    for i in range(4):
        picture = scene.frame(40 * i)[0]
        write_image(tmp_path / "in" / f"{i}.png", np.vstack([picture, picture[:2] * 0]))
    known = "kelvin_per_count: 0.01\ncrop: {bottom: 2}\nnoise: 99\n"
    (tmp_path / "old.yaml").write_text(known)
    words = ["--camera", tmp_path / "old.yaml", "--out", tmp_path / "new.yaml"]
    assert main(["calibrate", *map(str, [tmp_path / "in", *words])]) == 0
    new = CameraProfile.read(tmp_path / "new.yaml")
    assert (new.kelvin_per_count, new.crop) == (0.01, (0, 2, 0, 0)) and new.noise < 30


def test_bench_makes_its_frames_and_says_so(tmp_path, capsys):
    (tmp_path / "camera.yaml").write_text("crop: {bottom: 119}\nmissing: 29000..30999\nnoise: 5\n")
    words = ["--quick", "--seconds", "0.1", "--backend", "bicubic", "--json", tmp_path / "b.json"]
    assert main(["bench", *map(str, words), "--camera", str(tmp_path / "camera.yaml")]) == 0
    assert "not used: missing, crop, bad_pixels, pattern, byte_order of" in capsys.readouterr().out
    (cell,) = json.loads((tmp_path / "b.json").read_text())["cells"]
    assert cell["size"] == [160, 120] and "noise 5 counts" in cell["info"]["camera"]
