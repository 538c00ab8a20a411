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

"""Gray frames through the published model, which knows three channels in -1..1.

Three equal channels go in and the mean of those that come out is the result. The network sees what
lies in the scene's range, as it was trained; what lies outside it is upsampled by bicubic and added
again, so that a target hotter than the range neither leaves the range nor upsets the rest.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from difiisr_ros.core.bound import bound, neighbours, outstanding
from difiisr_ros.core.condition import OVERSHOOT
from difiisr_ros.core.resample import (
    SCALE,
    averaged,
    back_project,
    fold,
    pull_wide,
    unfold,
    upsample_folded,
)
from difiisr_ros.core.schedule import ResidualShiftSchedule
from difiisr_ros.models.published.network import PublishedModel, pad

CHANNELS = 3
_LEAST = (
    8  # pixels of the padding that the autoencoder sees at least: it cannot normalise one alone
)

Correct = Callable[[Tensor], Tensor]
"""The decoded frames, folded N x 16 x H x W in normalised intensity, to better ones."""


def noise_images(num_steps: int, stochasticity: float) -> int:
    """How many noise images :func:`upscale_frames` reads."""
    return num_steps if num_steps > 1 and stochasticity > 0 else 1


def latent_noise(image: Tensor, multiple: int) -> Tensor:
    """Noise for the latent from one noise image, which tiles cut from a whole frame's as they do.

    A noise image of 4H x 4W has 16 values for each latent pixel; three are the latent's. Beyond
    the frame, where the latent is padded, three others are, as the padding must not repeat them.

    Args:
        image: ... x 4H x 4W, standard normal.
        multiple: what the latent's sides are padded to multiples of.

    Returns:
        1 x 3 x H' x W'.
    """
    folded = fold(image.reshape(1, 1, *image.shape[-2:]))
    inside, beyond = folded[:, :CHANNELS], folded[:, CHANNELS : 2 * CHANNELS]
    height, width = inside.shape[-2:]
    padded = pad(beyond, multiple)
    top = torch.cat([inside, padded[..., :height, width:]], dim=-1)
    return torch.cat([top, padded[..., height:, :]], dim=-2)


def upscale_frames(
    model: PublishedModel,
    lr: Tensor,
    noise: Tensor,
    schedule: ResidualShiftSchedule,
    consistency: int,
    correct: Correct | None = None,
    *,
    exact: bool = True,
    camera: Tensor | None = None,
    scale: int = SCALE,
) -> Tensor:
    """Super-resolve frames in normalised intensity.

    Args:
        lr: N x 1 x H x W, float32; values outside 0..1 are legal.
        noise: noise_images(...) x ... x 4H x 4W, shared by the batch.
        schedule: the kept timesteps.
        consistency: how often the result is pulled to the measurement.
        correct: guidance. Its energies are of images and the network's x0 is a latent, so it acts
            on the last x0, decoded: to go back to a latent in between would be an encoding and a
            decoding more for each step, and the codebook's choice has no gradient.
        exact: pull by back-projection, instead of in what is certain alone
            (:func:`difiisr_ros.core.resample.pull_wide`).
        camera: what is told of the frames, N (or 1) x WIDTH, of which the overshoot bounds the
            result; None leaves it as it is.
        scale: s, 4, or 2 and 1 for means of the result of x4.

    Returns:
        N x 1 x sH x sW, float32.
    """
    height, width = lr.shape[-2:]
    inside = lr.clamp(0, 1)
    lq = pad(inside * 2 - 1, model.multiple).expand(-1, CHANNELS, -1, -1)
    latents = [latent_noise(image, model.multiple) for image in noise]
    padded = model.config.pad_autoencoder
    seen = None if padded else (max(height, _LEAST), max(width, _LEAST))
    image = model(lq, latents, schedule, model.config.stochasticity, inside=seen)
    gray = image.mean(dim=1, keepdim=True)[..., : SCALE * height, : SCALE * width]
    folded = fold(gray * 0.5 + 0.5) + upsample_folded(lr - inside)
    if correct is not None:
        folded = correct(folded)
    around = neighbours(lr)
    if exact:
        folded = averaged(back_project(folded, lr, consistency), scale)
    else:
        folded = averaged(folded, scale)
        folded = pull_wide(folded, lr, consistency, outstanding(lr, *around), scale)
    if camera is not None:
        folded = bound(folded, lr, *around, camera[:, OVERSHOOT])
    return unfold(folded, scale)
