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

"""COCO files and random crops: the boxes stay where the objects are."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from difiisr_ros.errors import DataError
from difiisr_ros.lab.detection.boxes import default_annotations, read_boxes
from difiisr_ros.lab.detection.data import (
    AnnotatedFrame,
    Augmentation,
    CropSampler,
    frame_weights,
    load_frames,
)
from support.detection_scenes import CLASSES, write_set


@pytest.fixture
def folder(tmp_path):
    return write_set(tmp_path / "frames", 4)


def _edit(folder, change):
    path = default_annotations(folder)
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


def _read(folder, classes=CLASSES):
    return read_boxes(folder, default_annotations(folder), classes)


def test_boxes_are_read_with_the_classes_in_the_order_asked_for(folder):
    straight, swapped = _read(folder), _read(folder, CLASSES[::-1])
    assert straight.category_ids == [10, 11] and swapped.category_ids == [11, 10]
    first = json.loads(default_annotations(folder).read_text())["annotations"][0]
    x, y, w, h = first["bbox"]
    assert straight.images[0].boxes[0].tolist() == [x, y, x + w, y + h]
    assert straight.images[0].labels[0] == first["category_id"] - 10
    for a, b in zip(straight.images, swapped.images):
        np.testing.assert_array_equal(a.labels, 1 - b.labels)


def test_crowds_other_classes_and_empty_boxes_are_no_objects(folder):
    before = _read(folder).images[0]

    def change(content):
        content["annotations"][0]["iscrowd"] = 1
        content["annotations"][1]["bbox"][2] = 0

    _edit(folder, change)
    np.testing.assert_array_equal(_read(folder).images[0].boxes, before.boxes[2:])
    only = _read(folder, CLASSES[:1])
    assert all((image.labels == 0).all() for image in only.images)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: c.pop("images"), "is not a COCO object detection file: KeyError 'images'"),
        (lambda c: c["annotations"][0].update(bbox=[1, 2]), "is not a COCO object detection file"),
        (lambda c: c["images"][2].update(file_name="gone.png"), "gone.png: no such image"),
        (lambda c: c["categories"].pop(), "has no class lying; it has upright"),
        (lambda c: c.update(images=[]), "names no images"),
    ],
)
def test_bad_annotations_are_named(folder, change, message):
    _edit(folder, change)
    with pytest.raises(DataError, match=message):
        _read(folder)


def test_files_that_cannot_be_read(folder, tmp_path):
    with pytest.raises(DataError, match=r"nowhere\.json: cannot be read: No such file"):
        read_boxes(folder, tmp_path / "nowhere.json", CLASSES)
    with pytest.raises(DataError, match="no such folder of images"):
        read_boxes(tmp_path / "nowhere", default_annotations(folder), CLASSES)
    for text, message in (("{", "is not JSON"), ("[1]", "is not a COCO annotation file")):
        (tmp_path / "bad.json").write_text(text)
        with pytest.raises(DataError, match=message):
            read_boxes(folder, tmp_path / "bad.json", CLASSES)


@pytest.mark.parametrize("around_object", [0.0, 1.0])
def test_boxes_follow_their_objects_through_crop_scale_and_flip(around_object):
    """One warm rectangle: wherever its box says, there it is warm, and nowhere else."""
    pixels = np.full((200, 300), 50, np.uint8)
    pixels[60:100, 120:190] = 250
    box = np.array([[120, 60, 190, 100]], np.float32)
    frame = AnnotatedFrame(pixels, 50.0, 250.0, box, np.array([1]))
    sampler = CropSampler([frame], 128, 2, 0, Augmentation(around_object=around_object))
    seen, sizes = 0, []
    for _ in range(60):
        crop, boxes, labels = sampler.draw_one()
        warm = crop > (crop.min() + crop.max()) / 2 if np.ptp(crop) > 0.3 else np.zeros_like(crop)
        if len(boxes) == 0:
            # At most the small rest that is too little of an object to be one.
            assert warm.sum() < 0.35 * 70 * 40 * 1.6**2
            continue
        seen += 1
        assert labels.tolist() == [1]
        rows, columns = np.nonzero(warm)
        found = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
        np.testing.assert_allclose(boxes[0], found, atol=1.5)
        sizes.append(found[2] - found[0])
    assert seen == 60 or (around_object == 0 and seen > 5)
    assert max(sizes) > 1.1 * 70  # enlarged
    assert np.median(sizes) < 1.4 * 70


def test_contrast_and_brightness_vary_around_the_frames_range():
    ramp = np.tile(np.linspace(0, 200, 128).astype(np.uint8), (128, 1))
    frame = AnnotatedFrame(ramp, 0.0, 200.0, np.zeros((0, 4), np.float32), np.zeros(0, np.int64))
    sampler = CropSampler([frame], 64, 1, 0, Augmentation(scale=(0.5, 0.5)))
    spans = [float(np.ptp(sampler.draw_one()[0])) for _ in range(200)]
    assert 0.6 < min(spans) < 0.85 and 1.15 < max(spans) < 1.5


def test_batches_are_deterministic_and_can_be_continued(folder):
    frames = load_frames(_read(folder))
    a, b = (CropSampler(frames, 64, 2, seed=3) for _ in range(2))
    first = a.draw(4)
    assert first.frames.shape == (4, 1, 64, 64)
    assert first.targets.heatmap.shape == (4, 2, 16, 16)
    assert torch.equal(first.frames, b.draw(4).frames)
    c = CropSampler(frames, 64, 2, seed=9)
    c.set_state(a.state())
    assert torch.equal(a.draw(4).frames, c.draw(4).frames)


def test_frames_of_rare_classes_are_drawn_more_often():
    labels = [np.array([0, 0]), np.array([0]), np.array([1, 0]), np.zeros(0, np.int64)]
    np.testing.assert_allclose(frame_weights(labels, 0.25), 1)
    weights = frame_weights([*labels[:2] * 48, np.array([2]), np.array([0, 2]), *labels[:2]], 0.25)
    assert (weights[:96] == 1).all()
    np.testing.assert_allclose(weights[96:98], np.sqrt(0.25 * 100 / 2))
    assert (frame_weights([*labels, np.array([2])], 0.0) == 1).all()
    dark, bright = (
        AnnotatedFrame(np.full((64, 64), value, np.uint8), 0.0, 1.0, boxes, labels)
        for value, boxes, labels in (
            (10, np.zeros((0, 4), np.float32), np.zeros(0, np.int64)),
            (200, np.array([[8, 8, 40, 40]], np.float32), np.array([0])),
        )
    )
    sampler = CropSampler([dark] * 15 + [bright], 64, 1, 0, Augmentation(gain=0, offset=0))
    seen = sum(sampler.draw_one()[0].mean() > 100 for _ in range(400))
    # One frame in 16, worth 2: 2 of 17 draws.
    assert 25 < seen < 75


def test_frames_smaller_than_the_crop_are_enlarged(folder):
    crop, _, _ = CropSampler(load_frames(_read(folder)), 256, 2, seed=0).draw_one()
    assert crop.shape == (256, 256)
