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

"""The folded resampling kernels against Pillow, and what back-projection is for."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from difiisr_ros.core import resample
from difiisr_ros.core.resample import (
    back_project,
    downsample_folded,
    fold,
    low_pass,
    pull_wide,
    unfold,
    upsample_folded,
)

SIZES = [(1, 1), (3, 5), (2, 31), (20, 30), (33, 17)]


def _random(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(height * 100 + width).random((height, width)).astype(np.float32)


@pytest.mark.parametrize(("height", "width"), SIZES)
def test_downsampling_is_pillows_antialiased_bicubic_up_to_the_border(height, width):
    hr = _random(4 * height, 4 * width)
    expected = np.asarray(Image.fromarray(hr).resize((width, height), Image.BICUBIC))
    actual = downsample_folded(fold(torch.from_numpy(hr)[None, None]))[0, 0]
    np.testing.assert_allclose(actual, expected, atol=2e-6)


def test_upsampling_is_pillows_bicubic_away_from_the_border():
    lr = _random(20, 30)
    expected = np.asarray(Image.fromarray(lr).resize((120, 80), Image.BICUBIC))
    actual = unfold(upsample_folded(torch.from_numpy(lr)[None, None]))[0, 0]
    np.testing.assert_allclose(actual[8:-8, 8:-8], expected[8:-8, 8:-8], atol=1e-6)


@pytest.mark.parametrize(("height", "width"), SIZES)
def test_constants_and_ramps_survive(height, width):
    flat = torch.full((1, 1, height, width), 0.7)
    up = upsample_folded(flat)
    torch.testing.assert_close(up, torch.full_like(up, 0.7))
    torch.testing.assert_close(downsample_folded(up), flat)


def test_upsampling_places_a_linear_ramp_where_pixel_centres_say():
    lr = torch.arange(20.0).expand(1, 1, 10, 20)
    up = unfold(upsample_folded(lr))[0, 0, 20, 16:-16]
    expected = (torch.arange(80.0) + 0.5) / 4 - 0.5
    torch.testing.assert_close(up, expected[16:-16], atol=1e-5, rtol=0)


def test_fold_and_unfold_are_inverse():
    image = torch.rand(2, 1, 12, 20)
    assert fold(image).shape == (2, 16, 3, 5)
    assert torch.equal(unfold(fold(image)), image)


@pytest.mark.parametrize("scale", [4, 2])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_unfolding_is_a_pixel_shuffle_whatever_the_values(scale, dtype):
    torch.manual_seed(0)
    folded = torch.randn(2, scale**2, 5, 7, dtype=dtype)
    folded[0, 1, 2, 3], folded[1, 0, 4, 6], folded[0, 0, 0, 0] = torch.nan, torch.inf, -0.0
    expected = torch.nn.functional.pixel_shuffle(folded, scale)
    found = unfold(folded.contiguous(memory_format=torch.channels_last), scale)
    assert found.dtype == dtype and found.is_contiguous()
    kind = torch.int32 if dtype == torch.float32 else torch.int64
    assert torch.equal(found.view(kind), expected.view(kind))


def test_gradients_go_through_unfolding():
    folded = torch.ones(1, 16, 2, 3).contiguous(memory_format=torch.channels_last)
    unfold(folded.requires_grad_()).sum().backward()
    assert torch.equal(folded.grad, torch.ones_like(folded))


@pytest.mark.parametrize("iterations", [0, 1, 3])
@pytest.mark.parametrize("scale", [4, 2, 1])
@pytest.mark.parametrize("stands_out", [False, True])
def test_what_waits_to_be_upsampled_is_a_part_of_what_is_pulled(iterations, scale, stands_out):
    """And what lies beside is none: one upsampling gives what four of them do."""
    torch.manual_seed(iterations)
    lr, base, beside = torch.rand(3, 2, 1, 21, 34)
    residual = 0.3 * torch.randn(2, scale**2, 21, 34)
    outstanding = torch.rand(2, 1, 21, 34) if stands_out else None
    expected = residual + upsample_folded(base, scale)
    for _ in range(iterations):
        difference = lr - expected.mean(dim=1, keepdim=True)
        expected = expected + upsample_folded(low_pass(difference.clamp(-0.1, 0.1)), scale)
        if outstanding is not None:
            expected = expected + outstanding * (difference - difference.clamp(-0.11, 0.11))
    expected = expected + upsample_folded(beside, scale)
    found = pull_wide(residual, lr, iterations, outstanding, scale, base=base, beside=beside)
    torch.testing.assert_close(found, expected, atol=2e-6, rtol=0)


def test_back_projection_converges_to_the_measurement():
    torch.manual_seed(0)
    lr, x = torch.rand(1, 1, 24, 32), torch.rand(1, 16, 24, 32)
    errors = [
        float((downsample_folded(back_project(x, lr, n)) - lr).abs().mean()) for n in range(4)
    ]
    assert torch.equal(back_project(x, lr, 0), x)
    assert errors == sorted(errors, reverse=True)
    assert errors[1] < 0.05 * errors[0]  # white noise, the hardest case
    assert errors[3] < 0.005 * errors[0]


def test_back_projection_leaves_what_is_consistent_alone():
    torch.manual_seed(0)
    x = torch.rand(1, 16, 24, 32)
    torch.testing.assert_close(back_project(x, downsample_folded(x), 3), x, atol=1e-5, rtol=0)


def test_a_first_use_in_inference_mode_leaves_training_possible():
    resample._upsample_weight.cache_clear()
    resample._along_rows.cache_clear()
    resample._edge_weight.cache_clear()
    lr = torch.rand(1, 1, 6, 8)
    with torch.inference_mode():
        back_project(upsample_folded(lr), lr, 1)
    x = torch.rand(1, 16, 6, 8, requires_grad=True)
    back_project(x + upsample_folded(lr), lr, 1).sum().backward()
    assert x.grad is not None
