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

"""The embedded denoiser: residual-shifting diffusion at the camera's resolution, told its camera.

The network predicts x0 as a residual over bicubic. Everything is folded (pixel-unshuffled by 4),
so that it runs at the camera's resolution throughout. A network with half of that resolution
inside is faster for its width, but leaves a lattice of twice the camera's pixels on noise.

Two experts share the timesteps (expert denoisers, eDiff-I, arXiv 2211.01324):

* the *prior expert* answers at the last timestep, where sampling starts. There x_T holds no
  information on x0 beyond y0 (the signal is below -40 dB), so it reads the LR frame alone: one
  step is a plain regression, does not depend on the noise, and cannot flicker.
* the *refiner* answers at every other timestep. It reads x_t, the LR frame and the prior
  expert's prediction, and is told how noisy x_t is.

Both are told what is known of the camera (:mod:`difiisr_ros.core.condition`), by a scale and a
shift of every block's maps (FiLM, arXiv 1709.07871). For one frame these are part of the
convolution's weights, and cost nothing.

Inputs and outputs are preconditioned to unit variance (EDM, arXiv 2206.00364, table 1), with the
residual's standard deviation ``residual_std`` in the place of sigma_data.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from difiisr_ros.core.condition import FEATURES, NOISE
from difiisr_ros.core.device import is_for_itself
from difiisr_ros.core.resample import SCALE, averaged, channels_last
from difiisr_ros.core.schedule import ResidualShiftSchedule
from difiisr_ros.models.channel_limits import ChannelLimits
from difiisr_ros.models.guidance_priors import GuidancePriors

FOLDED = SCALE**2
NOISE_IN_PLAIN = 0.1
"""Variance within camera pixels that the plain answer may have of white noise alone, in units of
the noise's: 0.02 in 19 of 20 places of ``lite``'s, 0.07 of ``nano``'s."""
LEAST_RESIDUAL, HIDDEN_BY = 7e-4, 1e-3
"""Of the range: what results leave to bicubic of a residual where there is no noise, and how much
noise it takes that they leave nothing. Reduced precision makes up to 6e-4 of nothing, which shows
as texture on smooth frames; so does quiet cameras' noise, sharpened. In PSNR it costs nothing."""
LEAST_DETAIL = 0.002
"""Standard deviation within camera pixels, of the range, below which there is no detail."""


@dataclass(frozen=True)
class LiteConfig:
    """Architecture and schedule; stored in the model file."""

    prior_channels: int = 32
    prior_blocks: int = 4
    refiner_channels: int = 32
    refiner_blocks: int = 3
    residual_std: float = 0.04
    steps: int = 15
    kappa: float = 0.2
    power: float = 0.3
    min_noise_level: float = 0.02
    etas_end: float = 0.99
    stochasticity: float = 0.0

    def as_dict(self) -> dict[str, Any]:
        """The fields, for the model file."""
        return asdict(self)

    def schedule(self) -> ResidualShiftSchedule:
        """The full schedule that the model was made for."""
        return ResidualShiftSchedule(
            self.steps, self.kappa, self.power, self.min_noise_level, self.etas_end
        )


#: Configurations of the models that are shipped, by name.
EMBEDDED_CONFIGS = {
    "lite": LiteConfig(),
    "nano": LiteConfig(
        prior_channels=16, prior_blocks=3, refiner_channels=16, refiner_blocks=3, power=1.0
    ),
}


class ResidualBlock(nn.Module):
    """conv - (scale, shift) - ReLU - conv, added to its input."""

    def __init__(self, channels: int, embedding: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1)
        self.modulation = nn.Linear(embedding, 2 * channels)
        nn.init.normal_(self.conv2.weight, std=0.1 * (9 * channels) ** -0.5)
        nn.init.zeros_(self.conv2.bias)  # type: ignore[arg-type]
        nn.init.zeros_(self.modulation.weight)
        nn.init.zeros_(self.modulation.bias)

    def forward(self, x: Tensor, embedding: Tensor) -> Tensor:
        """N x C x H x W to the same; ``embedding`` is N x E, or 1 x E for all."""
        scale, shift = self.modulation(embedding).chunk(2, dim=1)
        scale = 1 + scale
        if len(embedding) == 1 and not torch.jit.is_tracing():
            # The same for all maps: into the weights, instead of one more pass over the maps.
            assert self.conv1.bias is not None
            weight = self.conv1.weight * scale.view(-1, 1, 1, 1)
            hidden = F.conv2d(x, weight, self.conv1.bias * scale[0] + shift[0], padding=1)
        else:
            hidden = self.conv1(x) * scale[..., None, None] + shift[..., None, None]
        # Added to the newest map in place: a third of the time of making another.
        return self.conv2(F.relu(hidden, inplace=True)).add_(x)


class CameraNet(nn.Module):
    """Folded maps in, folded maps out, at the camera's resolution throughout."""

    def __init__(self, in_channels: int, channels: int, blocks: int, embedding: int) -> None:
        super().__init__()
        self.head = nn.Conv2d(in_channels, channels, 3, padding=1)
        self.blocks = nn.ModuleList(ResidualBlock(channels, embedding) for _ in range(blocks))
        self.tail = nn.Conv2d(channels, FOLDED, 3, padding=1)
        nn.init.normal_(self.tail.weight, std=1e-3)
        nn.init.zeros_(self.tail.bias)  # type: ignore[arg-type]

    def forward(self, x: Tensor, embedding: Tensor, scale: int = SCALE) -> Tensor:
        """N x in_channels x H x W to N x scale^2 x H x W; ``embedding`` is N x E, or 1 x E."""
        if len(embedding) > 1 and x.device.type == "cpu" and is_for_itself():
            return one_by_one(self, x, embedding, scale)
        first = self.head(channels_last(x))
        hidden = first
        for block in self.blocks:
            hidden = block(hidden, embedding)
        return end(self.tail, hidden.add_(first), scale)


def one_by_one(
    network: Callable[[Tensor, Tensor, int], Tensor], x: Tensor, embedding: Tensor, scale: int
) -> Tensor:
    """What a network makes of frames of several cameras, one after the other.

    A CPU is as fast so, and a frame's result is then the same in any batch: what is told of one
    camera is rounded within the weights.
    """
    pairs = zip(x.split(1), embedding.split(1))
    return torch.cat([network(*pair, scale) for pair in pairs])


def end(tail: nn.Conv2d, hidden: Tensor, scale: int) -> Tensor:
    """The last convolution's maps, or their means: N x C x H x W to N x scale^2 x H x W.

    The mean of what a convolution gives is what the mean of its kernels gives.
    """
    if scale == SCALE:
        return tail(hidden)
    assert tail.bias is not None
    kernels = torch.cat([tail.weight.flatten(1), tail.bias[:, None]], dim=1).float()
    means = averaged(kernels[None, :, :, None], scale)[0, :, :, 0].to(tail.weight.dtype)
    weight = means[:, :-1].unflatten(1, tail.weight.shape[1:])
    return F.conv2d(hidden, weight, means[:, -1], padding=1)


class LiteDenoiser(nn.Module):
    """x0 prediction for the embedded model.

    Tensors are float32 in normalised intensity; ``folded`` means N x 16 x H x W.
    """

    EMBEDDING = 64
    CAMERA = 32

    def __init__(self, config: LiteConfig | None = None) -> None:
        super().__init__()
        self.config = config or LiteConfig()
        c = self.config
        #: What guidance expects; fitted after training, and stored in the model file.
        self.guidance_priors = GuidancePriors()
        #: Of the prior expert, for 8 bits; measured after training, and stored in the model file.
        self.channel_limits: ChannelLimits | None = None
        self.camera_embedding = nn.Sequential(
            nn.Linear(FEATURES, self.CAMERA),
            nn.SiLU(),
            nn.Linear(self.CAMERA, self.CAMERA),
            nn.SiLU(),
        )
        self.prior = CameraNet(1, c.prior_channels, c.prior_blocks, self.CAMERA)
        self.noise_embedding = nn.Sequential(
            nn.Linear(self.EMBEDDING, self.EMBEDDING),
            nn.SiLU(),
            nn.Linear(self.EMBEDDING, self.EMBEDDING),
            nn.SiLU(),
        )
        self.refiner_camera_embedding = nn.Sequential(
            nn.Linear(FEATURES, self.CAMERA),
            nn.SiLU(),
        )
        self.refiner = CameraNet(
            2 * FOLDED + 1, c.refiner_channels, c.refiner_blocks, self.EMBEDDING + self.CAMERA
        )

    def predict_prior(
        self, lr: Tensor, camera: Tensor, scale: int = SCALE, cored: bool = False
    ) -> Tensor:
        """Residual over bicubic at the last timestep, N x scale^2 x H x W.

        Args:
            lr: LR frame as :func:`difiisr_ros.core.bound.shown` gives it, N x 1 x H x W.
            camera: what is told, N (or 1) x WIDTH, see :mod:`difiisr_ros.core.condition`.
            scale: 4, or 2 and 1 for the residual's means.
            cored: as results have it, less :data:`LEAST_RESIDUAL`. What is trained is not: what
                lies below has no gradient.
        """
        compute = self.prior.head.weight.dtype
        embedding = self.camera_embedding(camera[:, :FEATURES].to(compute))
        residual = self.prior((lr - 0.5).to(compute), embedding, scale)
        if cored:
            shown = F.relu(1 - camera[:, NOISE] / HIDDEN_BY)
            residual = soft_threshold(residual, LEAST_RESIDUAL / self.config.residual_std * shown)
        return residual.float().mul_(self.config.residual_std)

    def refine(
        self, shift: Tensor, lr: Tensor, prior: Tensor, noise_std: Tensor, camera: Tensor
    ) -> Tensor:
        """Residual over bicubic from a noisy one.

        Args:
            shift: noisy residual ``(x_t - y0) / (1 - eta_t)``, folded: the true residual plus
                noise of ``noise_std``.
            lr, camera: as of :meth:`predict_prior`.
            prior: the prior expert's residual, folded.
            noise_std: ``kappa sqrt(eta_t) / (1 - eta_t)`` per row of ``camera``, float32.
        """
        compute = self.refiner.head.weight.dtype
        ratio = (noise_std / self.config.residual_std)[:, None, None, None]
        total = torch.sqrt(ratio**2 + 1)
        unit = shift / (self.config.residual_std * total)
        x = torch.cat([unit, prior / self.config.residual_std, lr - 0.5], dim=1).to(compute)
        level = self.noise_embedding(self._sinusoid(ratio[:, 0, 0, 0]).to(compute))
        known = self.refiner_camera_embedding(camera[:, :FEATURES].to(compute))
        embedding = torch.cat([level, known], dim=1)
        out = self.refiner(x, embedding).float()
        # EDM skip: the least-squares estimate from the noisy residual alone, plus a correction
        # no larger than that estimate's error.
        skip, scale = 1 / total**2, ratio / total * self.config.residual_std
        return skip * shift + scale * out

    def _sinusoid(self, ratio: Tensor) -> Tensor:
        half = self.EMBEDDING // 2
        frequencies = torch.exp(torch.linspace(-1.5, 3.0, half, device=ratio.device))
        angles = torch.log(ratio)[:, None] * frequencies[None, :]
        return torch.cat([angles.cos(), angles.sin()], dim=1)


def soft_threshold(x: Tensor, threshold: Tensor) -> Tensor:
    """Everything nearer to 0 by the threshold, and 0 what is nearer already (coring).

    Args:
        x: N x C x H x W.
        threshold: N numbers, or 1.
    """
    most = threshold.to(x.dtype)[:, None, None, None]
    if not torch.jit.is_tracing() and x.device.type == "cpu" and len(most) == 1:
        # One pass instead of three, or none: of most cameras there is nothing to take away.
        number = float(most)
        return F.softshrink(x, number) if number else x
    return x - torch.maximum(torch.minimum(x, most), -most)


class LiteDenoise:
    """The sampler's ``denoise(x_t, timestep) -> x0`` for one batch of LR frames (folded x_t).

    Args:
        model: the network.
        lr: what it is shown of the LR frames, N x 1 x H x W.
        y0: bicubic of the frames, folded.
        full: the schedule of all timesteps, ``model.config.schedule()``: kept by the caller, since
            it is the same for every frame.
        camera: what is told of the frames, N (or 1) x WIDTH.
        prior: the prior expert's residual, where it is known already.
    """

    def __init__(
        self,
        model: LiteDenoiser,
        lr: Tensor,
        y0: Tensor,
        full: ResidualShiftSchedule,
        camera: Tensor,
        prior: Tensor | None = None,
    ) -> None:
        self._model, self._lr, self._y0, self._full = model, lr, y0, full
        self._camera = camera
        self._prior = prior

    def __call__(self, x_t: Tensor | None, timestep: int) -> Tensor:
        """Predict x0; x_t is not read at the last timestep."""
        return self.answer(self.input_of(x_t, timestep), timestep)

    def input_of(self, x_t: Tensor | None, timestep: int) -> Tensor:
        """What the expert of this timestep reads: the LR frame at the last one, else x_t."""
        if timestep == self._full.steps - 1:
            return self._lr
        assert x_t is not None
        return x_t

    def answer(self, read: Tensor, timestep: int) -> Tensor:
        """Predict x0 from what :meth:`input_of` gives; differentiable in it."""
        if timestep == self._full.steps - 1:
            known = read is self._lr
            if known:
                return self.plain()
            return self._y0 + self._model.predict_prior(read, self._camera)
        eta = float(self._full.etas[timestep])
        level = self._full.kappa * eta**0.5 / (1 - eta)
        # As many as cameras are told of: a trace would keep the number that it was made with.
        noise_std = torch.full((1,), level, device=self._lr.device).expand(self._camera.shape[0])
        shift = (read - self._y0) / (1 - eta)
        return self._y0 + self._model.refine(
            shift, self._lr, self._known_prior(), noise_std, self._camera
        )

    def plain(self) -> Tensor:
        """The prior expert's answer: x0 of one step without guidance."""
        return self._y0 + self._known_prior()

    def _known_prior(self) -> Tensor:
        if self._prior is None:
            self._prior = self._model.predict_prior(self._lr, self._camera, cored=True)
        return self._prior


def keep_detail(plain: Tensor, detailed: Tensor, camera: Tensor) -> Tensor:
    """What more steps and guidance add, where there is signal; nothing where there is noise.

    The difference to the plain answer is weighed like a Wiener filter does, by how much fine
    structure the plain answer has in the 3x3 camera pixels around and how much the camera's noise
    can make there. What noise alone leaves in a plain answer is no structure.

    Args:
        plain: the answer of one step without guidance, folded.
        detailed: that of more steps, or of guidance.
        camera: N (or 1) x WIDTH.
    """
    inside = plain - plain.mean(dim=1, keepdim=True)
    power = inside.square().mean(dim=1, keepdim=True)
    power = F.avg_pool2d(F.pad(power, (1, 1, 1, 1), mode="replicate"), 3, stride=1)
    noise = camera[:, NOISE].view(-1, 1, 1, 1).square() + LEAST_DETAIL**2
    structure = F.relu(power - NOISE_IN_PLAIN * noise)
    return plain + structure / (structure + noise) * (detailed - plain)
