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

"""Guidance of the reverse process: gradients of prior knowledge, put into what a step predicts.

DifIISR (CVPR 2025, arXiv 2503.01187) adds the gradients of a visual and of a perceptual prior to
the noise that the network predicts. With an x0-predicting network that is the same as moving its
x0: in ``x_t = (1 - eta_t) x_0 + eta_t y_0 + kappa sqrt(eta_t) epsilon`` a step of delta in x_0
is one of ``-(1 - eta_t) / (kappa sqrt(eta_t)) delta`` in epsilon.

A gradient is taken in one of two ways:

* ``closed_form``: in x0, by a formula. Cheap, and part of the graph that is exported.
* ``exact``: in the network's own input, through the network, by automatic differentiation; the
  network then answers again from the corrected input.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from difiisr_ros.core.plain_numbers import plain_real
from difiisr_ros.errors import OptionError

GRADIENTS = ("closed_form", "exact")
SCALE_LIMITS = (0.0, 2.0)


@dataclass(frozen=True)
class Guidance:
    """How much of each prior's gradient is applied; 0 leaves the term out, bit for bit.

    Raises:
        OptionError: a scale outside 0..2, or an unknown gradient.
    """

    visual_scale: float = 0.0
    """Of the spectrum's gradient: 1 brings every band all the way to its expected amplitude."""
    perceptual_scale: float = 0.0
    """Of the features' gradient."""
    gradient: str = "closed_form"
    """``closed_form`` or ``exact``."""

    def __post_init__(self) -> None:
        low, high = SCALE_LIMITS
        for name in ("visual_scale", "perceptual_scale"):
            given = getattr(self, name)
            value = plain_real(given)
            if value is None:
                raise OptionError(f"{name} must be a number in {low:g}..{high:g}, got {given!r}")
            if not low <= value <= high:
                raise OptionError(f"{name} must be in {low:g}..{high:g}, got {given!r}")
            object.__setattr__(self, name, value)
        if self.gradient not in GRADIENTS:
            raise OptionError(
                f"guidance_gradient must be one of {', '.join(GRADIENTS)}, got {self.gradient!r}"
            )

    @cached_property
    def terms(self) -> tuple[str, ...]:
        """Names of the terms in use."""
        scales = {"visual": self.visual_scale, "perceptual": self.perceptual_scale}
        return tuple(name for name, scale in scales.items() if scale > 0)

    def describe(self, possible: tuple[str, ...] = ("visual", "perceptual")) -> str:
        """As ``visual 0.5, perceptual 0.2 (closed_form)``; ``none`` without any possible term."""
        used = [name for name in self.terms if name in possible]
        if not used:
            return "none"
        scales = ", ".join(f"{name} {getattr(self, f'{name}_scale'):g}" for name in used)
        return f"{scales} ({self.gradient})"

    @cached_property
    def exact(self) -> bool:
        """Whether gradients are taken through the network."""
        return self.gradient == "exact"


NO_GUIDANCE = Guidance()
