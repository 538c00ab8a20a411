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

"""What guidance and steps are worth: fidelity, spectrum, hot spots, and what a detector sees.

    python benchmarks/guidance_table.py --data hit_uav/test --boxes hit_uav/test.json \\
        --unseen roadscene m3fd/HR

Frames are reduced x4 (by a simulated camera, or --degradation reduced: antialiased bicubic) and
restored by OpenCV's bicubic and by every setting of the sampler, each once; the judge detects on
what comes out. Prints Markdown: means with 95 % intervals by bootstrap over images, drawn jointly
for all metrics and methods, then paired differences. `tools/write_figures.py --record guidance`
takes its --json into docs/figures.md.
"""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from difiisr_ros import SuperResolver
from difiisr_ros.io.images import list_files, read_image
from difiisr_ros.lab.detection.boxes import BoxSet, read_boxes
from difiisr_ros.lab.detection.coco import evaluate_boxes, interval
from difiisr_ros.lab.evaluation.methods import bicubic_upscale
from difiisr_ros.lab.frames.degrade import CAMERA, NOISE_PERCENT, crop_to_scale, known_camera
from difiisr_ros.lab.frames.streams import StreamOptions
from difiisr_ros.lab.scores.hot_spots import HotSpots
from difiisr_ros.lab.scores.metrics import Ssim, consistency, data_range, psnr
from difiisr_ros.lab.scores.spectrum import distance, radial_log_amplitude
from difiisr_ros.models.detector.boxes import Detections
from difiisr_ros.models.detector.detector import Detector

SETTINGS = "1;1:v0.5;1:v1;2;2:v0.5;2:v0.5:p0.5;4;4:v0.5;4:v0.5:p0.5"
_NUMBER = r"\d+(?:\.\d+)?"
BICUBIC, HR = "bicubic", "hr"
#: Measured on every frame -> digits shown.
OF_FRAMES = {
    "psnr": 2,
    "ssim": 4,
    "spectrum_distance": 2,
    "consistency": 3,
    "hot_created": 3,
    "hot_removed": 3,
    "hot_peak_error": 2,
}
OF_BOXES = ("map50", "map50_95", "recall50_small")
RECOVERED = "map50 recovered, %"
RATIO = "spectrum_distance / bicubic"
#: Classes with fewer boxes are left out of the means, as 'difiisr detect' does.
MIN_OBJECTS = 20


@dataclass(frozen=True)
class Setting:
    """One way to run the sampler."""

    name: str
    num_steps: int
    visual_scale: float = 0.0
    perceptual_scale: float = 0.0
    guidance_gradient: str = "closed_form"

    @property
    def guided(self) -> bool:
        return self.visual_scale > 0 or self.perceptual_scale > 0

    def options(self) -> dict[str, Any]:
        return {k: v for k, v in vars(self).items() if k != "name"}


def parse_settings(text: str) -> list[Setting]:
    """``"1;2:v0.5:p0.3;4:v1:exact"``: steps, visual scale, perceptual scale, exact gradient."""
    settings: dict[str, Setting] = {}
    for name in filter(None, (part.strip() for part in text.split(";"))):
        found = re.fullmatch(rf"(\d+)(?::v({_NUMBER}))?(?::p({_NUMBER}))?(:exact)?", name)
        if not found or name in settings:
            raise argparse.ArgumentTypeError(
                f"{name!r} is not a new setting: num_steps[:v<visual>][:p<perceptual>][:exact]"
            )
        steps, visual, perceptual, exact = found.groups()
        settings[name] = Setting(
            name,
            int(steps),
            float(visual or 0),
            float(perceptual or 0),
            "exact" if exact else "closed_form",
        )
    return list(settings.values())


Columns = dict[str, dict[str, np.ndarray]]
"""Method -> metric -> a value for each frame."""


def measure(
    frames: list[tuple[int, Path]],
    resolver: SuperResolver,
    settings: list[Setting],
    judge: Any,
    how: StreamOptions,
) -> tuple[Columns, dict[str, dict[int, Detections]]]:
    """Upscale every frame once by every method; what was measured, and what the judge found."""
    names = [BICUBIC, *(setting.name for setting in settings), HR]
    columns: Columns = {
        name: {metric: np.full(len(frames), np.nan) for metric in OF_FRAMES} for name in names
    }
    found: dict[str, dict[int, Detections]] = {name: {} for name in names}
    methods: dict[str, Callable[[np.ndarray], np.ndarray]] = {BICUBIC: bicubic_upscale}
    for setting in settings:
        methods[setting.name] = lambda lr, s=setting: (
            resolver.configure(**s.options()),
            resolver.upscale(lr),
        )[1]
    for row, (image_id, path) in enumerate(tqdm(frames, unit="frame", disable=None)):
        hr = crop_to_scale(read_image(path))
        lr = how.degrade(hr, path.name)
        span = data_range(hr)
        ssim, spots, curve = Ssim(hr, span), HotSpots(lr), radial_log_amplitude(hr, span)
        for name in names:
            sr = hr if name == HR else methods[name](lr)
            if judge is not None:
                found[name][image_id] = judge.detect(sr)
            heat = spots.compare(sr)
            values = {
                "consistency": consistency(lr, sr),
                "hot_created": heat.created,
                "hot_removed": heat.removed,
                "hot_peak_error": heat.peak_error,
            }
            if name != HR:
                values["psnr"] = psnr(hr, sr, span)
                values["ssim"] = ssim(sr)
                values["spectrum_distance"] = distance(curve, radial_log_amplitude(sr, span))
            for metric, value in values.items():
                columns[name][metric][row] = value
    return columns, found


def bootstrap(
    columns: Columns,
    box_set: BoxSet | None,
    classes: tuple[str, ...],
    found: dict[str, dict[int, Detections]],
    resamples: int,
    seed: int = 0,
) -> dict[str, dict[str, np.ndarray]]:
    """Method -> metric -> the value on all frames, then on ``resamples`` joint draws of frames."""
    count = len(next(iter(columns[HR].values())))
    rng = np.random.default_rng(seed)
    draws = [
        np.bincount(rng.integers(count, size=count), minlength=count) for _ in range(resamples)
    ]
    weights = np.array([np.ones(count), *draws])
    samples: dict[str, dict[str, np.ndarray]] = {}
    for name, metrics in columns.items():
        samples[name] = {m: _means(values, weights) for m, values in metrics.items()}
        if box_set is not None:
            matches = evaluate_boxes(box_set, classes, found[name], MIN_OBJECTS)
            scores = [matches.metrics(w) for w in weights]
            samples[name] |= {m: np.array([s[m] for s in scores]) for m in OF_BOXES}
    for metrics in samples.values():
        reference = samples[BICUBIC]["spectrum_distance"]
        metrics[RATIO] = metrics["spectrum_distance"] / reference
        if box_set is not None:
            lost = samples[HR]["map50"] - samples[BICUBIC]["map50"]
            gained = metrics["map50"] - samples[BICUBIC]["map50"]
            with np.errstate(divide="ignore", invalid="ignore"):
                metrics[RECOVERED] = np.where(lost > 0, 100 * gained / lost, np.nan)
    return samples


def _means(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Means by every row of weights over the frames that have a value; nan where none has."""
    known = np.isfinite(values)
    with np.errstate(invalid="ignore"):
        return (weights[:, known] @ values[known]) / weights[:, known].sum(axis=1)


def report(
    samples: dict[str, dict[str, np.ndarray]], settings: list[Setting], frames: int
) -> dict[str, Any]:
    """Values with intervals, and guided minus unguided at the same number of steps."""
    plain = {s.num_steps: s.name for s in settings if not s.guided}
    pairs = [(s.name, plain[s.num_steps]) for s in settings if s.guided and s.num_steps in plain]
    return {
        "frames": frames,
        "methods": {
            name: {metric: _entry(values) for metric, values in metrics.items()}
            for name, metrics in samples.items()
        },
        "differences": {
            f"{guided} - {unguided}": {
                metric: _entry(values - samples[unguided][metric])
                for metric, values in samples[guided].items()
            }
            for guided, unguided in pairs
        },
    }


def _entry(samples: np.ndarray) -> dict[str, float] | None:
    """The value on all frames and the interval of the draws; None (JSON has no nan) if unknown."""
    if np.isnan(samples[0]):
        return None
    low, high = interval(samples[1:])
    return {
        k: round(float(v), 5) for k, v in zip(("value", "low", "high"), (samples[0], low, high))
    }


def table(found: dict[str, Any]) -> str:
    """Markdown: methods, then differences."""
    metrics = list(found["methods"][BICUBIC])
    lines = ["| frames | " + " | ".join(metrics) + " |", "| --- |" + " --- |" * len(metrics)]
    for name, values in found["methods"].items():
        lines.append(f"| {name} | " + " | ".join(_cell(m, values[m]) for m in metrics) + " |")
    for name, values in found["differences"].items():
        lines.append(f"| {name} | " + " | ".join(_cell(m, values[m], "+") for m in metrics) + " |")
    return "\n".join(lines)


def _cell(metric: str, entry: dict[str, float] | None, sign: str = "") -> str:
    if entry is None:
        return ""
    digits = OF_FRAMES.get(metric, 0 if metric == RECOVERED else 3)
    value, low, high = (f"{entry[key]:{sign}.{digits}f}" for key in ("value", "low", "high"))
    return f"{value} ({low} to {high})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, metavar="FOLDER", help="HR frames with boxes")
    parser.add_argument("--boxes", type=Path, metavar="FILE", help="their boxes in COCO's format")
    parser.add_argument(
        "--unseen", type=Path, nargs="*", default=[], metavar="FOLDER", help="HR frames without"
    )
    parser.add_argument("--degradation", default=CAMERA, help="'camera' or 'reduced'")
    parser.add_argument(
        "--noise", type=float, default=NOISE_PERCENT, metavar="PERCENT", help="of the camera"
    )
    parser.add_argument("--settings", type=parse_settings, default=parse_settings(SETTINGS))
    parser.add_argument(
        "--model", default="lite", help="'lite' or the faster 'nano' (embedded), or a model file"
    )
    parser.add_argument("--detector", default="detector_judge", help="the judge")
    parser.add_argument(
        "--limit", type=int, metavar="N", help="use N frames of a set, evenly spread"
    )
    parser.add_argument("--resamples", type=int, default=1000, metavar="N", help="of the bootstrap")
    parser.add_argument("--threads", type=int, default=0, metavar="N", help="of the CPU; 0: all")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the numbers, too")
    args = parser.parse_args()
    if (args.data is None) != (args.boxes is None) or not (args.data or args.unseen):
        parser.error("--data goes with --boxes; give these, or --unseen, or both")
    how = StreamOptions(degradation=args.degradation, noise_percent=args.noise)
    resolver = SuperResolver.load(
        args.model,
        strict_backend=True,
        num_threads=args.threads,
        camera=known_camera(None, args.degradation),
    )
    for setting in args.settings:
        resolver.configure(**setting.options())  # refuses here what it would refuse minutes later
    judge = Detector.load(args.detector)
    reports: dict[str, Any] = {}
    for folder in filter(None, [args.data, *args.unseen]):
        box_set = read_boxes(folder, args.boxes, judge.classes) if folder == args.data else None
        if box_set is not None:
            # In the order of ids, which is that of the matches.
            frames = sorted((image.image_id, image.place.path) for image in box_set.images)
        else:
            frames = list(enumerate(list_files(folder)))
        if args.limit and args.limit < len(frames):
            chosen = np.linspace(0, len(frames) - 1, args.limit).round().astype(int)
            frames = [frames[index] for index in chosen]
        columns, found = measure(frames, resolver, args.settings, judge if box_set else None, how)
        samples = bootstrap(columns, box_set, judge.classes, found, args.resamples)
        reports[str(folder)] = report(samples, args.settings, len(frames))
        print(f"\n{folder}, {len(frames)} frames; (95 % interval)\n\n{table(reports[str(folder)])}")
    if args.json:
        args.json.write_text(json.dumps(reports, indent=2, allow_nan=False) + "\n")


if __name__ == "__main__":
    main()
