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

"""What averaging over time gains where scene and camera stand still, and what it costs elsewhere.

    python benchmarks/still_scenes.py --data FOLDER [--model nano lite] [--limit 8]

FOLDER holds hit_uav/val, roadscene, m3fd/HR and native/clips. Every frame is compared with the
result of the same frame by itself; all gains are in PSNR. Prints Markdown, for cameras that are
told (noise and blur) and untold ('auto'):

- static: a recorded frame with new noise in every look at it, after 8 and 32 frames, of three sets
- objects: ellipses that cross a still scene; at them, where they were within the last 16 frames,
  and in the rest; of blocks of 16x16 camera pixels the worst, and the share that loses over 0.02 dB
- camera: the same blocks where the camera pans or shakes, with white noise of 1 % of the range that
  is all new in every frame, and that stays to 90 % of its power
- clips: the real ones; how much stands still, how many frames are averaged there, flicker, and
  what the past leaves where something has moved and stands still again, against the mean of the
  following frames, in means over 5x5 camera pixels
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from still_sequences import Look, Watched, moving, standing, with_objects
from tqdm import tqdm

from difiisr_ros import SuperResolver
from difiisr_ros.core.camera_profile import AUTO, CameraProfile, resolve_camera
from difiisr_ros.core.scale import SCALE
from difiisr_ros.io.images import list_files, read_image
from difiisr_ros.lab.frames.degrade import crop_to_scale
from difiisr_ros.lab.scores.temporal import (
    WAKE_FRAMES,
    WakeWatch,
    change_threshold,
    enlarge,
    flicker,
    still_mask,
)
from difiisr_ros.stream_memory import MOTION, MemoryOptions, StreamMemory
from difiisr_ros.stream_memory import NOISE as MEMORY_NOISE

PARTS = ("static", "objects", "camera", "clips")
SETS = {"hit_uav": "hit_uav/val", "roadscene": "roadscene", "m3fd": "m3fd/HR"}
MOVING_SETS = ("hit_uav", "roadscene")
NOISE = (0.5, 1.0, 2.0)  # % of the range
AFTER = (8, 32)
TARGETS = {1.0: 0.7, 2.0: 1.2}  # dB over a single frame, told, after 8 frames
MOTIONS = {
    "pan 0.05": {"pan": 0.05},
    "pan 0.3": {"pan": 0.3},
    "pan 1": {"pan": 1.0},
    "jitter 0.1": {"jitter": 0.1},
}
FIXED = (0.0, 0.9)
MOST_LOSS = 0.02  # dB, of any block
STREAM = MemoryOptions("auto", "running")
_STATIC_SIZE, _MOVING_SIZE = (512, 640), (320, 400)  # truth's pixels, to save time
_FIRST, _OBJECT_FRAMES, _CAMERA_FRAMES = 8, 40, 24
_WAKE = 16
_BLOCK = 16 * SCALE
Row = dict[str, Any]


def profiles(watched: Watched) -> dict[str, CameraProfile]:
    """What models are told."""
    return {"told": watched.told, "auto": resolve_camera(AUTO)}


def gain(single: float | np.ndarray, averaged: float | np.ndarray) -> Any:
    """dB, of two sums of squared errors."""
    return 10 * np.log10(np.asarray(single) / np.maximum(averaged, 1e-12))


def cut(path: Path, size: tuple[int, int]) -> np.ndarray:
    return crop_to_scale(read_image(path)[: size[0], : size[1]])


def measure_static(
    paths: dict[str, list[Path]], resolver: Any, options: MemoryOptions = STREAM
) -> list[Row]:
    """Gains after some frames of scenes that stand still: means of frames, then of sets."""
    found: dict[tuple[float, str, int], dict[str, list[float]]] = {}
    for name, path in _each(paths, "static"):
        hr = cut(path, _STATIC_SIZE)
        for noise in NOISE:
            watched = Watched.of(hr, path.name, noise, counts=1)
            for known, camera in profiles(watched).items():
                memory = StreamMemory(options)
                for number, lr in enumerate(standing(watched, max(AFTER)), 1):
                    if number not in AFTER:
                        resolver.remember(lr, memory, camera)
                        continue
                    pair = (
                        resolver.upscale(lr, camera=camera),
                        resolver.upscale(lr, camera=camera, memory=memory),
                    )
                    errors = [float(np.square(sr - hr.astype(np.float64)).sum()) for sr in pair]
                    cell = found.setdefault((noise, known, number), {})
                    cell.setdefault(name, []).append(float(gain(*errors)))
    return [
        {
            "noise": noise,
            "camera": known,
            "frames": number,
            "gain": float(np.mean([np.mean(values) for values in sets.values()])),
            "sets": {name: float(np.mean(values)) for name, values in sets.items()},
        }
        for (noise, known, number), sets in found.items()
    ]


def errors_of(
    looks: Iterable[Look],
    resolver: Any,
    camera: CameraProfile,
    options: MemoryOptions,
    first: int,
) -> Iterator[tuple[Look, np.ndarray, np.ndarray]]:
    """Each frame from the ``first`` on with the squared errors of both results."""
    memory = StreamMemory(options)
    for number, look in enumerate(looks):
        averaged = resolver.upscale(look.lr, camera=camera, memory=memory)
        if number >= first:
            single = resolver.upscale(look.lr, camera=camera)
            yield look, np.square(single - look.truth), np.square(averaged - look.truth)


def blocks_of(errors: np.ndarray) -> np.ndarray:
    """Sums over blocks of 16x16 camera pixels; what is left at the edges is not counted."""
    rows, columns = (side // _BLOCK for side in errors.shape)
    whole = errors[: rows * _BLOCK, : columns * _BLOCK]
    return whole.reshape(rows, _BLOCK, columns, _BLOCK).sum((1, 3)).ravel()


def block_row(gains: list[np.ndarray]) -> Row:
    every = np.concatenate(gains)
    return {
        "worst block": float(every.min()),
        "blocks that lose": float(np.mean(every < -MOST_LOSS)),
        "blocks": int(every.size),
    }


def measure_objects(
    paths: dict[str, list[Path]],
    resolver: Any,
    options: MemoryOptions = STREAM,
    pan: float = 0.0,
) -> list[Row]:
    """Gains where objects move, where they were, and in the rest."""
    found: dict[tuple[float, str], tuple[dict[str, np.ndarray], list[np.ndarray]]] = {}
    for _, path in _each(paths, "objects"):
        hr = cut(path, _MOVING_SIZE)
        for noise in NOISE:
            watched = Watched.of(hr, path.name, noise)
            for known, camera in profiles(watched).items():
                areas, blocks = found.setdefault((noise, known), ({}, []))
                total = np.zeros((2, *hr.shape))
                since = np.full(hr.shape, _WAKE)
                looks = with_objects(watched, _OBJECT_FRAMES, pan)
                for look, *pair in errors_of(looks, resolver, camera, options, _FIRST):
                    since = np.where(look.objects, 0, since + 1)
                    masks = {
                        "objects": since == 0,
                        "wake": (since > 0) & (since <= _WAKE),
                        "rest": since > _WAKE,
                    }
                    for area, mask in masks.items():
                        sums = np.array([errors[mask].sum() for errors in pair])
                        areas[area] = areas.get(area, 0) + sums
                    total += pair
                blocks.append(gain(*map(blocks_of, total)))
    return [
        {"noise": noise, "camera": known}
        | {area: float(gain(*sums)) for area, sums in areas.items()}
        | block_row(blocks)
        for (noise, known), (areas, blocks) in found.items()
    ]


def measure_camera(
    paths: dict[str, list[Path]], resolver: Any, options: MemoryOptions = STREAM
) -> list[Row]:
    """Gains where the camera moves, losses without ``motion``: the mean of scenes, and blocks."""
    found: dict[tuple[str, float, str], tuple[list[float], list[np.ndarray]]] = {}
    for _, path in _each(paths, "camera"):
        hr = cut(path, _MOVING_SIZE)
        for (motion, how), fixed in ((m, f) for m in MOTIONS.items() for f in FIXED):
            watched = Watched.of(hr, path.name, 1.0, fixed)
            for known, camera in profiles(watched).items():
                gains, blocks = found.setdefault((motion, fixed, known), ([], []))
                total = np.zeros((2, *hr.shape))
                looks = moving(watched, _CAMERA_FRAMES, **how)
                for _, *pair in errors_of(looks, resolver, camera, options, 4):
                    total += pair
                gains.append(float(gain(total[0].sum(), total[1].sum())))
                blocks.append(gain(*map(blocks_of, total)))
    return [
        {"motion": motion, "fixed noise": fixed, "camera": known, "gain": float(np.mean(gains))}
        | block_row(blocks)
        for (motion, fixed, known), (gains, blocks) in found.items()
    ]


def measure_clips(
    folder: Path, resolver: Any, most: int, options: MemoryOptions = STREAM
) -> list[Row]:
    """Real clips: what stands still, what that gives, and what the past leaves behind."""
    return [
        measure_clip(path.stem, np.load(path)["frames"][:most], resolver, options)
        for path in tqdm(sorted(folder.glob("*.npz")), unit="clip", disable=None, file=sys.stderr)
    ]


def measure_clip(
    name: str, frames: np.ndarray, resolver: Any, options: MemoryOptions = STREAM
) -> Row:
    """One clip of N x H x W counts; NaN for what it does not show."""
    memory, watch = StreamMemory(options), WakeWatch()
    means = [cv2.blur(frame.astype(np.float32), (5, 5)) for frame in frames]
    before: list[np.ndarray] = []
    still, averaged, flickers, wakes = [], [], [], []
    for t, frame in enumerate(frames):
        # In floating point: rounding to whole counts flickers more than a camera does.
        scene = frame.astype(np.float32)
        results = [resolver.upscale(scene)]
        results.append(resolver.upscale(scene, memory=memory))
        measured = resolver.measurements[0]
        still.append(measured.still)
        averaged.append(measured.frames)
        if before and (mask := still_mask(frame, frames[t - 1])).any():
            large = enlarge(mask)
            flickers.append([flicker(b, a, large) for a, b in zip(before, results)])
        before = results
        after = means[t + 1 : t + 1 + WAKE_FRAMES]
        moved = watch.look(frame) > 0
        if len(after) == WAKE_FRAMES:
            stays = np.ptp([means[t], *after], axis=0) <= change_threshold(frame)
            if (where := moved & stays).any():
                wakes.append((where.sum(), *(left_behind(sr, after, where) for sr in results)))
    single, ours = np.mean(flickers, axis=0) if flickers else (np.nan, np.nan)
    pixels, *left = np.transpose(wakes) if wakes else (np.zeros(1), np.zeros(1), np.zeros(1))
    weight = pixels.sum() or np.nan
    return {
        "clip": name,
        "frames": len(frames),
        "still": float(np.mean(still)),
        "averaged": float(np.median(averaged)),
        "flicker, single": float(single),
        "flicker": float(ours),
        "wake, % of pixels": float(100 * pixels.sum() / frames.size),
        "wake, single": float((left[0] * pixels).sum() / weight),
        "wake": float((left[1] * pixels).sum() / weight),
    }


def left_behind(sr: np.ndarray, after: list[np.ndarray], where: np.ndarray) -> float:
    """Mean |result minus the following frames|, counts, both in means over 5x5 camera pixels."""
    height, width = where.shape
    small = cv2.blur(cv2.resize(sr, (width, height), interpolation=cv2.INTER_AREA), (5, 5))
    return float(np.abs(small - np.mean(after, axis=0))[where].mean())


def table(rows: list[Row]) -> str:
    """Markdown; what is nested is left to the JSON."""
    keys = [key for key, value in rows[0].items() if not isinstance(value, dict)]
    lines = [f"| {' | '.join(keys)} |", "| --- |" + " --- |" * (len(keys) - 1)]
    for row in rows:
        cells = (f"{row[k]:.3f}" if isinstance(row[k], float) else str(row[k]) for k in keys)
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def verdicts(parts: dict[str, list[Row]]) -> list[str]:
    """What is aimed at, and whether it is reached."""
    lines = []
    for row in parts.get("static", ()):
        if row["camera"] == "told" and row["frames"] == AFTER[0] and row["noise"] in TARGETS:
            least = TARGETS[row["noise"]]
            word = "pass" if row["gain"] >= least else "FAIL"
            lines.append(
                f"{row['noise']:g} %, told, {AFTER[0]} frames: {row['gain']:+.2f} dB, "
                f"aimed at {least:+.2f}  {word}"
            )
    for part in ("objects", "camera"):
        if rows := parts.get(part):
            worst = min(row["worst block"] for row in rows)
            word = "pass" if worst >= -MOST_LOSS else "FAIL"
            lines.append(
                f"worst block, {part}: {worst:+.3f} dB, at least {-MOST_LOSS:+.2f}  {word}"
            )
    return lines


def _plain(row: Row) -> Row:
    """For JSON: rounded, and None for what there was not."""

    def plain(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: plain(entry) for key, entry in value.items()}
        if isinstance(value, float):
            return round(value, 4) if np.isfinite(value) else None
        return value

    return {key: plain(value) for key, value in row.items()}


def _each(paths: dict[str, list[Path]], title: str) -> Iterator[tuple[str, Path]]:
    every = [(name, path) for name, of_set in paths.items() for path in of_set]
    return iter(tqdm(every, desc=title, unit="frame", disable=None, file=sys.stderr))


def measure(args: argparse.Namespace, resolver: Any) -> Iterator[tuple[str, list[Row]]]:
    """Part by part of those that are asked for."""
    options = MemoryOptions("auto", args.noise, motion=args.motion)
    clips = args.data / "native/clips"
    paths = {}
    for name, folder in SETS.items():
        files = list_files(args.data / folder) if set(args.parts) - {"clips"} else []
        chosen = np.linspace(0, len(files) - 1, min(args.limit, len(files))).round().astype(int)
        paths[name] = [files[i] for i in chosen]
    some = {name: paths[name] for name in MOVING_SETS}
    ways = {
        "static": lambda: measure_static(paths, resolver, options),
        "objects": lambda: measure_objects(some, resolver, options, args.pan),
        "camera": lambda: measure_camera(some, resolver, options),
        "clips": lambda: measure_clips(clips, resolver, args.clip_frames, options),
    }
    for part in PARTS:
        if part in args.parts:
            yield part, ways[part]()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=Path("../shared/data"), metavar="FOLDER")
    parser.add_argument("--model", nargs="+", default=["nano", "lite"], help="names or files")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument(
        "--limit", type=int, default=8, metavar="N", help="N frames of a set, evenly spread"
    )
    parser.add_argument(
        "--noise", choices=MEMORY_NOISE, default="running", help="stream.noise, for 'auto'"
    )
    parser.add_argument("--motion", choices=MOTION, default="off", help="stream.motion")
    parser.add_argument(
        "--pan",
        type=float,
        default=0.0,
        metavar="PX",
        help="the camera moves by so many of its pixels a frame while objects cross",
    )
    parser.add_argument("--clip-frames", type=int, default=90, metavar="N", help="of a clip")
    parser.add_argument("--backend", default="auto")
    parser.add_argument("--threads", type=int, default=0, metavar="N", help="of the CPU; 0: all")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the numbers, too")
    args = parser.parse_args()
    if args.threads:
        cv2.setNumThreads(args.threads)
    report = {}
    for model in args.model:
        resolver = SuperResolver.load(
            model, backend=args.backend, num_threads=args.threads, strict_backend=True
        )
        found = {}
        for part, rows in measure(args, resolver):
            print(f"\n{Path(model).stem}, {part}\n\n{table(rows)}", flush=True)
            found[part] = rows
        reached = verdicts(found)
        print("\n" + "\n".join(reached), flush=True)
        name = Path(model).stem
        kept = {part: [_plain(row) for row in rows] for part, rows in found.items()}
        report[name] = {"model": resolver.info.as_dict(), **kept, "verdicts": reached}
        resolver.close()
    if args.json:
        asked = {
            key: getattr(args, key) for key in ("limit", "clip_frames", "noise", "motion", "pan")
        }
        args.json.write_text(json.dumps({**asked, "models": report}, indent=2) + "\n")


if __name__ == "__main__":
    main()
