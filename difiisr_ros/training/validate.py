"""PSNR and spectrum loss on held-out frames while training."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch

from difiisr_ros.core.radiometry import measure_range
from difiisr_ros.core.resample import (
    back_project,
    downsample_folded,
    fold,
    unfold,
    upsample_folded,
)  # fmt: skip
from difiisr_ros.core.sampler import sample
from difiisr_ros.models.lite import LiteDenoise, LiteDenoiser
from difiisr_ros.training.data import Frame
from difiisr_ros.training.guidance_losses import spectrum_loss


class Quality(NamedTuple):
    """Means over frames."""

    psnr: float
    """dB."""
    spectrum: float
    """:func:`difiisr_ros.training.guidance_losses.spectrum_loss`: 0 is the HR frame's."""


def validate(model: LiteDenoiser, frames: list[Frame], num_steps: int) -> tuple[Quality, Quality]:
    """Quality of bicubic and of the model, in the frames' own counts.

    The peak is 255 for uint8 and the frame's own span otherwise.
    """
    device = next(model.parameters()).device
    full = model.config.schedule()
    schedule = full.respaced(num_steps)
    scores = []
    with torch.inference_mode():
        for frame in frames:
            height, width = (side // 4 * 4 for side in frame.pixels.shape)
            hr = torch.from_numpy(frame.pixels[:height, :width].astype(np.float32)).to(device)
            lr = downsample_folded(fold(hr[None, None])).round()
            low, high = measure_range(lr[0, 0].cpu().numpy())
            x = (lr - low) / (high - low)
            y0 = upsample_folded(x)
            generator = torch.Generator().manual_seed(0)
            noise = [
                torch.randn(y0.shape, generator=generator).to(device) for _ in range(num_steps)
            ]
            x0 = sample(
                LiteDenoise(model, x, y0, full), y0, noise, schedule,
                stochasticity=model.config.stochasticity,
            )  # fmt: skip
            peak = 255.0 if frame.pixels.dtype == np.uint8 else float(np.ptp(frame.pixels))
            scores.append([_score(y, hr, low, high, peak) for y in (y0, back_project(x0, x, 1))])
    bicubic, ours = np.mean(scores, axis=0)
    return Quality(*map(float, bicubic)), Quality(*map(float, ours))


def _score(
    folded: torch.Tensor, hr: torch.Tensor, low: float, high: float, peak: float
) -> tuple[float, float]:
    counts = (unfold(folded)[0, 0] * (high - low) + low).round()
    if peak == 255.0:
        counts = counts.clamp(0, 255)
    mse = float(((counts - hr) ** 2).mean())
    span = high - low
    spectrum = spectrum_loss(counts[None, None] / span, hr[None, None] / span)
    return 10 * float(np.log10(peak**2 / max(mse, 1e-12))), float(spectrum)
