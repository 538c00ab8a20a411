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

"""What models do to frames as cameras deliver them: noise, lattice, edges, flicker, targets.

    python benchmarks/native_frames.py --data FOLDER [--model lite] [--num-steps 1] [--scale 2]

FOLDER holds native/ (train, test, clips), lepton/ and hit_uav/val. Prints tables with the limits
beside them: medians of each camera against OpenCV's bicubic, flicker of still clips, and the trials
of native_trials.py on made frames, all at one scale. With --profiles, edge widths are measured with
CAMERA.yaml of that folder told. --pictures writes frames by nearest neighbour, bicubic and ours
side by side.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import cv2
import native_trials as trials
import numpy as np
from tqdm import tqdm

from difiisr_ros import SuperResolver
from difiisr_ros.core.camera_profile import CameraProfile
from difiisr_ros.core.scale import SCALE
from difiisr_ros.io.images import list_files, read_image, write_image
from difiisr_ros.lab.evaluation.methods import bicubic_upscale
from difiisr_ros.lab.frames.degrade import crop_to_scale
from difiisr_ros.lab.scores.native_measures import NativeMeasures
from difiisr_ros.lab.scores.temporal import enlarge, flicker, still_mask

PARTS = ("cameras", "clips", "lattice", "targets")
LATTICE_NOISE = (0.5, 1.0, 2.0, 5.0)  # % of the range
LATTICE_STEPS = (1, 2, 4)
SCALES = (4, 2)
"""x1 has neither a lattice nor anything above the LR Nyquist frequency."""
_GAP = 8  # pixels between pictures


@dataclass(frozen=True)
class Check:
    """A figure and what it may be."""

    name: str
    value: float
    limit: float
    least: float = -np.inf

    @property
    def passes(self) -> bool:
        return bool(self.least <= self.value <= self.limit)  # NaN: no

    def line(self) -> str:
        allowed = f"at most {self.limit:g}"
        if np.isfinite(self.least):
            allowed = f"{self.least:g} to {self.limit:g}"
        return f"{'pass' if self.passes else 'FAIL'}  {self.name}: {self.value:.3f} ({allowed})"


def cameras(data: Path, per_camera: int | None) -> dict[str, list[Path]]:
    """Frames by camera: files of one name but for the number at its end."""
    found: dict[str, list[Path]] = {}
    for folder in ("native/test", "native/train"):
        for path in list_files(data / folder):
            found.setdefault(re.sub(r"_\d+$", "", path.stem), []).append(path)
    found["lepton"] = list_files(data / "lepton")
    if per_camera is None:
        return found
    return {
        name: [paths[i] for i in np.linspace(0, len(paths) - 1, per_camera).astype(int)]
        if per_camera < len(paths)
        else paths
        for name, paths in found.items()
    }


def measure_camera(
    paths: list[Path], resolver: Any, profile: CameraProfile | None, scale: int = SCALE
) -> dict[str, float]:
    """Medians over the frames of a camera; edge widths over bicubic's."""
    rows = []
    for path in paths:
        lr = read_image(path)
        bicubic = bicubic_upscale(lr, scale)
        measures = NativeMeasures(lr, bicubic, scale)
        found = measures.measure(resolver.upscale(lr))
        width = found.pop("edge_width")
        if profile is not None:
            width = measures.edges.width(resolver.upscale(lr, camera=profile))
        rows.append({**found, "edges": width / measures.edges.width(bicubic)})
    values = {key: np.array([row[key] for row in rows]) for key in rows[0]}
    return {
        key: float(np.nanmedian(column)) if np.isfinite(column).any() else float("nan")
        for key, column in values.items()
    }


def on_cameras(args: argparse.Namespace, resolver: Any) -> Iterator[Check]:
    """The table of native frames, then its checks."""
    groups = cameras(args.data, args.per_camera)
    found = {}
    told = 0
    for name in tqdm(groups, unit="camera", disable=None, file=sys.stderr):
        file = args.profiles / f"{name}.yaml" if args.profiles else None
        profile = CameraProfile.read(file) if file is not None and file.is_file() else None
        told += profile is not None
        found[name] = measure_camera(groups[name], resolver, profile, args.scale)
    keys = list(next(iter(found.values())))
    print(f"\n| camera, over bicubic | frames | {' | '.join(keys)} |")
    print("| --- |" + " --- |" * (len(keys) + 1))
    for name, values in found.items():
        cells = " | ".join(_cell(values[key]) for key in keys)
        print(f"| {name} | {len(groups[name])} | {cells} |")
    columns = {key: np.array([values[key] for values in found.values()]) for key in keys}
    print(f"| median | | {' | '.join(_cell(np.nanmedian(columns[key])) for key in keys)} |")
    gain, above = columns["noise_gain"], columns["noise_above_nyquist"]
    yield Check("noise in flat places, median of cameras", float(np.nanmedian(gain)), 0.75)
    yield Check("noise in flat places, the worst camera", float(np.nanmax(gain)), 1.05)
    yield Check("noise above Nyquist, median of cameras", float(np.nanmedian(above)), 1.0)
    name = f"edge widths, median of cameras, {told} of {len(found)} told their blur"
    yield Check(name, float(np.nanmedian(columns["edges"])), 0.9)


def on_clips(args: argparse.Namespace, resolver: Any) -> Iterator[Check]:
    """Flicker of still clips over bicubic's: all of it, and what is finer than a camera's pixel."""
    print("\n| clip, flicker over bicubic | still frames | all | fine |\n| --- | --- | --- | --- |")
    columns, scale = [], args.scale
    for path in sorted((args.data / "native" / "clips").glob("*.npz")):
        frames = np.load(path)["frames"][: args.clip_frames]
        # In floating point, as rounding to whole counts flickers more than a Lepton does.
        pairs = [
            (f, bicubic_upscale(f, scale), resolver.upscale(f)) for f in frames.astype(np.float32)
        ]
        rows = []
        for i, (a, b) in enumerate(pairwise(pairs)):
            still = still_mask(frames[i + 1], frames[i])
            if still.any():
                mask = enlarge(still, scale)
                plain = [flicker(b[k], a[k], mask) for k in (1, 2)]
                fine = [
                    np.abs(trials.still_high_pass(b[k] - a[k], scale))[mask > 0].mean()
                    for k in (1, 2)
                ]
                rows.append((*plain, *fine))
        if rows:
            base, ours, base_fine, ours_fine = np.mean(rows, axis=0)
            columns.append((ours / base, ours_fine / base_fine))
            cells = " | ".join(f"{value:.3f}" for value in columns[-1])
            print(f"| {path.stem} | {len(rows)} | {cells} |")
    for name, values in zip(("all", "fine"), np.transpose(columns)):
        yield Check(f"flicker of still clips, {name}, mean", float(values.mean()), 1.0)


def on_lattice(args: argparse.Namespace, resolver: Any) -> Iterator[Check]:
    """White noise at several steps: lattice, and noise over bicubic's."""
    upscale, found = _upscale(resolver, trials.SEEN), {}
    print("\n| white noise | " + " | ".join(f"{n:g} %" for n in LATTICE_NOISE) + " |")
    print("| --- |" + " --- |" * len(LATTICE_NOISE))
    for steps in LATTICE_STEPS:
        resolver.configure(num_steps=steps)
        found[steps] = np.array(
            [trials.lattice(upscale, n, scale=args.scale) for n in LATTICE_NOISE]
        )
        for i, title in enumerate(("lattice, share of the noise", "noise over bicubic's")):
            cells = " | ".join(f"{value:.3f}" for value in found[steps][:, i])
            print(f"| {steps} steps: {title} | {cells} |")
    resolver.configure(num_steps=args.num_steps)
    for steps, values in found.items():
        yield Check(f"lattice, {steps} steps, the worst", float(values[:, 0].max()), 0.05)
    # Results are float32, and threads add in any order: what is equal differs by some 1e-5.
    more = round(float((found[max(found)][:, 1] / found[1][:, 1]).max()), 4)
    yield Check("noise of four steps over that of one, the worst", more, 1.0)
    for name, profile in (("auto", trials.AUTO), ("told 0 %, blur 0.4", trials.told(0.0))):
        added = trials.texture(upscale, profile, args.scale)
        yield Check(f"texture on a smooth frame without noise, {name}, % of range", added, 0.02)


def on_targets(args: argparse.Namespace, resolver: Any) -> Iterator[Check]:
    """Energy of hot targets, reach of a stuck pixel, overshoot."""
    upscale = _upscale(resolver)
    paths = list_files(args.data / "hit_uav" / "val")
    chosen = np.linspace(0, len(paths) - 1, args.scenes).astype(int)
    scenes = [trials.scaled(crop_to_scale(read_image(paths[i]))) for i in chosen]
    for name, profile in (("auto", trials.AUTO), ("told", trials.told(1.0))):
        # Nothing is stuck in the reference: what else changes, the pixel has done.
        for height in (1.0, 50.0):
            reach = trials.stuck_pixel(upscale, scenes, height, profile, args.scale)
            title = f"stuck pixel of {height:g} ranges, {name}: change beyond 4 px, % of range"
            yield Check(title, reach, 0.05)
    on_plain = _upscale(resolver, trials.SEEN)
    for name, profile in (("auto", trials.AUTO), ("told", trials.told(1.0))):
        shares = trials.energy(on_plain, scenes, profile, args.scale)
        for side, height in (min(shares, key=shares.get), max(shares, key=shares.get)):  # type: ignore[arg-type]
            title = f"energy of targets, {name}, the worst ({side} px, {height:g} ranges)"
            yield Check(title, shares[side, height], 1.03, 0.97)
    heights = " | ".join(f"{h:g}" for h in trials.HEIGHTS)
    print(f"\n| overshoot, % (bicubic), targets of ranges: | {heights} |")
    print("| --- |" + " --- |" * len(trials.HEIGHTS))
    worst, above = -np.inf, -np.inf
    for edge in trials.EDGES:
        for name, (profile, right) in trials.PROFILES.items():
            values = 100 * trials.overshoots(upscale, edge, profile, args.scale)
            cells = " | ".join(f"{ours:.0f} ({bicubic:.0f})" for ours, bicubic, _ in values)
            print(f"| {edge}, {name}{', right' * (edge in right)} | {cells} |")
            worst = max(worst, values[:, 0].max())
            above = max(above, values[:, 2].max() if edge in right else -np.inf)
    yield Check("overshoot, % of the contrast, the worst", worst, 40.0)
    yield Check("overshoot above bicubic's where the profile is right, points", above, 15.0)


def _upscale(resolver: Any, value_range: tuple[float, float] | None = None) -> trials.Upscale:
    return lambda lr, profile: resolver.upscale(lr, value_range, profile)


def _cell(value: float) -> str:
    return "" if np.isnan(value) else f"{value:.3f}"


def write_pictures(args: argparse.Namespace, resolver: Any) -> None:
    """One frame of each camera, at full size: nearest neighbour, bicubic, ours."""
    for name, paths in cameras(args.data, 1).items():
        lr = read_image(paths[0])
        nearest = lr.repeat(args.scale, axis=0).repeat(args.scale, axis=1)
        low, high = np.percentile(lr, (1, 99))
        parts = []
        for sr in (nearest, bicubic_upscale(lr, args.scale), resolver.upscale(lr)):
            shown = 16 + 224 * (sr.astype(np.float64) - low) / max(high - low, 1)
            parts += [shown.clip(0, 255).astype(np.uint8), np.full((len(sr), _GAP), 255, np.uint8)]
        write_image(args.pictures / f"{name}_{args.num_steps}.png", np.hstack(parts[:-1]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=Path("../shared/data"), metavar="FOLDER")
    parser.add_argument("--model", default="lite", help="name or file")
    parser.add_argument("--num-steps", type=int, default=1, metavar="N")
    parser.add_argument("--scale", type=int, choices=SCALES, default=SCALE, help="of the results")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--per-camera", type=int, metavar="N", help="frames of a camera (all)")
    parser.add_argument("--clip-frames", type=int, default=12, metavar="N", help="of a clip")
    parser.add_argument("--scenes", type=int, default=8, metavar="N", help="for targets")
    parser.add_argument("--profiles", type=Path, metavar="FOLDER", help="with CAMERA.yaml files")
    parser.add_argument("--backend", default="auto")
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--threads", type=int, default=0, metavar="N", help="of the CPU; 0: all")
    parser.add_argument("--pictures", type=Path, metavar="FOLDER", help="write pictures here")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the checks, too")
    args = parser.parse_args()
    if args.threads:
        cv2.setNumThreads(args.threads)
    resolver = SuperResolver.load(
        args.model,
        backend=args.backend,
        precision=args.precision,
        num_steps=args.num_steps,
        scale=args.scale,
        num_threads=args.threads,
        strict_backend=True,
    )
    measure = {
        "cameras": on_cameras,
        "clips": on_clips,
        "lattice": on_lattice,
        "targets": on_targets,
    }
    checks: list[Check] = []
    for part in args.parts:
        checks += measure[part](args, resolver)
    print("\n" + "\n".join(check.line() for check in checks))
    if args.pictures:
        write_pictures(args, resolver)
    if args.json:
        report = {
            "model": resolver.info.as_dict(),
            "num_steps": args.num_steps,
            "scale": args.scale,
            "checks": [asdict(check) | {"passes": check.passes} for check in checks],
        }
        # JSON knows neither infinity nor NaN.
        text = json.dumps(report, indent=2).replace("-Infinity", "null").replace("NaN", "null")
        args.json.write_text(text + "\n")


if __name__ == "__main__":
    main()
