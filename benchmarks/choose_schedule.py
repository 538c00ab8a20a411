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

"""Choose the noise schedule of a trained model: PSNR against spectrum on validation frames.

    python benchmarks/choose_schedule.py MODEL FRAMES [--num-steps 4] [--limit 8] [--write]

The refiner is trained at all noise levels, so kappa, power and the lowest level can be chosen
afterwards. Every candidate is scored on frames that were never trained on and are no test set.
``--write`` stores the best one in the model file: the candidate with the smallest spectrum distance
among those that lose at most ``--budget`` dB of the one-step PSNR.
"""

from __future__ import annotations

import argparse
import dataclasses
import itertools
from pathlib import Path

import numpy as np
import torch
from safetensors import safe_open
from tqdm import tqdm

from difiisr_ros.core.camera_profile import CameraProfile
from difiisr_ros.core.condition import Conditions
from difiisr_ros.core.noise import noise_field
from difiisr_ros.core.noise_level import estimate_noise
from difiisr_ros.core.radiometry import measure_range, normalize, restore
from difiisr_ros.core.resample import fold
from difiisr_ros.lab.frames.folder_stream import FolderStream
from difiisr_ros.lab.frames.streams import StreamOptions
from difiisr_ros.lab.scores.metrics import data_range, psnr
from difiisr_ros.lab.scores.spectrum import spectrum_distance
from difiisr_ros.models.checkpoint import load_model, save_model
from difiisr_ros.models.lite import LiteConfig, LiteDenoiser
from difiisr_ros.models.lite_frames import upscale_frames

KAPPA = (0.05, 0.1, 0.2)
POWER = (0.6, 1.0)
LOWEST = (0.05, 0.1, 0.2)  # noise of the last step in units of the residual's deviation
STOCHASTICITY = (0.0, 0.7)


def candidates(base: LiteConfig) -> list[LiteConfig]:
    """All combinations that make a valid schedule."""
    found = []
    for kappa, power, lowest, fresh in itertools.product(KAPPA, POWER, LOWEST, STOCHASTICITY):
        sqrt_eta = lowest * base.residual_std / kappa
        level = sqrt_eta if kappa < 1 else sqrt_eta * kappa
        found.append(
            dataclasses.replace(
                base, kappa=kappa, power=power, min_noise_level=level, stochasticity=fresh
            )
        )
    return found


@torch.inference_mode()
def score(model: LiteDenoiser, config: LiteConfig, frames: list, steps: int) -> tuple[float, float]:
    """Mean PSNR (dB) and spectrum distance (dB)."""
    model.config = config
    full = config.schedule()
    schedule = full.respaced(steps)
    scores = []
    for sample_ in frames:
        value_range = measure_range(sample_.lr)
        lr = torch.from_numpy(normalize(sample_.lr, value_range))[None, None]
        noise = noise_field(0, sample_.hr.shape, steps if steps > 1 else 0)
        folded = [fold(torch.from_numpy(n)[None, None]) for n in noise]
        level = estimate_noise(sample_.lr) / (value_range[1] - value_range[0])
        told = torch.from_numpy(Conditions.of(CameraProfile(), [level]).values)
        result = upscale_frames(
            model, lr, told, folded, full, schedule, consistency=1, exact=False
        )[0, 0].numpy()
        sr = restore(result, value_range, sample_.hr.dtype)
        peak = data_range(sample_.hr)
        scores.append((psnr(sample_.hr, sr, peak), spectrum_distance(sample_.hr, sr, peak)))
    return tuple(np.mean(scores, axis=0))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model")
    parser.add_argument("frames", type=Path)
    parser.add_argument("--num-steps", type=int, default=4)
    parser.add_argument("--limit", type=int, default=8)
    parser.add_argument("--budget", type=float, default=1.2, help="dB of PSNR to spend")
    parser.add_argument("--write", action="store_true", help="store the choice in MODEL")
    args = parser.parse_args()
    model, facts = load_model(args.model)
    every = max(1, len(FolderStream(args.frames, StreamOptions())) // args.limit)
    options = StreamOptions(every=every, limit=args.limit)
    frames = list(FolderStream(args.frames, options).samples())
    reference = score(model, model.config, frames, 1)
    print(f"one step: {reference[0]:.2f} dB, spectrum distance {reference[1]:.2f} dB")
    rows = []
    for config in tqdm(candidates(model.config), unit="schedule", disable=None):
        found = score(model, config, frames, args.num_steps)
        rows.append((found[1], found[0] - reference[0], config))
    rows.sort(key=lambda row: row[0])
    for distance, change, config in rows:
        print(
            f"{distance:6.2f} dB ({distance / reference[1] - 1:+.0%})  PSNR {change:+.2f} dB  "
            f"kappa {config.kappa} power {config.power} min_noise_level "
            f"{config.min_noise_level:.4f} stochasticity {config.stochasticity}"
        )
    within = [row for row in rows if row[1] >= -args.budget]
    if not within:
        raise SystemExit(f"no schedule loses less than {args.budget} dB")
    print("best within the budget:", within[0][2])
    if args.write:
        with safe_open(args.model, "pt") as file:
            half = file.get_tensor(next(iter(file.keys()))).dtype == torch.float16
        model.config = within[0][2]
        save_model(Path(args.model), model, facts, half)


if __name__ == "__main__":
    main()
