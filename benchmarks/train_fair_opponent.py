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

"""Train an embedded model's prior expert and a fair opponent for the same time, and compare.

    python benchmarks/train_fair_opponent.py train hit_uav/train --pair nano --out out/fair
    python benchmarks/train_fair_opponent.py score FOLDER --pair nano --out out/fair

An opponent takes the one-step model's time for a frame (``benchmarks/peers.py`` shows it). That of
``lite`` is what one would write first (``peer_networks/plain.py``), that of ``nano`` what people
reach for in real time, SRVGGNetCompact, made as narrow. Both learn in one process, a step at a
time, the next step always going to the one that has had less of the processor's time: that counts
neither pauses nor what other processes take, and slow moments hit both alike. Crops, degradation,
optimiser, clipping, averaged weights and the last part on PSNR itself are those of ``difiisr
train`` for both; the learning rate is the pair's. An interrupted run continues.

FOLDER holds m3fd/, roadscene/ and hit_uav/test/. Scores are PSNR in dB on 8-bit full frames whose
LR is Pillow's antialiased bicubic, through ``SuperResolver`` for both, so that normalisation and
rounding are the same.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple, Protocol, cast

import numpy as np
import torch
from peer_networks import Compact, PlainResidual
from torch import Tensor, nn

from difiisr_ros import SuperResolver
from difiisr_ros.backends.bicubic import BicubicBackend
from difiisr_ros.core.camera_profile import CameraProfile
from difiisr_ros.core.condition import Conditions
from difiisr_ros.core.device import has_native_bf16
from difiisr_ros.core.resample import back_project, fold, unfold, upsample_folded
from difiisr_ros.io.images import list_files, read_image
from difiisr_ros.lab.frames.degrade import crop_to_scale, degrade_bicubic
from difiisr_ros.lab.scores.metrics import psnr
from difiisr_ros.lab.training.data import CropSampler, load_frames
from difiisr_ros.lab.training.degradation import degrade
from difiisr_ros.lab.training.train import TrainSettings
from difiisr_ros.models.lite import EMBEDDED_CONFIGS, LiteConfig, LiteDenoiser
from difiisr_ros.options import UpscaleOptions

SETS = ("m3fd/HR", "roadscene", "hit_uav/test")
_FLAT_CROP = 1e-3  # as in difiisr_ros.lab.training.losses
PSNR_SHARE = 0.2
"""Of the time, at its end, in which PSNR itself is the loss."""
Predict = Callable[[Tensor], Tensor]
"""LR frame N x 1 x H x W to the folded result N x 16 x H x W."""


class OneStep(Protocol):
    """A network that answers at once."""

    def predict_folded(self, lr: Tensor) -> Tensor:
        """See :data:`Predict`."""


class LitePrior(nn.Module):
    """An embedded model's one step: bicubic, the prior expert, one back-projection."""

    def __init__(self, config: LiteConfig) -> None:
        super().__init__()
        self.network = LiteDenoiser(config)
        self.network.refiner.requires_grad_(False)
        self.network.noise_embedding.requires_grad_(False)
        self.network.refiner_camera_embedding.requires_grad_(False)

    def predict_folded(self, lr: Tensor) -> Tensor:
        told = torch.from_numpy(Conditions.of(CameraProfile(source="reduced"), [0.0]).values)
        x0 = upsample_folded(lr) + self.network.predict_prior(lr, told)
        return back_project(x0, lr, 1)


class NarrowCompact(nn.Module):
    """SRVGGNetCompact of one channel with few features."""

    def __init__(self, features: int, convolutions: int) -> None:
        super().__init__()
        self.network = Compact(features, convolutions, channels=1)

    def predict_folded(self, lr: Tensor) -> Tensor:
        return fold(self.network(lr).float())

    def forward(self, lr: Tensor) -> Tensor:
        return self.network(lr)


class Pair(NamedTuple):
    """One of ours and its opponent, and the peak learning rates at which each learns best."""

    ours: Callable[[], nn.Module]
    opponent: Callable[[], nn.Module]
    rates: tuple[float, float]


PAIRS = {
    "lite": Pair(
        lambda: LitePrior(EMBEDDED_CONFIGS["lite"]), lambda: PlainResidual(32, 9), (1e-3, 1e-3)
    ),
    "nano": Pair(
        lambda: LitePrior(EMBEDDED_CONFIGS["nano"]), lambda: NarrowCompact(16, 8), (6e-3, 6e-3)
    ),
}


def make_networks(pair: str, seed: int) -> dict[str, nn.Module]:
    torch.manual_seed(seed)
    chosen = PAIRS[pair]
    return {"ours": chosen.ours(), "opponent": chosen.opponent()}


class Learner:
    """One of the two, with its own crops, optimiser and clock."""

    def __init__(self, network: nn.Module, settings: TrainSettings, frames) -> None:
        self.network = network.to(memory_format=torch.channels_last)
        self.settings = settings
        self.parameters = [p for p in network.parameters() if p.requires_grad]
        self.optimizer = torch.optim.AdamW(
            self.parameters, settings.learning_rate, betas=(0.9, 0.99), weight_decay=1e-4
        )
        self.ema = {k: v.detach().clone() for k, v in network.state_dict().items()}
        self.sampler = CropSampler(frames, settings.crop, settings.seed)
        self.generator = torch.Generator().manual_seed(settings.seed)
        self.steps, self.seconds = 0, 0.0

    def step(self, least_done: float) -> None:
        """One step; ``least_done`` is how much of the training, 0 to 1, is over at least."""
        start = time.process_time()
        s = self.settings
        done = min(1.0, max(least_done, self.seconds / (60 * s.minutes)))
        rate = s.learning_rate * min(1.0, (self.steps + 1) / s.warmup_steps) * max(0.01, 1 - done)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        batch = self.sampler.draw(s.batch)
        lr = degrade(batch, "reduced", self.generator).lr
        with torch.autocast("cpu", torch.bfloat16, enabled=has_native_bf16()):
            found = cast(OneStep, self.network).predict_folded(lr)
            error = (found - fold(batch.hr)) / LiteConfig().residual_std
            if done < 1 - PSNR_SHARE:
                loss = error.abs().mean()
            else:
                loss = 0.5 * torch.log(error.square().mean(dim=(1, 2, 3)) + _FLAT_CROP).mean()
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(self.parameters, s.clip)
        self.optimizer.step()
        self.steps += 1
        decay = min(s.ema, (self.steps + 1) / (self.steps + 10))
        with torch.no_grad():
            for key, value in self.network.state_dict().items():
                self.ema[key].lerp_(value, 1 - decay)
        self.seconds += time.process_time() - start

    def state(self) -> dict[str, Any]:
        return {
            "network": self.network.state_dict(),
            "ema": self.ema,
            "optimizer": self.optimizer.state_dict(),
            "sampler": self.sampler.state(),
            "generator": self.generator.get_state(),
            "steps": self.steps,
            "seconds": self.seconds,
        }

    def load_state(self, state: dict[str, Any]) -> None:
        self.network.load_state_dict(state["network"])
        self.ema = state["ema"]
        self.optimizer.load_state_dict(state["optimizer"])
        self.sampler.set_state(state["sampler"])
        self.generator.set_state(state["generator"])
        self.steps, self.seconds = state["steps"], state["seconds"]


def train(data: Path, out: Path, pair: str, minutes: float, longest: float) -> None:
    # One thread: then the processor's time is the work done, however busy the machine is.
    torch.set_num_threads(1)
    settings = TrainSettings(minutes=minutes)
    frames = load_frames(data, settings.crop)
    learners = {
        name: Learner(network, replace(settings, learning_rate=rate), frames)
        for (name, network), rate in zip(make_networks(pair, 0).items(), PAIRS[pair].rates)
    }
    out.mkdir(parents=True, exist_ok=True)
    file = out / "state.pt"
    if file.is_file():
        for name, state in torch.load(file, weights_only=True).items():
            learners[name].load_state(state)

    def save() -> None:
        temporary = file.with_suffix(".tmp")
        torch.save({name: learner.state() for name, learner in learners.items()}, temporary)
        os.replace(temporary, file)
        print(
            ", ".join(
                f"{n}: {x.steps} steps, {x.seconds / 60:.1f} min" for n, x in learners.items()
            ),
            flush=True,
        )

    last = start = time.monotonic()
    while True:
        learner = min(learners.values(), key=lambda x: x.seconds)
        wall = (time.monotonic() - start) / (60 * longest)
        if learner.seconds >= 60 * minutes or wall >= 1:
            break
        learner.step(wall)
        if time.monotonic() - last > settings.save_every_s:
            last = time.monotonic()
            save()
    save()


class NetworkBackend(BicubicBackend):
    """Any x4 network as a backend, so that ``SuperResolver`` does the rest alike for all."""

    name = "benchmark"

    def __init__(self, model: str, predict: Predict) -> None:
        self.model, self._predict = model, predict

    def run(self, lr: np.ndarray, *_: Any) -> np.ndarray:
        with torch.inference_mode():
            return unfold(self._predict(torch.from_numpy(np.ascontiguousarray(lr)))).numpy()


def methods(out: Path, pair: str) -> dict[str, SuperResolver]:
    """Bicubic with the same kernel as the skip, and both networks with their averaged weights."""
    networks = make_networks(pair, 0)
    for name, state in torch.load(out / "state.pt", weights_only=True).items():
        networks[name].load_state_dict(state["ema"])
        networks[name].eval()
    ours, opponent = (cast(OneStep, network).predict_folded for network in networks.values())
    predict: dict[str, Predict] = {
        "bicubic": upsample_folded,
        "opponent": opponent,
        "opponent, back-projected": lambda lr: back_project(opponent(lr), lr, 1),
        "ours": ours,
    }
    return {n: SuperResolver(NetworkBackend(n, p), UpscaleOptions()) for n, p in predict.items()}


def mean_psnr(resolvers: dict[str, SuperResolver], files: Iterable[Path]) -> dict[str, Any]:
    scores: dict[str, list[float]] = {name: [] for name in resolvers}
    for path in files:
        hr = crop_to_scale(read_image(path))
        lr = degrade_bicubic(hr)
        for name, resolver in resolvers.items():
            scores[name].append(psnr(hr, resolver.upscale(lr), 255.0))
    # Both are measured on the same frames, so the interval is that of their difference.
    difference = np.subtract(scores["ours"], scores["opponent"])
    half = 1.96 * difference.std(ddof=1) / len(difference) ** 0.5
    return {
        **{name: round(float(np.mean(s)), 3) for name, s in scores.items()},
        "ours - opponent": round(float(difference.mean()), 3),
        "interval": round(float(half), 3),
        "frames": len(difference),
    }


def score(data: Path, out: Path, pair: str) -> None:
    resolvers = methods(out, pair)
    results: dict[str, Any] = {}
    for name in SETS:
        results[name] = mean_psnr(resolvers, list_files(data / name))
        print(name, json.dumps(results[name]), flush=True)
    state = torch.load(out / "state.pt", weights_only=True)
    results["training"] = {
        n: {k: round(s[k], 1) for k in ("steps", "seconds")} for n, s in state.items()
    }
    (out / "score.json").write_text(json.dumps(results, indent=2) + "\n")
    print(json.dumps(results["training"]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("action", choices=("train", "score"))
    parser.add_argument("data", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--pair", choices=tuple(PAIRS), default="lite")
    parser.add_argument(
        "--minutes", type=float, default=30.0, help="of one core's time, for each of the two"
    )
    parser.add_argument(
        "--longest",
        type=float,
        default=1e6,
        metavar="MIN",
        help="on the clock: the learning rate falls in time for this end, too",
    )
    args = parser.parse_args()
    if args.action == "train":
        train(args.data, args.out, args.pair, args.minutes, args.longest)
    else:
        score(args.data, args.out, args.pair)


if __name__ == "__main__":
    main()
