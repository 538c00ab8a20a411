"""The whole sampler as one torch module: what an exporter traces, and what it is compared with.

One class for each kind of model; :func:`build_graph` chooses it.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from difiisr_ros.core.resample import SCALE, back_project, fold, unfold, upsample_folded
from difiisr_ros.core.sampler import sample
from difiisr_ros.errors import ModelError, OptionError
from difiisr_ros.export.facts import LR, NOISE, GraphOptions
from difiisr_ros.models.lite import LiteDenoise, LiteDenoiser

DTYPES = {"fp32": torch.float32, "fp16": torch.float16}


class SamplerGraph(nn.Module):
    """Normalised LR (and noise) in, SR out, the steps unrolled. See :mod:`.facts` for shapes.

    Attributes:
        input_names: names of ``forward``'s arguments, in order.
        noise_count: noise images that are read.
        max_steps: length of the model's schedule.
    """

    scale = SCALE

    def __init__(self, options: GraphOptions, max_steps: int, noise_count: int) -> None:
        super().__init__()
        if options.num_steps > max_steps:
            raise OptionError(f"num_steps must be in 1..{max_steps}, got {options.num_steps}")
        self.options = options
        self.max_steps = max_steps
        self.noise_count = noise_count
        self.input_names = (LR, NOISE) if noise_count else (LR,)

    def example(self, batch: int, height: int, width: int) -> tuple[Tensor, ...]:
        """Random inputs, the same every time, for an LR frame of this size."""
        generator = torch.Generator().manual_seed(0)
        lr = torch.rand((batch, 1, height, width), generator=generator)
        side = (height * self.scale, width * self.scale)
        noise = torch.randn((self.noise_count, 1, *side), generator=generator)
        return (lr, noise) if self.noise_count else (lr,)


class LiteGraph(SamplerGraph):
    """The embedded kind of model: see :mod:`difiisr_ros.models.lite`."""

    def __init__(self, network: LiteDenoiser, options: GraphOptions) -> None:
        full = network.config.schedule()
        stochasticity = network.config.stochasticity
        count = 0 if options.num_steps == 1 else 1
        if count and stochasticity > 0:
            count = options.num_steps
        super().__init__(options, len(full), count)
        self.network = network.to(DTYPES[options.precision]).requires_grad_(False).eval()
        self._full, self._schedule = full, full.respaced(options.num_steps)
        self._stochasticity = stochasticity

    def forward(self, lr: Tensor, noise: Tensor | None = None) -> Tensor:
        """See :mod:`difiisr_ros.export.facts`."""
        y0 = upsample_folded(lr)
        denoise = LiteDenoise(self.network, lr, y0, self._full)
        if noise is None:
            x0 = denoise(None, self.max_steps - 1)  # the last timestep's expert reads no x_T
        else:
            folded = fold(noise)
            images = [folded[k : k + 1] for k in range(self.noise_count)]
            x0 = sample(denoise, y0, images, self._schedule, stochasticity=self._stochasticity)
        return unfold(back_project(x0, lr, self.options.consistency))


_GRAPHS: dict[type, Callable[..., SamplerGraph]] = {LiteDenoiser: LiteGraph}


def build_graph(network: nn.Module, options: GraphOptions) -> SamplerGraph:
    """The graph of a loaded model, which it takes over (and converts to the precision).

    Raises:
        ModelError: a kind of model that cannot be exported.
        OptionError: more steps than the model has.
    """
    for kind, graph in _GRAPHS.items():
        if isinstance(network, kind):
            return graph(network, options)
    kinds = ", ".join(kind.__name__ for kind in _GRAPHS)
    raise ModelError(f"a {type(network).__name__} cannot be exported; accepted: {kinds}")
