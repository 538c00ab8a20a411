"""The embedded denoiser: residual-shifting diffusion at and below the camera's resolution.

The network predicts x0 as a residual over bicubic. Everything is folded (pixel-unshuffled by 4),
and most convolutions of ``lite`` run at half the camera's resolution, where 64 channels cost what
32 cost at full resolution: that buys four times the parameters and twice the receptive field for
the time. ``nano`` is for a sixth of that time, and runs at the camera's.

Two experts share the timesteps (expert denoisers, eDiff-I, arXiv 2211.01324):

* the *prior expert* answers at the last timestep, where sampling starts. There x_T holds no
  information on x0 beyond y0 (the signal is below -40 dB), so it reads the LR frame alone: one
  step is a plain regression, does not depend on the noise, and cannot flicker.
* the *refiner* answers at every other timestep. It reads x_t, the LR frame and the prior
  expert's prediction, and is told how noisy x_t is.

Inputs and outputs are preconditioned to unit variance (EDM, arXiv 2206.00364, table 1), with the
residual's standard deviation ``residual_std`` in the place of sigma_data.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from difiisr_ros.core.resample import SCALE, channels_last
from difiisr_ros.core.schedule import ResidualShiftSchedule
from difiisr_ros.models.guidance_priors import GuidancePriors

FOLDED = SCALE**2


@dataclass(frozen=True)
class LiteConfig:
    """Architecture and schedule; stored in the model file."""

    prior_channels: int = 64
    prior_blocks: int = 8
    refiner_channels: int = 64
    refiner_blocks: int = 5
    half: bool = True
    """Whether most of the work runs at half the camera's resolution, or all of it at the whole."""
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
        prior_channels=16,
        prior_blocks=3,
        refiner_channels=16,
        refiner_blocks=3,
        half=False,
        power=1.0,
    ),
}


class ResidualBlock(nn.Module):
    """conv - (scale, shift) - ReLU - conv, added to its input."""

    def __init__(self, channels: int, embedding: int = 0) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1)
        self.modulation = nn.Linear(embedding, 2 * channels) if embedding else None
        nn.init.normal_(self.conv2.weight, std=0.1 * (9 * channels) ** -0.5)
        nn.init.zeros_(self.conv2.bias)  # type: ignore[arg-type]
        if self.modulation is not None:
            nn.init.zeros_(self.modulation.weight)
            nn.init.zeros_(self.modulation.bias)

    def forward(self, x: Tensor, embedding: Tensor | None = None) -> Tensor:
        """N x C x H x W to the same; ``embedding`` is N x E."""
        hidden = self.conv1(x)
        if self.modulation is not None:
            scale, shift = self.modulation(embedding)[..., None, None].to(x.dtype).chunk(2, dim=1)
            hidden = hidden * (1 + scale) + shift
        # Added to the newest map in place: a third of the time of making another.
        return self.conv2(F.relu(hidden, inplace=True)).add_(x)


class TwoResolutionNet(nn.Module):
    """Folded maps in, folded maps out; most of the work runs at half the folded resolution.

    Residual blocks at half resolution see far and cost little; two convolutions at full folded
    resolution then place the detail. Any height and width: an odd side is extended by its last
    row or column and cut off again.
    """

    FINE = 16  # maps that the half-resolution part hands over, at full folded resolution
    HEAD = 32

    def __init__(self, in_channels: int, channels: int, blocks: int, embedding: int = 0) -> None:
        super().__init__()
        self.head = nn.Conv2d(4 * in_channels, channels, 3, padding=1)
        self.blocks = nn.ModuleList(ResidualBlock(channels, embedding) for _ in range(blocks))
        self.tail = nn.Conv2d(channels, 4 * self.FINE, 3, padding=1)
        self.fine1 = nn.Conv2d(self.FINE + in_channels, self.HEAD, 3, padding=1)
        self.fine2 = nn.Conv2d(self.HEAD, FOLDED, 3, padding=1)
        nn.init.normal_(self.fine2.weight, std=1e-3)
        nn.init.zeros_(self.fine2.bias)  # type: ignore[arg-type]

    def forward(self, x: Tensor, embedding: Tensor | None = None) -> Tensor:
        """N x in_channels x H x W to N x 16 x H x W; ``embedding`` is N x E."""
        height, width = x.shape[-2:]
        if torch.jit.is_tracing():
            # The graph's size may be open: extend always, and cut what an even side does not need.
            x = F.pad(x, (0, 1, 0, 1), mode="replicate")
            x = x[..., : (height + 1) // 2 * 2, : (width + 1) // 2 * 2]
        elif height % 2 or width % 2:
            x = F.pad(x, (0, width % 2, 0, height % 2), mode="replicate")
        half = F.pixel_unshuffle(x, 2).contiguous(memory_format=torch.channels_last)
        half = self.head(half)
        hidden = half
        for block in self.blocks:
            hidden = block(hidden, embedding)
        fine = F.relu(F.pixel_shuffle(self.tail(hidden + half), 2))
        fine = torch.cat([fine, x], dim=1).contiguous(memory_format=torch.channels_last)
        fine = self.fine2(F.relu(self.fine1(fine), inplace=True))
        return fine[..., :height, :width]


class OneResolutionNet(nn.Module):
    """Folded maps in, folded maps out, everything at the folded resolution.

    For networks so small that there is nothing to gain from width: with 16 channels this gives
    more for its time than 32 channels at half the resolution (docs/models.md).
    """

    def __init__(self, in_channels: int, channels: int, blocks: int, embedding: int = 0) -> None:
        super().__init__()
        self.head = nn.Conv2d(in_channels, channels, 3, padding=1)
        self.blocks = nn.ModuleList(ResidualBlock(channels, embedding) for _ in range(blocks))
        self.tail = nn.Conv2d(channels, FOLDED, 3, padding=1)
        nn.init.normal_(self.tail.weight, std=1e-3)
        nn.init.zeros_(self.tail.bias)  # type: ignore[arg-type]

    def forward(self, x: Tensor, embedding: Tensor | None = None) -> Tensor:
        """N x in_channels x H x W to N x 16 x H x W; ``embedding`` is N x E."""
        first = self.head(channels_last(x))
        hidden = first
        for block in self.blocks:
            hidden = block(hidden, embedding)
        return self.tail(hidden.add_(first))


class LiteDenoiser(nn.Module):
    """x0 prediction for the embedded model.

    Tensors are float32 in normalised intensity; ``folded`` means N x 16 x H x W.
    """

    EMBEDDING = 64

    def __init__(self, config: LiteConfig | None = None) -> None:
        super().__init__()
        self.config = config or LiteConfig()
        c = self.config
        #: What guidance expects; fitted after training, and stored in the model file.
        self.guidance_priors = GuidancePriors()
        network = TwoResolutionNet if c.half else OneResolutionNet
        self.prior = network(1, c.prior_channels, c.prior_blocks)
        self.noise_embedding = nn.Sequential(
            nn.Linear(self.EMBEDDING, self.EMBEDDING), nn.SiLU(),
            nn.Linear(self.EMBEDDING, self.EMBEDDING), nn.SiLU(),
        )  # fmt: skip
        self.refiner = network(2 * FOLDED + 1, c.refiner_channels, c.refiner_blocks, self.EMBEDDING)

    def predict_prior(self, lr: Tensor) -> Tensor:
        """Residual over bicubic at the last timestep, folded, from the LR frame N x 1 x H x W."""
        compute = self.prior.head.weight.dtype
        return self.prior((lr - 0.5).to(compute)).float().mul_(self.config.residual_std)

    def refine(self, shift: Tensor, lr: Tensor, prior: Tensor, noise_std: Tensor) -> Tensor:
        """Residual over bicubic from a noisy one.

        Args:
            shift: noisy residual ``(x_t - y0) / (1 - eta_t)``, folded: the true residual plus
                noise of ``noise_std``.
            lr: LR frame, N x 1 x H x W.
            prior: the prior expert's residual, folded.
            noise_std: ``kappa sqrt(eta_t) / (1 - eta_t)`` per image, shape (N,) or (1,), float32.
        """
        compute = self.refiner.head.weight.dtype
        ratio = (noise_std / self.config.residual_std)[:, None, None, None]
        total = torch.sqrt(ratio**2 + 1)
        unit = shift / (self.config.residual_std * total)
        x = torch.cat([unit, prior / self.config.residual_std, lr - 0.5], dim=1).to(compute)
        embedding = self.noise_embedding(self._sinusoid(ratio[:, 0, 0, 0]).to(compute))
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


class LiteDenoise:
    """The sampler's ``denoise(x_t, timestep) -> x0`` for one batch of LR frames (folded x_t).

    Args:
        model: the network.
        lr: N x 1 x H x W.
        y0: bicubic of it, folded.
        full: the schedule of all timesteps, ``model.config.schedule()``: kept by the caller, since
            it is the same for every frame.
        prior: the prior expert's residual, where it is known already.
    """

    def __init__(
        self,
        model: LiteDenoiser,
        lr: Tensor,
        y0: Tensor,
        full: ResidualShiftSchedule,
        prior: Tensor | None = None,
    ) -> None:
        self._model, self._lr, self._y0, self._full = model, lr, y0, full
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
            return self._y0 + (self._known_prior() if known else self._model.predict_prior(read))
        eta = float(self._full.etas[timestep])
        level = self._full.kappa * eta**0.5 / (1 - eta)
        noise_std = torch.full((1,), level, device=self._lr.device)
        shift = (read - self._y0) / (1 - eta)
        return self._y0 + self._model.refine(shift, self._lr, self._known_prior(), noise_std)

    def _known_prior(self) -> Tensor:
        if self._prior is None:
            self._prior = self._model.predict_prior(self._lr)
        return self._prior
