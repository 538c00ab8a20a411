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

"""What upscaling is worth to detectors, the package's judge and others: mAP50 and small persons.

    python benchmarks/judges_table.py --set hit_uav/test=hit_uav/test.json --set roadscene \\
        --detector detector_judge --detector yolox_nano.onnx

Every frame is reduced x4 (``reduced``: antialiased bicubic, ``camera``: simulated, ``told``: the
same frames, and the model is told that camera's noise and blur, as by a calibration) and restored
once by bicubic and each setting; every detector looks at the same results. Of a set without boxes
the truth is what the detector finds in the frames themselves with --min-score (``difiisr detect
--agreement``). Prints Markdown: the share that comes back of what bicubic loses against full
frames, and every setting's paired difference to the first, with 95 % intervals by bootstrap over
frames.
`tools/write_figures.py --record judges` takes its --json into docs/figures.md.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
import zlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from guidance_table import parse_settings
from tqdm import tqdm

from difiisr_ros import CameraProfile, SuperResolver
from difiisr_ros.errors import DataError
from difiisr_ros.io.images import read_image
from difiisr_ros.io.left_out import LeftOut
from difiisr_ros.lab.detection.boxes import BoxedImage, BoxSet
from difiisr_ros.lab.detection.coco import evaluate_boxes, interval
from difiisr_ros.lab.detection.judge import agreeing_judge, load_judge
from difiisr_ros.lab.evaluation.methods import bicubic_upscale
from difiisr_ros.lab.frames.degrade import (
    NOISE_PERCENT,
    camera_frame,
    crop_to_scale,
    degrade,
    known_camera,
)
from difiisr_ros.models.detector.boxes import Detections
from difiisr_ros.quality import PRESETS

sys.path.insert(0, str(Path(__file__).parent))  # scripts beside this one, also for its test

SETTINGS = "1;2;4;balanced;detail"
BICUBIC, HR, TOLD = "bicubic", "hr", "told"
MAP, SMALL = "map50", "recall50_small/person"
#: Column -> metric; of a detector without persons the second is left out.
METRICS = {"mAP50": MAP, "recall of small persons": SMALL}
Found = dict[str, dict[int, Detections]]
"""Method -> image id -> what a detector found."""


def options_of(name: str) -> dict[str, Any]:
    """Options of a preset, or of a setting as ``guidance_table.py`` has them."""
    if name in PRESETS:
        return dict(PRESETS[name])
    (setting,) = parse_settings(name)
    return setting.options()


def set_name(folder: Path) -> str:
    """``hit_uav/test``; without the folder around it where that is none of a data set's parts."""
    parts = folder.resolve().parts[-2:]
    return "/".join(parts) if folder.name in ("test", "train", "val") else parts[-1]


def reduced(
    hr: np.ndarray, degradation: str, name: str, noise_percent: float
) -> tuple[np.ndarray, CameraProfile | None]:
    """The LR frame, and what is told of its camera, where that differs from frame to frame."""
    seed = zlib.crc32(name.encode())
    if degradation != TOLD:
        return degrade(hr, degradation, seed, noise_percent), None
    lr, camera = camera_frame(hr, seed, noise_percent)
    return lr, CameraProfile(noise=camera.noise, blur=camera.blur)


def upscaled(
    resolver: SuperResolver,
    settings: dict[str, dict[str, Any]],
    lr: np.ndarray,
    camera: CameraProfile | None,
) -> dict[str, np.ndarray]:
    """Results of one frame: bicubic's and each setting's."""
    results = {BICUBIC: bicubic_upscale(lr)}
    for name, options in settings.items():
        resolver.configure(**options)
        results[name] = resolver.upscale(lr, camera=camera)
    return results


def chosen(box_set: BoxSet, limit: int | None) -> list[BoxedImage]:
    """Images in the order of their ids, at most ``limit``, evenly spread."""
    images = sorted(box_set.images, key=lambda image: image.image_id)
    if limit is None or limit >= len(images):
        return images
    return [images[i] for i in np.linspace(0, len(images) - 1, limit).round().astype(int)]


def found_by_all(
    judges: dict[str, tuple[Any, BoxSet]],
    make: Callable[[np.ndarray, CameraProfile | None], dict[str, np.ndarray]],
    degradation: str,
    noise_percent: float,
    limit: int | None,
) -> dict[str, Found]:
    """What every detector finds in every method's result of the frames that all have in common."""
    by_name = [{i.place.name: i.image_id for i in box_set.images} for _, box_set in judges.values()]
    found: dict[str, Found] = {name: {} for name in judges}
    images = chosen(next(iter(judges.values()))[1], limit)
    for image in tqdm(images, unit="frame", disable=None, desc=degradation):
        name = image.place.name
        hr = crop_to_scale(read_image(image.place.path))
        lr_and_camera = reduced(hr, degradation, name, noise_percent)
        for method, picture in {HR: hr, **make(*lr_and_camera)}.items():
            for ids, (detector, (judge, _)) in zip(by_name, judges.items()):
                if name in ids:
                    seen = judge.detect(picture)
                    found[detector].setdefault(method, {})[ids[name]] = seen
    return found


def scores(
    judge: Any, box_set: BoxSet, found: Found, settings: list[str], min_objects: int, resamples: int
) -> dict[str, Any]:
    """Values, shares recovered and paired differences to the first setting, with intervals."""
    samples: dict[str, dict[str, np.ndarray]] = {}
    averaged: tuple[str, ...] = ()
    frames = 0
    for method, detections in found.items():
        matches = evaluate_boxes(box_set, judge.classes, detections, min_objects)
        value, draws = matches.metrics(), matches.bootstrap(resamples)
        averaged, frames = matches.averaged, matches.images
        samples[method] = {
            m: np.concatenate([[value[m]], draws[m]]) for m in METRICS.values() if m in value
        }
    if small_persons(judge, box_set) < min_objects:  # a recall of a handful tells nothing
        for values in samples.values():
            values.pop(SMALL, None)
    metrics = list(samples[HR])
    report: dict[str, Any] = {"frames": frames, "averaged": list(averaged), "methods": {}}
    first = samples[settings[0]]
    for method, values in samples.items():
        entry: dict[str, Any] = {m: _entry(values[m]) for m in metrics}
        if method in settings:
            for m in metrics:
                entry[f"{m} recovered, %"] = _entry(
                    _recovered(values[m], samples[BICUBIC][m], samples[HR][m])
                )
                entry[f"{m} - first"] = _entry(values[m] - first[m])
        report["methods"][method] = entry
    return report


def small_persons(judge: Any, box_set: BoxSet) -> int:
    """How many persons below 32x32 pixels the images have."""
    if "person" not in judge.classes:
        return 0
    person = judge.classes.index("person")
    sides = [image.boxes[image.labels == person] for image in box_set.images]
    areas = np.concatenate([(b[:, 2:] - b[:, :2]).prod(axis=1) for b in sides])
    return int((areas < 32**2).sum())


def _recovered(ours: np.ndarray, bicubic: np.ndarray, hr: np.ndarray) -> np.ndarray:
    lost = hr - bicubic
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(lost > 0, 100 * (ours - bicubic) / np.where(lost > 0, lost, 1), np.nan)


def _entry(samples: np.ndarray) -> dict[str, float] | None:
    """The value on all frames and the interval of the draws; None (JSON has no nan) if unknown."""
    if np.isnan(samples[0]):
        return None
    low, high = interval(samples[1:])
    numbers = zip(("value", "low", "high"), (samples[0], low, high))
    return {key: round(float(v), 5) for key, v in numbers}


def table(rows: list[dict[str, Any]]) -> str:
    """Markdown of all reports, a row for each method."""
    lines = [
        "| set, detector | frames | result | mAP50 | recovered, % | minus the first | "
        "recall of small persons | recovered, % | minus the first |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for row in rows:
        for method, entry in row["methods"].items():
            cells = [f"{row['set']} {row['degradation']}, {row['detector']}", str(row["frames"])]
            cells.append(method)
            for m in METRICS.values():
                cells.append(_cell(entry.get(m), 3))
                cells.append(_cell(entry.get(f"{m} recovered, %"), 0))
                cells.append(_cell(entry.get(f"{m} - first"), 3, "+"))
            lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _cell(entry: dict[str, float] | None, digits: int, sign: str = "") -> str:
    if entry is None:
        return ""
    value, low, high = (f"{entry[key]:{sign}.{digits}f}" for key in ("value", "low", "high"))
    return f"{value} [{low}, {high}]"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--set",
        dest="sets",
        action="append",
        required=True,
        metavar="FOLDER[=BOXES]",
        help="HR frames, and their boxes in COCO's format",
    )
    parser.add_argument(
        "--detector",
        dest="detectors",
        action="append",
        required=True,
        metavar="NAME",
        help="detector_judge, a file of 'difiisr train-detector', or an .onnx file",
    )
    parser.add_argument("--degradations", default="reduced,camera,told", metavar="NAME[,...]")
    parser.add_argument("--noise", type=float, default=NOISE_PERCENT, metavar="PERCENT")
    parser.add_argument(
        "--settings",
        default=SETTINGS,
        metavar="NAME[;...]",
        help=f"presets, or steps and scales as 2:v0.5:p0.5 ({SETTINGS})",
    )
    parser.add_argument("--model", default="lite")
    parser.add_argument("--min-score", type=float, default=0.3, help="of the truth without boxes")
    parser.add_argument("--limit", type=int, metavar="N", help="frames of a set, evenly spread")
    parser.add_argument(
        "--min-objects", type=int, default=20, metavar="N", help="of a class in the mean"
    )
    parser.add_argument("--resamples", type=int, default=1000, metavar="N")
    parser.add_argument("--threads", type=int, default=0, metavar="N", help="of the CPU; 0: all")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the numbers, too")
    args = parser.parse_args()
    settings = {name.strip(): options_of(name.strip()) for name in args.settings.split(";")}
    rows: list[dict[str, Any]] = []
    for text in args.sets:
        folder, _, boxes = text.partition("=")
        judges: dict[str, tuple[Any, BoxSet]] = {}
        for name in args.detectors:
            try:
                judges[name] = (
                    load_judge(name, Path(folder), Path(boxes))
                    if boxes
                    else agreeing_judge(name, Path(folder), args.min_score, LeftOut())
                )
            except DataError as error:
                print(f"left out: {error}", file=sys.stderr)
        for degradation in args.degradations.split(","):
            engine = SuperResolver.load(
                args.model,
                strict_backend=True,
                num_threads=args.threads,
                camera=known_camera(None, degradation),
            )
            with contextlib.closing(engine) as resolver:
                found = found_by_all(
                    judges,
                    lambda lr, camera, r=resolver: upscaled(r, settings, lr, camera),
                    degradation,
                    args.noise,
                    args.limit,
                )
            for name, (judge, box_set) in judges.items():
                ids = set(found[name][HR])
                used = replace(box_set, images=[i for i in box_set.images if i.image_id in ids])
                row = {
                    "set": set_name(Path(folder)),
                    "degradation": degradation,
                    "detector": Path(name).stem,
                    "truth": "boxes" if boxes else f"agreement {args.min_score:g}",
                }
                rows.append(
                    row
                    | scores(
                        judge, used, found[name], list(settings), args.min_objects, args.resamples
                    )
                )
                print(table(rows[-1:]), flush=True)
            if args.json:  # at once: the next part takes minutes
                result = {"model": args.model, "noise_percent": args.noise, "rows": rows}
                args.json.write_text(json.dumps(result, indent=2, allow_nan=False) + "\n")


if __name__ == "__main__":
    main()
