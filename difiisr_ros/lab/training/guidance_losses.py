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

"""Guidance in training: the spectrum and the features of the HR frame as losses.

DifIISR (CVPR 2025, arXiv 2503.01187) guides by a visual term, the infrared thermal spectrum
distribution, which compares amplitude and phase of the 2-D Fourier transform, and by a perceptual
term, features of a visual network. At inference there is no HR frame to compare with; here there
is, so the network learns what guidance would otherwise have to correct.
"""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor, nn

PATCH = 32  # HR pixels: small enough that a spectrum belongs to one place, 4 rings per LR Nyquist
STRIDE = 16
_FLOOR = 3e-4  # of the range, as white noise: amplitudes below are rounding, not detail
_LR_NYQUIST = PATCH // 8  # ring of the LR Nyquist frequency: half the LR sampling rate


# Ordinary tensors even if validation, in inference mode, asks first: see core/constants.py.
@lru_cache(maxsize=4)
@torch.inference_mode(False)
def _window(device: torch.device) -> Tensor:
    line = torch.hann_window(PATCH, periodic=False, device=device)
    square = line[:, None] * line[None, :]
    return square / square.square().sum().sqrt()  # unit white noise gets unit amplitude


@lru_cache(maxsize=4)
@torch.inference_mode(False)
def _rings(device: torch.device) -> tuple[Tensor, Tensor]:
    """Which rfft2 coefficients lie above the LR Nyquist frequency, and averages over rings.

    The former as indices of the flattened spectrum: a mask's length would be asked of the device.
    """
    vertical = torch.fft.fftfreq(PATCH)[:, None] * PATCH
    horizontal = torch.fft.rfftfreq(PATCH)[None, :] * PATCH
    radius = torch.hypot(vertical, horizontal).round().long()
    inside = (radius > _LR_NYQUIST) & (radius <= PATCH // 2)
    ring = radius[inside] - _LR_NYQUIST - 1
    average = nn.functional.one_hot(ring).float()
    where = inside.flatten().nonzero()[:, 0]
    return where.to(device), (average / average.sum(dim=0)).to(device)


def _spectrum(image: Tensor) -> Tensor:
    """Complex coefficients above the LR Nyquist frequency of every patch: N x P x K."""
    patches = image[:, 0].unfold(1, PATCH, STRIDE).unfold(2, PATCH, STRIDE).flatten(1, 2)
    patches = patches.float() - patches.float().mean(dim=(-2, -1), keepdim=True)
    where, _ = _rings(image.device)
    return torch.fft.rfft2(patches * _window(image.device)).flatten(-2)[..., where]


def spectrum_loss(image: Tensor, hr: Tensor) -> Tensor:
    """Distance of thermal spectra above the LR Nyquist frequency, patch by patch.

    Amplitude: the absolute difference of ring averages of the log amplitude (nepers: 1 is
    8.7 dB). Phase: ``1 - cos`` of the phase difference, weighted by the HR frame's amplitude, so
    that phases of nothing do not count.

    Args:
        image, hr: N x 1 x H x W in normalised intensity, sides of at least 32.

    Returns:
        Their sum, a scalar.
    """
    ours, truth = _spectrum(image), _spectrum(hr)
    _, average = _rings(image.device)
    ours_amplitude = (ours.real.square() + ours.imag.square() + _FLOOR**2).sqrt()
    amplitude = (truth.real.square() + truth.imag.square() + _FLOOR**2).sqrt()
    levels = (ours_amplitude.log() - amplitude.log()) @ average
    agreement = (ours.real * truth.real + ours.imag * truth.imag) / ours_amplitude
    phase = 1 - agreement.sum(dim=-1) / amplitude.sum(dim=-1)
    return levels.abs().mean() + 0.1 * phase.mean()


def feature_loss(ours: list[Tensor], truth: list[Tensor]) -> Tensor:
    """Mean absolute difference of feature maps, in each channel's own standard deviation.

    Args:
        ours, truth: maps N x C x H x W of one network, of the result and of the HR frame.
    """
    total = ours[0].new_zeros((), dtype=torch.float32)
    for a, b in zip(ours, truth):
        scale = b.float().std(dim=(0, 2, 3), keepdim=True).clamp_min(1e-3)
        total = total + ((a.float() - b.float()) / scale).abs().mean()
    return total / len(ours)
