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

"""From LR frames to results with the embedded model: what every backend and every graph computes.

Bicubic and what the sampler adds to it, detail kept only where there is signal, the pull to what
was measured, and the bound that holds whatever the network did.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from torch import Tensor

from difiisr_ros.core.bound import bound, compressed, neighbours, outstanding, without_lone_pixels
from difiisr_ros.core.condition import OVERSHOOT
from difiisr_ros.core.device import is_for_itself
from difiisr_ros.core.guided_step import Guide
from difiisr_ros.core.resample import (
    SCALE,
    averaged,
    back_project,
    pull_wide,
    unfold,
    upsample_folded,
)
from difiisr_ros.core.sampler import sample
from difiisr_ros.core.schedule import ResidualShiftSchedule
from difiisr_ros.models.lite import LiteDenoise, LiteDenoiser, keep_detail

MakeGuide = Callable[[Tensor, Tensor], Guide | None]
"""``make_guide(lr, y0)``: of the frames, and bicubic of them."""


def upscale_frames(
    network: LiteDenoiser,
    lr: Tensor,
    camera: Tensor,
    noise: Sequence[Tensor],
    full: ResidualShiftSchedule,
    schedule: ResidualShiftSchedule,
    *,
    consistency: int,
    exact: bool,
    make_guide: MakeGuide | None = None,
    scale: int = SCALE,
) -> Tensor:
    """Super-resolve frames: N x 1 x H x W to N x 1 x sH x sW, normalised intensity, float32.

    Args:
        network: the model.
        lr: N x 1 x H x W.
        camera: what is told of the frames, N (or 1) x WIDTH
            (:mod:`difiisr_ros.core.condition`), float32.
        noise: folded noise images 1 x 16 x H x W; none for one step.
        full: all timesteps, ``network.config.schedule()``.
        schedule: those that are taken.
        consistency: how often the result is pulled to the measurement.
        exact: by back-projection, instead of in what is certain alone
            (:func:`difiisr_ros.core.resample.pull_wide`).
        make_guide: makes the guide of these frames, where guidance is on.
        scale: s, 4, or 2 and 1 for means of the result of x4. These are taken as early as what
            follows is linear; only the bound is on what comes out, at every scale.
    """
    low, high = neighbours(lr)
    calm = without_lone_pixels(lr, low, high)
    read = compressed(calm)
    if len(schedule.timesteps) > 1 or exact or make_guide is not None:
        # Sampler, guidance and exact back-projection need every pixel, with bicubic in it.
        frames = lr if exact else calm, read
        x0 = _sampled(network, *frames, camera, noise, full, schedule, make_guide)
        x0 = averaged(back_project(x0, lr, consistency) if exact else x0, scale)
        base = None
    else:
        x0, base = network.predict_prior(read, camera, scale, cored=True), calm
    if not exact:
        how = consistency, outstanding(lr, low, high), scale
        x0 = pull_wide(x0, calm, *how, base=base, beside=lr - calm)
    x0 = bound(x0, lr, low, high, camera[:, OVERSHOOT], overwrite=is_for_itself())
    return unfold(x0, scale)


def _sampled(
    network: LiteDenoiser,
    base: Tensor,
    read: Tensor,
    camera: Tensor,
    noise: Sequence[Tensor],
    full: ResidualShiftSchedule,
    schedule: ResidualShiftSchedule,
    make_guide: MakeGuide | None,
) -> Tensor:
    """Result of one or more steps before it is pulled, folded.

    Args:
        base, read: frames, of which the result is bicubic and a residual; what the network reads.
    """
    last, more_than_one = full.steps - 1, len(schedule.timesteps) > 1
    y0 = upsample_folded(base)
    denoise = LiteDenoise(network, read, y0, full, camera)
    guide = None if make_guide is None else make_guide(base, y0)
    if more_than_one:
        how = network.config.stochasticity
        x0 = sample(denoise, y0, noise, schedule, stochasticity=how, guide=guide)
    elif guide is not None:
        x0 = guide(denoise, None, last, 1.0)
    else:
        return denoise.plain()
    return keep_detail(denoise.plain(), x0, camera)
