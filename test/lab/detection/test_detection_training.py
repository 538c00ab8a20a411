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

"""Training a small detector on synthetic frames, and both commands, from files to figures."""

from __future__ import annotations

import json
import shutil
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from difiisr_ros.cli import main
from difiisr_ros.errors import DataError, FrameError, OptionError
from difiisr_ros.io.images import read_image
from difiisr_ros.lab.detection.boxes import BoxedImage, default_annotations, read_boxes
from difiisr_ros.lab.detection.draw import COLORS
from difiisr_ros.lab.detection.score import score
from difiisr_ros.lab.detection.train import DetectorTrainer, TrainSettings
from difiisr_ros.lab.evaluation.methods import pillow_upscale
from difiisr_ros.lab.frames.degrade import crop_to_scale, degrade_bicubic
from difiisr_ros.models.detector.boxes import pairwise_iou
from difiisr_ros.models.detector.checkpoint import load_detector
from difiisr_ros.models.detector.detector import Detector
from difiisr_ros.models.detector.model import DetectorConfig, ThermalDetector
from support.detection_scenes import CLASSES, scene, write_set

pytest.importorskip("pycocotools", reason="pycocotools is not installed")
SMALL = DetectorConfig((8, 16, 16, 16, 16), (0, 1, 0, 0, 0), head_channels=16, classes=CLASSES)


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    root = tmp_path_factory.mktemp("detection")
    return write_set(root / "train", 24), write_set(root / "val", 8, seed=1000)


def _settings(**changes) -> TrainSettings:
    defaults = dict(
        steps=4,
        batch=4,
        crop=64,
        warmup_steps=5,
        precision="fp32",
        validate_every=100,
        learning_rate=4e-3,
        config=SMALL,
    )
    return TrainSettings(**{**defaults, **changes})


def _trainer(folders, out, **changes) -> DetectorTrainer:
    sets = [read_boxes(f, default_annotations(f), CLASSES) for f in folders]
    return DetectorTrainer(*sets, out, _settings(**changes))


@pytest.fixture(scope="module")
def trained(folders, tmp_path_factory):
    """A file of a detector that has learnt the synthetic frames."""
    out = tmp_path_factory.mktemp("run")
    return _trainer(folders, out, steps=200, batch=8, ema=0.9, data_name="rectangles").run()


def test_it_learns_to_find_what_it_was_shown(trained):
    network, facts = load_detector(str(trained))
    assert network.config == SMALL
    assert facts["trained_on"] == "rectangles"
    assert facts["licence"] == "not stated"
    assert facts["settings"]["steps"] == facts["step"] == 200
    assert facts["validation"]["map50"] > 0.8
    detector = Detector(network)
    for seed in (2000, 2001):
        frame, objects = scene(seed)
        found = detector.detect(frame, min_score=0.3)
        assert len(found) == len(objects)
        for entry in objects:
            x, y, w, h = entry["bbox"]
            overlap = pairwise_iou(found.boxes, np.array([[x, y, x + w, y + h]]))[:, 0]
            assert overlap.max() > 0.5
            assert found.labels[overlap.argmax()] == entry["category_id"] - 10


def test_counts_of_any_type_and_offset_are_seen_alike(trained):
    detector = Detector.load(str(trained))
    frame, _ = scene(2000)
    expected = detector.detect(frame, min_score=0.1)  # below, scores that tie change places
    sixteen = (frame.astype(np.uint16) * 20) + 29_000
    kelvin = frame.astype(np.float32) / 10 + 280
    for other in (sixteen, kelvin):
        found = detector.detect(other, min_score=0.1)
        np.testing.assert_allclose(found.boxes, expected.boxes, atol=0.1)
        np.testing.assert_allclose(found.scores, expected.scores, atol=0.01)
    # A range of the caller's choice is used: in a far wider one nothing stands out.
    assert len(detector.detect(frame, (0.0, 5000.0), min_score=0.3)) == 0
    assert len(expected) > 0


def test_reduced_precision_finds_the_same_objects(trained):
    frame, _ = scene(2000)
    exact = Detector.load(str(trained)).detect(frame, min_score=0.3)
    reduced = Detector.load(str(trained), precision="bf16").detect(frame, min_score=0.3)
    assert len(exact) == len(reduced) > 0
    np.testing.assert_allclose(np.sort(reduced.boxes, 0), np.sort(exact.boxes, 0), atol=1)


def test_frames_that_are_none():
    detector = Detector(ThermalDetector(SMALL).eval())
    with pytest.raises(FrameError, match="two dimensions"):
        detector.detect(np.zeros((4, 4, 3), np.uint8))
    with pytest.raises(OptionError, match="precision is one of auto, fp32, bf16, got 'int8'"):
        Detector(ThermalDetector(SMALL).eval(), precision="int8")


def test_an_interrupted_run_continues_as_if_it_had_not_been(folders, tmp_path):
    straight = _trainer(folders, tmp_path / "a", steps=6, validate_every=3)
    straight.run()
    first = _trainer(folders, tmp_path / "b", steps=6, validate_every=3)
    assert not first.resume()
    while first.step < 3:
        first._train_step()
    first._validate()
    first._save()
    second = _trainer(folders, tmp_path / "b", steps=6, validate_every=3)
    assert second.resume() and second.step == 3
    second.run()
    for a, b in zip(straight.model.parameters(), second.model.parameters()):
        torch.testing.assert_close(a, b)
    assert [entry["step"] for entry in second.history] == [3, 6]


def test_a_damaged_state_is_refused(folders, tmp_path):
    (tmp_path / "last.pt").write_bytes(b"nonsense")
    with pytest.raises(DataError, match=r"last\.pt cannot be continued"):
        _trainer(folders, tmp_path).resume()


def test_the_best_weights_are_kept_not_the_last(folders, tmp_path, monkeypatch):
    trainer = _trainer(folders, tmp_path)
    scores = iter([0.2, 0.5, 0.4])

    class Scores:
        def metrics(self):
            return dict.fromkeys(("map50", "map50_95"), next(scores))

    monkeypatch.setattr("difiisr_ros.lab.detection.train.evaluate_boxes", lambda *_: Scores())
    files = []
    for step in (1, 2, 3):
        trainer.step = step
        trainer._validate()
        files.append(load_detector(str(trainer.model_file))[1]["step"])
    assert files == [1, 2, 2]
    assert [entry["map50_95"] for entry in trainer.history] == [0.2, 0.5, 0.4]


def test_frames_without_objects_teach_nothing(folders, tmp_path):
    box_set = read_boxes(folders[1], default_annotations(folders[1]), CLASSES)
    nothing = np.zeros((0, 4), np.float32), np.zeros(0, np.int64)
    bare = replace(
        box_set, images=[BoxedImage(i.image_id, i.place, *nothing) for i in box_set.images]
    )
    with pytest.raises(DataError, match="none of the frames to train on has an object"):
        DetectorTrainer(bare, box_set, tmp_path, _settings())


def test_train_command(folders, tmp_path, capsys):
    train, val = folders
    arguments = [
        "train-detector", str(train), "--validation", str(val), "--out", str(tmp_path / "run"),
        "--steps", "3", "--batch", "2", "--crop", "64", "--channels", "4,4,4,4,4",
        "--head-channels", "4", "--classes", ",".join(CLASSES), "--seed", "5",
        "--json", str(tmp_path / "history.json"),
    ]  # fmt: skip
    assert main(arguments) == 0
    path = tmp_path / "run" / "detector.safetensors"
    assert f"wrote {path}" in capsys.readouterr().out
    network, facts = load_detector(str(path))
    assert network.config.channels == (4, 4, 4, 4, 4)
    assert facts["settings"]["seed"] == 5 and facts["trained_on"] == "train"
    report = json.loads((tmp_path / "history.json").read_text())
    assert report["history"][0]["step"] == 3
    assert main(arguments) == 0
    assert "continuing" in capsys.readouterr().out


def test_training_does_not_start_without_what_it_validates_with(folders, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "pycocotools.cocoeval", None)
    assert main(["train-detector", str(folders[0]), "--validation", str(folders[1])]) == 2
    assert "pycocotools" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--crop", "100"], "--crop must be a multiple of 32"),
        (["--rare-below", "2"], "--rare-below must be in [0, 1], got 2.0"),
        (["--steps", "0"], "--steps must be above 0"),
        (["--classes", "tram"], "has no class tram; it has upright, lying"),
        (["--boxes", "gone.json"], "gone.json: cannot be read"),
    ],
)
def test_train_command_refuses(folders, tmp_path, capsys, arguments, message):
    train, val = folders
    base = ["train-detector", str(train), "--validation", str(val), "--out", str(tmp_path)]
    assert main([*base, *arguments]) == 2
    assert message in capsys.readouterr().err


def test_detect_scores_hr_and_upscaled_frames(trained, folders, tmp_path, capsys):
    val = folders[1]
    boxes, report = default_annotations(val), tmp_path / "report.json"
    code = main(
        [
            "detect",
            str(val),
            "--boxes",
            str(boxes),
            "--detector",
            str(trained),
            "--methods",
            "bicubic,difiisr",
            "--min-objects",
            "1",
            "--resamples",
            "50",
            "--json",
            str(report),
        ]
    )
    assert code == 0
    out = capsys.readouterr().out
    assert "8 frames" in out and "bicubic - hr" in out and "means over upright, lying" in out
    numbers = json.loads(report.read_text())
    assert list(numbers["methods"]) == ["hr", "bicubic", "difiisr"]
    hr, bicubic = (numbers["methods"][name]["map50"] for name in ("hr", "bicubic"))
    assert hr["value"] > 0.8
    assert hr["low"] <= hr["value"] <= hr["high"]
    difference = numbers["against_hr"]["bicubic"]["map50"]["value"]
    assert difference == pytest.approx(bicubic["value"] - hr["value"], abs=1e-4)
    assert "(camera, 1 % noise)" in out
    ours = numbers["methods"]["difiisr"]["map50"]["value"]
    share = numbers["recovered"]["difiisr"]
    lost = hr["value"] - bicubic["value"]
    expected = 100 * (ours - bicubic["value"]) / lost if lost > 0 else None
    assert share["value"] == (expected and pytest.approx(expected, rel=0.01))
    assert (f"difiisr recovers {round(share['value'])} % [" in out) if lost > 0 else True
    assert list(numbers["recovered"]) == ["difiisr"]
    settings = numbers["settings"]
    assert (settings["degradation"], settings["noise_percent"]) == ("camera", 1.0)


def test_detect_scores_frames_as_they_were_reduced(trained, folders, tmp_path, capsys):
    box_set = read_boxes(folders[1], default_annotations(folders[1]), CLASSES)
    seen = {}
    for how in ({"degradation": "reduced"}, {"degradation": "camera", "noise_percent": 20.0}):
        frames = seen[how["degradation"]] = []

        def upscale(lr: np.ndarray, frames=frames) -> np.ndarray:
            frames.append(lr)
            return pillow_upscale(lr)

        score(Detector.load(str(trained)), box_set, {"ours": upscale}, **how, resamples=2)
    first = crop_to_scale(read_image(box_set.images[0].place.path))
    np.testing.assert_array_equal(seen["reduced"][0], degrade_bicubic(first))
    difference = seen["camera"][0].astype(float) - seen["reduced"][0]
    assert difference.std() > 0.1 * np.subtract(*np.percentile(first, (99, 1)))
    base = ["detect", str(folders[1]), "--detector", str(trained)]
    assert main([*base, "--degradation", "bicubic"]) == 2
    assert "is called 'reduced' now" in capsys.readouterr().err


def test_every_method_is_scored_on_what_it_makes_of_the_reduced_frame(trained, folders):
    box_set = read_boxes(folders[1], default_annotations(folders[1]), CLASSES)
    shapes = []

    def blank(lr: np.ndarray) -> np.ndarray:
        shapes.append((lr.shape, lr.dtype))
        return np.full((96, 128), 60, np.uint8)

    def shifted(lr: np.ndarray) -> np.ndarray:
        return np.roll(pillow_upscale(lr), 40, axis=1)

    methods = {"blank": blank, "shifted": shifted, "pillow": pillow_upscale}
    report = score(Detector.load(str(trained)), box_set, methods, resamples=40)
    assert shapes == [((24, 32), np.uint8)] * 8
    values = {name: scores["map50"]["value"] for name, scores in report["methods"].items()}
    assert values["blank"] < 0.01 and values["shifted"] < 0.1
    assert values["pillow"] > 0.5 and values["hr"] > 0.8
    lost = report["against_hr"]["blank"]["map50"]
    assert lost["value"] == pytest.approx(-values["hr"], abs=0.01) and lost["high"] < -0.5


def test_detect_lists_what_it_finds(trained, folders, tmp_path, capsys):
    found = tmp_path / "found.json"
    assert main(["detect", str(folders[1]), "--detector", str(trained), "--json", str(found)]) == 0
    listed = json.loads(found.read_text())["frames"]
    truth = scene(1000)[1]
    names = sorted(entry["class"] for entry in listed["0.png"])
    assert names == sorted(CLASSES[o["category_id"] - 10] for o in truth)
    assert f"0.png: {names.count('lying')} lying" in capsys.readouterr().out.replace(
        f"0.png: {names.count('upright')} upright, ", "0.png: "
    )
    assert all(entry["score"] >= 0.3 for frame in listed.values() for entry in frame)


def test_detect_draws_what_it_finds(trained, folders, tmp_path):
    code = main(["detect", str(folders[1]), "--detector", str(trained), "--draw", str(tmp_path)])
    assert code == 0
    assert len(list(tmp_path.glob("*.png"))) == 8
    picture = np.asarray(Image.open(tmp_path / "0.png"))
    assert picture.shape == (96, 128, 3)
    frame, objects = scene(1000)
    found = Detector.load(str(trained)).detect(frame, min_score=0.3)
    for label in {o["category_id"] - 10 for o in objects}:
        rows, columns = np.nonzero((picture == COLORS[label]).all(axis=2))
        boxes = found.boxes[found.labels == label].round()
        assert columns.min() == boxes[:, 0].min() and rows.max() >= boxes[:, 3].max() - 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--boxes", "x.json", "--draw", "out"], "leave --boxes, --agreement out"),
        (["--min-score", "1.5"], "--min-score must be in [0, 1), got 1.5"),
        (["--resamples", "0"], "must be at least 1"),
        (["--detector", "gone"], "detector 'gone' is neither"),
    ],
)
def test_detect_command_refuses(folders, capsys, arguments, message):
    assert main(["detect", str(folders[1]), *arguments]) == 2
    assert message in capsys.readouterr().err


@pytest.fixture
def with_a_bad_file(folders, tmp_path):
    """Both folders; in each, one of the files that have boxes is no image."""
    copies = [shutil.copytree(folder, tmp_path / folder.name) for folder in folders]
    for folder, copy in zip(folders, copies):
        shutil.copy(default_annotations(folder), default_annotations(copy))
        (copy / "2.png").write_text("no picture")
    return copies


def test_bad_files_are_left_out_of_training(with_a_bad_file, tmp_path, capsys):
    train, val = with_a_bad_file
    report = tmp_path / "history.json"
    arguments = [
        "train-detector", str(train), "--validation", str(val), "--out", str(tmp_path / "run"),
        "--steps", "1", "--batch", "1", "--crop", "64", "--channels", "4,4,4,4,4",
        "--head-channels", "4", "--classes", ",".join(CLASSES), "--json", str(report),
    ]  # fmt: skip
    assert main([*arguments, "--strict"]) == 2
    assert "2.png: is not an image" in capsys.readouterr().err
    assert main(arguments) == 0
    assert "detector.safetensors, 2 files left out" in capsys.readouterr().out
    left_out = json.loads(report.read_text())["left_out"]
    assert [f"{folder / '2.png'}: is not" in s for folder, s in zip((train, val), left_out)] == [
        True,
        True,
    ]


@pytest.mark.parametrize("scored", [True, False])
def test_bad_files_are_left_out_of_what_is_found(
    with_a_bad_file, trained, tmp_path, capsys, scored
):
    val, report = with_a_bad_file[1], tmp_path / "report.json"
    arguments = ["detect", str(val), "--detector", str(trained), "--json", str(report)]
    if scored:
        arguments += ["--boxes", str(default_annotations(val)), "--methods", "bicubic"]
        arguments += ["--resamples", "2", "--min-objects", "1"]
    assert main([*arguments, "--strict"]) == 2
    assert "2.png: is not an image" in capsys.readouterr().err
    assert main(arguments) == 0
    assert "1 left out, see above" in capsys.readouterr().err
    numbers = json.loads(report.read_text())
    (sentence,) = numbers["left_out"]
    assert sentence.startswith(f"{val / '2.png'}: is not an image")
    if scored:
        assert numbers["methods"]["hr"]["map50"]["value"] > 0.8  # its objects are not missed
    else:
        assert len(numbers["frames"]) == 7
    for path in val.glob("*.png"):
        path.write_text("no picture")
    assert main(arguments) == 2
    assert "none of its images can be" in capsys.readouterr().err


def test_detect_names_unknown_methods(folders, capsys):
    with pytest.raises(SystemExit) as stop:
        main(["detect", str(folders[1]), "--methods", "bicubic,magic"])
    assert stop.value.code == 2
    assert "bicubic, bicubic_pillow, lanczos, difiisr" in capsys.readouterr().err
