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

"""The published model as a whole: image in, image of four times the size out, in -1..1.

The LR frame is upsampled, encoded, and diffused in the latent space, whose maps have the LR
frame's own size; the denoiser is told the LR frame beside the noisy latent. Sources: ResShift
(arXiv 2307.12348), SinSR (arXiv 2311.14760), DifIISR (arXiv 2503.01187).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from difiisr_ros.core.sampler import Denoise, sample
from difiisr_ros.core.schedule import ResidualShiftSchedule
from difiisr_ros.core.visual_guidance import thermal_spectrum
from difiisr_ros.models.guidance_priors import GuidancePriors
from difiisr_ros.models.published.config import SCALE, PublishedConfig
from difiisr_ros.models.swin_unet import UNetModelSwin
from difiisr_ros.models.vq_autoencoder import VQModelTorch


def general_priors() -> GuidancePriors:
    """Of a model that nothing was fitted to."""
    with torch.device("cpu"):  # also where modules are made on the meta device
        return GuidancePriors(thermal_spectrum())


class PublishedModel(nn.Module):
    """Denoiser, autoencoder and schedule.

    Images are N x 3 x H x W in -1..1; H and W are multiples of :attr:`multiple` (see :func:`pad`).

    Raises:
        ValueError: a configuration with unsupported values.
    """

    def __init__(self, config: PublishedConfig | None = None) -> None:
        super().__init__()
        self.config = config or PublishedConfig()
        self.unet = UNetModelSwin(**self.config.unet)
        self.autoencoder = VQModelTorch(**self.config.autoencoder)
        #: What guidance expects: of thermal frames in general, or what a converted file holds.
        self.guidance_priors = general_priors()

    @property
    def multiple(self) -> int:
        """What heights and widths must be multiples of."""
        return self.unet.multiple

    def encode_prior(self, lq: Tensor) -> Tensor:
        """The latent that diffusion starts around: the frame, upsampled x4, encoded; float32.

        Bicubic of the kernel with a = -0.75, not antialiased; overshoots are not cut off.
        """
        image = F.interpolate(lq, scale_factor=float(SCALE), mode="bicubic")
        return self.autoencoder.encode(image)

    def as_denoise(self, lq: Tensor, schedule: ResidualShiftSchedule) -> Denoise:
        """The sampler's ``denoise(x_t, timestep) -> x0`` in latent space for one batch.

        ``schedule`` is that of all timesteps.
        """

        def denoise(x_t: Tensor, timestep: int) -> Tensor:
            told = torch.full((len(lq),), timestep, device=lq.device)
            return self.unet(x_t / schedule.input_std(timestep), told, lq)

        return denoise

    def sample_latent(
        self,
        lq: Tensor,
        noise: Sequence[Tensor],
        schedule: ResidualShiftSchedule,
        stochasticity: float = 0.0,
        callback: Callable[[dict[str, Any]], None] | None = None,
        inside: tuple[int, int] | None = None,
    ) -> Tensor:
        """Run the sampler (see :func:`difiisr_ros.core.sampler.sample`) in latent space.

        Args:
            lq: N x 3 x H x W.
            noise: arrays that broadcast with N x 3 x H x W.
            inside: see :meth:`forward`.
        """
        if inside is None:
            prior = self.encode_prior(lq)
        else:
            height, width = inside
            prior = pad(self.encode_prior(lq[..., :height, :width]), self.multiple)
        return sample(
            self.as_denoise(lq, self.config.schedule()),
            prior,
            noise,
            schedule,
            stochasticity=stochasticity,
            callback=callback,
        )

    def forward(
        self,
        lq: Tensor,
        noise: Sequence[Tensor],
        schedule: ResidualShiftSchedule,
        stochasticity: float = 0.0,
        *,
        inside: tuple[int, int] | None = None,
    ) -> Tensor:
        """N x 3 x H x W to N x 3 x 4H x 4W, not clipped.

        Args:
            inside: height and width of the frame that ``lq`` was padded from, where the
                autoencoder, which takes nine tenths of the time, should work on the frame itself:
                windows are the denoiser's alone. The result is then N x 3 x 4h x 4w. By default
                it works on the padding too, as in the release.
        """
        latent = self.sample_latent(lq, noise, schedule, stochasticity, inside=inside)
        if inside is not None:
            latent = latent[..., : inside[0], : inside[1]]
        return self.autoencoder.decode(latent)

    def reduce_precision(self, dtype: torch.dtype) -> PublishedModel:
        """Let the convolutions and matrices that cost the time compute in ``dtype``, in place.

        Normalisation, timestep embedding, codebook, latents and the first and last layers stay
        float32, as what goes wrong there is wrong at every pixel, or picks another code. So does
        the whole denoiser with bfloat16, a tenth of the work: rounded to 8 bits it picks twice as
        many other codes.
        """
        parts: list[nn.Module] = [self.autoencoder.encoder, self.autoencoder.decoder]
        if dtype != torch.bfloat16:
            unet = self.unet
            parts += [unet.input_blocks, unet.middle_block, unet.output_blocks]
        for part in parts:
            for module in part.modules():
                if isinstance(module, (nn.Conv2d, nn.Linear)):
                    module.to(dtype)
        self.unet.input_blocks[0].float()
        for coder in (self.autoencoder.encoder, self.autoencoder.decoder):
            coder.conv_in.float()
            coder.conv_out.float()
        return self


def reflect_indices(length: int, multiple: int) -> np.ndarray:
    """Indices that extend a side to the next multiple by reflection, again and again if need be.

    The last pixel is not repeated. Equal to the release's padding where that works (it fails where
    more is missing than the side is long); a side of one pixel is repeated.
    """
    missing = -length % multiple
    return np.pad(np.arange(length), (0, missing), mode="reflect")


def pad(x: Tensor, multiple: int) -> Tensor:
    """Extend ... x H x W at the bottom and on the right to multiples of ``multiple``."""
    rows, columns = (
        torch.from_numpy(reflect_indices(side, multiple)).to(x.device) for side in x.shape[-2:]
    )
    return x.index_select(-2, rows).index_select(-1, columns)
