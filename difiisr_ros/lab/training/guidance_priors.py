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

"""Fit what guidance expects of HR frames, given a trained model's first answers to LR frames.

Both fits are linear least squares on sums that are gathered frame by frame: no optimiser, no
randomness but the choice of frames, a minute on two cores.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from difiisr_ros.core.bound import shown
from difiisr_ros.core.noise import noise_field
from difiisr_ros.core.perceptual_guidance import FeaturePrior, MapPrior
from difiisr_ros.core.resample import SCALE, fold, unfold, upsample_folded
from difiisr_ros.core.visual_guidance import (
    SpectrumPrior,
    lr_amplitudes,
    ring_amplitudes,
    ring_responses,
)
from difiisr_ros.lab.training.data import Batch, Frame
from difiisr_ros.lab.training.degradation import degrade
from difiisr_ros.models.features.base import FeatureNetwork
from difiisr_ros.models.features.load import load_features
from difiisr_ros.models.guidance_priors import GuidancePriors
from difiisr_ros.models.lite import LiteDenoiser
from difiisr_ros.models.published.frames import upscale_frames
from difiisr_ros.models.published.network import PublishedModel

Answer = Callable[[Tensor, Tensor], Tensor]
"""A model's one-step answer before any projection: N x 1 x H x W, and what is told of the camera
(N x WIDTH), to folded N x 16 x H x W."""

FRAMES = 120
_RIDGE = 1e-3  # of the mean square of what is regressed on: keeps alike channels apart
_STRIDE = 3  # every third cell of a map: neighbours tell the same
_MOST_ROWS = 27_000  # and of large maps fewer: as many of one frame as of 640x512 at stride 2
_MOST_CHANNELS = 128  # that are regressed on each other


class LeastSquares:
    """``targets ~ conditions @ solution`` with a small ridge, from sums; any number at once."""

    def __init__(self) -> None:
        self._square: Tensor | None = None
        self._cross: Tensor | None = None

    def add(self, conditions: Tensor, targets: Tensor) -> None:
        """... x rows x conditions, and ... x rows x targets."""
        x, y = conditions.double(), targets.double()
        square, cross = x.mT @ x, x.mT @ y
        if self._square is None or self._cross is None:
            self._square, self._cross = square, cross
        else:
            self._square += square
            self._cross += cross

    def solve(self) -> Tensor:
        """... x conditions x targets, float32."""
        if self._square is None or self._cross is None:
            raise ValueError("there is nothing to fit")
        square = self._square
        unit = torch.eye(square.shape[-1], dtype=square.dtype, device=square.device)
        size = square.diagonal(dim1=-2, dim2=-1).mean(dim=-1)[..., None, None]
        return torch.linalg.solve(square + _RIDGE * size * unit, self._cross).float()


def lite_answer(model: LiteDenoiser) -> Answer:
    """The first answer of an embedded model, in evaluation mode and float32."""

    def answer(lr: Tensor, camera: Tensor) -> Tensor:
        return upsample_folded(lr) + model.predict_prior(shown(lr), camera)

    return answer


def published_answer(model: PublishedModel, seed: int = 0) -> Answer:
    """The first answer of a published model that is ready to run; noise by seed and size."""
    schedule = model.config.schedule().respaced(1)

    def answer(lr: Tensor, camera: Tensor) -> Tensor:
        height, width = (SCALE * side for side in lr.shape[-2:])
        noise = torch.from_numpy(noise_field(seed, (height, width), 1)).to(lr.device)
        return fold(upscale_frames(model, lr, noise, schedule, consistency=0))

    return answer


def fit_guidance_priors(
    answer: Answer,
    device: torch.device,
    frames: Sequence[Frame],
    spec: str = "thermal",
    count: int = FRAMES,
    largest: int = 0,
    degradation: str = "camera",
) -> GuidancePriors:
    """Fit both priors on ``count`` of the frames, evenly chosen.

    Args:
        answer: see :data:`Answer`.
        device: of the frames that it gets.
        frames: HR frames that the model was trained on, or the like of them.
        spec: the feature network, see :func:`difiisr_ros.models.features.load.load_features`.
        degradation: one of :data:`difiisr_ros.lab.training.degradation.DEGRADATIONS`.
        largest: HR side that larger frames are cut to, around their middle; 0 for whole frames.
    """
    network = load_features(spec).to(device)
    spectrum = LeastSquares()
    maps: list[_MapFit] = []
    with torch.inference_mode():
        chosen = evenly_chosen(frames, count)
        for lr, hr, camera in degraded(chosen, device, largest, degradation):
            y0 = upsample_folded(lr)
            first = answer(lr, camera)
            spectrum.add(
                SpectrumPrior.conditions(lr, _amplitudes(first - y0)), _amplitudes(hr - y0).log()
            )
            _add_features(maps, network, first, hr)
    return GuidancePriors(
        SpectrumPrior(spectrum.solve().T.contiguous().cpu()),
        FeaturePrior(network.spec, tuple(fit.solve() for fit in maps)),
    )


def fit_thermal_spectrum(frames: Sequence[Frame], count: int = FRAMES) -> Tensor:
    """Fit :data:`difiisr_ros.core.visual_guidance.THERMAL_SPECTRUM`, from LR frames alone.

    Returns:
        Rings x (LR rings + 1), float32.
    """
    fit = LeastSquares()
    cpu = torch.device("cpu")
    for lr, hr, _ in degraded(evenly_chosen(frames, count), cpu, 0, "reduced"):
        logs = lr_amplitudes(lr).log()
        conditions = torch.cat([logs, torch.ones_like(logs[:, :1])], dim=1)
        fit.add(conditions, _amplitudes(hr - upsample_folded(lr)).log())
    return fit.solve().T


def evenly_chosen(frames: Sequence[Frame], count: int) -> Sequence[Frame]:
    """About ``count`` of the frames."""
    return frames[:: max(1, len(frames) // count)][:count]


def degraded(
    frames: Iterable[Frame], device: torch.device, largest: int, degradation: str
) -> Iterable[tuple[Tensor, Tensor, Tensor]]:
    """LR 1 x 1 x H x W and folded HR, normalised by the frame's range, and what is told."""
    generator = torch.Generator().manual_seed(0)
    for frame in frames:
        windows = []
        for side in frame.pixels.shape:
            kept = min(side, largest or side) // (8 * SCALE) * 8 * SCALE
            first = (side - kept) // 2 if largest else 0
            windows.append(slice(first, first + kept))
        span = frame.high - frame.low
        pixels = (frame.pixels[tuple(windows)].astype(np.float32) - frame.low) / span
        hr = torch.from_numpy(pixels.astype(np.float32))[None, None]
        whole = Batch(hr, torch.zeros_like(hr), torch.tensor([1 / span]))
        made = degrade(whole, degradation, generator)
        yield made.lr.to(device), fold(made.hr.to(device)), made.camera.to(device)


def _amplitudes(residual: Tensor) -> Tensor:
    return ring_amplitudes(residual, ring_responses(residual))


class _MapFit:
    """Regression of one map's channels on the 3x3 neighbourhoods of all of them.

    Of many channels each is regressed on its own neighbourhood alone: a hundredth of the numbers,
    in the file and to solve for.
    """

    def __init__(self) -> None:
        self._regression = LeastSquares()
        self._moments: list[Tensor] = []

    def add(self, first: Tensor, hr: Tensor) -> None:
        cells = first.shape[2] * first.shape[3]
        rows = torch.arange(0, cells, max(_STRIDE, cells // _MOST_ROWS), device=first.device)
        x = _neighbourhoods(first, rows)  # C x 9 x rows
        y = hr.flatten(2)[0, :, rows]
        if len(y) <= _MOST_CHANNELS:
            x = x.flatten(0, 1)[None]
            targets = y.T[None]
        else:
            targets = y[:, :, None]
        ones = torch.ones_like(x[:, :1])
        self._regression.add(torch.cat([x, ones], dim=1).mT, targets)
        self._moments.append(torch.stack([y.mean(dim=1), y.square().mean(dim=1)]))

    def solve(self) -> MapPrior:
        solution = self._regression.solve()  # 1 x (9C + 1) x C, or C x 10 x 1
        kernel, bias = solution[:, :-1], solution[:, -1]
        mean, square = torch.stack(self._moments).mean(dim=0)
        channels = len(mean)
        weight = kernel.mT.reshape(channels, -1, 3, 3)
        std = (square - mean.square()).clamp_min(1e-6).sqrt()
        return MapPrior(weight.contiguous().cpu(), bias.flatten().cpu(), std.cpu())


def _neighbourhoods(feature: Tensor, cells: Tensor) -> Tensor:
    """C x 9 x cells: the 3x3 cells around some of a map's (1 x C x H x W), by their numbers."""
    padded = F.pad(feature, (1, 1, 1, 1), mode="replicate")[0]
    width = feature.shape[3]
    row, column = torch.div(cells, width, rounding_mode="floor"), cells % width
    around = [padded[:, row + down, column + right] for down in range(3) for right in range(3)]
    return torch.stack(around, dim=1)


def _add_features(fits: list[_MapFit], network: FeatureNetwork, first: Tensor, hr: Tensor) -> None:
    ours, truth = network.maps(unfold(first)), network.maps(unfold(hr))
    if not fits:
        fits.extend(_MapFit() for _ in ours)
    for fit, a, b in zip(fits, ours, truth):
        fit.add(a, b)
