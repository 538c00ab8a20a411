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

"""The residual-shifting noise schedule of ResShift, which DifIISR uses, in float64.

The forward process moves the high-resolution image x0 to the upsampled low-resolution image y0
while noise of growing strength is added (ResShift, NeurIPS 2023, arXiv 2307.12348, eq. 2)::

    q(x_t | x_0, y_0) = N(x_t; x_0 + eta_t (y_0 - x_0), kappa^2 eta_t I)

Index t = 0 is the cleanest step and t = T - 1 the noisiest, as in the published code.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np


def respace(steps: int, num_steps: int) -> tuple[int, ...]:
    """Pick ``num_steps`` of ``steps`` timesteps, evenly spaced, always keeping the last one.

    The last timestep is where sampling starts, so it must stay: the network sees there exactly
    the noise level that the prior has. (The published respacing drops it; see
    :func:`published_respacing`.) One step is ``(steps - 1,)``; from two steps on, 0 is kept too.

    Raises:
        ValueError: unless 1 <= num_steps <= steps.
    """
    if not 1 <= num_steps <= steps:
        raise ValueError(f"num_steps must be in 1..{steps}, got {num_steps}")
    if num_steps == 1:
        return (steps - 1,)
    return tuple(int(t) for t in np.round(np.linspace(0, steps - 1, num_steps)))


def published_respacing(steps: int, num_steps: int) -> tuple[int, ...]:
    """Timesteps as the published code chooses them: ``int(steps / n * k)``, the last one dropped.

    Kept for bit-compatible comparisons (4 of 15 gives 0, 3, 7, 11).

    Raises:
        ValueError: unless 2 <= num_steps <= steps (the published code fails for one).
    """
    if not 2 <= num_steps <= steps:
        raise ValueError(f"the published respacing takes 2..{steps} steps, got {num_steps}")
    return tuple(sorted({int(steps / num_steps * k) for k in range(num_steps)}))


@dataclass(frozen=True)
class StepCoefficients:
    """Weights of one reverse step ``x_{t-1} = x0 * x0_pred + xt * x_t + y * y0 + noise * n``."""

    x0: float
    xt: float
    y: float
    noise: float


class ResidualShiftSchedule:
    """Eta schedule, forward process, posterior and reverse-step coefficients.

    Args:
        steps: length T of the full schedule.
        kappa: noise strength; the prior's standard deviation is ``kappa * sqrt(eta_T)``.
        power: exponent p of the geometric growth (ResShift eq. 5); 0.3 in the release.
        min_noise_level: noise standard deviation of the cleanest step, at most (ResShift keeps
            ``kappa * sqrt(eta_1)`` at 0.04).
        etas_end: eta of the last step before squaring (``sqrt(eta_T)``), 0.99 in the release.
        timesteps: which of the T steps are kept, ascending; all by default.

    Attributes:
        timesteps: kept original indices, int64, shape (n,); the network is told these.
        sqrt_etas, etas, etas_prev, alpha: float64, shape (n,), index 0 is the cleanest kept step;
            ``alpha = eta_t - eta_{t-1}`` over the kept steps.

    Raises:
        ValueError: a parameter out of range, or timesteps not ascending within 0..T-1.
    """

    def __init__(
        self,
        steps: int = 15,
        kappa: float = 2.0,
        power: float = 0.3,
        min_noise_level: float = 0.04,
        etas_end: float = 0.99,
        timesteps: Sequence[int] | None = None,
    ) -> None:
        if steps < 1:
            raise ValueError(f"steps must be at least 1, got {steps}")
        for name, value in (
            ("kappa", kappa),
            ("power", power),
            ("min_noise_level", min_noise_level),
        ):
            if not value > 0:
                raise ValueError(f"{name} must be positive, got {value}")
        sqrt_eta_first = min(min_noise_level / kappa, min_noise_level)
        if not sqrt_eta_first < etas_end < 1:
            raise ValueError(f"etas_end must be in ({sqrt_eta_first:g}, 1), got {etas_end}")
        self.steps, self.kappa, self.power = steps, float(kappa), float(power)
        self.min_noise_level, self.etas_end = float(min_noise_level), float(etas_end)

        if steps == 1:
            full = np.array([etas_end])
        else:
            growth = (np.arange(steps) / (steps - 1)) ** power  # 0 at the first step, 1 at the last
            full = sqrt_eta_first * (etas_end / sqrt_eta_first) ** growth
        kept = np.arange(steps) if timesteps is None else np.asarray(timesteps, dtype=np.int64)
        if kept.size == 0 or np.any(np.diff(kept) <= 0) or kept[0] < 0 or kept[-1] >= steps:
            raise ValueError(f"timesteps must ascend within 0..{steps - 1}, got {list(kept)}")
        self.timesteps = kept
        self.sqrt_etas = full[kept]
        self.etas = self.sqrt_etas**2
        self.etas_prev = np.append(0.0, self.etas[:-1])
        self.alpha = self.etas - self.etas_prev

    def __len__(self) -> int:
        return len(self.timesteps)

    def respaced(self, num_steps: int, *, published: bool = False) -> ResidualShiftSchedule:
        """The same schedule at ``num_steps`` of its T steps (see :func:`respace`)."""
        chosen = (published_respacing if published else respace)(self.steps, num_steps)
        return ResidualShiftSchedule(
            self.steps, self.kappa, self.power, self.min_noise_level, self.etas_end, chosen
        )

    @property
    def prior_std(self) -> float:
        """Standard deviation of x_T around y0: ``kappa * sqrt(eta_T)``."""
        return float(self.kappa * self.sqrt_etas[-1])

    def input_std(self, index: int) -> float:
        """Divisor that gives x_t unit variance: ``sqrt(eta_t kappa^2 + 1)`` (published code)."""
        return float(np.sqrt(self.etas[index] * self.kappa**2 + 1.0))

    def forward_sample(self, x0: Any, y0: Any, noise: Any, index: int) -> Any:
        """Draw x_t of the forward process from standard-normal ``noise`` (ResShift eq. 2).

        x0, y0 and noise are numpy arrays or torch tensors of one shape.
        """
        eta = float(self.etas[index])
        return (1.0 - eta) * x0 + eta * y0 + float(self.kappa * self.sqrt_etas[index]) * noise

    def posterior_variance(self, index: int) -> float:
        """Variance of q(x_{t-1} | x_t, x0, y0): kappa^2 eta_{t-1} alpha_t / eta_t (eq. 7)."""
        return float(self.kappa**2 * self.etas_prev[index] * self.alpha[index] / self.etas[index])

    def reverse_step(self, index: int, stochasticity: float = 0.0) -> StepCoefficients:
        """Weights of the step from kept index t to t-1, given the predicted x0.

        ``stochasticity`` 0 is deterministic (SinSR, CVPR 2024, arXiv 2311.14760, eq. 5): x_t is
        solved for its noise, put into the forward process at t-1. 1 is the posterior of
        ResShift (eq. 7). Between, fresh noise of ``stochasticity^2`` times the posterior variance
        replaces as much of the old noise, so that the variance at t-1 stays kappa^2 eta_{t-1}.

        At index 0 the previous eta is 0: every variant returns x0 itself.
        """
        prev, eta = float(self.etas_prev[index]), float(self.etas[index])
        fresh = stochasticity**2 * self.posterior_variance(index) / self.kappa**2
        kept = float(np.sqrt((prev - fresh) / eta))  # weight of the noise direction of x_t
        return StepCoefficients(
            x0=1.0 - prev - kept * (1.0 - eta),
            xt=kept,
            y=prev - kept * eta,
            noise=float(self.kappa * np.sqrt(fresh)),
        )
