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

"""The embedded architecture: sizes, the roles of its experts, what it is told, preconditioning."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from difiisr_ros.core.camera_profile import CameraProfile
from difiisr_ros.core.condition import Conditions
from difiisr_ros.core.resample import upsample_folded
from difiisr_ros.models.checkpoint import load_model
from difiisr_ros.models.lite import (
    LiteConfig,
    LiteDenoise,
    LiteDenoiser,
    keep_detail,
    soft_threshold,
)

SMALL = LiteConfig(prior_channels=8, prior_blocks=2, refiner_channels=8, refiner_blocks=1)


def told(*noise: float, blur: float | None = None) -> torch.Tensor:
    return torch.from_numpy(Conditions.of(CameraProfile(blur=blur), list(noise)).values)


@pytest.fixture
def model() -> LiteDenoiser:
    torch.manual_seed(0)
    network = LiteDenoiser(SMALL).eval()
    for parameter in network.parameters():  # no layer left at its zero initialisation
        torch.nn.init.normal_(parameter, std=0.05)
    return network


@pytest.mark.parametrize("size", [(1, 1), (1, 4), (3, 5), (8, 6)])
@torch.inference_mode()
def test_any_size_goes_through_both_experts(model, size):
    lr, camera = torch.rand(2, 1, *size), told(0.01, 0.02)
    prior = model.predict_prior(lr, camera)
    assert prior.shape == (2, 16, *size)
    level = torch.tensor([0.01, 0.3])
    refined = model.refine(torch.rand(2, 16, *size), lr, prior, level, camera)
    assert refined.shape == (2, 16, *size)
    assert refined.dtype == torch.float32
    assert torch.isfinite(refined).all()


@torch.inference_mode()
def test_frames_of_a_batch_do_not_touch_each_other(model):
    """Nor their cameras; and one frame, whose camera is folded into the weights, is alike."""
    lr, level = torch.rand(3, 1, 6, 8), torch.tensor([0.01, 0.1, 0.5])
    shift, camera = torch.rand(3, 16, 6, 8), told(0.0, 0.01, 0.05, blur=0.4)
    together = model.refine(shift, lr, model.predict_prior(lr, camera), level, camera)
    for i in range(3):
        one = slice(i, i + 1)
        prior = model.predict_prior(lr[one], camera[one])
        alone = model.refine(shift[one], lr[one], prior, level[one], camera[one])
        torch.testing.assert_close(together[one], alone, atol=1e-5, rtol=1e-4)


@torch.inference_mode()
def test_a_frames_answer_is_the_same_in_any_batch():
    """Bit for bit, also in bfloat16: each camera is within the weights before they are rounded."""
    network = load_model("nano")[0].to(torch.bfloat16)
    lr, camera = torch.rand(3, 1, 16, 24), told(0.0, 0.01, 0.05, blur=0.4)
    together = network.predict_prior(lr, camera)
    for i in range(3):
        one = slice(i, i + 1)
        assert torch.equal(together[one], network.predict_prior(lr[one], camera[one]))


@torch.inference_mode()
def test_both_experts_listen_to_what_is_told_of_the_camera(model):
    lr, shift = torch.rand(1, 1, 6, 8), torch.rand(1, 16, 6, 8)
    level = torch.tensor([0.1])
    known = told(0.01)
    prior = model.predict_prior(lr, known)
    refined = model.refine(shift, lr, prior, level, known)
    reduced = Conditions.of(CameraProfile(source="reduced"), [0.01]).values
    for other in (told(0.03), told(0.01, blur=0.3), torch.from_numpy(reduced)):
        assert not torch.allclose(model.predict_prior(lr, other), prior, atol=1e-6)
        answer = model.refine(shift, lr, prior, level, other)
        assert not torch.allclose(answer, refined, atol=1e-7)


@torch.inference_mode()
def test_last_timestep_answers_from_the_lr_frame_alone(model):
    lr, camera = torch.rand(1, 1, 6, 8), told(0.01)
    y0 = upsample_folded(lr)
    denoise = LiteDenoise(model, lr, y0, model.config.schedule(), camera)
    first, second = (denoise(torch.randn(1, 16, 6, 8), 14) for _ in range(2))
    assert torch.equal(first, second)
    assert torch.equal(first, y0 + model.predict_prior(lr, camera, cored=True))


@pytest.mark.parametrize(("steps", "times"), [(1, 1), (2, 2)])
def test_nothing_is_upsampled_twice(steps, times, monkeypatch):
    """It is the greatest cost beside the network's, in every backend."""
    from difiisr_ros import SuperResolver
    from difiisr_ros.core import resample
    from difiisr_ros.models import lite_frames

    calls = []

    def counted(lr, scale=4):
        calls.append(scale)
        return upsample_folded(lr, scale)

    for module in (resample, lite_frames):
        monkeypatch.setattr(module, "upsample_folded", counted)
    resolver = SuperResolver.load("nano", backend="torch", num_steps=steps)
    frame = np.random.default_rng(0).integers(0, 255, (24, 32)).astype(np.uint8)
    resolver.upscale(frame)
    assert calls.count(4) == times


@torch.inference_mode()
def test_other_timesteps_read_x_t_and_how_noisy_it_is(model):
    lr = torch.rand(1, 1, 6, 8)
    y0 = upsample_folded(lr)
    denoise = LiteDenoise(model, lr, y0, model.config.schedule(), told(0.01))
    x = y0 + 0.05 * torch.randn(1, 16, 6, 8)
    assert not torch.allclose(denoise(x, 5), denoise(x + 0.05, 5), atol=1e-4)
    assert not torch.allclose(denoise(x, 5), denoise(x, 9), atol=1e-4)


@torch.inference_mode()
def test_nearly_clean_input_is_passed_through(model):
    """As the noise vanishes, the skip connection must take over whatever the weights are."""
    lr, shift, camera = torch.rand(1, 1, 6, 8), 0.04 * torch.randn(1, 16, 6, 8), told(0.01)
    prior = model.predict_prior(lr, camera)
    out = model.refine(shift, lr, prior, torch.tensor([1e-7]), camera)
    torch.testing.assert_close(out, shift, atol=1e-5, rtol=0)


def test_detail_is_kept_where_there_is_signal_and_not_where_there_is_noise():
    plain = torch.zeros(1, 16, 8, 16)
    plain[..., 8:] = torch.from_numpy(np.tile([-0.05, 0.05], 8)).float().view(1, 16, 1, 1)
    detailed = plain + 0.02
    added = keep_detail(plain, detailed, told(0.01)) - plain
    assert float(added[..., :6].abs().max()) < 1e-6
    assert float(added[..., 10:].min()) > 0.018
    # What white noise leaves in a plain answer, a tenth of its variance at most, is none either.
    left = 0.003 * torch.randn(plain.shape, generator=torch.Generator().manual_seed(0))
    assert torch.equal(keep_detail(left, left + 0.02, told(0.015)), left)
    noisier = keep_detail(plain, detailed, told(0.05)) - plain
    assert float(noisier[..., 10:].max()) < 0.012


@pytest.mark.filterwarnings("ignore:.torch.jit.trace:DeprecationWarning")
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_soft_threshold_is_the_same_in_a_trace_and_in_a_batch(dtype):
    x = torch.tensor([-0.5, -0.01, 0.0, 0.02, 0.03, 1.0], dtype=dtype).view(1, 1, 1, 6)
    one, three = torch.tensor([0.02]), torch.tensor([0.02, 0.0, 0.01])
    expected = torch.tensor([-0.48, 0.0, 0.0, 0.0, 0.01, 0.98]).view(1, 1, 1, 6)
    found = soft_threshold(x, one)
    torch.testing.assert_close(found.float(), expected, atol=2e-3, rtol=0)
    assert torch.equal(torch.jit.trace(soft_threshold, (torch.zeros_like(x), one))(x, one), found)
    batch = soft_threshold(x.expand(3, -1, -1, -1), three)
    assert torch.equal(batch[:1], found) and torch.equal(batch[1:2], x)
    assert torch.equal(batch[2:], soft_threshold(x, three[2:]))


@pytest.mark.parametrize(("noise", "least"), [(0.0, 7e-4), (4e-4, 4.2e-4), (1e-3, 0.0), (0.03, 0)])
@torch.inference_mode()
def test_of_quiet_cameras_the_least_of_a_residual_is_left_to_bicubic(model, noise, least):
    """Where there is no noise to hide what arithmetic makes of nothing; and not in training."""
    lr, camera = 0.5 + 0.01 * torch.rand(1, 1, 6, 8), told(noise)
    whole = model.predict_prior(lr, camera)
    cored = model.predict_prior(lr, camera, cored=True)
    assert float((whole - cored).abs().max()) == pytest.approx(least, rel=1e-3)
    y0 = upsample_folded(lr)
    answer = LiteDenoise(model, lr, y0, model.config.schedule(), camera).plain()
    torch.testing.assert_close(answer - y0, cored, atol=1e-6, rtol=0)
