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

"""How well a detector sees HR frames, and LR frames upscaled by each method."""

from __future__ import annotations

import sys
import zlib
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from difiisr_ros.core.camera_profile import CameraProfile
from difiisr_ros.core.scale import SCALE
from difiisr_ros.errors import DataError
from difiisr_ros.io.left_out import LeftOut
from difiisr_ros.lab.detection.boxes import BoxSet
from difiisr_ros.lab.detection.coco import METRICS, CocoEvaluation, evaluate_boxes, interval
from difiisr_ros.lab.frames.degrade import (
    NOISE_PERCENT,
    REDUCED,
    check_degradation,
    crop_to_scale,
    degrade,
)
from difiisr_ros.lab.frames.put_right import NOTHING_DECLARED, read_right, reading
from difiisr_ros.models.detector.boxes import Detections, FindsObjects

HR = "hr"
"""What the frames themselves are called, beside the upscaling methods' names."""
REFERENCE = "bicubic"
"""The method whose loss the others recover."""
Upscalers = Mapping[str, Callable[[np.ndarray], np.ndarray]]
"""Method name to a function from H x W to sH x sW of the same dtype."""


def detect_upscaled(
    detector: FindsObjects,
    box_set: BoxSet,
    methods: Upscalers,
    degradation: str = REDUCED,
    noise_percent: float = NOISE_PERCENT,
    left_out: LeftOut | None = None,
    camera: CameraProfile = NOTHING_DECLARED,
    scale: int = SCALE,
) -> dict[str, dict[int, Detections]]:
    """Detections on the frames as they are (:data:`HR`) and as every method restores them.

    Args:
        detector: what detects.
        box_set: 4H x 4W frames; sides that are no multiple of 4 are cut right and below.
        methods: what restores the frames after their reduction; the detector is shown their
            results as they are.
        degradation: ``reduced`` (antialiased bicubic) or ``camera`` (simulated).
        noise_percent: white noise of the simulated camera, % of each frame's range.
        left_out: takes the images that cannot be read.
        camera: what of the frames is a measurement.
        scale: s, how many times larger the methods' results are than the reduced frames.

    Returns:
        Method name to detections by image id, in pixels of the images before any crop, whatever
        the scale.

    Raises:
        DataError: no image can be read; and what ``left_out`` raises.
        OptionError: a degradation or noise that cannot be.
    """
    from tqdm import tqdm

    check_degradation(degradation, noise_percent)
    found: dict[str, dict[int, Detections]] = {name: {} for name in (HR, *methods)}
    # disable=None: no bar where stderr is not a terminal (CI, a log file).
    left_out = left_out or LeftOut()
    folder = box_set.images[0].place.path.parent
    with reading(camera, folder) as reader:
        for image in tqdm(box_set.images, unit="frame", disable=None, file=sys.stderr):
            frame = left_out.read(image.place, lambda place: read_right(place, camera, reader))
            if frame is None:
                continue
            hr = crop_to_scale(frame)
            found[HR][image.image_id] = detector.detect(hr).before(camera.crop)
            # By name, so that the noise does not depend on which other frames are scored.
            lr = degrade(hr, degradation, zlib.crc32(image.place.name.encode()), noise_percent)
            for name, upscale in methods.items():
                seen = detector.detect(upscale(lr)).enlarged(SCALE / scale)
                found[name][image.image_id] = seen.before(camera.crop)
    if not found[HR]:
        raise DataError(f"{folder}: none of its images can be read")
    return found


def score(
    detector: FindsObjects,
    box_set: BoxSet,
    methods: Upscalers,
    *,
    degradation: str = REDUCED,
    noise_percent: float = NOISE_PERCENT,
    min_objects: int = 1,
    resamples: int = 1000,
    seed: int = 0,
    left_out: LeftOut | None = None,
    camera: CameraProfile = NOTHING_DECLARED,
    scale: int = SCALE,
) -> dict[str, Any]:
    """Score HR frames and every method, with 95 % intervals by bootstrap over images.

    Args:
        detector, box_set, methods, degradation, noise_percent, left_out, camera, scale: see
            :func:`detect_upscaled`.
        min_objects: classes with fewer objects are left out of the means.
        resamples, seed: of the bootstrap; all methods share the draws.

    Returns:
        ``{"images": n, "averaged": [class, ...], "methods": {name: {metric: {"value", "low",
        "high"}}}, "against_hr": {name: {metric: ...}}, "recovered": {name: ...}}``;
        ``against_hr`` is the method's value minus that on HR frames, with the interval of the
        paired difference; ``recovered`` how much of the mAP50 that :data:`REFERENCE` loses against
        HR frames a method gets back, %, empty without that method. None where a metric is not
        defined.
    """
    evaluations = {
        name: evaluate_boxes(box_set, detector.classes, detections, min_objects)
        for name, detections in detect_upscaled(
            detector, box_set, methods, degradation, noise_percent, left_out, camera, scale
        ).items()
    }
    draws = {name: e.bootstrap(resamples, seed) for name, e in evaluations.items()}
    values = {name: e.metrics() for name, e in evaluations.items()}
    hr: CocoEvaluation = evaluations[HR]
    return {
        "images": hr.images,
        "averaged": list(hr.averaged),
        "methods": {
            name: {metric: _entry(value, draws[name][metric]) for metric, value in found.items()}
            for name, found in values.items()
        },
        "against_hr": {
            name: {
                metric: _entry(
                    values[name][metric] - values[HR][metric],
                    draws[name][metric] - draws[HR][metric],
                )
                for metric in METRICS
            }
            for name in values
            if name != HR
        },
        "recovered": {
            name: _entry(_recovered(values, name), _recovered(draws, name))
            for name in values
            if REFERENCE in values and name not in (HR, REFERENCE)
        },
    }


def _recovered(found: Mapping[str, Mapping[str, Any]], name: str) -> Any:
    """Share of the lost mAP50 in %, of values or of draws; nan where nothing is lost."""
    ours, lowest, highest = (np.asarray(found[n]["map50"]) for n in (name, REFERENCE, HR))
    lost = highest - lowest
    return np.where(lost > 0, 100 * (ours - lowest) / np.where(lost > 0, lost, 1), np.nan)


def _entry(value: Any, samples: np.ndarray) -> dict[str, float | None]:
    low, high = interval(samples)
    numbers = {"value": value, "low": low, "high": high}
    # JSON has no nan.
    return {k: None if np.isnan(v) else round(float(v), 5) for k, v in numbers.items()}


def score_table(report: dict[str, Any]) -> str:
    """The report as aligned text: value [low, high], then AP50 by class."""
    by_class = [m for m in next(iter(report["methods"].values())) if m.startswith("ap50/")]
    rows = [["", *METRICS]]
    for name, values in report["methods"].items():
        rows.append([name, *(_cell(values[metric]) for metric in METRICS)])
    for name, values in report["against_hr"].items():
        rows.append([f"{name} - {HR}", *(_cell(values[metric], "+") for metric in METRICS)])
    classes = [["AP50", *(metric.partition("/")[2] for metric in by_class)]]
    for name, values in report["methods"].items():
        classes.append([name, *(_cell(values[metric]) for metric in by_class)])
    lines = [*_aligned(rows), "", *_aligned(classes)]
    for name, entry in report["recovered"].items():
        if entry["value"] is not None:
            whole = {key: round(number) for key, number in entry.items() if number is not None}
            between = ", ".join(str(whole[key]) for key in ("low", "high") if key in whole)
            share = f"{whole['value']} % [{between}]"
            lines += ["", f"{name} recovers {share} of the map50 that {REFERENCE} loses"]
    return "\n".join(lines)


def _cell(entry: dict[str, float | None], sign: str = "") -> str:
    value, low, high = entry["value"], entry["low"], entry["high"]
    if value is None:
        return "none"
    if low is None or high is None:
        return f"{value:{sign}.3f}"
    return f"{value:{sign}.3f} [{low:{sign}.3f}, {high:{sign}.3f}]"


def _aligned(rows: list[list[str]]) -> list[str]:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return [
        "  ".join([row[0].ljust(widths[0]), *(c.rjust(w) for c, w in zip(row[1:], widths[1:]))])
        for row in rows
    ]
