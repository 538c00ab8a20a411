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

"""The eta schedule against the published one, and what respacing promises."""

from __future__ import annotations

import json

import numpy as np
import pytest

from difiisr_ros.core.schedule import ResidualShiftSchedule, published_respacing, respace


@pytest.fixture(scope="module")
def golden(data_dir) -> dict:
    path = data_dir.parent / "golden" / "difiisr" / "schedule.json"
    if not path.is_file():
        pytest.skip(f"no published schedule in {path}")
    return json.loads(path.read_text())["schedules"]["difiisr_s15"]["respacing"]


def test_published_schedule_of_15_steps(golden):
    schedule, published = ResidualShiftSchedule(), golden["None"]
    for name in ("etas", "sqrt_etas", "etas_prev", "alpha"):
        np.testing.assert_allclose(getattr(schedule, name), published[name], rtol=1e-12)
    assert schedule.etas.dtype == np.float64
    assert schedule.prior_std == pytest.approx(published["prior_noise_std"], abs=1e-12)
    stds = [schedule.input_std(i) for i in range(15)]
    np.testing.assert_allclose(stds, published["scale_input_std_float64"], rtol=1e-12)
    variances = [schedule.posterior_variance(i) for i in range(15)]
    np.testing.assert_allclose(variances, published["posterior_variance"], rtol=1e-12)


@pytest.mark.parametrize("steps", ["None", "8", "5", "4", "3", "2"])
def test_published_reverse_steps(golden, steps):
    schedule, published = ResidualShiftSchedule(), golden[steps]
    if steps != "None":
        schedule = schedule.respaced(int(steps), published=True)
        assert list(schedule.timesteps) == published["timestep_map"]
    ddim = [schedule.reverse_step(i, 0.0) for i in range(len(schedule))]
    # The published DDIM coefficients were stored as float32.
    np.testing.assert_allclose([c.x0 for c in ddim], published["ddim_k_pred_xstart"], atol=2e-7)
    np.testing.assert_allclose([c.xt for c in ddim], published["ddim_m_xt"], atol=2e-7)
    np.testing.assert_allclose([c.y for c in ddim], published["ddim_j_y"], atol=2e-7)
    ddpm = [schedule.reverse_step(i, 1.0) for i in range(len(schedule))]
    np.testing.assert_allclose(
        [c.xt for c in ddpm], published["posterior_mean_coef1_xt"], atol=1e-12
    )
    np.testing.assert_allclose(
        [c.x0 for c in ddpm], published["posterior_mean_coef2_x0"], atol=1e-12
    )
    np.testing.assert_allclose([c.y for c in ddpm], 0, atol=1e-12)
    np.testing.assert_allclose(
        [c.noise**2 for c in ddpm], published["posterior_variance"], atol=1e-12
    )


@pytest.mark.parametrize("num_steps", range(1, 16))
def test_respacing_keeps_the_last_timestep(num_steps):
    chosen = respace(15, num_steps)
    assert len(chosen) == num_steps == len(set(chosen))
    assert chosen[-1] == 14
    assert list(chosen) == sorted(chosen)
    full = ResidualShiftSchedule()
    assert full.respaced(num_steps).prior_std == full.prior_std


@pytest.mark.parametrize("num_steps", [0, -1, 16])
def test_respacing_refuses_other_numbers(num_steps):
    with pytest.raises(ValueError, match=r"1\.\.15"):
        respace(15, num_steps)


def test_published_respacing_drops_the_last_timestep():
    assert published_respacing(15, 4) == (0, 3, 7, 11)
    with pytest.raises(ValueError, match=r"2\.\.15"):
        published_respacing(15, 1)


def test_forward_process_has_the_stated_mean_and_variance():
    schedule, rng = ResidualShiftSchedule(), np.random.default_rng(0)
    x0, y0 = np.full(200_000, 0.3), np.full(200_000, 0.7)
    for index in (0, 7, 14):
        x = schedule.forward_sample(x0, y0, rng.standard_normal(x0.size), index)
        eta = schedule.etas[index]
        assert x.mean() == pytest.approx(0.3 + eta * 0.4, abs=0.02)
        assert x.std() == pytest.approx(2.0 * np.sqrt(eta), rel=0.01)


@pytest.mark.parametrize("stochasticity", [0.0, 0.4, 1.0])
def test_reverse_step_with_the_true_x0_stays_on_the_forward_process(stochasticity):
    """x_{t-1} made from x_t and the true x0 must have the forward process's moments at t-1."""
    schedule, rng = ResidualShiftSchedule().respaced(5), np.random.default_rng(1)
    x0, y0 = 0.2, 0.9
    for index in range(1, 5):
        n, fresh = rng.standard_normal((2, 400_000))
        x = schedule.forward_sample(x0, y0, n, index)
        c = schedule.reverse_step(index, stochasticity)
        previous = c.x0 * x0 + c.xt * x + c.y * y0 + c.noise * fresh
        eta = schedule.etas[index - 1]
        assert previous.mean() == pytest.approx(x0 + eta * (y0 - x0), abs=0.02)
        assert previous.std() == pytest.approx(2.0 * np.sqrt(eta), rel=0.01)


@pytest.mark.parametrize(
    "arguments",
    [
        {"steps": 0},
        {"kappa": 0},
        {"power": -1},
        {"etas_end": 1.0},
        {"etas_end": 0.001},
        {"timesteps": [3, 1]},
        {"timesteps": []},
        {"timesteps": [0, 15]},
    ],
)
def test_bad_parameters_are_named(arguments):
    with pytest.raises(ValueError, match=next(iter(arguments))):
        ResidualShiftSchedule(**arguments)
