"""How a low-resolution frame comes about: antialiased bicubic, or a simulated camera."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from difiisr_ros.core.resample import downsample_folded, fold

DEGRADATIONS = ("bicubic", "camera", "mixed")


@dataclass(frozen=True)
class CameraModel:
    """Ranges of the simulated camera; one value is drawn per frame, uniformly.

    Lengths are in LR pixels, noise levels in fractions of the frame's normalised range.
    """

    blur: tuple[float, float] = (0.2, 0.6)
    """Standard deviation of the optics' point spread, before sampling."""
    temporal_noise: tuple[float, float] = (0.0, 0.02)
    """Standard deviation of the noise that changes from frame to frame (NETD)."""
    pattern_noise: tuple[float, float] = (0.0, 0.01)
    """Standard deviation of the column and row offsets that a non-uniformity correction leaves."""


def degrade(hr: Tensor, step: Tensor, kind: str, generator: torch.Generator) -> Tensor:
    """Degrade x4.

    Args:
        hr: N x 1 x 4H x 4W, normalised intensity.
        step: size of one count in normalised intensity, per frame (N,): the quantisation of the
            camera's 8 or 16 bits.
        kind: ``bicubic`` (Pillow's antialiased bicubic, quantised), ``camera``, or ``mixed``
            (half of the frames each).

    Returns:
        N x 1 x H x W.
    """
    clean = downsample_folded(fold(hr))
    if kind == "bicubic":
        return quantize(clean, step)
    camera = simulate_camera(hr, CameraModel(), generator)
    if kind == "mixed":
        pick = torch.rand(len(hr), 1, 1, 1, generator=generator) < 0.5
        camera = torch.where(pick, camera, clean)
    return quantize(camera, step)


def simulate_camera(hr: Tensor, camera: CameraModel, generator: torch.Generator) -> Tensor:
    """Optics blur, area sampling, fixed-pattern and temporal noise, x1/4 (N x 1 x H x W)."""

    def draw(low_high: tuple[float, float]) -> Tensor:
        low, high = low_high
        return low + (high - low) * torch.rand(len(hr), 1, 1, 1, generator=generator)

    # A detector element integrates over its area: 4x4 mean after the optics.
    lr = F.avg_pool2d(_blur(hr, 4 * draw(camera.blur)), 4)
    n, _, height, width = lr.shape
    columns = torch.randn(n, 1, 1, width, generator=generator)
    rows = torch.randn(n, 1, height, 1, generator=generator)
    lr = lr + draw(camera.pattern_noise) * (columns + rows) * 0.5**0.5
    return lr + draw(camera.temporal_noise) * torch.randn(lr.shape, generator=generator)


def _blur(image: Tensor, sigma: Tensor) -> Tensor:
    """Gaussian blur with one standard deviation (HR pixels) per frame."""
    reach = 8
    position = torch.arange(-reach, reach + 1, dtype=image.dtype)
    line = torch.exp(-0.5 * (position / sigma.view(-1, 1)) ** 2)
    line = line / line.sum(dim=1, keepdim=True)
    n = len(image)
    x = F.pad(image.transpose(0, 1), (reach,) * 4, mode="reflect")
    x = F.conv2d(x, line.view(n, 1, 1, -1), groups=n)
    x = F.conv2d(x, line.view(n, 1, -1, 1), groups=n)
    return x.transpose(0, 1)


def quantize(lr: Tensor, step: Tensor) -> Tensor:
    """Round to whole counts of ``step`` (N,) normalised intensity each."""
    size = step.view(-1, 1, 1, 1)
    return torch.round(lr / size) * size
