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

"""Boxes in an evaluation: mAP in table and JSON, and the drawings over the report's pictures."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import numpy as np
import pytest
import torch

pytest.importorskip("pycocotools", reason="scoring needs pycocotools")

from difiisr_ros.cli import main
from difiisr_ros.errors import OptionError
from difiisr_ros.lab.evaluation import box_scores
from difiisr_ros.lab.evaluation.box_scores import BoxJudge
from difiisr_ros.lab.evaluation.limits import parse_limit
from difiisr_ros.lab.evaluation.results import BoxScores
from difiisr_ros.lab.frames.degrade import truth_at
from difiisr_ros.lab.frames.open_streams import open_streams
from difiisr_ros.lab.frames.streams import StreamOptions
from difiisr_ros.lab.report.boxes import Counts, count_matches, frame_boxes
from difiisr_ros.lab.report.page import html_page
from difiisr_ros.lab.report.text_table import text_report
from difiisr_ros.lab.scores.metric_table import BOX_METRICS
from difiisr_ros.models.detector.boxes import Detections
from difiisr_ros.models.detector.checkpoint import save_detector
from difiisr_ros.models.detector.model import DetectorConfig, ThermalDetector
from support.detection_scenes import CLASSES, write_set
from support.report_evaluation import METHODS, evaluation

CONFIG = DetectorConfig(channels=(4, 4, 4, 4, 4), blocks=(0,) * 5, head_channels=4, classes=CLASSES)


def _boxes(*entries: tuple[float, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Of (left, top, right, bottom, label)."""
    table = np.array(entries, np.float32).reshape(-1, 5)
    return table[:, :4], table[:, 4].astype(np.int64)


@pytest.mark.parametrize(
    ("found", "counts"),
    [
        (_boxes(), Counts(0, 2, 0)),
        (_boxes((11, 10, 21, 20, 0), (40, 10, 50, 20, 1)), Counts(2, 0, 0)),
        (_boxes((11, 10, 21, 20, 1)), Counts(0, 2, 1)),  # of another class
        (_boxes((16, 10, 26, 20, 0)), Counts(0, 2, 1)),  # a third overlaps
        (_boxes((11, 10, 21, 20, 0), (10, 10, 20, 20, 0)), Counts(1, 1, 1)),  # one object, twice
    ],
)
def test_a_detection_finds_one_object_of_its_class(found, counts):
    assert count_matches(_boxes((10, 10, 20, 20, 0), (40, 10, 50, 20, 1)), found) == counts


def test_a_frame_without_objects_has_only_false_ones():
    assert count_matches(_boxes(), _boxes((1, 1, 9, 9, 0))) == Counts(0, 0, 1)
    assert count_matches(_boxes(), _boxes()) == Counts(0, 0, 0)


def _detections(entries, scores) -> Detections:
    boxes, labels = _boxes(*entries)
    return Detections(boxes, np.array(scores, np.float32), labels)


@pytest.fixture
def seen():
    """An evaluation whose frames each hold one object, which only some pictures show."""
    found = evaluation()
    rows = range(len(found.frames))
    one = _detections([(8, 8, 24, 24, 1), (30, 30, 40, 40, 0)], [0.9, 0.2])
    none = _detections([], [])
    boxes = BoxScores(
        "detector_judge",
        ("person", "<car>"),
        ("<car>",),
        {row: _boxes((8, 8, 24, 25, 1)) for row in rows},
        {
            name: {r: none if name == "bicubic" else one for r in rows}
            for name in (*METHODS, "truth")
        },
    )
    return replace(found, boxes=boxes)


def test_weak_detections_are_not_shown(seen):
    boxes = frame_boxes(seen, 3)
    assert len(boxes.found["difiisr"][0]) == 1
    assert len(boxes.found["bicubic"][0]) == 0
    assert frame_boxes(evaluation(), 3) is None
    assert frame_boxes(replace(seen, boxes=replace(seen.boxes, true={})), 3) is None


def test_every_picture_has_a_drawing_that_slides_with_it(seen):
    stage = re.search(r'<div class="stage".*?</div>', html_page(seen), re.S)[0]
    pictures = re.findall(r'<img [^>]*class="([^"]*)" data-name="([^"]*)"', stage)
    drawings = re.findall(r'<svg class="([^"]*)" [^>]*data-name="([^"]*)"', stage)
    assert [name for _, name in drawings] == [name for _, name in pictures]
    assert {"camera", "truth", *METHODS} == {name for _, name in pictures}
    for (layer, _), (drawn, _) in zip(pictures, drawings):
        assert drawn.split() == ["layer", "boxes", *layer.split()[1:]]
    # The script takes a side's value from the first layer, which must be a picture.
    assert stage.rindex("<img") < stage.index("<svg")


def test_boxes_are_drawn_where_they_are(seen):
    page = html_page(seen)
    ours = re.search(r'<svg [^>]*data-name="difiisr".*?</svg>', page, re.S)[0]
    assert 'viewBox="0 0 64 48"' in ours
    assert '<path d="M8.0 8.0H24.0V24.0H8.0Z" class="found"' in ours
    assert '<path d="M8.0 8.0H24.0V25.0H8.0Z" class="true"' in ours
    assert "1 true objects, 1 found by the detector in difiisr" in ours
    assert "M30.0" not in page  # the weak one
    bicubic = re.search(r'<svg [^>]*data-name="bicubic".*?</svg>', page, re.S)[0]
    assert 'class="found"' not in bicubic and 'class="true"' in bicubic
    camera = re.search(r'<svg [^>]*data-name="camera".*?</svg>', page, re.S)[0]
    assert "1 true objects</title>" in camera


@pytest.mark.parametrize("scale", [2, 1])
def test_boxes_lie_over_pictures_of_another_scale(seen, scale):
    """They are in the truth's pixels, of which a picture at that scale has fewer."""
    pictures = seen.frame

    def reduced(row):
        frame = pictures(row)
        small = {name: truth_at(image, scale) for name, image in frame.methods.items()}
        return replace(frame, hr=truth_at(frame.hr, scale), methods=small)

    page = html_page(replace(seen, scale=scale, frame=reduced))
    ours = re.search(r'<svg [^>]*data-name="difiisr".*?</svg>', page, re.S)[0]
    assert 'viewBox="0 0 64 48"' in ours
    assert '<path d="M8.0 8.0H24.0V24.0H8.0Z" class="found"' in ours
    assert f"aspect-ratio:{16 * scale}/{12 * scale}" in page


def test_switch_legend_and_counts_are_there(seen):
    page = html_page(seen)
    assert page.count('type="checkbox"') == 3
    assert "&lt;car&gt;" in page and "<car>" not in page
    rows = re.findall(
        r'<span class="dot"></span>(\w+)</th><td>(\d)</td><td>(\d)</td><td>(\d)</td></tr>', page
    )
    assert rows[: len(METHODS) + 1] == [
        ("bicubic", "0", "1", "0"),
        ("difiisr", "1", "0", "0"),
        ("other", "1", "0", "0"),
        ("truth", "1", "0", "0"),
    ]


def test_without_boxes_the_page_has_none():
    page = html_page(evaluation())
    assert "checkbox" not in page and '<svg class="layer' not in page
    assert "mAP50" not in page


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Frames with boxes, and an untrained detector of their classes that finds something."""
    folder = tmp_path_factory.mktemp("boxes")
    write_set(folder / "frames", 8)
    torch.manual_seed(0)
    detector = ThermalDetector(CONFIG)
    detector.class_out.bias.data.fill_(0.0)
    save_detector(folder / "random.safetensors", detector, {})
    return folder


@pytest.fixture(autouse=True)
def _few_resamples(monkeypatch):
    monkeypatch.setattr(box_scores, "RESAMPLES", 40)


def _arguments(data, *more):
    boxes = ["--boxes", str(data / "frames.json"), "--detector", str(data / "random.safetensors")]
    return ["evaluate", str(data / "frames"), "--backend", "bicubic", *boxes, *more]


def test_table_and_json_have_what_detect_measures(data, tmp_path, capsys):
    assert main(_arguments(data, "--json", str(tmp_path / "e.json"))) == 0
    out = capsys.readouterr().out
    for title in ("mAP50 ", "mAP50-95", "recall, small"):
        assert len(re.findall(rf"^{title}", out, re.M)) == 2  # the means, and the difference
    found = json.loads((tmp_path / "e.json").read_text())
    detect = ["detect", str(data / "frames"), *_arguments(data)[4:], "--methods", "bicubic"]
    detect += ["--resamples", "5"]
    assert main([*detect, "--json", str(tmp_path / "d.json")]) == 0
    expected = json.loads((tmp_path / "d.json").read_text())["methods"]
    assert expected["bicubic"]["map50"]["value"] > 0, "finds nothing: nothing is compared"
    for metric in BOX_METRICS:
        bicubic, truth = found["methods"]["bicubic"][metric], found["truth"][metric]
        assert bicubic == pytest.approx(expected["bicubic"][metric]["value"], abs=1e-4)
        assert truth == pytest.approx(expected["hr"][metric]["value"], abs=1e-4)
        low, high = found["intervals"]["bicubic"][metric]
        assert low <= high
    assert found["settings"]["detection"]["frames_with_boxes_known"] == 8
    assert "--boxes" in found["command"] and "--detector" in found["command"]


def test_a_limit_may_be_on_what_the_detector_finds(data, capsys):
    assert main(_arguments(data, "--fail-below", "map50=1.1")) == 1
    assert "map50 of difiisr" in capsys.readouterr().err
    assert main([*_arguments(data)[:4], "--fail-below", "map50=0.1"]) == 2
    assert "map50 is not measured in this run" in capsys.readouterr().err
    assert parse_limit("map50_gain=0.1", "difiisr", True).is_gain


def test_frames_that_the_file_does_not_name_are_said(data, tmp_path, capsys):
    content = json.loads((data / "frames.json").read_text())
    content["images"] = content["images"][:6]
    (tmp_path / "some.json").write_text(json.dumps(content))
    arguments = _arguments(data)
    arguments[arguments.index("--boxes") + 1] = str(tmp_path / "some.json")
    assert main(arguments) == 0
    assert "2 frames are not in" in capsys.readouterr().out


def test_boxes_need_one_folder_and_a_truth(data):
    frames, boxes = data / "frames", data / "frames.json"
    without = open_streams([frames], StreamOptions(no_reference=True))
    with pytest.raises(OptionError, match="no-reference has no truth"):
        BoxJudge(boxes, str(data / "random.safetensors"), without)
    write_set(data / "more", 2)
    two = open_streams([frames, data / "more"], StreamOptions())
    with pytest.raises(OptionError, match="one folder"):
        BoxJudge(boxes, str(data / "random.safetensors"), two)


def test_the_terminal_shows_the_truth_beside(seen):
    from difiisr_ros.lab.evaluation.results import Estimate

    given = seen.given | {"map50": Estimate(0.875, 0.8, 0.9)}
    methods = {
        name: replace(m, means=m.means | {k: Estimate(0.5, 0.4, 0.6) for k in BOX_METRICS})
        for name, m in seen.methods.items()
    }
    settings = seen.settings | {
        "dtype": "uint16",
        "lr_sizes": ["16x12"],
        "engine": {"model": "lite", "backend": "torch", "device": "cpu", "precision": "fp32"},
    }
    shown = text_report(replace(seen, given=given, methods=methods, settings=settings))
    assert re.search(r"mAP50 +highest +0\.500 +0\.500 +0\.500 +0\.875", shown)
