"""What the two experts are trained to minimise."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from difiisr_ros.core.resample import back_project, upsample_folded
from difiisr_ros.models.lite import LiteDenoiser

_FLAT_CROP = 1e-3  # of the residual's variance: below it a crop has nothing left to teach
# Noise levels in units of the residual's standard deviation; centre and spread of the logarithm.
_LEVEL_CENTRE, _LEVEL_SPREAD, _LEVEL_LIMITS = math.log(0.8), 1.4, (0.03, 40.0)


def prior_loss(model: LiteDenoiser, lr: Tensor, hr: Tensor, *, psnr: bool = False) -> Tensor:
    """Error of the one-step answer, with the back-projection it is used with.

    Args:
        lr: N x 1 x H x W.
        hr: folded, N x 16 x H x W.
        psnr: the logarithm of each crop's squared error, which is PSNR itself, instead of the mean
            absolute error. Too steep to begin with, and better to end with.
    """
    std = model.config.residual_std
    x0 = upsample_folded(lr) + model.predict_prior(lr)
    error = (back_project(x0, lr, 1) - hr) / std
    if not psnr:
        return error.abs().mean()
    return 0.5 * torch.log(error.square().mean(dim=(1, 2, 3)) + _FLAT_CROP).mean()


def refiner_loss(model: LiteDenoiser, lr: Tensor, hr: Tensor, generator: torch.Generator) -> Tensor:
    """Denoising loss at log-normal noise levels, weighted to unit variance (EDM, table 1).

    The network's noise level is ``kappa sqrt(eta_t) / (1 - eta_t)``, so that any schedule within
    the trained levels can be chosen afterwards. Most of the training goes to levels around the
    residual's own, where detail is decided.
    """
    residual = hr - upsample_folded(lr)
    with torch.no_grad():
        prior = model.predict_prior(lr)
    std = model.config.residual_std
    spread = _LEVEL_CENTRE + _LEVEL_SPREAD * torch.randn(len(lr), generator=generator)
    level = std * torch.exp(spread).clamp(*_LEVEL_LIMITS)
    noise = torch.randn(residual.shape, generator=generator)
    scale = level[:, None, None, None]
    estimate = model.refine(residual + scale * noise, lr, prior, level)
    ratio = scale / std
    weight = (ratio**2 + 1) / (ratio * std) ** 2
    return (weight * (estimate - residual) ** 2).mean()
