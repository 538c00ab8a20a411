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

"""What a detector sees in the results of an evaluation, where the frames' boxes are known.

Average precision belongs to all frames together, so it is measured when the run is complete: every
frame is upscaled once more, and the judge detects in the truth and in each method's result.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from difiisr_ros.core.scale import SCALE
from difiisr_ros.errors import DataError, OptionError
from difiisr_ros.lab.evaluation.aggregate import verdict
from difiisr_ros.lab.evaluation.results import (
    BoxScores,
    Difference,
    Estimate,
    Evaluation,
    MethodResult,
)
from difiisr_ros.lab.evaluation.scoring import TRUTH
from difiisr_ros.lab.frames.streams import NO_REFERENCE, Stream
from difiisr_ros.lab.scores.metric_table import BOX_METRICS
from difiisr_ros.lab.scores.statistics import CONFIDENCE, MIN_UNITS

#: Classes with fewer boxes are left out of the means where others have more, as 'difiisr detect'
#: leaves them out: a class of a handful of objects would weigh as much as one of hundreds.
MIN_OBJECTS = 20
RESAMPLES = 1000


class BoxJudge:
    """Detector and true boxes of one folder of frames; everything is checked when it is made.

    Args:
        annotations: COCO's object detection format; boxes in pixels of the truth.
        detector: see :func:`difiisr_ros.backends.detectors.load_detector`.
        streams: What is evaluated: one folder.
        config: What is said of a user's ONNX detector.

    Raises:
        DataError: The annotations cannot be used.
        ModelError: The detector cannot be loaded.
        OptionError: There is no truth, or more than one folder.
    """

    def __init__(
        self,
        annotations: Path,
        detector: str,
        streams: Sequence[Stream],
        config: Path | None = None,
    ) -> None:
        import pycocotools.cocoeval  # noqa: F401  # the end of a long run is too late to miss it

        from difiisr_ros.lab.detection.judge import load_judge

        if len(streams) != 1 or streams[0].topic is not None:
            raise OptionError("boxes belong to the frames of one folder")
        if streams[0].mode == NO_REFERENCE:
            raise OptionError("boxes are in the truth's pixels, and --no-reference has no truth")
        self._name = detector
        self._annotations = annotations
        folder = streams[0].path
        truth = folder / "HR"
        self._judge, self._set = load_judge(
            detector, truth if truth.is_dir() else folder, annotations, config
        )

    def score(self, evaluation: Evaluation, confidence: float = CONFIDENCE) -> Evaluation:
        """The evaluation with :data:`BOX_METRICS` of truth and methods.

        Args:
            evaluation: Of the folder, complete.
            confidence: Of the intervals.

        Raises:
            DataError: None of the frames has an entry in the annotations, or a file has gone.
        """
        from tqdm import tqdm

        by_name = {image.place.name: image for image in self._set.images}
        rows = [r for r, name in enumerate(evaluation.frames.names) if name in by_name]
        if not rows or evaluation.frame is None:
            raise DataError(f"{self._annotations}: names none of the frames that were evaluated")
        hr_pixels = SCALE / evaluation.scale  # a side of a result's pixel
        boxes = BoxScores(
            self._name,
            tuple(self._judge.classes),
            (),
            {},
            {name: {} for name in (TRUTH, *evaluation.methods)},
        )
        for row in tqdm(rows, desc="detect", unit="frame", disable=None, file=sys.stderr):
            image = by_name[evaluation.frames.names[row]]
            boxes.true[row] = image.boxes, image.labels
            pictures = evaluation.frame(row)
            assert pictures.hr is not None
            for name, picture in {**pictures.methods, TRUTH: pictures.hr}.items():
                boxes.found[name][row] = self._judge.detect(picture).enlarged(hr_pixels)
        ids = {row: by_name[evaluation.frames.names[row]].image_id for row in rows}
        return self._with_scores(evaluation, boxes, ids, confidence)

    def _with_scores(
        self, evaluation: Evaluation, boxes: BoxScores, ids: dict[int, int], confidence: float
    ) -> Evaluation:
        from difiisr_ros.lab.detection.coco import evaluate_boxes

        counts = np.bincount(np.concatenate([labels for _, labels in boxes.true.values()]))
        least = MIN_OBJECTS if (counts >= MIN_OBJECTS).any() else 1
        values: dict[str, dict[str, float]] = {}
        draws: dict[str, dict[str, np.ndarray]] = {}
        averaged: tuple[str, ...] = ()
        for name, found in boxes.found.items():
            matches = evaluate_boxes(
                self._set, boxes.classes, {ids[row]: d for row, d in found.items()}, least
            )
            values[name], averaged = matches.metrics(), matches.averaged
            draws[name] = matches.bootstrap(RESAMPLES)

        def estimate(value: float, samples: np.ndarray) -> Estimate:
            return Estimate(value, *_interval(samples, confidence, len(ids)))

        def difference(name: str, metric: str) -> Difference:
            reference = evaluation.reference
            found = estimate(
                values[name][metric] - values[reference][metric],
                draws[name][metric] - draws[reference][metric],
            )
            return Difference(found.mean, found.low, found.high, verdict(metric, found, 0.0))

        def extended(method: MethodResult) -> MethodResult:
            name = method.name
            means = {m: estimate(values[name][m], draws[name][m]) for m in BOX_METRICS}
            differences = {m: difference(name, m) for m in BOX_METRICS}
            return replace(
                method,
                means=method.means | means,
                differences=method.differences
                | ({} if name == evaluation.reference else differences),
            )

        given = {m: estimate(values[TRUTH][m], draws[TRUTH][m]) for m in BOX_METRICS}
        settings = {
            "boxes": str(self._annotations),
            "detector": self._name,
            "classes": list(averaged),
            "frames_with_boxes_known": len(ids),
        }
        return replace(
            evaluation,
            methods={name: extended(method) for name, method in evaluation.methods.items()},
            given=evaluation.given | given,
            settings=evaluation.settings | {"detection": settings},
            notes=(*evaluation.notes, *self._notes(evaluation, averaged, len(ids))),
            boxes=replace(boxes, averaged=averaged),
        )

    def _notes(self, evaluation: Evaluation, averaged: tuple[str, ...], known: int) -> list[str]:
        classes = ", ".join(averaged) or "no class"
        notes = [f"mAP and recall are of what {self._name} finds, means over {classes}"]
        if known < len(evaluation.frames):
            notes.append(
                f"{len(evaluation.frames) - known} frames are not in {self._annotations} and count "
                "for nothing in mAP and recall"
            )
        return notes


def _interval(samples: np.ndarray, confidence: float, frames: int) -> tuple[float, float]:
    from difiisr_ros.lab.detection.coco import interval

    return interval(samples, confidence) if frames >= MIN_UNITS else (float("nan"), float("nan"))
