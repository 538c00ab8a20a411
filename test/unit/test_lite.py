"""The embedded architecture: sizes, the roles of its experts, preconditioning."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from difiisr_ros.core.resample import upsample_folded
from difiisr_ros.models.lite import LiteConfig, LiteDenoise, LiteDenoiser

SMALL = LiteConfig(prior_channels=8, prior_blocks=1, refiner_channels=8, refiner_blocks=1)


@pytest.fixture(params=[True, False], ids=["half", "whole"])
def model(request) -> LiteDenoiser:
    torch.manual_seed(0)
    network = LiteDenoiser(replace(SMALL, half=request.param)).eval()
    for parameter in network.parameters():  # no layer left at its zero initialisation
        torch.nn.init.normal_(parameter, std=0.05)
    return network


@pytest.mark.parametrize("size", [(1, 1), (1, 4), (3, 5), (8, 6)])
@torch.inference_mode()
def test_any_size_goes_through_both_experts(model, size):
    lr = torch.rand(2, 1, *size)
    prior = model.predict_prior(lr)
    assert prior.shape == (2, 16, *size)
    refined = model.refine(torch.rand(2, 16, *size), lr, prior, torch.tensor([0.01, 0.3]))
    assert refined.shape == (2, 16, *size)
    assert refined.dtype == torch.float32
    assert torch.isfinite(refined).all()


@torch.inference_mode()
def test_frames_of_a_batch_do_not_touch_each_other(model):
    lr, level = torch.rand(3, 1, 6, 8), torch.tensor([0.01, 0.1, 0.5])
    shift = torch.rand(3, 16, 6, 8)
    together = model.refine(shift, lr, model.predict_prior(lr), level)
    for i in range(3):
        one = slice(i, i + 1)
        alone = model.refine(shift[one], lr[one], model.predict_prior(lr[one]), level[one])
        torch.testing.assert_close(together[one], alone, atol=1e-5, rtol=1e-4)


@torch.inference_mode()
def test_last_timestep_answers_from_the_lr_frame_alone(model):
    lr = torch.rand(1, 1, 6, 8)
    y0 = upsample_folded(lr)
    denoise = LiteDenoise(model, lr, y0, model.config.schedule())
    first, second = (denoise(torch.randn(1, 16, 6, 8), 14) for _ in range(2))
    assert torch.equal(first, second)
    assert torch.equal(first, y0 + model.predict_prior(lr))


@torch.inference_mode()
def test_other_timesteps_read_x_t_and_how_noisy_it_is(model):
    lr = torch.rand(1, 1, 6, 8)
    y0 = upsample_folded(lr)
    denoise = LiteDenoise(model, lr, y0, model.config.schedule())
    x = y0 + 0.05 * torch.randn(1, 16, 6, 8)
    assert not torch.allclose(denoise(x, 5), denoise(x + 0.05, 5), atol=1e-4)
    assert not torch.allclose(denoise(x, 5), denoise(x, 9), atol=1e-4)


@torch.inference_mode()
def test_nearly_clean_input_is_passed_through(model):
    """As the noise vanishes, the skip connection must take over whatever the weights are."""
    lr, shift = torch.rand(1, 1, 6, 8), 0.04 * torch.randn(1, 16, 6, 8)
    out = model.refine(shift, lr, model.predict_prior(lr), torch.tensor([1e-7]))
    torch.testing.assert_close(out, shift, atol=1e-5, rtol=0)
