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

"""The reverse process: one pure function over any x0-predicting network."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from difiisr_ros.core.schedule import ResidualShiftSchedule

Denoise = Callable[[Any, int], Any]
"""``denoise(x_t, timestep) -> x0`` with the original timestep index; x_t is not scaled."""


def sample(
    denoise: Denoise,
    y0: Any,
    noise: Sequence[Any],
    schedule: ResidualShiftSchedule,
    *,
    stochasticity: float = 0.0,
    guide: Callable[[Any, Any, int, float], Any] | None = None,
    callback: Callable[[dict[str, Any]], None] | None = None,
) -> Any:
    """Sample x0 given the upsampled low-resolution image, from the noise that is passed in.

    Pure: the same arguments give the same result; no generator is touched. Works on numpy arrays
    and on torch tensors, since it only adds and multiplies, and unrolls for an exporter.

    Args:
        denoise: predicts x0 from x_t and the original timestep.
        y0: upsampled low-resolution image, any shape.
        noise: standard-normal arrays of y0's shape. ``noise[0]`` makes the prior
            ``x_T = y0 + kappa sqrt(eta_T) noise[0]``; ``noise[k]`` is added after the k-th step
            and is only needed where ``stochasticity > 0`` (the last step adds none, so n steps
            take n arrays at most).
        schedule: the kept timesteps and their coefficients, run from the last to the first.
        stochasticity: 0 is the deterministic (DDIM-like) path, 1 the ancestral (DDPM) posterior
            of ResShift; between, the noise variance is scaled and the remaining noise direction
            is kept, as eta does in DDIM (arXiv 2010.02502, eq. 16).
        guide: called in place of ``denoise`` as ``guide(denoise, x_t, timestep, progress)``, with
            progress ``k / n`` at the k-th of n steps; returns the guided x0
            (:mod:`difiisr_ros.core.guided_step`). None calls ``denoise`` itself.
        callback: called after each step with ``{"index", "timestep", "x0", "x"}``.

    Returns:
        The last predicted x0, of y0's shape.

    Raises:
        ValueError: stochasticity outside 0..1, or too few noise arrays.
    """
    if not 0.0 <= stochasticity <= 1.0:
        raise ValueError(f"stochasticity must be in 0..1, got {stochasticity}")
    needed = len(schedule) if stochasticity > 0 else 1
    if len(noise) < needed:
        raise ValueError(
            f"{needed} noise arrays are needed for {len(schedule)} steps, got {len(noise)}"
        )

    x = y0 + schedule.prior_std * noise[0]
    x0 = x
    for executed, index in enumerate(reversed(range(len(schedule)))):
        timestep = int(schedule.timesteps[index])
        if guide is None:
            x0 = denoise(x, timestep)
        else:
            x0 = guide(denoise, x, timestep, (executed + 1) / len(schedule))
        if index > 0:
            c = schedule.reverse_step(index, stochasticity)
            x = c.x0 * x0 + c.xt * x + c.y * y0
            if c.noise > 0.0:
                x = x + c.noise * noise[executed + 1]
        else:
            x = x0  # eta_{-1} = 0: every variant ends in the prediction itself
        if callback is not None:
            callback({"index": index, "timestep": timestep, "x0": x0, "x": x})
    return x0
