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

"""Boxes found in results of x4, x2 and x1 are compared in the truth's pixels."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch", reason="the detectors run in PyTorch")

from difiisr_ros.core.camera_profile import CameraProfile
from difiisr_ros.core.crop import Crop
from difiisr_ros.io.images import write_image
from difiisr_ros.lab.detection.boxes import BoxSet, read_boxes
from difiisr_ros.lab.detection.score import detect_upscaled, score
from difiisr_ros.lab.evaluation.methods import bicubic_upscale
from difiisr_ros.models.detector.boxes import Detections

OBJECT = (40, 24, 72, 56)  # left, top, right, bottom; whole camera pixels


class Detector:
    """Finds the one bright rectangle, and notes what it is shown."""

    classes = ("thing",)

    def __init__(self) -> None:
        self.shown: list[tuple[int, ...]] = []

    def detect(self, frame: np.ndarray) -> Detections:
        self.shown.append(frame.shape)
        bright = frame.astype(float) > (float(frame.max()) + float(frame.min())) / 2
        rows, columns = np.flatnonzero(bright.any(axis=1)), np.flatnonzero(bright.any(axis=0))
        box = [columns[0], rows[0], columns[-1] + 1, rows[-1] + 1]
        return Detections(
            np.array([box], np.float32), np.ones(1, np.float32), np.zeros(1, np.int64)
        )


@pytest.fixture
def box_set(tmp_path: Path) -> BoxSet:
    left, top, right, bottom = OBJECT
    frame = np.full((96, 128), 60, np.uint8)
    frame[top:bottom, left:right] = 200
    images, objects = [], []
    for number in range(3):
        write_image(tmp_path / "frames" / f"{number}.png", frame)
        images.append({"id": number, "file_name": f"{number}.png", "width": 128, "height": 96})
        box = {"bbox": [left, top, right - left, bottom - top], "area": 32 * 32, "iscrowd": 0}
        objects.append({"id": number + 1, "image_id": number, "category_id": 1, **box})
    content = {"images": images, "annotations": objects, "categories": [{"id": 1, "name": "thing"}]}
    (tmp_path / "frames.json").write_text(json.dumps(content))
    return read_boxes(tmp_path / "frames", tmp_path / "frames.json", Detector.classes)


@pytest.mark.parametrize("scale", [4, 2, 1])
def test_boxes_of_every_scale_are_in_the_truths_pixels(box_set, scale):
    detector = Detector()
    methods = {"bicubic": lambda lr: bicubic_upscale(lr, scale)}
    found = detect_upscaled(detector, box_set, methods, scale=scale)
    assert detector.shown[:2] == [(96, 128), (24 * scale, 32 * scale)]  # as it is
    for detections in (found["hr"], found["bicubic"]):
        np.testing.assert_allclose(detections[1].boxes[0], OBJECT, atol=2)


@pytest.mark.parametrize("scale", [2, 1])
def test_a_crop_is_of_the_truths_pixels_at_every_scale(box_set, scale):
    camera = CameraProfile(crop=Crop(top=8, left=16))
    methods = {"bicubic": lambda lr: bicubic_upscale(lr, scale)}
    found = detect_upscaled(Detector(), box_set, methods, camera=camera, scale=scale)
    np.testing.assert_allclose(found["bicubic"][0].boxes[0], OBJECT, atol=2)


@pytest.mark.parametrize("scale", [2, 1])
def test_scores_are_not_of_smaller_boxes(box_set, scale):
    pytest.importorskip("pycocotools", reason="scoring needs pycocotools")
    methods = {"bicubic": lambda lr: bicubic_upscale(lr, scale)}
    report = score(Detector(), box_set, methods, resamples=10, scale=scale)
    assert report["methods"]["bicubic"]["map50"]["value"] == pytest.approx(1)
    # Told of another scale than it is, the boxes lie elsewhere.
    wrong = score(Detector(), box_set, methods, resamples=10, scale=4)
    assert wrong["methods"]["bicubic"]["map50"]["value"] == 0
