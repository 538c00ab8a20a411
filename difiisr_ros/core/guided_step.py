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

"""One guided prediction: what the sampler calls instead of the network where guidance is on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor

Guide = Callable[[Any, Any, int, float], Any]
"""``guide(denoise, x_t, timestep, progress) -> x0``; progress is k / n at the k-th of n steps."""
StepSchedule = Callable[[float], float]
"""A weight, 0 or more, by progress."""


class Term(Protocol):
    """Knowledge of what x0 should be, as an energy that is lower where x0 agrees."""

    def gradient(self, x0: Tensor) -> Tensor:
        """Gradient of the energy in x0, folded N x 16 x H x W, scaled so that a step of 1 against
        it is the right length as far as the term alone can tell."""


def every_step(progress: float) -> float:
    """The same weight at every step."""
    return 1.0


@dataclass(frozen=True)
class WeightedTerm:
    """A term, and how much of it."""

    term: Term
    scale: float | Tensor
    schedule: StepSchedule = every_step
    max_norm: float = 0.02
    """Largest root mean square of one image's step, in normalised intensity, before scaling: a
    gradient that asks for more knows no better, it is further off."""

    def step(self, x0: Tensor) -> Tensor:
        """The clipped gradient at x0, times the scale."""
        return self.scale * clip_norm(self.term.gradient(x0), self.max_norm)


def clip_norm(gradient: Tensor, max_norm: float) -> Tensor:
    """Shorten every image's gradient (N x 16 x H x W) to a root mean square of ``max_norm``."""
    norm = gradient.square().mean(dim=(1, 2, 3), keepdim=True).sqrt()
    return gradient * (max_norm / norm.clamp_min(max_norm))


def _active(terms: Sequence[WeightedTerm], progress: float) -> list[tuple[WeightedTerm, float]]:
    weighted = [(term, term.schedule(progress)) for term in terms]
    return [(term, weight) for term, weight in weighted if weight > 0]


def corrected(x0: Tensor, terms: Sequence[WeightedTerm], progress: float = 1.0) -> Tensor:
    """A prediction, folded N x 16 x H x W, moved against the sum of the terms' gradients in it."""
    steps = [weight * term.step(x0) for term, weight in _active(terms, progress)]
    for step in steps:
        x0 = x0 - step
    return x0


def closed_form(terms: Sequence[WeightedTerm]) -> Guide:
    """Move x0 against the sum of the terms' gradients in x0."""

    def guide(denoise: Any, x_t: Any, timestep: int, progress: float) -> Tensor:
        return corrected(denoise(x_t, timestep), terms, progress)

    return guide


def exact(terms: Sequence[WeightedTerm]) -> Guide:
    """Move the network's input against the gradients, taken through the network, and answer again.

    The input is x_t, so what moves is the noise in it, as in the paper; where a network answers
    without reading x_t it is what it reads instead (``denoise.input_of``). A step d in x0 is asked
    of the input as ``a J^T d``, J being the network's Jacobian, with a = |d|^2 / |J^T d|^2: then
    x0 moves by d's length along d to first order. Not in inference mode.
    """

    def guide(denoise: Any, x_t: Any, timestep: int, progress: float) -> Tensor:
        active = _active(terms, progress)
        if not active:
            return denoise(x_t, timestep)
        with torch.enable_grad():
            leaf = denoise.input_of(x_t, timestep).detach().requires_grad_()
            x0 = denoise.answer(leaf, timestep)
            with torch.no_grad():
                steps = [weight * term.step(x0.detach()) for term, weight in active]
                wanted = torch.stack(steps).sum(dim=0)
            (pulled,) = torch.autograd.grad(x0, leaf, wanted)
        with torch.no_grad():
            dims = tuple(range(1, pulled.dim()))
            energy = wanted.square().sum(dim=dims, keepdim=True)
            length = energy / pulled.square().sum(dim=dims, keepdim=True).clamp_min(1e-20)
            return denoise.answer(leaf.detach() - length * pulled, timestep)

    return guide
