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

"""SwinIR-light (arXiv 2108.10257): windowed self-attention, 4 groups of 6 layers, 60 features."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def _relative_index(window: int) -> Tensor:
    """Row of the bias table for every pair of positions in a window: (window**2, window**2)."""
    line = torch.arange(window)
    y, x = (a.reshape(-1) for a in torch.meshgrid(line, line, indexing="ij"))
    dy = y[:, None] - y[None, :] + window - 1
    dx = x[:, None] - x[None, :] + window - 1
    return dy * (2 * window - 1) + dx


def _shift_mask(height: int, width: int, window: int, shift: int) -> Tensor:
    """Which positions of each shifted window were neighbours before: (windows, 1, n, n), bool."""

    def bands(length: int) -> Tensor:
        position = torch.arange(length)
        return (position >= length - window).long() + (position >= length - shift).long()

    region = bands(height)[:, None] * 3 + bands(width)[None, :]
    blocks = region.view(height // window, window, width // window, window)
    blocks = blocks.transpose(1, 2).reshape(-1, window**2)
    return (blocks[:, :, None] == blocks[:, None, :])[:, None]


class _Layer(nn.Module):
    """LayerNorm, attention inside (shifted) windows, LayerNorm, MLP; N x H x W x C."""

    def __init__(self, features: int, heads: int, window: int, shift: int, ratio: int) -> None:
        super().__init__()
        self.heads, self.window, self.shift = heads, window, shift
        self.norm1, self.norm2 = nn.LayerNorm(features), nn.LayerNorm(features)
        self.qkv = nn.Linear(features, 3 * features)
        self.out = nn.Linear(features, features)
        self.bias = nn.Parameter(torch.zeros((2 * window - 1) ** 2, heads))
        self.register_buffer("index", _relative_index(window), persistent=False)
        self.mlp = nn.Sequential(
            nn.Linear(features, ratio * features), nn.GELU(), nn.Linear(ratio * features, features)
        )

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        x = x + self._attention(self.norm1(x), mask)
        return x + self.mlp(self.norm2(x))

    def _attention(self, x: Tensor, mask: Tensor) -> Tensor:
        n, height, width, c = x.shape
        w, s = self.window, self.shift
        if s:
            x = x.roll((-s, -s), (1, 2))
        x = x.view(n, height // w, w, width // w, w, c).transpose(2, 3).reshape(-1, w * w, c)
        q, k, v = self.qkv(x).view(-1, w * w, 3, self.heads, c // self.heads).permute(2, 0, 3, 1, 4)
        bias = self.bias[self.index].permute(2, 0, 1)[None]
        if s:
            bias = bias.masked_fill(~mask, float("-inf")).repeat(n, 1, 1, 1)
        x = F.scaled_dot_product_attention(q, k, v, attn_mask=bias)
        x = self.out(x.transpose(1, 2).reshape(-1, w * w, c))
        x = x.view(n, height // w, width // w, w, w, c).transpose(2, 3).reshape(n, height, width, c)
        return x.roll((s, s), (1, 2)) if s else x


class SwinIRLight(nn.Module):
    """The x4 model: windows of 8, 6 heads, MLP ratio 2, one convolution per group, direct shuffle.

    Sides that are no multiple of the window are extended by their last row and column.
    """

    WINDOW = 8

    def __init__(
        self,
        features: int = 60,
        depths: tuple[int, ...] = (6, 6, 6, 6),
        heads: int = 6,
        scale: int = 4,
        channels: int = 3,
    ) -> None:
        super().__init__()
        self.scale = scale
        self.head = nn.Conv2d(channels, features, 3, padding=1)
        self.groups = nn.ModuleList(
            nn.ModuleList(
                _Layer(features, heads, self.WINDOW, self.WINDOW // 2 * (i % 2), 2)
                for i in range(depth)
            )
            for depth in depths
        )
        self.group_convs = nn.ModuleList(
            nn.Conv2d(features, features, 3, padding=1) for _ in depths
        )
        self.norm_in, self.norm = nn.LayerNorm(features), nn.LayerNorm(features)
        self.after = nn.Conv2d(features, features, 3, padding=1)
        self.tail = nn.Conv2d(features, channels * scale**2, 3, padding=1)
        self._masks: dict[tuple[int, int], Tensor] = {}

    def forward(self, x: Tensor) -> Tensor:
        height, width = x.shape[-2:]
        x = F.pad(x, (0, -width % self.WINDOW, 0, -height % self.WINDOW), mode="replicate")
        size = (x.shape[-2], x.shape[-1])
        if size not in self._masks:
            self._masks[size] = _shift_mask(*size, self.WINDOW, self.WINDOW // 2).to(x.device)
        head = self.head(x)
        tokens = self.norm_in(head.permute(0, 2, 3, 1).contiguous())
        for layers, conv in zip(self.groups, self.group_convs):
            start = tokens
            for layer in layers:  # type: ignore[attr-defined]
                tokens = layer(tokens, self._masks[size])
            tokens = start + conv(tokens.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
        body = self.after(self.norm(tokens).permute(0, 3, 1, 2)) + head
        out = F.pixel_shuffle(self.tail(body), self.scale)
        return out[..., : height * self.scale, : width * self.scale]
