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

"""What models gain over bicubic on simulated cameras, by what they are told of the camera.

    python benchmarks/camera_grid.py --data FOLDER [--model lite nano] [--limit 20] [--scale 2]

FOLDER holds hit_uav/test, roadscene and m3fd/HR. Each frame is reduced x4 by antialiased bicubic,
and by a simulated camera of its own (blur, pattern; fixed by --seed and the frame's name) with each
amount of white noise, then restored by OpenCV's bicubic and by every model: told (blur, and noise
with rounding, or that frames were reduced) and untold ('auto'). At x2 and x1 the truth is means of
2x2 and 4x4 of its pixels, and bicubic is of the same scale: at x1 the LR frame itself. Prints
Markdown: gains in PSNR and differences in SSIM to bicubic as means of the sets, then those of every
set, and the smallest ones.
"""

from __future__ import annotations

import argparse
import json
import sys
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from tqdm import tqdm

from difiisr_ros import SuperResolver
from difiisr_ros.core.camera_profile import AUTO, REDUCED, CameraProfile, resolve_camera
from difiisr_ros.core.scale import SCALE, SCALES
from difiisr_ros.io.images import list_files, read_image
from difiisr_ros.lab.evaluation.methods import bicubic_upscale
from difiisr_ros.lab.frames.degrade import camera_frame, crop_to_scale, degrade_bicubic, truth_at
from difiisr_ros.lab.scores.metrics import Ssim, data_range, psnr

SETS = {"hit_uav": "hit_uav/test", "roadscene": "roadscene", "m3fd": "m3fd/HR"}
TOLD, UNTOLD = "told", "auto"
#: Columns: None is antialiased bicubic, a number the camera's white noise in % of the range.
COLUMNS: tuple[float | None, ...] = (None, 0.0, 0.5, 1.0, 2.0, 3.0, 5.0)
#: What is aimed at, dB, for the columns up to 3 %, at x4 and with one step.
TARGETS = {
    "lite, told": (2.35, 3.2, 2.8, 2.4, 2.1, 2.25),
    "lite, auto": (1.6, 2.35, 2.0, 1.75, 1.65, 1.95),
    "nano, told": (2.05, 2.9, 2.5, 2.1, 1.8, 1.95),
    "nano, auto": (1.3, 2.1, 1.75, 1.5, 1.4, 1.7),
}
Grid = dict[str, np.ndarray]
"""Row -> columns x 2: gain in PSNR, dB, and difference in SSIM."""


def reduced(hr: np.ndarray, column: float | None, seed: int) -> tuple[np.ndarray, CameraProfile]:
    """The LR frame, and what there is to tell of its camera."""
    if column is None:
        return degrade_bicubic(hr), resolve_camera(REDUCED)
    lr, camera = camera_frame(hr, seed, column)
    return lr, CameraProfile(noise=camera.noise, blur=camera.blur)


def score(
    hr: np.ndarray, lr: np.ndarray, results: Sequence[np.ndarray], scale: int = SCALE
) -> np.ndarray:
    """Results x 2: PSNR and SSIM minus bicubic's."""
    truth = truth_at(hr, scale)
    span = data_range(truth)
    ssim = Ssim(truth, span)
    every = (bicubic_upscale(lr, scale), *results)
    values = np.array([(psnr(truth, sr, span), ssim(sr)) for sr in every])
    return values[1:] - values[0]


def measure_set(
    paths: Sequence[Path],
    resolvers: dict[str, Any],
    columns: Sequence[float | None],
    seed: int,
    scale: int = SCALE,
) -> Grid:
    """Means over the frames of a set, for every model told and untold."""
    rows = [f"{name}, {known}" for name in resolvers for known in (TOLD, UNTOLD)]
    sums = np.zeros((len(rows), len(columns), 2))
    untold = resolve_camera(AUTO)
    for path in tqdm(paths, unit="frame", disable=None, file=sys.stderr):
        hr = crop_to_scale(read_image(path))
        for i, column in enumerate(columns):
            lr, told = reduced(hr, column, seed ^ zlib.crc32(path.name.encode()))
            results = [
                resolver.upscale(lr, camera=camera)
                for resolver in resolvers.values()
                for camera in (told, untold)
            ]
            sums[:, i] += score(hr, lr, results, scale)
    return dict(zip(rows, sums / len(paths)))


def mean_grid(grids: Sequence[Grid]) -> Grid:
    """Every set counts the same, however many frames it has."""
    return {row: np.mean([grid[row] for grid in grids], axis=0) for row in grids[0]}


def table(grid: Grid, columns: Sequence[float | None], which: int) -> str:
    """Markdown: PSNR (0) or SSIM (1)."""
    titles = ["reduced" if c is None else f"{c:g} %" for c in columns]
    lines = [f"| {('dB', 'SSIM')[which]} | " + " | ".join(titles) + " |"]
    lines.append("| --- |" + " --- |" * len(columns))
    for row, values in grid.items():
        cells = (f"{value:+.{(2, 4)[which]}f}" for value in values[:, which])
        lines.append(f"| {row} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def verdicts(
    sets: dict[str, Grid],
    mean: Grid,
    columns: Sequence[float | None],
    num_steps: int,
    scale: int = SCALE,
) -> list[str]:
    """The smallest gains of any cell, and cells that miss what is aimed at."""
    lines = []
    for which, title, unit in ((0, "PSNR", " dB"), (1, "SSIM", "")):
        cells = [
            (values[i, which], f"{name}, {row}, {_title(column)}")
            for name, grid in sets.items()
            for row, values in grid.items()
            for i, column in enumerate(columns)
        ]
        least, where = min(cells)
        word = "pass" if least >= 0 else "FAIL"
        lines.append(f"smallest gain in {title}: {least:+.4f}{unit} ({where})  {word}")
    for row, targets in TARGETS.items() if num_steps == 1 and scale == SCALE else ():
        for column, target in zip(COLUMNS, targets):
            if row in mean and column in columns:
                found = mean[row][list(columns).index(column), 0]
                if found < target:
                    lines.append(
                        f"{row}, {_title(column)}: {found:+.2f} dB, aimed at {target:+.2f}  FAIL"
                    )
    return lines


def _title(column: float | None) -> str:
    return "reduced" if column is None else f"camera {column:g} %"


def _columns(text: str) -> list[float | None]:
    return [None if part == REDUCED else float(part) for part in text.split(",")]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=Path("../shared/data"), metavar="FOLDER")
    parser.add_argument("--model", nargs="+", default=["lite", "nano"], help="names or files")
    parser.add_argument("--sets", nargs="+", choices=SETS, default=list(SETS))
    parser.add_argument(
        "--columns",
        type=_columns,
        default=list(COLUMNS),
        metavar="reduced,0,0.5...",
        help="'reduced' and white noise in %% of the range",
    )
    parser.add_argument("--num-steps", type=int, default=1, metavar="N")
    parser.add_argument("--scale", type=int, choices=SCALES, default=SCALE, help="of the results")
    parser.add_argument("--limit", type=int, metavar="N", help="N frames of a set, evenly spread")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of the cameras")
    parser.add_argument("--backend", default="auto")
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--threads", type=int, default=0, metavar="N", help="of the CPU; 0: all")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the numbers, too")
    args = parser.parse_args()
    if args.threads:
        cv2.setNumThreads(args.threads)
    resolvers = {
        Path(model).stem: SuperResolver.load(
            model,
            backend=args.backend,
            precision=args.precision,
            num_steps=args.num_steps,
            scale=args.scale,
            num_threads=args.threads,
            strict_backend=True,
        )
        for model in args.model
    }
    sets: dict[str, Grid] = {}
    for name in args.sets:
        paths = list_files(args.data / SETS[name])
        if args.limit and args.limit < len(paths):
            chosen = np.linspace(0, len(paths) - 1, args.limit).round().astype(int)
            paths = [paths[i] for i in chosen]
        sets[name] = measure_set(paths, resolvers, args.columns, args.seed, args.scale)
    mean = mean_grid(list(sets.values()))
    for title, grid in {f"mean of {', '.join(sets)}": mean, **sets}.items():
        print(f"\n{title}, x{args.scale}, {args.num_steps} steps\n")
        print("\n\n".join(table(grid, args.columns, which) for which in (0, 1)))
    found = verdicts(sets, mean, args.columns, args.num_steps, args.scale)
    print("\n" + "\n".join(found))
    if args.json:
        report = {
            "columns": [_title(column) for column in args.columns],
            "num_steps": args.num_steps,
            "scale": args.scale,
            "models": {name: resolver.info.as_dict() for name, resolver in resolvers.items()},
            "mean": _plain(mean),
            "sets": {name: _plain(grid) for name, grid in sets.items()},
            "verdicts": found,
        }
        args.json.write_text(json.dumps(report, indent=2) + "\n")


def _plain(grid: Grid) -> dict[str, dict[str, list[float]]]:
    return {
        row: {"psnr": values[:, 0].round(4).tolist(), "ssim": values[:, 1].round(5).tolist()}
        for row, values in grid.items()
    }


if __name__ == "__main__":
    main()
