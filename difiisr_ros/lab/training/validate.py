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

"""PSNR and spectrum loss on held-out frames of a simulated camera while training."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch

from difiisr_ros.core.camera_profile import CameraProfile
from difiisr_ros.core.camera_simulation import simulate_camera
from difiisr_ros.core.condition import Conditions
from difiisr_ros.core.radiometry import measure_range
from difiisr_ros.core.resample import unfold, upsample_folded
from difiisr_ros.lab.training.data import Frame
from difiisr_ros.lab.training.guidance_losses import spectrum_loss
from difiisr_ros.models.lite import LiteDenoiser
from difiisr_ros.models.lite_frames import upscale_frames

#: The camera: Gaussian sigma in camera pixels, and noise as a share of the range.
BLUR, NOISE = 0.4, 0.01


class Quality(NamedTuple):
    """Means over frames."""

    psnr: float
    """dB."""
    spectrum: float
    """:func:`difiisr_ros.lab.training.guidance_losses.spectrum_loss`: 0 is the HR frame's."""


def validate(
    model: LiteDenoiser, frames: list[Frame], num_steps: int, tell_blur: bool = True
) -> tuple[Quality, Quality]:
    """Quality of bicubic and of the model; see :func:`frame_scores`."""
    bicubic, ours = frame_scores(model, frames, num_steps, tell_blur).mean(axis=0)
    return Quality(*map(float, bicubic)), Quality(*map(float, ours))


def frame_scores(
    model: LiteDenoiser, frames: list[Frame], num_steps: int, tell_blur: bool = True
) -> np.ndarray:
    """PSNR and spectrum loss of bicubic and of the model, in the frames' own counts.

    The peak is 255 for uint8 and the frame's own span otherwise. The same frames come out of the
    simulated camera each time; its noise is told, and with ``tell_blur`` its blur.

    Returns:
        (frames, 2, 2): of bicubic, of the model; the fields of :class:`Quality`.
    """
    device = next(model.parameters()).device
    full = model.config.schedule()
    profile = CameraProfile(blur=BLUR if tell_blur else None)
    schedule = full.respaced(num_steps)
    scores = []
    with torch.inference_mode():
        for index, frame in enumerate(frames):
            height, width = (side // 4 * 4 for side in frame.pixels.shape)
            pixels, span = frame.pixels[:height, :width], frame.high - frame.low
            rng = np.random.default_rng(index)
            counts = simulate_camera(pixels, blur=BLUR, noise=NOISE * span, pattern=0, rng=rng)
            counts = np.rint(counts)
            low, high = measure_range(counts)
            lr = torch.from_numpy((counts - low) / (high - low)).float()[None, None].to(device)
            told = Conditions.of(profile, [NOISE * span / (high - low)]).values
            generator = torch.Generator().manual_seed(0)
            shape = (1, 16, *lr.shape[-2:])
            noise = [
                torch.randn(shape, generator=generator).to(device)
                for _ in range(num_steps if num_steps > 1 else 0)
            ]
            sr = upscale_frames(
                model,
                lr,
                torch.from_numpy(told).to(device),
                noise,
                full,
                schedule,
                consistency=1,
                exact=False,
            )
            hr = torch.from_numpy(pixels.astype(np.float32)).to(device)
            peak = 255.0 if frame.pixels.dtype == np.uint8 else float(np.ptp(frame.pixels))
            plain = unfold(upsample_folded(lr))
            scores.append([_score(y, hr, low, high, peak) for y in (plain, sr)])
    return np.array(scores)


def _score(
    image: torch.Tensor, hr: torch.Tensor, low: float, high: float, peak: float
) -> tuple[float, float]:
    counts = (image[0, 0] * (high - low) + low).round()
    if peak == 255.0:
        counts = counts.clamp(0, 255)
    mse = float(((counts - hr) ** 2).mean())
    span = high - low
    spectrum = spectrum_loss(counts[None, None] / span, hr[None, None] / span)
    return 10 * float(np.log10(peak**2 / max(mse, 1e-12))), float(spectrum)
