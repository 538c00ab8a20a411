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

"""Scores equal COCO's own, and weighing images equals repeating them."""

from __future__ import annotations

import contextlib
import io

import numpy as np
import pytest

from difiisr_ros.lab.detection.boxes import BoxedImage, BoxSet
from difiisr_ros.models.detector.boxes import Detections

pytest.importorskip("pycocotools", reason="pycocotools is not installed")
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from difiisr_ros.lab.detection.coco import METRICS, coco_results, evaluate_boxes, interval

CLASSES = ("person", "car")


def _set(images: int = 12, seed: int = 0) -> tuple[BoxSet, dict[int, Detections]]:
    """Random objects and imperfect detections of them. Category ids run against the labels."""
    rng = np.random.default_rng(seed)
    entries, found = [], {}
    for image_id in range(images):
        n = int(rng.integers(1, 9))
        corner, size = rng.uniform(0, 200, (n, 2)), rng.uniform(8, 60, (n, 2))
        labels = rng.integers(0, 2, n)
        for xy, wh, label in zip(corner, size, labels):
            entries.append(
                {
                    "id": len(entries),  # from 0, as in HIT-UAV
                    "image_id": image_id,
                    "category_id": 7 - int(label),
                    "bbox": [*xy.tolist(), *wh.tolist()],
                }
            )
        boxes = np.concatenate([corner, corner + size], axis=1)
        boxes = np.repeat(boxes, 2, axis=0) + rng.normal(0, 3, (2 * n, 4))
        kept = rng.random(2 * n) < 0.7
        scores = np.sort(rng.uniform(0.05, 1, int(kept.sum())))[::-1]
        found[image_id] = Detections(
            boxes[kept].astype(np.float32), scores.astype(np.float32), np.repeat(labels, 2)[kept]
        )
    return _box_set(entries, images), found


def _box_set(entries: list[dict], images: int) -> BoxSet:
    nothing = np.zeros((0, 4), np.float32), np.zeros(0, np.int64)
    content = {
        "images": [{"id": i} for i in range(images)],
        "annotations": entries,
        "categories": [{"id": 7, "name": "person"}, {"id": 6, "name": "car"}],
    }
    return BoxSet([BoxedImage(i, None, *nothing) for i in range(images)], content, [7, 6])


def _reference(box_set: BoxSet, detections: dict[int, Detections]) -> COCOeval:
    """COCOeval as its documentation runs it, to the end."""
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO()
        truth.dataset = {**box_set.annotations}
        truth.dataset["annotations"] = [
            {**a, "id": n, "area": a["bbox"][2] * a["bbox"][3], "iscrowd": 0}
            for n, a in enumerate(box_set.annotations["annotations"], start=1)
        ]
        truth.createIndex()
        evaluator = COCOeval(truth, truth.loadRes(coco_results(box_set, detections)), "bbox")
        evaluator.evaluate()
        evaluator.accumulate()
        evaluator.summarize()
    return evaluator


def test_the_metrics_are_cocos():
    box_set, detections = _set()
    metrics = evaluate_boxes(box_set, CLASSES, detections).metrics()
    reference = _reference(box_set, detections)
    map50_95, map50, _, ap_small = reference.stats[:4]
    assert metrics["map50_95"] == pytest.approx(map50_95, abs=1e-9)
    assert metrics["map50"] == pytest.approx(map50, abs=1e-9)
    assert metrics["ap_small"] == pytest.approx(ap_small, abs=1e-9)
    assert metrics["ar_small"] == pytest.approx(reference.stats[9], abs=1e-9)
    # precision: IoU x recall x class x area x limit, classes by category id: car is 6
    by_class = reference.eval["precision"][0, :, :, 0, 2].mean(axis=0)
    assert metrics["ap50/car"] == pytest.approx(by_class[0], abs=1e-9)
    assert metrics["ap50/person"] == pytest.approx(by_class[1], abs=1e-9)
    small = reference.eval["precision"][0, :, :, 1, 2].mean()
    assert metrics["ap50_small"] == pytest.approx(small, abs=1e-9)
    recall = reference.eval["recall"][0, :, 1, 2].mean()
    assert metrics["recall50_small"] == pytest.approx(recall, abs=1e-9)
    assert 0.1 < metrics["map50_95"] < metrics["map50"] < 0.95


def test_weighing_an_image_is_repeating_it():
    box_set, detections = _set(images=5)
    weights = np.array([2, 0, 1, 3, 1])
    entries, repeated, number = [], {}, 0
    for image_id, times in enumerate(weights):
        for _ in range(times):
            for entry in box_set.annotations["annotations"]:
                if entry["image_id"] == image_id:
                    entries.append({**entry, "image_id": number, "id": len(entries)})
            repeated[number] = detections[image_id]
            number += 1
    expected = evaluate_boxes(_box_set(entries, number), CLASSES, repeated).metrics()
    found = evaluate_boxes(box_set, CLASSES, detections).metrics(weights)
    # Repeated detections have equal scores; COCO takes them one by one, weights at once.
    assert found == pytest.approx(expected, abs=0.005)
    assert found["recall50_small"] == pytest.approx(expected["recall50_small"], abs=1e-9)
    plain = evaluate_boxes(box_set, CLASSES, detections).metrics()
    assert abs(plain["map50_95"] - expected["map50_95"]) > 0.01


def test_perfect_and_no_detections():
    box_set, _ = _set()
    truth: dict[int, list] = {i: [] for i in range(12)}
    for entry in box_set.annotations["annotations"]:
        x, y, w, h = entry["bbox"]
        truth[entry["image_id"]].append(([x, y, x + w, y + h], 7 - entry["category_id"]))
    perfect = {
        i: Detections(
            np.array([box for box, _ in objects]),
            np.ones(len(objects)),
            np.array([label for _, label in objects]),
        )
        for i, objects in truth.items()
    }
    metrics = evaluate_boxes(box_set, CLASSES, perfect).metrics()
    assert set(METRICS) < set(metrics)
    assert metrics == pytest.approx(dict.fromkeys(metrics, 1.0))
    nothing = {i: Detections(np.zeros((0, 4)), np.zeros(0), np.zeros(0, int)) for i in truth}
    metrics = evaluate_boxes(box_set, CLASSES, nothing).metrics()
    assert metrics == dict.fromkeys(metrics, 0.0)


def test_rare_classes_are_left_out_of_the_means():
    box_set, detections = _set()
    entries = box_set.annotations["annotations"]
    cars = [entry for entry in entries if entry["category_id"] == 6]
    for entry in cars[3:]:
        entries.remove(entry)
    evaluation = evaluate_boxes(box_set, CLASSES, detections, min_objects=4)
    assert evaluation.averaged == ("person",)
    metrics = evaluation.metrics()
    assert metrics["map50"] == metrics["ap50/person"] != metrics["ap50/car"]
    assert evaluate_boxes(box_set, CLASSES, detections).averaged == CLASSES


def test_a_class_without_objects_has_no_precision():
    box_set, detections = _set()
    entries = box_set.annotations["annotations"]
    entries[:] = [entry for entry in entries if entry["category_id"] == 7]
    metrics = evaluate_boxes(box_set, CLASSES, detections).metrics()
    assert np.isnan(metrics["ap50/car"])
    assert metrics["map50"] == metrics["ap50/person"]


def test_images_without_detections_entry_are_left_out():
    box_set, detections = _set()
    half = {i: detections[i] for i in range(6)}
    evaluation = evaluate_boxes(box_set, CLASSES, half)
    assert evaluation.images == 6
    whole = evaluate_boxes(box_set, CLASSES, detections)
    weights = np.repeat([1, 0], 6)
    assert evaluation.metrics() == pytest.approx(whole.metrics(weights), abs=1e-9)


def test_bootstrap_is_seeded_paired_and_spreads_around_the_value():
    box_set, detections = _set(images=30)
    evaluation = evaluate_boxes(box_set, CLASSES, detections)
    draws = evaluation.bootstrap(200, seed=4)
    again = evaluate_boxes(box_set, CLASSES, detections).bootstrap(200, seed=4)
    other = evaluation.bootstrap(200, seed=5)
    np.testing.assert_array_equal(draws["map50"], again["map50"])
    assert (draws["map50"] != other["map50"]).any()
    low, high = interval(draws["map50"])
    assert low < evaluation.metrics()["map50"] < high
    assert 0.01 < high - low < 0.4
    # A method that is a little worse on every image: pairing shows it, single intervals overlap.
    worse = {
        i: Detections(
            d.boxes[: max(1, len(d) - 1)],
            d.scores[: max(1, len(d) - 1)],
            d.labels[: max(1, len(d) - 1)],
        )
        for i, d in detections.items()
    }
    second = evaluate_boxes(box_set, CLASSES, worse).bootstrap(200, seed=4)["map50"]
    paired = interval(second - draws["map50"])
    assert paired[1] - paired[0] < 0.8 * (high - low)


def test_interval_of_quantiles_and_of_nothing():
    assert interval(np.arange(101) / 100) == pytest.approx((0.025, 0.975))
    assert interval(np.array([np.nan, 1.0, 1.0])) == (1.0, 1.0)
    assert np.isnan(interval(np.array([np.nan]))).all()
