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

"""How much of a camera's fixed pattern is left after how many frames of what.

    python benchmarks/fixed_pattern.py --data FRAMES [--clips CLIPS] [--count 6]

FRAMES is a folder of HR frames, 4 pixels for one of the camera. Each is the scene of a sequence:
the camera (80x60, 0.4 px of blur, 4x4 area sampling) pans over it at 0.2 to 5 pixels a frame with
turns and pauses, flies forward, rolls, or moves along its rows alone. CLIPS is a folder of .npz
with ``frames`` (N x H x W) of a camera that stands still: nothing may be learnt from them, and what
their mean has of fine structure, the scene's too, is a pattern that sequences are given.

``left``: power of pattern minus offsets over that of the pattern. ``bias``: local means (8x8
pixels) of what is wrong after correcting, less those before, mean of magnitudes; ``level``: of the
whole frame. Both are shares of the frame's range, as is everything where there is no pattern.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from simulated_camera import evenly

from difiisr_ros.core.camera_simulation import SCALE
from difiisr_ros.core.noise_level import estimate_noise
from difiisr_ros.core.pattern_learner import PatternLearner
from difiisr_ros.core.radiometry import measure_range
from difiisr_ros.core.robust import spread

SIZE = HEIGHT, WIDTH = 60, 80
BLUR = 0.4
AFTER = (50, 100, 300)
_NOISE_EVERY = 30
_BLOCK = 8
_FINE = 9  # pixels: what of a still clip's mean is called pattern is finer


@dataclass(frozen=True)
class Camera:
    """Sizes of what a camera adds, shares of the frame's range."""

    noise: float
    pixels: float = 0.0
    columns: float = 0.0
    rows: float = 0.0

    def pattern(self, random: np.random.Generator) -> np.ndarray:
        """Offsets, H x W, mean 0."""
        white = self.pixels * random.standard_normal(SIZE)
        lines = self.columns * random.standard_normal((1, WIDTH))
        found = white + lines + self.rows * random.standard_normal((HEIGHT, 1))
        return found - found.mean()


CAMERAS = {
    "no pattern": Camera(0.005),
    "little": Camera(0.003, 0.004, 0.002),
    "usual": Camera(0.005, 0.015, 0.008, 0.003),
    "columns": Camera(0.002, 0.01, 0.011),
    "Lepton at night": Camera(0.01, 0.06),
}


def places(count: int, room: np.ndarray, random: np.random.Generator, *, rows: bool) -> np.ndarray:
    """Where a camera looks that pans within some room: count x 2 (y, x), camera pixels."""
    place, found = random.uniform(0.2, 0.8, 2) * room, np.empty((count, 2))
    heading, speed, turn, left = random.uniform(0, 2 * np.pi), 1.0, 0.0, 0
    for i in range(count):
        if left == 0:
            left, turn = int(random.integers(10, 50)), random.normal(0, 0.05)
            speed = np.exp(random.uniform(np.log(0.2), np.log(5.0))) * (random.random() > 0.15)
            if random.random() < 0.4:
                heading = random.uniform(0, 2 * np.pi)
        left -= 1
        heading += turn
        step = speed * np.array([0.0 if rows else np.sin(heading), np.cos(heading)])
        inside = np.clip(place + step, 0, room)
        if inside[0] != (place + step)[0]:
            heading = -heading
        if inside[1] != (place + step)[1]:
            heading = np.pi - heading
        found[i] = place = inside
    return found


def scenes(hr: np.ndarray, count: int, motion: str, seed: int) -> Iterator[np.ndarray]:
    """What a camera without pattern and noise sees, H x W each."""
    hr = cv2.GaussianBlur(hr.astype(np.float32), (0, 0), BLUR * SCALE)
    room = np.maximum(np.array(hr.shape) / SCALE - SIZE, 0.0)
    path = places(count, room, np.random.default_rng(seed), rows=motion == "along rows")
    size = np.array([WIDTH, HEIGHT]) * SCALE
    for i in range(count):
        (y, x), zoom, roll = path[i] * SCALE, 1.0, 0.0
        if motion == "forward":
            (y, x), zoom = 0.5 * room * SCALE, 1.35 - 0.5 * (i % 60) / 60
        if motion == "rolling":
            roll = 0.3 * np.sin(2 * np.pi * i / 200)
        turn = np.array([[np.cos(roll), -np.sin(roll)], [np.sin(roll), np.cos(roll)]]) / zoom
        middle = (size - 1) / 2
        matrix = np.hstack([turn, (middle + np.array([x, y]) - turn @ middle)[:, None]])
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        seen = cv2.warpAffine(
            hr, matrix, tuple(size.tolist()), flags=flags, borderMode=cv2.BORDER_REFLECT
        )
        yield cv2.resize(seen, (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA)


def local(image: np.ndarray) -> float:
    """Mean magnitude of the means over blocks."""
    rows, columns = (side // _BLOCK for side in image.shape)
    whole = image[: rows * _BLOCK, : columns * _BLOCK]
    return float(np.abs(whole.reshape(rows, _BLOCK, columns, _BLOCK).mean(axis=(1, 3))).mean())


def run(
    hr: np.ndarray, noise: float, pattern: np.ndarray, motion: str, seed: int
) -> tuple[list[float], float, float, int]:
    """Wrong offsets' power after some frames, bias and level in the end, and looks.

    Args:
        hr: the scene.
        noise: white noise that changes, share of the range.
        pattern: offsets, shares of the range.
        motion: of the camera.
        seed: of motion and noise.
    """
    low, high = measure_range(hr)
    span, random = high - low, np.random.default_rng(seed + 1000)
    fixed = (pattern * span).astype(np.float32)
    learner, powers, level = PatternLearner(), [], 0.0
    for i, scene in enumerate(scenes(hr, AFTER[-1], motion, seed)):
        frame = (scene + fixed + noise * span * random.standard_normal(SIZE)).astype(np.float32)
        if i % _NOISE_EVERY == 0:
            level = estimate_noise(frame)
        learner.learn(frame, level)
        if i + 1 in AFTER:
            shown = learner.offsets
            wrong = fixed - (0.0 if shown is None else shown)
            powers.append(float((wrong**2).mean()) / span**2)
    return powers, (local(wrong) - local(fixed)) / span, float(wrong.mean()) / span, learner.frames


def of_clip(frames: np.ndarray) -> np.ndarray:
    """What is the pattern's in the mean of a still camera's frames: nearly, shares of the range."""
    mean = frames.mean(axis=0, dtype=np.float64).astype(np.float32)
    low, high = measure_range(frames[0])
    fine = mean - cv2.blur(mean, (_FINE, _FINE))
    offsets = fine[:HEIGHT, :WIDTH]
    limit = 4.0 * spread(offsets)  # beyond it is the scene
    offsets = np.clip(offsets, -limit, limit)
    return (offsets - offsets.mean()) / (high - low)


def table(frames: list[np.ndarray], patterns: dict[str, tuple[float, list[np.ndarray]]]) -> None:
    """Print a row for each pattern and motion."""
    print("pattern                motion        left after " + "  ".join(f"{n:>6}" for n in AFTER))
    for name, (noise, offsets) in patterns.items():
        motions = (
            ["panning", "forward", "rolling", "along rows"] if name == "usual" else ["panning"]
        )
        for motion in motions:
            rows, worst, bias, level, looks = [], 0.0, [], [], []
            for i, hr in enumerate(frames):
                pattern = offsets[i % len(offsets)]
                powers, biased, mean, count = run(hr, noise, pattern, motion, i)
                power = float((pattern**2).mean())
                rows.append([p / power if power else p**0.5 for p in powers])
                worst = max(worst, rows[-1][-1])
                bias.append(biased)
                level.append(abs(mean))
                looks.append(count)
            text = "  ".join(f"{100 * v:5.2f} %" for v in np.mean(rows, axis=0))
            print(
                f"{name:22} {motion:12}             {text}  worst {100 * worst:5.2f} %, "
                f"bias {100 * np.mean(bias):+.3f} %, level {100 * np.mean(level):.3f} %, "
                f"{np.mean(looks):.0f} looks",
                flush=True,
            )


def speed() -> None:
    """Print the time of a frame."""
    for width, height in ((80, 60), (160, 120), (320, 256), (640, 512)):
        random, times = np.random.default_rng(0), []
        large = cv2.resize(random.random((40, 50), np.float32) * 200, None, fx=24, fy=24)
        large = cv2.resize(large, (2 * width, 2 * height), interpolation=cv2.INTER_CUBIC)
        learner = PatternLearner()
        for i in range(60):
            frame = (
                large[i : i + height, 2 * i : 2 * i + width]
                if width > 120
                else large[i // 2 : i // 2 + height, i : i + width]
            )
            frame = frame + random.standard_normal(frame.shape).astype(np.float32)
            start = time.process_time()
            learner.learn(frame, 1.0)
            times.append(time.process_time() - start)
        print(
            f"{width}x{height}: {1e3 * np.median(times[10:]):.1f} ms a frame "
            f"(p90 {1e3 * np.percentile(times[10:], 90):.1f}), {learner.frames} of 60 taught"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, metavar="FRAMES")
    parser.add_argument("--clips", type=Path, metavar="CLIPS", help="still clips, .npz")
    parser.add_argument("--count", type=int, default=6, help="frames, evenly spaced (default: 6)")
    args = parser.parse_args()
    cv2.setNumThreads(1)
    frames = evenly(args.data, args.count)
    patterns = {
        name: (c.noise, [c.pattern(np.random.default_rng(i)) for i in range(len(frames))])
        for name, c in CAMERAS.items()
    }
    clips = {}
    for path in sorted(args.clips.glob("*.npz")) if args.clips else []:
        clips[path.stem] = np.load(path)["frames"]
    if clips:
        for name, clip in clips.items():
            patterns[f"{name[-14:]} (clip)"] = (0.005, [of_clip(clip)])
    table(frames, patterns)
    for name, clip in clips.items():
        learner = PatternLearner()
        for frame in clip:
            learner.learn(frame.astype(np.float32), estimate_noise(frame))
        most = 0.0 if learner.offsets is None else float(np.abs(learner.offsets).max())
        print(
            f"still, {name}: {learner.frames} of {len(clip)} frames taught, most {most:.3f} counts"
        )
    speed()


if __name__ == "__main__":
    main()
