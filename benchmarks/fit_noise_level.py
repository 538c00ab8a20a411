#!/usr/bin/env python3
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

"""Fit ``core/noise_level.py`` on simulated cameras, print its numbers and the errors.

    python benchmarks/fit_noise_level.py DATA           # errors of the numbers that are in use
    python benchmarks/fit_noise_level.py DATA --refit   # fit anew, print the numbers and errors

DATA holds ``hit_uav/train`` (fitted), ``hit_uav/val`` (what was chosen by) and, where they are
there, ``roadscene`` (only looked at). Cameras: blur 0.2 to 1.1 px, 4x4 area, row and column pattern
0 to 1 % of the range, noise none or 0.05 to 5 %, rounded to 8 bits, to other steps, or not.
Errors are in % of the range: half of the frames are below the first number, 95 % below the second.
"""

from __future__ import annotations

import argparse
import textwrap
from pathlib import Path

import numpy as np
import torch
from simulated_camera import SCALE, evenly, simulate

from difiisr_ros.core import noise_level

HIDDEN = 8
LEVELS = (0.0, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.03, 0.05)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--refit", action="store_true")
    parser.add_argument("--draws", type=int, default=6, help="simulated frames of each HR frame")
    parser.add_argument("--steps", type=int, default=8000)
    args = parser.parse_args()
    torch.set_num_threads(1)
    if args.refit:
        inputs, truth = training_set(evenly(args.data / "hit_uav" / "train", 1200), args.draws)
        fit(inputs, truth, args.steps)
    for name in ("hit_uav/val", "roadscene"):
        if (args.data / name).is_dir():
            report(name, evenly(args.data / name, 100))


def training_set(frames: list[np.ndarray], draws: int) -> tuple[np.ndarray, np.ndarray]:
    """Inputs of the fitted function in % of the range, and the noise there is."""
    random = np.random.default_rng(13)
    inputs, truth = [], []
    for hr in frames:
        for _ in range(draws):
            scene = crop(hr, random)
            if random.random() < 1 / 3:
                scene = part_flat(scene, random)
            kind = random.random()
            noise = np.exp(random.uniform(np.log(0.0005), np.log(0.05)))
            if kind < 0.1:
                noise = 0.0
            elif kind < 0.15:  # scenes of hardly anything but noise
                noise = random.uniform(0.05, 0.5)
            step = (1.0, 1.0, None, float(np.ptp(scene)) * 10 ** random.uniform(-4, -1.6))
            frame, span = simulate(
                scene,
                blur=random.uniform(0.2, 1.1),
                noise=noise,
                pattern=random.uniform(0, 0.01),
                step=step[random.integers(4)],
                random=random,
            )
            levels = noise_level.block_levels(frame)
            if levels is not None:
                inputs.append(100.0 * levels / span)
                truth.append(100.0 * noise)
    return np.array(inputs), np.array(truth)


def crop(hr: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Two thirds of the frames whole, a third a part of it, as small cameras have."""
    if random.random() < 2 / 3:
        return hr
    high, wide = 60 * SCALE, 80 * SCALE
    top, left = random.integers(hr.shape[0] - high), random.integers(hr.shape[1] - wide)
    return hr[top : top + high, left : left + wide]


def part_flat(scene: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """A scene whose contrast vanishes to one side, as above a horizon or on a wall."""
    height, width = scene.shape
    angle = random.uniform(0, 2 * np.pi)
    across = np.cos(angle) * np.linspace(-1, 1, width) * width
    down = np.sin(angle) * np.linspace(-1, 1, height)[:, None] * height
    place = (across + down) / np.hypot(height, width)
    contrast = 1 / (1 + np.exp((random.uniform(-0.7, 0.7) - place) * 10 ** random.uniform(0.5, 2)))
    middle = np.median(scene)
    return np.rint(middle + (scene - middle) * contrast).astype(np.uint8)


def fit(inputs: np.ndarray, truth: np.ndarray, steps: int) -> None:
    """Fit by Adam, put the rounded numbers into the module, and print them."""
    torch.manual_seed(0)
    given, wanted = (torch.tensor(a, dtype=torch.float32) for a in (inputs, truth))
    width = given.shape[1]
    linear = torch.full((width,), 1.0 / width)
    hidden, output = torch.randn(HIDDEN, width) * width**-0.5, torch.randn(HIDDEN) * HIDDEN**-0.5
    free = [linear.requires_grad_(), hidden.requires_grad_(), output.requires_grad_()]
    optimizer = torch.optim.Adam(free, lr=0.01)
    rate = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    for _ in range(steps):
        found = given @ linear + torch.relu(given @ hidden.T) @ output
        error = (found - wanted) / (wanted + 0.2)  # absolute where there is little, else relative
        loss = torch.nn.functional.smooth_l1_loss(error, torch.zeros_like(error), beta=0.1)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        rate.step()
    print(f"{len(truth)} frames, loss {loss.item():.4f}")
    for name, values in (("_HIDDEN", hidden), ("_OUTPUT", output), ("_LINEAR", linear)):
        rounded = np.round(values.detach().numpy().astype(np.float64), 3)
        setattr(noise_level, name, rounded)
        print(f"{name} = np.array({_source(rounded)})")


def _source(values: np.ndarray) -> str:
    """An array as it stands in a source file of 100 columns."""
    if values.ndim == 2:
        return "[\n" + "\n".join(f"    {_source(row)}," for row in values) + "\n]"
    numbers = ", ".join(f"{v:g}" for v in values)
    return "\n     ".join(textwrap.wrap(f"[{numbers}]", 80))


def report(name: str, frames: list[np.ndarray]) -> None:
    """Print the errors at each level of noise."""
    print(f"\n{name}: |error| in % of the range, median / 95th percentile; median of the estimate")
    print("noise %     rounded to 8 bits          not rounded")
    for level in LEVELS:
        cells = []
        for step in (1.0, None):
            random = np.random.default_rng(17)
            found = []
            for hr in frames:
                frame, span = simulate(
                    hr,
                    blur=random.uniform(0.2, 1.1),
                    noise=level,
                    pattern=random.uniform(0, 0.01),
                    step=step,
                    random=random,
                )
                found.append(100.0 * noise_level.estimate_noise(frame) / span)
            error = np.abs(np.array(found) - 100.0 * level)
            low, high = np.percentile(error, [50, 95])
            cells.append(f"{low:6.3f} / {high:5.3f} ({np.median(found):5.2f})")
        print(f"{100 * level:6.2f}   " + "   ".join(cells))


if __name__ == "__main__":
    main()
