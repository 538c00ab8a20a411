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

"""What a detector finds at each scale: frames at their own size, and enlarged to its fixed input.

    python benchmarks/detector_sizes.py --data FOLDER --json sizes.json

FOLDER holds hit_uav/test and hit_uav/test.json (boxes in COCO's format). Frames are reduced x4 by a
simulated camera with 1 % of noise, restored at every scale by bicubic and by the model (nothing
told), and shown to the judge as they are, and enlarged to the sharp frame's size by bilinear
interpolation, as detectors with a fixed input do.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from functools import partial
from pathlib import Path

import cv2
import numpy as np

from difiisr_ros import SuperResolver
from difiisr_ros.atomic_write import write_atomically
from difiisr_ros.core.scale import SCALE, SCALES
from difiisr_ros.lab.detection.boxes import read_boxes
from difiisr_ros.lab.detection.score import score
from difiisr_ros.lab.evaluation.methods import bicubic_upscale
from difiisr_ros.lab.evaluation.run import JUDGE
from difiisr_ros.models.detector.detector import Detector

Upscale = Callable[[np.ndarray], np.ndarray]
COLUMNS = ["", *(f"x{scale}" for scale in SCALES)]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--data", type=Path, required=True, metavar="FOLDER", help="with hit_uav")
    parser.add_argument("--model", default="lite", help="'lite', 'nano' or a model file")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the table as JSON")
    args = parser.parse_args()
    detector = Detector.load(JUDGE)
    folder = args.data / "hit_uav" / "test"
    boxes = read_boxes(folder, folder.with_name("test.json"), detector.classes)
    found: dict[tuple[str, int, bool], str] = {}
    for scale in SCALES:
        resolver = SuperResolver.load(args.model, scale=scale, strict_backend=True)
        ways: dict[str, Upscale] = {
            "bicubic": partial(bicubic_upscale, scale=scale),
            args.model: resolver.upscale,
        }

        for fixed in (False, True):
            if fixed and scale == SCALE:
                continue  # is that size
            methods = {
                name: partial(_enlarged, upscale=way) if fixed else way
                for name, way in ways.items()
            }
            report = score(
                detector,
                boxes,
                methods,
                degradation="camera",
                noise_percent=1.0,
                min_objects=20,
                scale=SCALE if fixed else scale,
            )
            for name in methods:
                values = report["methods"][name]
                found[name, scale, fixed] = _cell(values)
                if scale == SCALE:
                    found[name, scale, True] = _cell(values)
        resolver.close()
    rows = []
    for fixed, words in ((True, "enlarged to the sharp frame's size"), (False, "at its own size")):
        for name in ("bicubic", args.model):
            cells = [found[name, scale, fixed] for scale in SCALES]
            rows.append([f"{name}, {words}", *cells])
            print(" | ".join(rows[-1]))
    if args.json:
        table = {"columns": COLUMNS, "rows": rows}
        write_atomically(args.json, (json.dumps(table, indent=2) + "\n").encode())


def _enlarged(lr: np.ndarray, upscale: Upscale) -> np.ndarray:
    size = SCALE * lr.shape[1], SCALE * lr.shape[0]
    return cv2.resize(upscale(lr), size, interpolation=cv2.INTER_LINEAR)


def _cell(values: dict[str, dict[str, float]]) -> str:
    mean, small = values["map50"], values["recall50_small"]["value"]
    return f"{mean['value']:.3f} [{mean['low']:.3f}, {mean['high']:.3f}]; {small:.2f}"


if __name__ == "__main__":
    main()
