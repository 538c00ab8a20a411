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

"""What the two experts, and the sampler that is made of them, are trained to minimise."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from difiisr_ros.core.bound import bound, compressed, limits, neighbours, shown, without_lone_pixels
from difiisr_ros.core.condition import OVERSHOOT
from difiisr_ros.core.resample import unfold, upsample_folded
from difiisr_ros.core.sampler import sample
from difiisr_ros.lab.training.guidance_losses import feature_loss, spectrum_loss
from difiisr_ros.models.features.base import FeatureNetwork
from difiisr_ros.models.features.load import load_features
from difiisr_ros.models.lite import LiteDenoise, LiteDenoiser, keep_detail

_FLAT_CROP = 1e-3  # of the residual's variance: below it a crop has nothing left to teach
# Noise levels in units of the residual's standard deviation; centre and spread of the logarithm.
_LEVEL_CENTRE, _LEVEL_SPREAD, _LEVEL_LIMITS = math.log(0.8), 1.4, (0.03, 40.0)


class GuidedLoss:
    """PSNR, spectrum and features of a result, weighed against each other by the number of steps.

    One step is for fidelity; the more steps, the more the spectrum counts (``spectrum_weight``
    times the square of their number), since what more steps are for is detail.

    Args:
        spectrum_weight, feature_weight: 0 leaves the term out. For orientation: half the logarithm
            of the squared error, which is the PSNR term, is 0.115 for one dB.
        device: where the feature network is loaded to; it is loaded only if its weight is not 0.
        features: which, see :func:`difiisr_ros.models.features.load.load_features`.

    Raises:
        ModelError: its weights are not here.
    """

    def __init__(
        self,
        spectrum_weight: float,
        feature_weight: float,
        device: torch.device,
        features: str = "thermal",
    ) -> None:
        self.spectrum_weight, self.feature_weight = spectrum_weight, feature_weight
        self._features: FeatureNetwork | None = None
        if feature_weight > 0:
            self._features = load_features(features).to(device)

    def __call__(self, x0: Tensor, hr: Tensor, num_steps: int, std: float) -> Tensor:
        """A scalar, of folded ``x0`` and ``hr`` (N x 16 x H x W); ``std`` makes errors unitless."""
        error = (_visible(x0, hr) / std).square().mean(dim=(1, 2, 3))
        loss = 0.5 * torch.log(error + _FLAT_CROP).mean()
        if self.spectrum_weight > 0:
            weight = self.spectrum_weight * num_steps**2
            loss = loss + weight * spectrum_loss(unfold(x0), unfold(hr))
        if self._features is not None:
            ours = self._features.maps(unfold(x0))
            with torch.no_grad():
                truth = self._features.maps(unfold(hr))
            loss = loss + self.feature_weight * feature_loss(ours, truth)
        return loss


def _visible(x0: Tensor, hr: Tensor) -> Tensor:
    """The error, less of it where the scene lies far outside the range: else one target of 500
    ranges would be all that counts."""
    return (x0 - hr) / (1 + F.relu((hr - 0.5).abs() - 1))


def _normal(shape: Sequence[int], generator: torch.Generator, device: torch.device) -> Tensor:
    """Standard-normal noise, drawn where the generator is: the same numbers on every device."""
    return torch.randn(shape, generator=generator).to(device)


def _read(lr: Tensor) -> tuple[Tensor, Tensor]:
    """What the network is shown of LR frames, and bicubic without their stuck pixels, folded."""
    calm = without_lone_pixels(lr, *neighbours(lr))
    return compressed(calm), upsample_folded(calm)


def _bounded(x0: Tensor, lr: Tensor, hr: Tensor, camera: Tensor) -> Tensor:
    """A result within its bound, as it comes out; folded.

    Where the truth lies within, an answer beyond the bound is still drawn back to it.
    """
    known = (lr, *neighbours(lr), camera[:, OVERSHOOT])
    within, (least, most) = bound(x0, *known), limits(*known)
    reachable = (least <= hr) & (hr <= most)
    return torch.where(reachable, x0 + (within - x0).detach(), within)


def prior_loss(
    model: LiteDenoiser, lr: Tensor, hr: Tensor, camera: Tensor, guided: GuidedLoss
) -> Tensor:
    """Error of the one-step answer.

    Args:
        lr: N x 1 x H x W.
        hr: folded, N x 16 x H x W.
        camera: what is told of the frames, N x WIDTH.
        guided: PSNR and what else counts.
    """
    x0 = upsample_folded(lr) + model.predict_prior(shown(lr), camera)
    return guided(_bounded(x0, lr, hr, camera), hr, 1, model.config.residual_std)


def few_step_loss(
    model: LiteDenoiser,
    lr: Tensor,
    hr: Tensor,
    camera: Tensor,
    num_steps: int,
    guided: GuidedLoss,
    generator: torch.Generator,
) -> Tensor:
    """Loss of what the whole sampler returns in ``num_steps``, gradients through all of them.

    The denoising loss teaches the refiner every noise level for itself; here it learns what the
    few steps that are really taken, one after the other, should come to.

    Args: see :func:`prior_loss`; the prior expert is not trained.
    """
    full = model.config.schedule()
    with torch.no_grad():
        seen, y0 = _read(lr)
        prior = model.predict_prior(seen, camera)
    draws = num_steps if model.config.stochasticity > 0 else 1
    noise = [_normal(y0.shape, generator, y0.device) for _ in range(draws)]
    denoise = LiteDenoise(model, seen, y0, full, camera, prior)
    x0 = sample(
        denoise, y0, noise, full.respaced(num_steps), stochasticity=model.config.stochasticity
    )
    x0 = keep_detail(denoise.plain(), x0, camera) + (upsample_folded(lr) - y0)
    return guided(_bounded(x0, lr, hr, camera), hr, num_steps, model.config.residual_std)


def refiner_loss(
    model: LiteDenoiser, lr: Tensor, hr: Tensor, camera: Tensor, generator: torch.Generator
) -> Tensor:
    """Denoising loss at log-normal noise levels, weighted to unit variance (EDM, table 1).

    The network's noise level is ``kappa sqrt(eta_t) / (1 - eta_t)``, so that any schedule within
    the trained levels can be chosen afterwards. Most of the training goes to levels around the
    residual's own, where detail is decided.
    """
    with torch.no_grad():
        seen, y0 = _read(lr)
        prior = model.predict_prior(seen, camera)
    residual = hr - upsample_folded(lr)
    std = model.config.residual_std
    spread = _LEVEL_CENTRE + _LEVEL_SPREAD * _normal((len(lr),), generator, lr.device)
    level = std * torch.exp(spread).clamp(*_LEVEL_LIMITS)
    noise = _normal(residual.shape, generator, residual.device)
    scale = level[:, None, None, None]
    estimate = model.refine(residual + scale * noise, seen, prior, level, camera)
    ratio = scale / std
    weight = (ratio**2 + 1) / (ratio * std) ** 2
    error = _visible(y0 + estimate, hr)
    # A crop with a target of many ranges is off by more than all others together.
    return torch.log1p((weight * error**2).mean(dim=(1, 2, 3))).mean()
