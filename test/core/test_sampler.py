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

"""The sampler is pure, takes its noise from outside, and ends in the last prediction."""

from __future__ import annotations

import numpy as np
import pytest

from difiisr_ros.core.sampler import sample
from difiisr_ros.core.schedule import ResidualShiftSchedule

SHAPE = (1, 16, 6, 7)


def _noise(count: int, seed: int = 0) -> list[np.ndarray]:
    return list(np.random.default_rng(seed).standard_normal((count, *SHAPE)))


def test_one_step_calls_the_network_once_at_the_last_timestep():
    calls = []

    def denoise(x, t):
        calls.append((x, t))
        return x * 0 + 3.0

    y0, noise = np.ones(SHAPE), _noise(1)
    schedule = ResidualShiftSchedule().respaced(1)
    result = sample(denoise, y0, noise, schedule)
    assert [t for _, t in calls] == [14]
    np.testing.assert_allclose(calls[0][0], y0 + 1.98 * noise[0])
    np.testing.assert_array_equal(result, np.full(SHAPE, 3.0))


def test_perfect_network_gives_the_truth_at_any_number_of_steps():
    truth = np.random.default_rng(3).random(SHAPE)
    for steps in (1, 2, 4, 15):
        schedule = ResidualShiftSchedule().respaced(steps)
        for stochasticity in (0.0, 0.5, 1.0):
            result = sample(
                lambda x, t: truth,
                truth * 0.5,
                _noise(steps),
                schedule,
                stochasticity=stochasticity,
            )
            np.testing.assert_array_equal(result, truth)


def test_x_follows_the_schedule_and_the_callback_sees_every_step():
    truth, y0 = np.full(SHAPE, 0.2), np.full(SHAPE, 0.6)
    schedule, noise, seen = ResidualShiftSchedule().respaced(4), _noise(4), []
    sample(lambda x, t: truth, y0, noise, schedule, callback=seen.append)
    assert [s["timestep"] for s in seen] == [14, 9, 5, 0]
    # With the true x0 the deterministic path keeps the noise it started with: that of the prior,
    # which is centred on y0 where the forward process is a hundredth short of it.
    short = (1 - schedule.etas[-1]) * (y0 - truth) / schedule.prior_std
    for state, index in zip(seen[:-1], (2, 1, 0)):
        expected = schedule.forward_sample(truth, y0, noise[0] + short, index)
        np.testing.assert_allclose(state["x"], expected, atol=1e-12)


def test_noise_decides_the_result_and_nothing_else_does():
    schedule = ResidualShiftSchedule().respaced(4)

    def run(seed: int, stochasticity: float) -> np.ndarray:
        return sample(
            lambda x, t: 0.5 * x,
            np.zeros(SHAPE),
            _noise(4, seed),
            schedule,
            stochasticity=stochasticity,
        )

    np.testing.assert_array_equal(run(1, 1.0), run(1, 1.0))
    assert np.abs(run(1, 1.0) - run(2, 1.0)).max() > 0.01
    assert np.abs(run(1, 1.0) - run(1, 0.0)).max() > 0.01


def test_missing_noise_and_bad_stochasticity_are_named():
    schedule = ResidualShiftSchedule().respaced(4)
    with pytest.raises(ValueError, match="4 noise arrays"):
        sample(lambda x, t: x, np.zeros(SHAPE), _noise(1), schedule, stochasticity=1.0)
    with pytest.raises(ValueError, match=r"0\.\.1"):
        sample(lambda x, t: x, np.zeros(SHAPE), _noise(4), schedule, stochasticity=1.5)
