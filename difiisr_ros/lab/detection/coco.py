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

"""COCO's detection metrics with confidence intervals: pycocotools matches, once, images resample.

Matching detections to boxes is done image by image, and what follows (sorting by score,
precision over recall) only adds up images. So a bootstrap over images reuses the matches and
weighs every image by how often it was drawn; a thousand resamples take seconds.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from difiisr_ros.lab.detection.boxes import BoxSet
from difiisr_ros.models.detector.boxes import Detections

#: Metric -> what it is. "Small" is below 32x32 pixels, as COCO has it.
METRICS = {
    "map50": "mean over classes of the average precision at IoU 0.5",
    "map50_95": "the same, mean over IoU 0.5, 0.55 ... 0.95",
    "ap50_small": "as map50, objects below 32x32 pixels alone",
    "ap_small": "as map50_95, objects below 32x32 pixels alone",
    "recall50_small": "recall of objects below 32x32 pixels at IoU 0.5, mean over classes",
    "ar_small": "the same, mean over IoU 0.5, 0.55 ... 0.95",
}
_AREAS = ("all", "small")
_EPSILON = np.spacing(1.0)


@dataclass(frozen=True)
class _Matches:
    """Detections of one class on all images, best first; T is the number of IoU thresholds."""

    image: np.ndarray
    """D: index of the image."""
    hit: np.ndarray
    """T x D, bool: matches an object."""
    miss: np.ndarray
    """T x D, bool: matches none. Neither hit nor miss where it matches an ignored object."""
    objects: np.ndarray
    """Number of objects on every image."""


class CocoEvaluation:
    """Matches of one detector's output on one data set; made by :func:`evaluate_boxes`.

    Args:
        matches: of each class and each of COCO's areas "all" and "small".
        averaged: the classes that the means go over.
        recalls: at which the precision is taken.
    """

    def __init__(
        self,
        matches: dict[tuple[str, str], _Matches],
        averaged: Sequence[str],
        recalls: np.ndarray,
    ) -> None:
        self._matches, self._recalls = matches, recalls
        self.averaged = tuple(averaged)
        self.images = len(next(iter(matches.values())).objects)

    def metrics(self, weights: np.ndarray | None = None) -> dict[str, float]:
        """:data:`METRICS`, and of every class ``ap50/<class>`` and ``recall50_small/<class>``.

        They are nan where there are no objects.

        Args:
            weights: how often each image counts (n images); None for once.
        """
        if weights is None:
            weights = np.ones(self.images)
        values: dict[str, float] = {}
        means: dict[str, list[float]] = {name: [] for name in METRICS}
        for (name, area), matches in self._matches.items():
            precision, recall = _precision_recall(matches, weights, self._recalls)
            if area == "all":
                values[f"ap50/{name}"] = float(precision[0])
            else:
                values[f"recall50_small/{name}"] = float(recall[0])
            if name not in self.averaged:
                continue
            if area == "all":
                means["map50"].append(precision[0])
                means["map50_95"].append(precision.mean())
            else:
                means["ap50_small"].append(precision[0])
                means["ap_small"].append(precision.mean())
                means["recall50_small"].append(recall[0])
                means["ar_small"].append(recall.mean())
        # Classes without objects have no precision and are left out of the mean, as in COCO.
        return {name: _mean(numbers) for name, numbers in means.items()} | values

    def bootstrap(self, resamples: int = 1000, seed: int = 0) -> dict[str, np.ndarray]:
        """The metrics of random draws of as many images, with replacement.

        The draws depend on ``seed`` and the number of images alone: arrays of two methods on the
        same images are paired, and their difference is a sample of the methods' difference.

        Returns:
            For every metric an array of ``resamples`` values.
        """
        rng = np.random.default_rng(seed)
        n = self.images
        draws = [
            self.metrics(np.bincount(rng.integers(n, size=n), minlength=n))
            for _ in range(resamples)
        ]
        return {name: np.array([draw[name] for draw in draws]) for name in draws[0]}


def interval(samples: np.ndarray, level: float = 0.95) -> tuple[float, float]:
    """Percentile interval of bootstrap samples, nan left out; (nan, nan) where all are."""
    samples = samples[~np.isnan(samples)]
    if samples.size == 0:
        return float("nan"), float("nan")
    low, high = np.quantile(samples, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def evaluate_boxes(
    box_set: BoxSet,
    classes: Sequence[str],
    detections: Mapping[int, Detections],
    min_objects: int = 1,
) -> CocoEvaluation:
    """Match detections to a data set's boxes with pycocotools.

    Args:
        box_set: the images, read for ``classes``.
        classes: names of the detections' labels, in order.
        detections: by image id. Images that are not in it are left out, with their boxes.
        min_objects: classes with fewer objects on these images are left out of the means (their
            average precision is still given): a class of a handful of objects otherwise weighs
            as much as one of hundreds.
    """
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    image_ids = [image.image_id for image in box_set.images if image.image_id in detections]
    with contextlib.redirect_stdout(io.StringIO()):  # pycocotools prints as it goes
        truth = COCO()
        truth.dataset = _truth(box_set, set(image_ids))
        truth.createIndex()
        results = COCO()
        results.dataset = {**truth.dataset, "annotations": _results(box_set, detections)}
        results.createIndex()
        evaluator = COCOeval(truth, results, "bbox")
        evaluator.params.imgIds = image_ids
        evaluator.params.catIds = list(box_set.category_ids)
        evaluator.evaluate()
    # pycocotools sorts the ids it is given, and lists what it found by class, area and image.
    order = [box_set.category_ids.index(category) for category in evaluator.params.catIds]
    found = np.array(evaluator.evalImgs, dtype=object)
    found = found.reshape(len(order), len(evaluator.params.areaRng), len(evaluator.params.imgIds))
    areas = {name: evaluator.params.areaRngLbl.index(name) for name in _AREAS}
    thresholds, limit = len(evaluator.params.iouThrs), evaluator.params.maxDets[-1]
    matches = {
        (classes[label], area): _collect(found[k, index], thresholds, limit)
        for k, label in enumerate(order)
        for area, index in areas.items()
    }
    averaged = [name for name in classes if matches[name, "all"].objects.sum() >= min_objects]
    return CocoEvaluation(matches, averaged, evaluator.params.recThrs)


def _truth(box_set: BoxSet, image_ids: set[int]) -> dict[str, Any]:
    """The file's content for these images, with the areas that COCO's size ranges go by."""
    content = box_set.annotations
    annotations = []
    for number, entry in enumerate(content["annotations"], start=1):
        if entry["image_id"] in image_ids:
            area = entry.get("area", entry["bbox"][2] * entry["bbox"][3])
            crowd = entry.get("iscrowd", 0)
            # Own ids: pycocotools takes an object of id 0 for "not matched".
            annotations.append({**entry, "id": number, "area": area, "iscrowd": crowd})
    images = [{"id": image_id} for image_id in sorted(image_ids)]
    return {"images": images, "categories": content["categories"], "annotations": annotations}


def coco_results(box_set: BoxSet, detections: Mapping[int, Detections]) -> list[dict[str, Any]]:
    """Detections in COCO's result format: image_id, category_id, bbox (x, y, w, h), score."""
    return [
        {
            "image_id": image_id,
            "category_id": box_set.category_ids[label],
            "bbox": [float(left), float(top), float(right - left), float(bottom - top)],
            "score": float(score),
        }
        for image_id, found in detections.items()
        for (left, top, right, bottom), score, label in zip(found.boxes, found.scores, found.labels)
    ]


def _results(box_set: BoxSet, detections: Mapping[int, Detections]) -> list[dict[str, Any]]:
    entries = coco_results(box_set, detections)
    for number, entry in enumerate(entries, start=1):
        entry |= {"id": number, "area": entry["bbox"][2] * entry["bbox"][3], "iscrowd": 0}
    return entries


def _collect(per_image: np.ndarray, thresholds: int, limit: int) -> _Matches:
    scores, image = [np.zeros(0)], [np.zeros(0, int)]
    hit, miss = [np.zeros((thresholds, 0), bool)], [np.zeros((thresholds, 0), bool)]
    objects = np.zeros(len(per_image), int)
    for index, entry in enumerate(per_image):
        if entry is None:
            continue
        matched = np.asarray(entry["dtMatches"])[:, :limit] > 0
        counted = ~np.asarray(entry["dtIgnore"])[:, :limit].astype(bool)
        scores.append(np.asarray(entry["dtScores"])[:limit])
        image.append(np.full(matched.shape[1], index))
        hit.append(matched & counted)
        miss.append(~matched & counted)
        objects[index] = np.count_nonzero(np.asarray(entry["gtIgnore"]) == 0)
    order = np.argsort(-np.concatenate(scores), kind="stable")
    return _Matches(
        np.concatenate(image)[order],
        np.concatenate(hit, axis=1)[:, order],
        np.concatenate(miss, axis=1)[:, order],
        objects,
    )


def _precision_recall(
    matches: _Matches, weights: np.ndarray, recalls: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Average precision and final recall at every IoU threshold (T, T), as COCOeval has them."""
    thresholds = matches.hit.shape[0]
    objects = float(weights @ matches.objects)
    if objects == 0:
        return np.full(thresholds, np.nan), np.full(thresholds, np.nan)
    weight = weights[matches.image]
    drawn = weight > 0
    hits = np.cumsum(matches.hit[:, drawn] * weight[drawn], axis=1, dtype=np.float64)
    misses = np.cumsum(matches.miss[:, drawn] * weight[drawn], axis=1, dtype=np.float64)
    if hits.shape[1] == 0:
        return np.zeros(thresholds), np.zeros(thresholds)
    recall = hits / objects
    precision = hits / (hits + misses + _EPSILON)
    # The best precision at this recall or above.
    precision = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
    average = np.empty(thresholds)
    for t in range(thresholds):
        at = np.searchsorted(recall[t], recalls, side="left")
        average[t] = precision[t, at[at < recall.shape[1]]].sum() / len(recalls)
    return average, recall[:, -1]


def _mean(values: Sequence[float]) -> float:
    known = [value for value in values if not np.isnan(value)]
    return float(np.mean(known)) if known else float("nan")
