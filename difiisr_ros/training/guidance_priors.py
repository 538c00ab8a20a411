"""Fit what guidance expects of HR frames, given a trained model's first answers to LR frames.

Both fits are linear least squares on sums that are gathered frame by frame: no optimiser, no
randomness but the choice of frames, a minute on two cores.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from difiisr_ros.core.perceptual_guidance import FeaturePrior, MapPrior
from difiisr_ros.core.radiometry import measure_range
from difiisr_ros.core.resample import SCALE, downsample_folded, fold, unfold, upsample_folded
from difiisr_ros.core.visual_guidance import (
    SpectrumPrior,
    ring_amplitudes,
    ring_responses,
)
from difiisr_ros.features import load_features
from difiisr_ros.features.base import FeatureNetwork
from difiisr_ros.models.guidance_priors import GuidancePriors
from difiisr_ros.models.lite import LiteDenoiser
from difiisr_ros.training.data import Frame

FRAMES = 120
_RIDGE = 1e-3  # of the mean square of what is regressed on: keeps alike channels apart
_STRIDE = 3  # every third cell of a map: neighbours tell the same


class LeastSquares:
    """``targets ~ conditions @ solution`` with a small ridge, from sums."""

    def __init__(self) -> None:
        self._square: Tensor | None = None
        self._cross: Tensor | None = None

    def add(self, conditions: Tensor, targets: Tensor) -> None:
        """Rows x conditions, and rows x targets."""
        x, y = conditions.double(), targets.double()
        square, cross = x.T @ x, x.T @ y
        if self._square is None or self._cross is None:
            self._square, self._cross = square, cross
        else:
            self._square += square
            self._cross += cross

    def solve(self) -> Tensor:
        """Conditions x targets, float32."""
        if self._square is None or self._cross is None:
            raise ValueError("there is nothing to fit")
        ridge = _RIDGE * self._square.diagonal().mean() * torch.eye(len(self._square))
        return torch.linalg.solve(self._square + ridge, self._cross).float()


def fit_guidance_priors(
    model: LiteDenoiser, frames: Sequence[Frame], spec: str = "thermal", count: int = FRAMES
) -> GuidancePriors:
    """Fit both priors on ``count`` of the frames, evenly chosen.

    Args:
        model: trained, in evaluation mode, float32.
        frames: HR frames that the model was trained on.
        spec: the feature network, see :func:`difiisr_ros.features.load_features`.
    """
    device = next(model.parameters()).device
    network = load_features(spec).to(device)
    spectrum = LeastSquares()
    maps: list[_MapFit] = []
    chosen = frames[:: max(1, len(frames) // count)][:count]
    with torch.inference_mode():
        for lr, hr in _pairs(chosen, device):
            y0 = upsample_folded(lr)
            first = y0 + model.predict_prior(lr)
            spectrum.add(
                SpectrumPrior.conditions(lr, _amplitudes(first - y0)), _amplitudes(hr - y0).log()
            )
            _add_features(maps, network, first, hr)
    return GuidancePriors(
        SpectrumPrior(spectrum.solve().T.contiguous().cpu()),
        FeaturePrior(spec, tuple(fit.solve() for fit in maps)),
    )


def _pairs(frames: Iterable[Frame], device: torch.device) -> Iterable[tuple[Tensor, Tensor]]:
    """LR 1 x 1 x H x W and folded HR, normalised by the LR frame's range as at run time."""
    for frame in frames:
        height, width = (side // (8 * SCALE) * 8 * SCALE for side in frame.pixels.shape)
        hr = torch.from_numpy(frame.pixels[:height, :width].astype(np.float32)).to(device)
        folded = fold(hr[None, None])
        lr = downsample_folded(folded).round()
        low, high = measure_range(lr[0, 0].cpu().numpy())
        yield (lr - low) / (high - low), (folded - low) / (high - low)


def _amplitudes(residual: Tensor) -> Tensor:
    return ring_amplitudes(residual, ring_responses(residual))


class _MapFit:
    """Regression of one map's channels on the 3x3 neighbourhoods of all of them."""

    def __init__(self) -> None:
        self._regression = LeastSquares()
        self._moments: list[Tensor] = []

    def add(self, first: Tensor, hr: Tensor) -> None:
        cells = F.unfold(F.pad(first, (1, 1, 1, 1), mode="replicate"), 3)  # 1 x 9C x cells
        x = cells[0, :, ::_STRIDE].T
        y = hr.flatten(2)[0, :, ::_STRIDE].T
        self._regression.add(torch.cat([x, torch.ones_like(x[:, :1])], dim=1), y)
        self._moments.append(torch.stack([y.mean(dim=0), y.square().mean(dim=0)]))

    def solve(self) -> MapPrior:
        solution = self._regression.solve()
        channels = solution.shape[1]
        weight = solution[:-1].reshape(channels, 3, 3, channels).permute(3, 0, 1, 2)
        mean, square = torch.stack(self._moments).mean(dim=0)
        std = (square - mean.square()).clamp_min(1e-6).sqrt()
        return MapPrior(weight.contiguous().cpu(), solution[-1].cpu(), std.cpu())


def _add_features(fits: list[_MapFit], network: FeatureNetwork, first: Tensor, hr: Tensor) -> None:
    ours, truth = network.maps(unfold(first)), network.maps(unfold(hr))
    if not fits:
        fits.extend(_MapFit() for _ in ours)
    for fit, a, b in zip(fits, ours, truth):
        fit.add(a, b)
