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

"""Terms, their weights over the steps, clipping, and both kinds of gradient."""

from __future__ import annotations

import pytest
import torch

from difiisr_ros.core.guidance import Guidance
from difiisr_ros.core.guided_step import (
    WeightedTerm,
    clip_norm,
    closed_form,
    exact,
)
from difiisr_ros.core.sampler import sample
from difiisr_ros.core.schedule import ResidualShiftSchedule
from difiisr_ros.errors import OptionError

SHAPE = (2, 16, 5, 6)


class Towards:
    """Energy ``1/2 |x0 - target|^2``."""

    def __init__(self, target: torch.Tensor) -> None:
        self.target = target

    def gradient(self, x0: torch.Tensor) -> torch.Tensor:
        return x0 - self.target


class Linear:
    """A denoiser whose answer is linear in what it reads."""

    def __init__(self, matrix: torch.Tensor) -> None:
        self.matrix, self.reads = matrix, []

    def __call__(self, x_t, timestep):
        return self.answer(self.input_of(x_t, timestep), timestep)

    def input_of(self, x_t, timestep):
        return x_t

    def answer(self, read, timestep):
        self.reads.append(read.detach().clone())
        return torch.einsum("dc,nchw->ndhw", self.matrix, read)


def _random(seed: int) -> torch.Tensor:
    return torch.randn(SHAPE, generator=torch.Generator().manual_seed(seed))


def test_clipping_shortens_what_is_too_long_and_leaves_the_rest_bit_for_bit():
    gradient = _random(0)
    gradient[1] *= 1e-3
    clipped = clip_norm(gradient, 0.02)
    assert clipped[0].square().mean().sqrt().item() == pytest.approx(0.02, rel=1e-5)
    assert torch.equal(clipped[1], gradient[1])
    assert torch.equal(clip_norm(torch.zeros(SHAPE), 0.02), torch.zeros(SHAPE))


def test_any_sum_of_terms_moves_x0():
    network, x = Linear(torch.eye(16)), 1e-3 * _random(0)
    terms = [
        WeightedTerm(Towards(torch.zeros(SHAPE)), 0.5),
        WeightedTerm(Towards(torch.full(SHAPE, 1e-3)), 0.25),
    ]
    result = closed_form(terms)(network, x, 3, 1.0)
    expected = x - 0.5 * x - 0.25 * (x - 1e-3)
    torch.testing.assert_close(result, expected)


def test_the_schedule_decides_at_which_steps_a_term_counts():
    schedule, calls = ResidualShiftSchedule().respaced(4), []

    class Counting(Towards):
        def gradient(self, x0):
            calls.append(1)
            return super().gradient(x0)

    y0, noise = torch.zeros(SHAPE), [_random(1)]
    weights = ((lambda p: float(p >= 1), 1), (lambda p: 1.0, 4), (lambda p: 0.0, 0))
    for weight, expected in weights:
        calls.clear()
        guide = closed_form([WeightedTerm(Counting(y0), 1.0, weight)])
        sample(lambda x, t: 0.1 * x, y0, noise, schedule, guide=guide)
        assert len(calls) == expected


@pytest.mark.parametrize("kind", [closed_form, exact])
@pytest.mark.parametrize("steps", [1, 4])
def test_no_weight_is_no_guidance_bit_for_bit(kind, steps):
    schedule = ResidualShiftSchedule().respaced(steps)
    y0, noise = _random(2), [_random(3)]
    plain = sample(Linear(0.3 * torch.eye(16)), y0, noise, schedule)
    guide = kind([WeightedTerm(Towards(y0), 1.0, lambda progress: 0.0)])
    assert torch.equal(sample(Linear(0.3 * torch.eye(16)), y0, noise, schedule, guide=guide), plain)
    guide = kind([])
    assert torch.equal(sample(Linear(0.3 * torch.eye(16)), y0, noise, schedule, guide=guide), plain)


def test_the_exact_gradient_moves_the_input_and_the_network_answers_again():
    """Through a rotation the input must turn back: x0 moves as the closed form would move it."""
    rotation = torch.linalg.qr(torch.randn(16, 16, generator=torch.Generator().manual_seed(5)))[0]
    network, x, target = Linear(rotation), 1e-3 * _random(0), 1e-3 * _random(1)
    guide = exact([WeightedTerm(Towards(target), 0.5)])
    result = guide(network, x, 3, 1.0)
    plain = Linear(rotation)(x, 3)
    torch.testing.assert_close(result, plain - 0.5 * (plain - target), atol=1e-6, rtol=1e-3)
    assert len(network.reads) == 2
    assert not torch.equal(network.reads[0], network.reads[1])
    assert not result.requires_grad


def test_the_exact_gradient_lowers_the_energy_through_a_network_that_is_not_linear():
    class Curved(Linear):
        def answer(self, read, timestep):
            return torch.tanh(super().answer(read, timestep))

    matrix = torch.randn(16, 16, generator=torch.Generator().manual_seed(6)) / 4
    x, target = 0.1 * _random(0), 0.1 * _random(1)
    plain = Curved(matrix)(x, 3)
    result = exact([WeightedTerm(Towards(target), 0.3)])(Curved(matrix), x, 3, 1.0)
    assert (result - target).norm() < (plain - target).norm()


def test_a_guided_x0_goes_on_through_the_steps():
    """The gradient is put into the noise: x at the next step is made from the guided x0."""
    schedule, y0, noise = ResidualShiftSchedule().respaced(2), torch.zeros(SHAPE), [_random(1)]
    guide = closed_form([WeightedTerm(Towards(torch.full(SHAPE, 0.01)), 1.0)])
    seen: list[dict] = []
    sample(lambda x, t: 0.0 * x, y0, noise, schedule, guide=guide, callback=seen.append)
    c = schedule.reverse_step(1, 0.0)
    x_t = schedule.prior_std * noise[0]
    torch.testing.assert_close(seen[0]["x"], c.x0 * seen[0]["x0"] + c.xt * x_t)
    torch.testing.assert_close(seen[0]["x0"], torch.full(SHAPE, 0.01))


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"visual_scale": -0.1}, "visual_scale must be in 0..2, got -0.1"),
        ({"perceptual_scale": 2.5}, "perceptual_scale must be in 0..2, got 2.5"),
        ({"visual_scale": "much"}, "visual_scale must be a number in 0..2, got 'much'"),
        ({"visual_scale": float("nan")}, "visual_scale must be in 0..2, got nan"),
        ({"gradient": "guessed"}, "must be one of closed_form, exact, got 'guessed'"),
    ],
)
def test_wrong_guidance_is_refused(wrong, message):
    with pytest.raises(OptionError, match=message):
        Guidance(**wrong)


def test_guidance_describes_itself():
    assert Guidance().describe() == "none"
    assert Guidance(0.5, 0.25).describe() == "visual 0.5, perceptual 0.25 (closed_form)"
    assert Guidance(0.5, 0.25).describe(("visual",)) == "visual 0.5 (closed_form)"
