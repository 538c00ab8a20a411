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

"""Perceptual guidance: expectations of features, the gradient's direction and length."""

from __future__ import annotations

import pytest
import torch

from difiisr_ros.core.perceptual_guidance import FeaturePrior, MapPrior, PerceptualTerm
from difiisr_ros.core.resample import fold, unfold
from difiisr_ros.models.features.load import load_features


@pytest.fixture(scope="module")
def network():
    return load_features("thermal")


def _identity_prior(maps: list[torch.Tensor], gain: float) -> FeaturePrior:
    """Expects every map to be ``gain`` times the first answer's."""
    priors = []
    for found in maps:
        channels = found.shape[1]
        weight = torch.zeros(channels, channels, 3, 3)
        weight[range(channels), range(channels), 1, 1] = gain
        priors.append(MapPrior(weight, torch.zeros(channels), torch.ones(channels)))
    return FeaturePrior("thermal", tuple(priors))


def _frame(seed: int = 0) -> torch.Tensor:
    return torch.rand(2, 1, 64, 96, generator=torch.Generator().manual_seed(seed))


def _energy(network, image, targets) -> torch.Tensor:
    total = 0.0
    for found, target in zip(network.maps(image), targets):
        total = total + 0.5 * (found - target).square().mean(dim=(1, 2, 3))
    return total / len(targets)


def test_what_is_as_expected_is_left_alone(network):
    folded = fold(_frame())
    prior = _identity_prior(network.maps(unfold(folded)), 1.0)
    assert PerceptualTerm(prior, network, torch.float32).gradient(folded).abs().max() == 0


def test_a_step_brings_the_features_nearer_to_what_is_expected(network):
    folded = fold(_frame())
    with torch.no_grad():
        first = network.maps(unfold(folded))
    prior = _identity_prior(first, 1.2)
    term = PerceptualTerm(prior, network, torch.float32)
    targets = [1.2 * f for f in first]
    before = _energy(network, unfold(folded), targets)
    x0 = folded
    for _ in range(5):
        x0 = x0 - 0.5 * term.gradient(x0)
    after = _energy(network, unfold(x0), targets)
    assert (after < 0.9 * before).all()


def test_its_length_is_polyaks_whatever_the_units(network):
    folded = fold(_frame())
    with torch.no_grad():
        first = network.maps(unfold(folded))
    term = PerceptualTerm(_identity_prior(first, 1.1), network, torch.float32)
    step = term.gradient(folded)
    leaf = folded.clone().requires_grad_()
    energy = _energy(network, unfold(leaf), [1.1 * f for f in first])
    (gradient,) = torch.autograd.grad(energy.sum(), leaf)
    # To first order a step of this length takes all of the energy, in every frame.
    taken = (step * gradient).sum(dim=(1, 2, 3))
    torch.testing.assert_close(taken, energy.detach(), rtol=1e-3, atol=0)


def test_the_first_answer_fixes_the_expectation(network):
    """Otherwise every step would want more than the one before."""
    folded = fold(_frame())
    with torch.no_grad():
        first = network.maps(unfold(folded))
    term = PerceptualTerm(_identity_prior(first, 1.1), network, torch.float32)
    term.gradient(folded)
    other = PerceptualTerm(_identity_prior(first, 1.1), network, torch.float32)
    moved = folded + 0.01 * torch.randn(folded.shape, generator=torch.Generator().manual_seed(1))
    assert not torch.equal(term.gradient(moved), other.gradient(moved))
