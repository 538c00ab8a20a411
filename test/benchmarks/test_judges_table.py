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

"""What results are worth to several detectors: shares recovered, paired differences, the table."""

from __future__ import annotations

import importlib

import numpy as np
import pytest

pytest.importorskip("pycocotools", reason="scoring needs pycocotools")

from difiisr_ros.lab.detection.boxes import read_boxes
from difiisr_ros.models.detector.boxes import Detections
from difiisr_ros.quality import PRESETS
from support.detection_scenes import CLASSES, write_set

FRAMES = 24


@pytest.fixture
def script(repository, monkeypatch):
    monkeypatch.syspath_prepend(str(repository / "benchmarks"))
    return importlib.import_module("judges_table")


class Counts:
    """Finds one object more of the true ones the brighter a picture's first pixel is."""

    classes = ("person",)

    def __init__(self, boxes):
        self._boxes = boxes  # by the picture's second pixel

    def detect(self, picture, value_range=None, min_score=0.01):
        boxes = self._boxes[int(picture[0, 1])][: int(picture[0, 0])]
        count = len(boxes)
        return Detections(boxes, np.full(count, 0.9, np.float32), np.zeros(count, np.int64))


def test_settings_are_presets_or_steps_and_scales(script):
    assert script.options_of("detail") == PRESETS["detail"]
    assert script.options_of("2:v0.5")["visual_scale"] == 0.5
    assert script.options_of("4")["num_steps"] == 4


def test_shares_and_differences_are_paired(script, tmp_path):
    """Full frames show all objects, bicubic none, the first setting one, the second two."""
    folder = write_set(tmp_path / "frames", FRAMES)
    names = folder.with_name("frames.json")
    names.write_text(names.read_text().replace(f'"{CLASSES[0]}"', '"person"'))
    box_set = read_boxes(folder, names, ["person"])
    box_set.images.sort(key=lambda image: image.image_id)
    judge = Counts([image.boxes for image in box_set.images])
    found = {"hr": {}, "bicubic": {}, "1": {}, "2": {}}
    for number, image in enumerate(box_set.images):
        for method, count in zip(found, (99, 0, 1, 2)):
            picture = np.array([[count, number]])
            found[method][image.image_id] = judge.detect(picture)
    report = script.scores(judge, box_set, found, ["1", "2"], 1, 50)
    methods = report["methods"]
    assert report["frames"] == FRAMES and report["averaged"] == ["person"]
    assert methods["hr"]["map50"]["value"] == pytest.approx(1)
    first, second = (methods[name]["map50 recovered, %"] for name in ("1", "2"))
    assert 0 < first["low"] <= first["value"] < second["value"] <= second["high"] <= 100
    assert methods["1"]["map50 - first"] == {"value": 0.0, "low": 0.0, "high": 0.0}
    assert methods["2"]["map50 - first"]["low"] > 0
    assert methods["2"]["recall50_small/person recovered, %"]["value"] > 0
    rare = script.scores(judge, box_set, found, ["1", "2"], 1000, 5)["methods"]["2"]
    assert not any(key.startswith("recall") for key in rare)  # too few to tell anything
    row = report | {"set": "frames", "degradation": "camera", "detector": "counts"}
    text = script.table([row])
    assert text.count("\n") == 1 + len(methods)
    assert f"| {second['value']:.0f} [" in text


def test_a_told_camera_is_that_of_the_same_frame(script):
    hr = np.random.default_rng(0).integers(0, 255, (64, 80)).astype(np.uint8)
    seen, nothing = script.reduced(hr, "camera", "a.png", 1.0)
    same, camera = script.reduced(hr, "told", "a.png", 1.0)
    assert np.array_equal(seen, same) and nothing is None
    low, high = np.percentile(hr, (1, 99))
    assert camera.noise == pytest.approx(0.01 * (high - low), rel=0.02)
    assert 0.2 <= camera.blur <= 0.6


def test_frames_are_chosen_evenly(script, tmp_path):
    folder = write_set(tmp_path / "frames", 9)
    box_set = read_boxes(folder, folder.with_name("frames.json"), CLASSES)
    assert [image.image_id for image in script.chosen(box_set, 3)] == [100, 104, 108]
    assert len(script.chosen(box_set, None)) == 9
    assert script.set_name(tmp_path / "hit_uav" / "test") == "hit_uav/test"
    assert script.set_name(folder) == "frames"
