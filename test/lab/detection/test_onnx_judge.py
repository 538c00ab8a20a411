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

"""A user's ONNX detector as judge: classes by name, scores as the shipped judge's."""

from __future__ import annotations

import json

import numpy as np
import pytest

from difiisr_ros.cli import main
from difiisr_ros.errors import DataError
from difiisr_ros.io.left_out import LeftOut
from difiisr_ros.lab.detection.judge import agreeing_judge, load_judge
from difiisr_ros.models.detector.boxes import Detections
from difiisr_ros.models.detector.class_names import COCO, PACKAGE, RenamedDetector, match_classes
from support.detection_scenes import CLASSES, write_set

onnx = pytest.importorskip("onnx", reason="the tests write their own graphs")
pytest.importorskip("onnxruntime", reason="a user's detector runs in ONNX Runtime")
pytest.importorskip("pycocotools", reason="scoring needs pycocotools")

SIDE = 128
CELL = 8  # pixels; warm things are looked for in each


def warm_detector(path, names, size=SIDE):
    """YOLOv8's layout: an object of one cell wherever the picture is warm there on average."""
    from onnx import TensorProto, helper, numpy_helper

    cells = size // CELL
    rows, columns = np.mgrid[0:cells, 0:cells]
    boxes = np.stack([(columns + 0.5) * CELL, (rows + 0.5) * CELL]).reshape(2, -1)
    boxes = np.concatenate([boxes, np.full_like(boxes, 2 * CELL)])[None].astype(np.float32)
    share = np.zeros((len(names), 3, 1, 1), np.float32)
    share[0] = 1 / 3  # the first class sees what is warm, the others nothing
    constants = {
        "share": share,
        "threshold": np.full(len(names), -0.6, np.float32),  # what is cooler is not found at all
        "boxes": boxes,
        "shape": np.array([1, len(names), cells * cells], np.int64),
    }
    nodes = [
        helper.make_node(
            "AveragePool", ["images"], ["mean"], kernel_shape=[CELL, CELL], strides=[CELL, CELL]
        ),
        helper.make_node("Conv", ["mean", "share", "threshold"], ["warm"]),
        helper.make_node("Reshape", ["warm", "shape"], ["scores"]),
        helper.make_node("Concat", ["boxes", "scores"], ["output0"], axis=1),
    ]
    picture = helper.make_tensor_value_info("images", TensorProto.FLOAT, [1, 3, size, size])
    found = helper.make_tensor_value_info("output0", TensorProto.FLOAT, None)
    graph = helper.make_graph(
        nodes,
        "detector",
        [picture],
        [found],
        [numpy_helper.from_array(v, k) for k, v in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    entry = model.metadata_props.add()
    entry.key, entry.value = "names", str(dict(enumerate(names)))
    onnx.save(model, path)
    return str(path)


def test_cocos_classes_are_the_packages_by_name_and_meaning():
    found = match_classes(COCO, PACKAGE)
    assert {COCO[label]: name for label, name in found.items()} == {
        "person": "person",
        "bicycle": "bicycle",
        "car": "car",
        "bus": "other_vehicle",
        "truck": "other_vehicle",
    }
    assert match_classes(["Pedestrian", "Other Vehicle"], PACKAGE) == {
        0: "person",
        1: "other_vehicle",
    }
    # A name of the boxes' own goes before what it means here, and what a user says before both.
    assert match_classes(["truck", "bus"], ["truck", "other_vehicle"]) == {
        0: "truck",
        1: "other_vehicle",
    }
    assert match_classes(["dog", "car"], ["car", "animal"], {"dog": "animal"}) == {
        0: "animal",
        1: "car",
    }
    with pytest.raises(DataError, match=r"\(dog, cat\) is one of the boxes' \(person\).*same_as"):
        match_classes(["dog", "cat"], ["person"])


def test_what_two_classes_found_is_one_object_of_one():
    class Twice:
        classes = ("bus", "dog", "truck")

        def detect(self, frame, value_range=None, min_score=0.01):
            boxes = np.array([[0, 0, 9, 9], [0, 0, 9, 9], [0, 0, 9, 8]], np.float32)
            return Detections(boxes, np.array([0.9, 0.8, 0.7], np.float32), np.array([2, 1, 0]))

    detector = RenamedDetector(Twice(), match_classes(Twice.classes, PACKAGE))
    found = detector.detect(np.zeros((16, 16), np.uint8))
    assert detector.classes == ("other_vehicle",)
    assert found.labels.tolist() == [0]
    assert found.scores.tolist() == pytest.approx([0.9])


@pytest.fixture
def scenes(tmp_path):
    """Six frames with boxes of two classes, and a detector that knows one of them by another
    name."""
    folder = write_set(tmp_path / "frames", 6)
    detector = warm_detector(tmp_path / "d.onnx", ["standing", "tree"])
    (tmp_path / "d.detector.yaml").write_text(f"same_as: {{standing: {CLASSES[0]}}}")
    return folder, folder.with_name("frames.json"), detector


def test_only_classes_that_both_know_are_judged(scenes):
    folder, boxes, detector = scenes
    judge, box_set = load_judge(detector, folder, boxes)
    assert judge.classes == (CLASSES[0],)
    assert {label for image in box_set.images for label in image.labels.tolist()} == {0}


def test_detect_scores_by_it_as_by_the_shipped_judge(scenes, tmp_path, capsys):
    folder, boxes, detector = scenes
    out = tmp_path / "scores.json"
    command = ["detect", str(folder), "--detector", detector, "--methods", "bicubic,lanczos"]
    command += ["--min-objects", "1", "--resamples", "20", "--json", str(out)]
    assert main([*command, "--boxes", str(boxes)]) == 0
    report = json.loads(out.read_text())
    assert report["averaged"] == [CLASSES[0]]
    assert report["settings"]["truth"] == str(boxes)
    assert set(report["against_hr"]) == {"bicubic", "lanczos"}
    entry = report["against_hr"]["bicubic"]["map50"]
    assert entry["low"] <= entry["value"] <= entry["high"]
    assert "lanczos - hr" in capsys.readouterr().out


def test_agreement_needs_no_boxes(scenes, tmp_path, capsys):
    folder, _, detector = scenes
    out = tmp_path / "scores.json"
    command = ["detect", str(folder), "--detector", detector, "--agreement", "--min-score", "0.02"]
    command += ["--min-objects", "1", "--resamples", "20", "--json", str(out)]
    assert main(command) == 0
    report = json.loads(out.read_text())
    assert report["methods"]["hr"]["map50"]["value"] == pytest.approx(1)
    assert report["methods"]["bicubic"]["map50"]["value"] < 1
    assert report["averaged"] == ["standing"]  # no class of thermal annotations: its own
    assert "finds in the frames themselves with 0.02 or better" in capsys.readouterr().out
    with pytest.raises(DataError, match="finds nothing"):
        agreeing_judge(detector, folder, 0.999, LeftOut())
    assert main([*command, "--boxes", "any.json"]) == 2


def test_evaluate_takes_it_too(scenes, tmp_path):
    folder, boxes, detector = scenes
    command = ["evaluate", str(folder), "--boxes", str(boxes), "--detector", detector]
    command += ["--backend", "bicubic", "--workers", "1", "--json", str(tmp_path / "r.json")]
    assert main(command) == 0
    settings = json.loads((tmp_path / "r.json").read_text())["settings"]["detection"]
    assert settings["detector"] == detector and settings["classes"] == [CLASSES[0]]
