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
