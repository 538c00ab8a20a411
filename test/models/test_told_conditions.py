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

"""The shipped networks use what they are told: the noise level, and the camera.

Told the truth they answer better than told something else. Of a network that no longer listened, or
that were told a constant, both answers would be the same.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch

from difiisr_ros.core.bound import shown
from difiisr_ros.core.camera_simulation import simulate_camera
from difiisr_ros.core.condition import DEFAULT_OVERSHOOT, features
from difiisr_ros.core.radiometry import measure_range
from difiisr_ros.core.resample import fold, unfold, upsample_folded
from difiisr_ros.io.images import list_files, read_image
from difiisr_ros.lab.frames.degrade import degrade_bicubic
from difiisr_ros.lab.training.guidance_losses import spectrum_loss
from difiisr_ros.models.checkpoint import load_model
from difiisr_ros.models.lite import LiteDenoiser
from difiisr_ros.models.lite_frames import upscale_frames
from support.paths import DRONE_FRAMES

COUNT = 8
SPECTRUM_WEIGHT = 0.02


@pytest.fixture(scope="module", params=["lite", "nano"])
def network(request) -> LiteDenoiser:
    return load_model(request.param)[0]


def _pairs(kind: str, noise: float = 0.0, blur: float = 0.4) -> tuple[torch.Tensor, torch.Tensor]:
    """LR frames, N x 1 x H x W, and the truth, folded; ``noise`` is a share of the range."""
    frames, truths = [], []
    for index, path in enumerate(list_files(DRONE_FRAMES)[:COUNT]):
        counts = read_image(path)
        low, high = measure_range(counts)
        hr = ((counts - low) / (high - low)).astype(np.float32)
        if kind == "reduced":
            lr = degrade_bicubic(hr)
        else:
            rng = np.random.default_rng(index)
            lr = simulate_camera(hr, blur=blur, noise=noise, pattern=0, rng=rng)
        frames.append(lr.astype(np.float32))
        truths.append(hr)
    lr, hr = (torch.from_numpy(np.stack(part))[:, None] for part in (frames, truths))
    return lr, fold(hr)


def _told(noise: float, *blur: float) -> torch.Tensor:
    """What is told: noise, blur, its error, and whether frames were reduced."""
    what = features(noise, *blur)
    rest = np.array([noise, DEFAULT_OVERSHOOT], np.float32)
    return torch.from_numpy(np.concatenate([what, rest]))[None]


def _decibels(worse: torch.Tensor, better: torch.Tensor, truth: torch.Tensor) -> float:
    errors = ((answer - truth).square().mean().item() for answer in (worse, better))
    return 10 * np.log10(next(errors) / next(errors))


def test_more_blur_than_was_trained_is_told_as_the_most():
    """Of 3 camera pixels networks made a checker."""
    assert np.array_equal(features(0.01, 3.0, 0.0), features(0.01, 1.1, 0.0))
    assert not np.array_equal(features(0.01, 1.0, 0.0), features(0.01, 1.1, 0.0))


NOISY, CLEAN = _told(0.03, 0.4, 0.0), _told(0.002, 0.4, 0.0)
SHARP, BLURRED = _told(0.002, 0.2, 0.0), _told(0.002, 0.8, 0.0)
REDUCED, CAMERA = _told(0.0, 0.0, 0.0, 1.0), _told(0.0, 0.0, 0.0)
#: How the frames come about; what is told of them truly, and wrongly.
TOLD = {
    "noisy": (("camera", 0.03), NOISY, CLEAN),
    "clean": (("camera", 0.002), CLEAN, NOISY),
    "sharp": (("camera", 0.002, 0.2), SHARP, BLURRED),
    "blurred": (("camera", 0.002, 0.8), BLURRED, SHARP),
    "reduced": (("reduced",), REDUCED, CAMERA),
}


@pytest.mark.parametrize("case", TOLD)
@torch.inference_mode()
def test_one_step_is_better_told_the_truth_of_the_camera(network, case):
    made, truly, wrongly = TOLD[case]
    lr, hr = _pairs(*made)
    plain, seen = upsample_folded(lr), shown(lr)
    answers = [plain + network.predict_prior(seen, told) for told in (wrongly, truly)]
    assert _decibels(*answers, hr) > 0.1


@torch.inference_mode()
def test_the_refiner_reads_what_is_told_of_the_camera(network):
    """Whether to its advantage depends on the steps before: the prior expert has used it."""
    lr, hr = _pairs("camera", 0.01)
    plain, seen, std = upsample_folded(lr), shown(lr), network.config.residual_std
    prior, level = network.predict_prior(seen, CLEAN), torch.tensor([std])
    noise = torch.randn(hr.shape, generator=torch.Generator().manual_seed(0))
    answers = {
        name: network.refine(hr - plain + std * noise, seen, prior, level, told)
        for name, (_, told, _) in TOLD.items()
    }
    for other in ("noisy", "blurred", "reduced"):
        difference = (answers[other] - answers["sharp"]).square().mean().sqrt().item()
        assert difference > 0.01 * std, other


def _cost(network: LiteDenoiser, lr: torch.Tensor, hr: torch.Tensor, steps: int) -> float:
    """What a model is trained to make small in some steps: error, and spectrum."""
    full = network.config.schedule()
    noise = torch.randn((1, 16, *lr.shape[-2:]), generator=torch.Generator().manual_seed(0))
    sr = upscale_frames(
        network, lr, _told(0.01, 0.4, 0.0), [noise], full, full.respaced(steps),
        consistency=1, exact=False,
    )  # fmt: skip
    error = (fold(sr) - hr).square().mean(dim=(1, 2, 3)).log().mean().item()
    return 0.5 * error + SPECTRUM_WEIGHT * steps**2 * spectrum_loss(sr, unfold(hr)).item()


@torch.inference_mode()
def test_four_steps_are_better_told_how_noisy_each_begins(network, monkeypatch):
    """Than told any one level in all of them."""
    lr, hr = _pairs("camera", 0.01)
    truly = _cost(network, lr, hr, 4)
    encode = network._sinusoid
    for constant in (0.1, 1.0, 4.0, 20.0):
        told = encode(torch.tensor([constant]))
        monkeypatch.setattr(network, "_sinusoid", lambda _, told=told: told)
        assert _cost(network, lr, hr, 4) > truly + 0.001, constant
