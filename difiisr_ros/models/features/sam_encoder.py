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

"""The image encoder of Segment Anything (arXiv 2304.02643): a plain vision transformer.

Written from the papers: ViT (arXiv 2010.11929) with attention inside windows in most blocks
(ViTDet, arXiv 2203.16527) and relative positions that are decomposed into rows and columns
(MViTv2, arXiv 2112.01526). The keys are those of the published weight files.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

_EPSILON = 1e-6


@dataclass(frozen=True)
class SamConfig:
    """Sizes of the encoder; ViT-B, L and H differ in nothing else."""

    width: int
    """Channels of a token."""
    heads: int
    hidden: int
    """Channels inside the blocks' perceptrons."""
    patch: int
    """Pixels that a token is wide."""
    grid: int
    """Tokens along a side of the input."""
    windows: tuple[int, ...]
    """Of each block, the side of the windows that attention stays in; ``grid`` for all tokens."""
    neck: int
    """Channels of the result."""


class Attention(nn.Module):
    """Attention among size x size tokens, with a bias by their distance in rows and columns."""

    offset: Tensor

    def __init__(self, width: int, heads: int, size: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)
        self.rel_pos_h = nn.Parameter(torch.zeros(2 * size - 1, width // heads))
        self.rel_pos_w = nn.Parameter(torch.zeros(2 * size - 1, width // heads))
        place = torch.arange(size)
        # A row (or column) minus that of the token it looks at, counted from the smallest.
        self.register_buffer("offset", place[:, None] - place + size - 1, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """N x size x size x width to the same."""
        count, rows, columns, width = x.shape
        split = self.qkv(x).reshape(count, rows * columns, 3, self.heads, -1)
        query, key, value = split.permute(2, 0, 3, 1, 4)
        at = query.reshape(count, self.heads, rows, columns, -1)
        by_row = torch.einsum("nhrcd,rkd->nhrck", at, self.rel_pos_h[self.offset])
        by_column = torch.einsum("nhrcd,ckd->nhrck", at, self.rel_pos_w[self.offset])
        bias = by_row[..., :, None] + by_column[..., None, :]
        bias = bias.reshape(count, self.heads, rows * columns, rows * columns)
        mixed = F.scaled_dot_product_attention(query, key, value, attn_mask=bias)
        return self.proj(mixed.transpose(1, 2).reshape(count, rows, columns, width))


class Perceptron(nn.Module):
    """Two linear layers with a GELU between them, for each token by itself."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.lin1 = nn.Linear(width, hidden)
        self.lin2 = nn.Linear(hidden, width)

    def forward(self, x: Tensor) -> Tensor:
        """... x width to the same."""
        return self.lin2(F.gelu(self.lin1(x)))


class Block(nn.Module):
    """Attention inside windows, then the perceptron, each added to its input."""

    def __init__(self, config: SamConfig, window: int) -> None:
        super().__init__()
        self.window = window
        self.norm1 = nn.LayerNorm(config.width, _EPSILON)
        self.attn = Attention(config.width, config.heads, window)
        self.norm2 = nn.LayerNorm(config.width, _EPSILON)
        self.mlp = Perceptron(config.width, config.hidden)

    def forward(self, x: Tensor) -> Tensor:
        """N x grid x grid x width to the same."""
        count, rows, columns, width = x.shape
        side = self.window
        # Windows at the border are filled up with zeros, after the normalisation.
        padded = F.pad(self.norm1(x), (0, 0, 0, -columns % side, 0, -rows % side))
        down, across = padded.shape[1] // side, padded.shape[2] // side
        windows = padded.reshape(count, down, side, across, side, width).transpose(2, 3)
        mixed = self.attn(windows.reshape(-1, side, side, width))
        mixed = mixed.reshape(count, down, across, side, side, width).transpose(2, 3)
        mixed = mixed.reshape(padded.shape)[:, :rows, :columns]
        x = x + mixed
        return x + self.mlp(self.norm2(x))


class ChannelNorm(nn.Module):
    """Layer normalisation over the channels of a map."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        """N x C x H x W to the same."""
        last = x.permute(0, 2, 3, 1)
        return F.layer_norm(last, last.shape[-1:], self.weight, self.bias, _EPSILON).permute(
            0, 3, 1, 2
        )


class PatchEmbed(nn.Module):
    """One token for each square of pixels."""

    def __init__(self, config: SamConfig) -> None:
        super().__init__()
        self.proj = nn.Conv2d(3, config.width, config.patch, stride=config.patch)

    def forward(self, x: Tensor) -> Tensor:
        """N x 3 x H x W to N x H/patch x W/patch x width."""
        return self.proj(x).permute(0, 2, 3, 1)


class SamEncoder(nn.Module):
    """Three normalised channels of grid * patch pixels a side, to maps of grid cells a side."""

    def __init__(self, config: SamConfig) -> None:
        super().__init__()
        self.config = config
        self.patch_embed = PatchEmbed(config)
        self.pos_embed = nn.Parameter(torch.zeros(1, config.grid, config.grid, config.width))
        self.blocks = nn.ModuleList(Block(config, window) for window in config.windows)
        self.neck = nn.Sequential(
            nn.Conv2d(config.width, config.neck, 1, bias=False),
            ChannelNorm(config.neck),
            nn.Conv2d(config.neck, config.neck, 3, padding=1, bias=False),
            ChannelNorm(config.neck),
        )

    @property
    def global_blocks(self) -> tuple[int, ...]:
        """Blocks in which every token sees all others."""
        windows = enumerate(self.config.windows)
        return tuple(index for index, window in windows if window == self.config.grid)

    def forward(self, x: Tensor) -> list[Tensor]:
        """N x 3 x side x side to what leaves each global block (N x width x grid x grid), and the
        neck (N x neck x grid x grid)."""
        x = self.patch_embed(x) + self.pos_embed
        maps = []
        for index, block in enumerate(self.blocks):
            x = block(x)
            if index in self.global_blocks:
                maps.append(x.permute(0, 3, 1, 2))
        return [*maps, self.neck(x.permute(0, 3, 1, 2))]
