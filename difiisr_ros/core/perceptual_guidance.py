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

"""Perceptual guidance: features of a visual network, brought to what HR frames would have there.

DifIISR's perceptual prior (arXiv 2503.01187) compares features with the HR image's. At inference
there is no HR image; but what blur takes from a feature network's maps is regular, and can be
learned: :class:`FeaturePrior` predicts the maps of the HR frame from those of the network's first
answer, by one linear 3x3 convolution for each map, fitted by least squares on thermal frames
(channel by channel where there are hundreds of them). The energy is the squared distance from that,
and its gradient goes back through the feature network.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from difiisr_ros.core.resample import unfold


class FeatureMaps(Protocol):
    """A feature network; see :class:`difiisr_ros.models.features.base.FeatureNetwork`."""

    def maps(self, x: Tensor) -> list[Tensor]:
        """Maps of N x 1 x H x W, differentiable."""


@dataclass(frozen=True)
class MapPrior:
    """Expectation of one map with C channels."""

    weight: Tensor
    """C x C x 3 x 3; or C x 1 x 3 x 3, each channel from its own neighbourhood alone."""
    bias: Tensor
    """C."""
    std: Tensor
    """C: each channel's spread over HR frames, the unit in which distances count."""

    def expect(self, first: Tensor) -> Tensor:
        """The HR frame's map, from the first answer's (N x C x h x w, any dtype); float32."""
        padded = F.pad(first.float(), (1, 1, 1, 1), mode="replicate")
        groups = len(self.bias) // self.weight.shape[1]
        return F.conv2d(padded, self.weight, self.bias, groups=groups)


@dataclass(frozen=True)
class FeaturePrior:
    """Expectations of all maps of one feature network, in its order."""

    spec: str
    """Which network: what :func:`difiisr_ros.models.features.load.load_features` takes."""
    maps: tuple[MapPrior, ...]

    def to(self, device: torch.device) -> FeaturePrior:
        """The same on another device."""
        moved = (
            MapPrior(m.weight.to(device), m.bias.to(device), m.std.to(device)) for m in self.maps
        )
        return FeaturePrior(self.spec, tuple(moved))


class PerceptualTerm:
    """The energy of one batch of frames; see the module's text.

    The first answer that it is asked about fixes the expectation for the steps that follow.

    Args:
        prior: expectations, float32, on the network's device.
        network: the feature network that they are of.
        dtype: of the frames that the network gets: its weights'.
    """

    def __init__(self, prior: FeaturePrior, network: FeatureMaps, dtype: torch.dtype) -> None:
        self._prior, self._network, self._dtype = prior, network, dtype
        self._expected: list[Tensor] | None = None

    def gradient(self, x0: Tensor) -> Tensor:
        """Of the energy, as long as Polyak's step towards zero energy: ``E g / |g|^2``.

        Args:
            x0: folded, N x 16 x H x W.
        """
        with torch.enable_grad():
            leaf = x0.detach().requires_grad_()
            found = self._network.maps(unfold(leaf).to(self._dtype))
            if self._expected is None:
                self._expected = [m.expect(f.detach()) for m, f in zip(self._prior.maps, found)]
            energy = self._energy(found)
            (gradient,) = torch.autograd.grad(energy.sum(), leaf)
        with torch.no_grad():
            square = gradient.square().sum(dim=(1, 2, 3), keepdim=True)
            return gradient * (energy.detach()[:, None, None, None] / square.clamp_min(1e-30))

    def _energy(self, found: Sequence[Tensor]) -> Tensor:
        """One number an image, N: half the mean square distance, over all maps."""
        assert self._expected is not None
        total = torch.zeros((), device=found[0].device)
        for m, ours, expected in zip(self._prior.maps, found, self._expected):
            distance = (ours.float() - expected) / m.std[:, None, None]
            total = total + 0.5 * distance.square().mean(dim=(1, 2, 3))
        return total / len(found)
