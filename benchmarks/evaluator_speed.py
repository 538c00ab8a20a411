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

"""What evaluating costs beside upscaling: reading, degrading and scoring, per frame of one method.

    python benchmarks/evaluator_speed.py [--width 320 --height 256] [--frames 40]

Frames of the camera's size x4 are recorded into a bag, read, degraded to the camera's size,
upscaled with one step and scored by the default metrics, by the loop that `difiisr evaluate` runs.
What it takes for a frame beyond the upscaling is the evaluator's cost; its share of the upscaling
should be below a third at 320x256. "Further" is what one more method adds, without its upscaling.

On a busy machine compare processor times, with `--threads 1`: threads that wait for a turn spin.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np

from difiisr_ros import SuperResolver
from difiisr_ros.allocator import keep_large_buffers
from difiisr_ros.io.bags import BagWriter
from difiisr_ros.lab.evaluation import score_stream as score_module
from difiisr_ros.lab.evaluation.methods import Method, kernel_methods, super_resolver_methods
from difiisr_ros.lab.evaluation.score_stream import StreamJob, make_columns, score_stream
from difiisr_ros.lab.evaluation.scoring import ScoreOptions, choose_metrics
from difiisr_ros.lab.frames.degrade import DEGRADATIONS, SCALE
from difiisr_ros.lab.frames.open_streams import open_streams
from difiisr_ros.lab.frames.streams import Sample, StreamOptions

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


class Clock:
    """Wall and processor time, ms."""

    def __init__(self) -> None:
        self._start = time.perf_counter(), time.process_time()

    def taken(self) -> np.ndarray:
        now = time.perf_counter(), time.process_time()
        return 1e3 * np.subtract(now, self._start)


def timed(method: Method, taken: list[np.ndarray]) -> Method:
    """A method that notes the time of each frame; nothing else works meanwhile."""

    def upscale(sample: Sample) -> np.ndarray:
        clock = Clock()
        result = method.upscale(sample)
        taken.append(clock.taken())
        return result

    return Method(method.name, upscale, method.details)


def usual(values: list[np.ndarray]) -> np.ndarray:
    """Lower quartile: what else a machine has to do only ever adds."""
    return np.percentile(values, 25, axis=0)


def measure(path: Path, degradation: str, ours: Method) -> dict[str, np.ndarray]:
    """Wall and processor milliseconds per frame: of upscaling, of all the rest of an evaluation,
    and of the rest that one more method adds."""
    (stream,) = open_streams([path], StreamOptions(degradation=degradation))
    metrics, _ = choose_metrics(stream.mode, stream.in_time)
    rest: dict[int, list[np.ndarray]] = {1: [], 2: []}
    upscale: list[np.ndarray] = []
    running = {}
    for count in rest:
        methods = [timed(m, upscale) for m in (ours, kernel_methods(SCALE)[0])[:count]]
        columns = make_columns(stream.mode, [m.name for m in methods], metrics)
        running[count] = score_stream(StreamJob(0, stream, ScoreOptions(metrics), columns), methods)
    ours_alone = []
    ended = False
    while not ended:
        # Frame by frame in turn, so that a busy machine disturbs both alike.
        for count, batches in running.items():
            upscale.clear()
            clock = Clock()
            batch = next(batches)
            rest[count].append(clock.taken() - np.sum(upscale, axis=0))
            ours_alone += upscale[:1]
            ended = batch.done
    # The first frames pay for caches, the last batch is empty.
    one, two = (usual(values[3:-1]) for values in rest.values())
    return {"upscale": usual(ours_alone[6:]), "evaluate": one, "further": two - one}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--width", type=int, default=320, help="of the camera")
    parser.add_argument("--height", type=int, default=256)
    parser.add_argument("--frames", type=int, default=40)
    parser.add_argument("--threads", type=int, default=0, help="1: processor time means something")
    parser.add_argument("--json", type=Path, help="write the numbers here")
    args = parser.parse_args()
    keep_large_buffers()
    resolver = SuperResolver.load(num_threads=args.threads)
    if args.threads:
        cv2.setNumThreads(args.threads)
    score_module.BATCH_PERIOD_S = 0.0  # a batch for every frame
    (ours,) = super_resolver_methods(resolver, [1])
    size = f"{args.width}x{args.height}"
    print(f"one step at {size}, {resolver.info.backend} {resolver.info.precision}; ms per frame")
    print("type     degradation  time       upscale  evaluate  share  further")
    results = []
    for dtype in (np.dtype(np.uint8), np.dtype(np.uint16)):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "bag"
            record(path, args.frames, args.height * SCALE, args.width * SCALE, dtype)
            for degradation in DEGRADATIONS:
                found = measure(path, degradation, ours)
                for i, kind in enumerate(("wall", "processor")):
                    ms = {part: round(float(values[i]), 2) for part, values in found.items()}
                    share = ms["evaluate"] / ms["upscale"]
                    print(
                        f"{dtype.name:7}  {degradation:11}  {kind:9}  {ms['upscale']:7.1f}  "
                        f"{ms['evaluate']:8.1f}  {share:5.2f}  {ms['further']:7.1f}"
                        + ("" if share <= TARGET else f"  over the target of {TARGET:.2f}")
                    )
                    case = {"dtype": dtype.name, "degradation": degradation, "time": kind}
                    results.append(case | ms | {"share": round(share, 3)})
    if args.json:
        args.json.write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
