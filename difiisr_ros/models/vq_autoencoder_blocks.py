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

"""Building blocks of the VQ autoencoder (VQGAN, arXiv 2012.09841). Tensors are N x C x H x W."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from difiisr_ros.models.swin_unet_blocks import GroupNorm
from difiisr_ros.models.winograd import Conv3x3

_EPS = 1e-6
_ROWS = 1024  # queries at a time: of 24,576 positions 50 MB


def norm(channels: int) -> GroupNorm:
    """Group normalisation with the autoencoder's epsilon."""
    return GroupNorm(channels, eps=_EPS)


class ResnetBlock(nn.Module):
    """Twice norm - SiLU - conv, and a skip."""

    def __init__(self, channels: int, out_channels: int) -> None:
        super().__init__()
        self.norm1 = norm(channels)
        self.conv1 = Conv3x3(channels, out_channels)
        self.norm2 = norm(out_channels)
        self.conv2 = Conv3x3(out_channels, out_channels)
        if channels != out_channels:
            self.nin_shortcut = nn.Conv2d(channels, out_channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """N x C x H x W to N x C' x H x W."""
        hidden = self.conv1(F.silu(self.norm1(x), inplace=True))
        hidden = self.conv2(F.silu(self.norm2(hidden), inplace=True))
        if hasattr(self, "nin_shortcut"):
            x = self.nin_shortcut(x)
        return x + hidden


class AttnBlock(nn.Module):
    """Single-head attention over all positions of the map, and a skip."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = norm(channels)
        self.q = nn.Conv2d(channels, channels, 1)
        self.k = nn.Conv2d(channels, channels, 1)
        self.v = nn.Conv2d(channels, channels, 1)
        self.proj_out = nn.Conv2d(channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Memory grows with the pixels, not with their square; time does grow so."""
        height, width = x.shape[-2:]
        hidden = self.norm(x)
        # N x 1 x positions x C, contiguous: otherwise the fused kernel gives way to one that keeps
        # the whole matrix. Maps in channels_last are already so.
        q, k, v = (
            convolution(hidden).flatten(2).transpose(1, 2)[:, None].contiguous()
            for convolution in (self.q, self.k, self.v)
        )
        if q.dtype == torch.bfloat16 and q.device.type == "cpu" and not q.requires_grad:
            out = _attend_by_rows(q, k, v)
        else:
            out = F.scaled_dot_product_attention(q, k, v)
        out = out[:, 0].transpose(1, 2).unflatten(2, (height, width))
        return x + self.proj_out(out)


def _attend_by_rows(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Attention, some queries at a time, which holds a part of the matrix of all pairs.

    PyTorch's fused kernel gains nothing from bfloat16 on CPUs; matrix products do.
    """
    out = torch.empty_like(q)
    keys = (k * k.shape[-1] ** -0.5).transpose(-1, -2)
    for first in range(0, q.shape[-2], _ROWS):
        rows = slice(first, first + _ROWS)
        out[..., rows, :] = torch.softmax(q[..., rows, :] @ keys, dim=-1) @ v
    return out


class Downsample(nn.Module):
    """3 x 3 convolution of stride 2; zeros are added on the right and at the bottom alone."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        """N x C x H x W to N x C x H/2 x W/2."""
        return self.conv(F.pad(x, (0, 1, 0, 1)))


class Middle(nn.Module):
    """The lowest resolution: residual block, attention, residual block."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.block_1 = ResnetBlock(channels, channels)
        self.attn_1 = AttnBlock(channels)
        self.block_2 = ResnetBlock(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        """N x C x H x W to the same."""
        return self.block_2(self.attn_1(self.block_1(x)))
