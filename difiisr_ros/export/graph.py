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

"""The whole sampler as one torch module: what an exporter traces, and what it is compared with.

One class for each kind of model; :func:`build_graph` chooses it.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn

from difiisr_ros.core.camera_profile import CameraProfile
from difiisr_ros.core.condition import Conditions
from difiisr_ros.core.guided_step import Guide, WeightedTerm, closed_form, corrected
from difiisr_ros.core.resample import SCALE, fold, upsample_folded
from difiisr_ros.core.visual_guidance import (
    SpectrumPrior,
    VisualTerm,
    guides_measured_band,
)
from difiisr_ros.errors import ModelError, OptionError
from difiisr_ros.export.facts import CAMERA, LR, NOISE, VISUAL_SCALE, GraphOptions
from difiisr_ros.models import lite_frames
from difiisr_ros.models.lite import LiteDenoiser
from difiisr_ros.models.published.frames import noise_images, upscale_frames
from difiisr_ros.models.published.network import PublishedModel

DTYPES = {"fp32": torch.float32, "fp16": torch.float16}


class SamplerGraph(nn.Module):
    """Everything from normalised LR to SR, the steps unrolled. See :mod:`.facts` for the shapes.

    ``forward`` takes tensors in the order of ``input_names``.

    Attributes:
        noise_count: noise images that are read.
        max_steps: length of the model's schedule.
        model_guidance: ``visual`` where the model has what that needs, or nothing.
    """

    fixed_size = False
    """Whether it can only be traced for one size of frames."""

    def __init__(
        self,
        options: GraphOptions,
        max_steps: int,
        noise_count: int,
        spectrum: SpectrumPrior | None,
    ) -> None:
        super().__init__()
        model_guidance = "" if spectrum is None else "visual"
        if not 1 <= options.num_steps <= max_steps:
            raise OptionError(
                f"num_steps must be an integer in 1..{max_steps}, got {options.num_steps}"
            )
        if options.guidance not in ("", model_guidance):
            raise OptionError(f"the model has no prior for {options.guidance} guidance")
        self.options = options
        self.max_steps, self.noise_count = max_steps, noise_count
        self.model_guidance = model_guidance
        self._spectrum = spectrum
        used = {
            LR: True,
            NOISE: noise_count > 0,
            VISUAL_SCALE: bool(options.guidance),
            CAMERA: True,
        }
        self.input_names = tuple(name for name, there in used.items() if there)

    def example(self, batch: int, height: int, width: int) -> tuple[Tensor, ...]:
        """Random inputs, the same every time, for LR frames of this size."""
        generator = torch.Generator().manual_seed(0)
        side = (height * SCALE, width * SCALE)
        values = {
            LR: torch.rand((batch, 1, height, width), generator=generator),
            NOISE: torch.randn((self.noise_count, 1, *side), generator=generator),
            VISUAL_SCALE: torch.tensor(0.8),
            CAMERA: torch.from_numpy(_example_cameras(batch)),
        }
        return tuple(values[name] for name in self.input_names)

    def _terms(
        self, lr: Tensor, y0: Tensor, scale: Tensor, *, measured_band: bool
    ) -> list[WeightedTerm]:
        assert self._spectrum is not None
        # In float32: a runtime may add up the power of a whole frame in the type that it is given.
        term = VisualTerm(self._spectrum, lr, y0, measured_band=measured_band)
        return [WeightedTerm(term, scale)]


class LiteGraph(SamplerGraph):
    """The embedded kind of model: see :mod:`difiisr_ros.models.lite`."""

    def __init__(self, network: LiteDenoiser, options: GraphOptions) -> None:
        full, stochasticity = network.config.schedule(), network.config.stochasticity
        count = 0 if options.num_steps == 1 else 1
        if count and stochasticity > 0:
            count = options.num_steps
        super().__init__(options, len(full), count, network.guidance_priors.spectrum)
        self.network = network.to(DTYPES[options.precision]).requires_grad_(False).eval()
        self._full, self._schedule = full, full.respaced(options.num_steps)

    def forward(self, lr: Tensor, *others: Tensor) -> Tensor:
        """See :mod:`difiisr_ros.export.facts`."""
        given = dict(zip(self.input_names, (lr, *others)))
        options, noise, make_guide = self.options, [], None
        exact = options.projection == "exact"
        if NOISE in given:
            folded = fold(given[NOISE])
            noise = [folded[k : k + 1] for k in range(self.noise_count)]
        if VISUAL_SCALE in given:
            band = guides_measured_band(options.num_steps, options.consistency, exact)

            def make_guide(frames: Tensor, y0: Tensor) -> Guide:
                terms = self._terms(frames, y0, given[VISUAL_SCALE], measured_band=band)
                return closed_form(terms)

        return lite_frames.upscale_frames(
            self.network,
            lr,
            given[CAMERA],
            noise,
            self._full,
            self._schedule,
            consistency=options.consistency,
            exact=exact,
            make_guide=make_guide,
            scale=options.scale,
        )


class PublishedGraph(SamplerGraph):
    """A published model: see :mod:`difiisr_ros.models.published.frames`."""

    fixed_size = True  # the padding and the windows are those of the traced size

    def __init__(self, network: PublishedModel, options: GraphOptions) -> None:
        full = network.config.schedule()
        count = noise_images(options.num_steps, network.config.stochasticity)
        super().__init__(options, len(full), count, network.guidance_priors.spectrum)
        if options.precision == "fp16":
            network.reduce_precision(DTYPES["fp16"])
        self.network = network.requires_grad_(False).eval()
        self._schedule = full.respaced(options.num_steps)

    def forward(self, lr: Tensor, noise: Tensor, *others: Tensor) -> Tensor:
        """See :mod:`difiisr_ros.export.facts`."""
        given = dict(zip(self.input_names, (lr, noise, *others)))
        count, correct = self.options.consistency, None
        exact = self.options.projection == "exact"
        if VISUAL_SCALE in given:
            band = guides_measured_band(1, count, exact)
            terms = self._terms(lr, upsample_folded(lr), given[VISUAL_SCALE], measured_band=band)

            def correct(folded: Tensor) -> Tensor:
                return corrected(folded, terms)

        return upscale_frames(
            self.network,
            lr,
            noise,
            self._schedule,
            count,
            correct,
            exact=exact,
            camera=given[CAMERA],
            scale=self.options.scale,
        )


_GRAPHS: dict[type, Callable[..., SamplerGraph]] = {
    LiteDenoiser: LiteGraph,
    PublishedModel: PublishedGraph,
}


def _example_cameras(batch: int) -> np.ndarray:
    """Conditions that differ from frame to frame, batch x WIDTH."""
    noise = [0.002 * (1 + k % 16) for k in range(batch)]
    return Conditions.of(CameraProfile(blur=0.4, blur_error=0.05), noise, 0.3).values


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
