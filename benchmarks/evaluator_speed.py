"""What evaluating costs beside upscaling: reading, degrading and scoring, per frame of one method.

    python benchmarks/evaluator_speed.py [--width 320 --height 256] [--frames 40]

Frames of the camera's size x4 are recorded into a bag, read, degraded to the camera's size,
upscaled with one step and scored by the default metrics, as `difiisr evaluate` does. All are timed
in turn, frame by frame, so that a busy machine disturbs all alike. The share is what the evaluator
adds to the upscaling; the target is a third at 320x256.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections import defaultdict
from pathlib import Path

import cv2
import numpy as np

from difiisr_ros import SuperResolver
from difiisr_ros.allocator import keep_large_buffers
from difiisr_ros.evaluation.degrade import DEGRADATIONS, SCALE, degrade
from difiisr_ros.evaluation.methods import bicubic_upscale
from difiisr_ros.evaluation.scoring import FrameScorer, ScoreOptions, choose_metrics
from difiisr_ros.evaluation.streams import Sample
from difiisr_ros.io.bags import BagReader, BagWriter

TARGET = 1 / 3


def scene(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """Structure at every scale, 10 to 245."""
    frame = np.zeros((height, width), np.float32)
    for size in (8, 16, 32, 64, 128):
        coarse = rng.normal(size=(height // size + 2, width // size + 2)).astype(np.float32)
        frame += size * cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    return (frame - frame.min()) / np.ptp(frame) * 235 + 10


def noisy(rng: np.random.Generator, still: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """What a camera records of a scene; the scene stands still, so flicker is measured too."""
    frame = still + rng.normal(scale=1, size=still.shape)
    if dtype == np.uint16:
        frame = frame * 4 + 29000
    return np.rint(frame).clip(0, np.iinfo(dtype).max).astype(dtype)


def record(path: Path, count: int, height: int, width: int, dtype: np.dtype) -> None:
    rng = np.random.default_rng(0)
    still = scene(rng, height, width)
    frames = [noisy(rng, still, dtype) for _ in range(min(count, 8))]
    with BagWriter(path) as writer:
        for i in range(count):
            writer.write_image("/cam/image_raw", 10**18 + i * 33_333_333, frames[i % len(frames)])


def measure(path: Path, degradation: str, resolver: SuperResolver) -> dict[str, float]:
    """Median milliseconds per frame of each part."""
    metrics, _ = choose_metrics("self_referenced", True)
    taken: dict[str, list[float]] = defaultdict(list)
    options = ScoreOptions(metrics)
    with BagReader(path) as reader, FrameScorer(options) as scorer, FrameScorer(options) as two:
        records = reader.read_images()
        while True:
            start = time.perf_counter()
            record = next(records, None)
            if record is None:
                break
            hr = np.array(record.frame)
            read = time.perf_counter()
            lr = degrade(hr, degradation, 0)
            degraded = time.perf_counter()
            sr = resolver.upscale(lr)
            upscaled = time.perf_counter()
            sample = Sample("frame", 0, lr, hr)
            scorer.score(sample, {"difiisr": sr})
            scored = time.perf_counter()
            bicubic = bicubic_upscale(lr)
            both = time.perf_counter()
            two.score(sample, {"difiisr": sr, "bicubic": bicubic})
            taken["read"].append(read - start)
            taken["degrade"].append(degraded - read)
            taken["upscale"].append(upscaled - degraded)
            taken["score"].append(scored - upscaled)
            taken["score_two"].append(time.perf_counter() - both)
    # The first frames pay for caches.
    return {part: 1e3 * float(np.median(values[2:])) for part, values in taken.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--width", type=int, default=320, help="of the camera")
    parser.add_argument("--height", type=int, default=256)
    parser.add_argument("--frames", type=int, default=40)
    parser.add_argument("--json", type=Path, help="write the numbers here")
    args = parser.parse_args()
    keep_large_buffers()
    resolver = SuperResolver.load()
    size = f"{args.width}x{args.height}"
    print(f"one step at {size}, {resolver.info.backend} {resolver.info.precision}; ms per frame")
    print("type    degradation  read  degrade  score  sum    upscale  share  each further method")
    results = []
    for dtype in (np.dtype(np.uint8), np.dtype(np.uint16)):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "bag"
            record(path, args.frames, args.height * SCALE, args.width * SCALE, dtype)
            for degradation in DEGRADATIONS:
                ms = measure(path, degradation, resolver)
                total = ms["read"] + ms["degrade"] + ms["score"]
                share = total / ms["upscale"]
                print(
                    f"{dtype.name:7} {degradation:11} {ms['read']:5.1f} {ms['degrade']:8.1f} "
                    f"{ms['score']:6.1f} {total:5.1f} {ms['upscale']:9.1f} {share:6.2f}  "
                    f"{ms['score_two'] - ms['score']:.1f}"
                    + ("" if share <= TARGET else f"  over the target of {TARGET:.2f}")
                )
                results.append(
                    {"dtype": dtype.name, "degradation": degradation, "share": share, **ms}
                )
    if args.json:
        args.json.write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
