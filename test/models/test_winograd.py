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

"""Minimal filtering equals direct convolution."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from difiisr_ros.models import winograd
from difiisr_ros.models.winograd import Conv3x3, winograd_conv


@pytest.mark.parametrize("shape", [(1, 8, 16, 24), (2, 5, 7, 9), (1, 3, 1, 1), (1, 16, 33, 18)])
@pytest.mark.parametrize("memory_format", [torch.channels_last, torch.contiguous_format])
@pytest.mark.parametrize("chunk", [1, 1 << 23])
def test_equals_direct_convolution(shape, memory_format, chunk, monkeypatch):
    monkeypatch.setattr(winograd, "_CHUNK", chunk)
    torch.manual_seed(0)
    x = torch.randn(shape).contiguous(memory_format=memory_format)
    conv = torch.nn.Conv2d(shape[1], 6, 3, padding=1)
    with torch.inference_mode():
        expected = F.conv2d(x.double(), conv.weight.double(), conv.bias.double(), padding=1)
        found = winograd_conv(x, conv.weight, conv.bias)
        assert (found - expected).abs().max() < 2e-5 * expected.abs().max() + 1e-6
        found = winograd_conv(x, conv.weight, None)
        without = expected - conv.bias.view(-1, 1, 1)
        assert (found - without).abs().max() < 2e-5 * without.abs().max() + 1e-6


def _is_minimal(conv: Conv3x3, shape, monkeypatch) -> bool:
    used = []
    real = winograd_conv
    monkeypatch.setattr(winograd, "winograd_conv", lambda *a: used.append(1) or real(*a))
    with torch.inference_mode():
        conv(torch.zeros(1, conv.in_channels, *shape, dtype=conv.weight.dtype))
    return bool(used)


def test_is_used_where_it_pays(monkeypatch):
    wide = Conv3x3(160, 192)
    assert not _is_minimal(wide, (64, 64), monkeypatch)  # not asked for
    wide.minimise()
    assert _is_minimal(wide, (64, 64), monkeypatch)
    assert not _is_minimal(wide, (16, 16), monkeypatch)
    narrow = Conv3x3(160, 128)
    narrow.minimise()
    assert not _is_minimal(narrow, (64, 64), monkeypatch)
    half = Conv3x3(160, 160).bfloat16()
    half.minimise()
    assert not _is_minimal(half, (64, 64), monkeypatch)


def test_keys_are_those_of_a_convolution():
    assert list(Conv3x3(2, 3).state_dict()) == ["weight", "bias"]
