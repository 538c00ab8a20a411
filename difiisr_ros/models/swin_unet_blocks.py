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

"""Building blocks of the published denoiser: residual blocks, resampling, windowed attention.

Behaviour and state-dict keys are those of the checkpoints that ResShift (arXiv 2307.12348), SinSR
(arXiv 2311.14760) and DifIISR (arXiv 2503.01187) publish. Tensors are N x C x H x W.
"""

from __future__ import annotations

from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from difiisr_ros.models.winograd import Conv3x3

NORM_GROUPS = 32
_MASKED = -100.0  # added to the logits of pairs that must not attend; exp(-100) is 0 in float32


class GroupNorm(nn.GroupNorm):
    """Group normalisation over the whole map, computed in float32, the result in x's dtype.

    Scale and shift stay float32 in a network of reduced precision: rounding them would be an error
    that is the same at every pixel, and so adds up.
    """

    def __init__(self, channels: int, eps: float = 1e-5) -> None:
        super().__init__(NORM_GROUPS, channels, eps=eps)

    def forward(self, x: Tensor) -> Tensor:
        """N x C x H x W to the same."""
        if x.dtype == self.weight.dtype or x.device.type == "cpu":  # the CPU's kernel mixes both
            return super().forward(x)
        return super().forward(x.float()).to(x.dtype)


def upsample_nearest(x: Tensor) -> Tensor:
    """Every pixel becomes 2 x 2 equal ones."""
    return F.interpolate(x, scale_factor=2.0, mode="nearest")


class Downsample(nn.Module):
    """3 x 3 convolution of stride 2, one pixel of zeros around the map."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.op = nn.Conv2d(channels, channels, 3, stride=2, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """N x C x H x W to N x C x H/2 x W/2."""
        return self.op(x)


class Upsample(nn.Module):
    """Nearest neighbour x2, then a 3 x 3 convolution."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, padding=1)
        self._phases: list[Tensor] | None = None

    def forward(self, x: Tensor) -> Tensor:
        """N x C x H x W to N x C x 2H x 2W."""
        if self._phases is None:
            return self.conv(upsample_nearest(x))
        count, channels, height, width = x.shape
        padded = F.pad(x, (1, 1, 1, 1))
        out = x.new_empty((count, channels, 2 * height, 2 * width)).contiguous(
            memory_format=torch.channels_last
        )
        for number, weight in enumerate(self._phases):
            row, column = divmod(number, 2)
            part = padded[..., row : row + height + 1, column : column + width + 1]
            out[..., row::2, column::2] = F.conv2d(part, weight, self.conv.bias)
        return out

    def split_phases(self) -> None:
        """From now on, compute each of the four output phases at the smaller resolution.

        The three taps of an axis meet only two different pixels there, so that 2 x 2 weights, sums
        of the 3 x 3 ones, do: 4/9 of the multiplications, for the same result.
        """
        weight = self.conv.weight.detach().float()
        # Phase 0 reads the pixel before (tap 0) and its own (1, 2), phase 1 its own and the next.
        sums = torch.tensor(
            [[[1.0, 0, 0], [0, 1, 1]], [[1, 1, 0], [0, 0, 1]]], device=weight.device
        )
        self._phases = [
            torch.einsum("oiyx,py,qx->oipq", weight, sums[row], sums[column])
            .to(self.conv.weight.dtype)
            .contiguous(memory_format=torch.channels_last)
            for row in range(2)
            for column in range(2)
        ]


class ResBlock(nn.Module):
    """norm - SiLU - conv, then norm - (1 + scale, shift by the timestep) - SiLU - conv, and a skip.

    Args:
        embedding: length of the timestep's embedding.
    """

    def __init__(self, channels: int, out_channels: int, embedding: int, dropout: float) -> None:
        super().__init__()
        self.in_layers = nn.Sequential(
            GroupNorm(channels), nn.SiLU(), Conv3x3(channels, out_channels)
        )
        self.emb_layers = nn.Sequential(nn.SiLU(), nn.Linear(embedding, 2 * out_channels))
        self.out_layers = nn.Sequential(
            GroupNorm(out_channels),
            nn.SiLU(),
            nn.Dropout(dropout),
            Conv3x3(out_channels, out_channels),
        )
        self.skip_connection = (
            nn.Identity() if channels == out_channels else nn.Conv2d(channels, out_channels, 1)
        )

    def forward(self, x: Tensor, embedding: Tensor) -> Tensor:
        """``embedding`` is N x E."""
        norm, convolution = self.in_layers[0], self.in_layers[2]
        hidden = convolution(F.silu(norm(x), inplace=True))
        modulation = self.emb_layers(embedding)[:, :, None, None].to(hidden.dtype)
        scale, shift = modulation.chunk(2, dim=1)
        hidden = self.out_layers[0](hidden) * (1 + scale) + shift
        hidden = self.out_layers[2](F.silu(hidden, inplace=True))
        return self.skip_connection(x) + self.out_layers[3](hidden)


def relative_position_index(window: int) -> Tensor:
    """Row of the bias table for each pair of tokens of a window, int64, window^2 x window^2.

    A real tensor also where modules are made on the meta device.
    """
    line = torch.arange(window, device="cpu")
    rows, columns = line.repeat_interleave(window), line.repeat(window)
    down = rows[:, None] - rows[None, :] + window - 1
    right = columns[:, None] - columns[None, :] + window - 1
    return down * (2 * window - 1) + right


def column_mask(window: int, shift: int, device: torch.device | str = "cpu") -> Tensor:
    """What the published shifted windows add to the logits: window^2 x window^2, 0 or -100.

    A token attends only to tokens on its own side of the column ``window - shift``. This holds in
    the last row of windows alone; all others, those at the right edge too, attend freely. It is not
    the mask of the Swin paper (arXiv 2103.14030, figure 4), but the one that the published weights
    were trained with.
    """
    side = torch.arange(window * window, device=device) % window >= window - shift
    return torch.where(side[:, None] == side[None, :], 0.0, _MASKED)


def configured_mask(windows: int, window: int, shift: int) -> Tensor:
    """The ``attn_mask`` buffer that checkpoints hold, for ``windows`` x ``windows`` windows.

    It has no effect on the result, which uses the mask of the map's actual size.
    """
    mask = torch.zeros(windows, windows, window**2, window**2, device="cpu")
    mask[-1] = column_mask(window, shift)
    return mask.flatten(0, 1)


class WindowAttention(nn.Module):
    """Multi-head attention inside windows, with a learned bias by relative position and head."""

    relative_position_index: Tensor

    def __init__(self, channels: int, window: int, heads: int) -> None:
        super().__init__()
        self.window, self.heads = window, heads
        self.relative_position_bias_table = nn.Parameter(torch.zeros((2 * window - 1) ** 2, heads))
        self.register_buffer("relative_position_index", relative_position_index(window))
        self.qkv = nn.Linear(channels, 3 * channels)
        self.proj = nn.Linear(channels, channels)

    def forward(self, tokens: Tensor, shift: int) -> Tensor:
        """Attend.

        Args:
            tokens: N x rows x columns x window^2 x C, rows and columns counting windows.
            shift: of the windows; 0 masks nothing.
        """
        count, rows, columns, length, channels = tokens.shape
        qkv = self.qkv(tokens).view(count, rows, columns, length, 3, self.heads, -1)
        q, k, v = qkv.permute(4, 0, 1, 2, 5, 3, 6).unbind(0)  # N, rows, columns, heads, token, D
        table = self.relative_position_bias_table[self.relative_position_index.flatten()]
        bias = table.view(length, length, self.heads).permute(2, 0, 1)
        if shift == 0:
            out = _attend(q, k, v, bias)
        else:
            mask = column_mask(self.window, shift, tokens.device)
            last = _attend(q[:, -1:], k[:, -1:], v[:, -1:], bias + mask)
            out = last
            if rows > 1:
                others = _attend(q[:, :-1], k[:, :-1], v[:, :-1], bias)
                out = torch.cat([others, last], dim=1)
        return self.proj(out.transpose(3, 4).reshape(count, rows, columns, length, channels))


def _attend(q: Tensor, k: Tensor, v: Tensor, bias: Tensor) -> Tensor:
    """Scaled dot-product attention; ``bias`` (heads x tokens x tokens) is added to the logits."""
    shape = q.shape
    # Contiguous, or the fused kernel gives way to one that is slow and keeps the whole matrix.
    q, k, v = (part.contiguous().view(-1, *shape[-3:]) for part in (q, k, v))
    return F.scaled_dot_product_attention(q, k, v, bias[None].to(q.dtype)).view(shape)


class Mlp(nn.Module):
    """1 x 1 convolution - GELU - 1 x 1 convolution."""

    def __init__(self, channels: int, hidden: int) -> None:
        super().__init__()
        self.fc1 = nn.Conv2d(channels, hidden, 1)
        self.fc2 = nn.Conv2d(hidden, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """N x C x H x W to the same."""
        return self.fc2(F.gelu(self.fc1(x)))


class SwinBlock(nn.Module):
    """x + attention in (shifted) windows, then x + MLP, both of the normalised map.

    Args:
        resolution: side of the map that the network was configured for. It fixes window and shift,
            whatever the actual map: up to the window's size the window is the map and never shifts.
    """

    attn_mask: Tensor

    def __init__(
        self, channels: int, heads: int, window: int, shift: int, resolution: int, mlp_ratio: float
    ) -> None:
        super().__init__()
        if resolution <= window:
            window, shift = resolution, 0
        self.window, self.shift = window, shift
        self.norm1 = GroupNorm(channels)
        self.attn = WindowAttention(channels, window, heads)
        self.norm2 = GroupNorm(channels)
        self.mlp = Mlp(channels, int(channels * mlp_ratio))
        if shift:
            mask = configured_mask(resolution // window, window, shift)
            self.register_buffer("attn_mask", mask)

    def forward(self, x: Tensor) -> Tensor:
        """Height and width are multiples of the window."""
        count, channels, height, width = x.shape
        side, shift = self.window, self.shift
        hidden = self.norm1(x).permute(0, 2, 3, 1)
        if shift:
            hidden = torch.roll(hidden, (-shift, -shift), (1, 2))
        rows, columns = height // side, width // side
        hidden = hidden.reshape(count, rows, side, columns, side, channels).transpose(2, 3)
        tokens = hidden.reshape(count, rows, columns, side * side, channels)
        hidden = self.attn(tokens, shift).view(count, rows, columns, side, side, channels)
        hidden = hidden.transpose(2, 3).reshape(count, height, width, channels)
        if shift:
            hidden = torch.roll(hidden, (shift, shift), (1, 2))
        x = x + hidden.permute(0, 3, 1, 2)
        return x + self.mlp(self.norm2(x))


class Projection(nn.Module):
    """1 x 1 convolution into, or out of, the channels of a swin layer."""

    def __init__(self, channels: int, out_channels: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(channels, out_channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """N x C x H x W to N x C' x H x W."""
        return self.proj(x)


class SwinLayer(nn.Module):
    """Projection in, blocks with alternating shift, projection out; no skip around it."""

    def __init__(
        self,
        channels: int,
        embed_dim: int,
        depth: int,
        heads: int,
        window: int,
        resolution: int,
        mlp_ratio: float,
    ) -> None:
        super().__init__()
        self.patch_embed = Projection(channels, embed_dim)
        self.patch_unembed = Projection(embed_dim, channels)
        self.blocks = nn.ModuleList(
            SwinBlock(embed_dim, heads, window, window // 2 * (i % 2), resolution, mlp_ratio)
            for i in range(depth)
        )

    def forward(self, x: Tensor) -> Tensor:
        """N x C x H x W to the same."""
        x = self.patch_embed(x)
        for block in self.blocks:
            x = block(x)
        return cast(Tensor, self.patch_unembed(x))
