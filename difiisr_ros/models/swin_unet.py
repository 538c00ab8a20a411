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

"""The published denoiser: a U-Net whose attention is windowed (Swin), conditioned on the LR frame.

Parameters and state-dict keys are those of the published configuration and checkpoints.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from difiisr_ros.models.swin_unet_blocks import (
    Downsample,
    GroupNorm,
    ResBlock,
    SwinLayer,
    Upsample,
)

_MAX_PERIOD = 10_000.0


def timestep_embedding(timesteps: Tensor, channels: int) -> Tensor:
    """Sinusoids of the timestep, cosines first: N -> N x channels, float32."""
    half = channels // 2
    line = torch.arange(half, dtype=torch.float32, device=timesteps.device)
    frequencies = torch.exp(-math.log(_MAX_PERIOD) / half * line)
    angles = timesteps.float()[:, None] * frequencies[None, :]
    embedding = torch.cat([angles.cos(), angles.sin()], dim=1)
    return F.pad(embedding, (0, channels % 2))


class Stage(nn.Sequential):
    """Modules in a row, of which residual blocks are told the timestep too."""

    def forward(self, x: Tensor, embedding: Tensor) -> Tensor:  # type: ignore[override]
        """``embedding`` is N x E."""
        for module in self:
            x = module(x, embedding) if isinstance(module, ResBlock) else module(x)
        return x


class UNetModelSwin(nn.Module):
    """Predicts x0 from the scaled x_t, its timestep and the LR frame at the same size.

    The arguments are the ``params`` of the published configuration. Those that only name a variant
    that no published configuration uses are checked, not implemented.

    Args:
        image_size: side of the map that it was trained for; fixes windows and shifts.
        in_channels: of x_t and, with ``cond_lq``, the LR frame together.
        model_channels: channels of level 0; ``channel_mult`` gives the levels' multiples.
        attention_resolutions: sides (at ``image_size``) of the levels that have swin layers.
        num_res_blocks: residual blocks for each level, one more in the decoder.
        num_head_channels: channels of an attention head.
        swin_depth, swin_embed_dim, window_size, mlp_ratio: of the swin layers.

    Raises:
        ValueError: a parameter with a value that is not supported, naming what is.
    """

    def __init__(
        self,
        image_size: int = 64,
        in_channels: int = 6,
        model_channels: int = 160,
        out_channels: int = 3,
        cond_lq: bool = True,
        attention_resolutions: Sequence[int] = (64, 32, 16, 8),
        dropout: float = 0.0,
        channel_mult: Sequence[int] = (1, 2, 2, 4),
        num_res_blocks: int | Sequence[int] = (2, 2, 2, 2),
        conv_resample: bool = True,
        dims: int = 2,
        use_fp16: bool = False,
        num_head_channels: int = 32,
        use_scale_shift_norm: bool = True,
        resblock_updown: bool = False,
        swin_depth: int = 2,
        swin_embed_dim: int = 192,
        window_size: int = 8,
        mlp_ratio: float = 4.0,
        lq_size: int | None = None,
    ) -> None:
        super().__init__()
        # use_fp16 is no property of the weights: precision is chosen when they are loaded.
        _accept(conv_resample=(conv_resample, True), dims=(dims, 2))
        _accept(use_scale_shift_norm=(use_scale_shift_norm, True))
        _accept(resblock_updown=(resblock_updown, False))
        _accept(lq_size=(lq_size or image_size, image_size))
        levels = len(channel_mult)
        depths = [num_res_blocks] * levels if isinstance(num_res_blocks, int) else num_res_blocks
        if len(depths) != levels:
            raise ValueError(f"num_res_blocks needs {levels} numbers, got {list(depths)}")
        if swin_embed_dim % num_head_channels:
            raise ValueError(
                f"swin_embed_dim {swin_embed_dim} is no multiple of num_head_channels "
                f"{num_head_channels}"
            )
        self.image_size, self.model_channels, self.cond_lq = image_size, model_channels, cond_lq
        self.levels, self.window_size = levels, window_size
        emb = 4 * model_channels
        heads = swin_embed_dim // num_head_channels

        def residual(channels: int, out: int) -> ResBlock:
            return ResBlock(channels, out, emb, dropout)

        def swin(channels: int, resolution: int) -> SwinLayer:
            return SwinLayer(
                channels, swin_embed_dim, swin_depth, heads, window_size, resolution, mlp_ratio
            )

        self.time_embed = nn.Sequential(
            nn.Linear(model_channels, emb), nn.SiLU(), nn.Linear(emb, emb)
        )
        channels = model_channels * channel_mult[0]
        self.input_blocks = nn.ModuleList([Stage(nn.Conv2d(in_channels, channels, 3, padding=1))])
        skips, resolution = [channels], image_size
        for level, (multiple, depth) in enumerate(zip(channel_mult, depths)):
            for i in range(depth):
                stage = [residual(channels, multiple * model_channels)]
                channels = multiple * model_channels
                if i == 0 and resolution in attention_resolutions:
                    stage.append(swin(channels, resolution))  # type: ignore[arg-type]
                self.input_blocks.append(Stage(*stage))
                skips.append(channels)
            if level < levels - 1:
                self.input_blocks.append(Stage(Downsample(channels)))
                skips.append(channels)
                resolution //= 2
        self.middle_block = Stage(
            residual(channels, channels), swin(channels, resolution), residual(channels, channels)
        )
        self.output_blocks = nn.ModuleList()
        for level in reversed(range(levels)):
            for i in range(depths[level] + 1):
                out = model_channels * channel_mult[level]
                modules: list[nn.Module] = [residual(channels + skips.pop(), out)]
                channels = out
                if i == 0 and resolution in attention_resolutions:
                    modules.append(swin(channels, resolution))
                if level > 0 and i == depths[level]:
                    modules.append(Upsample(channels))
                    resolution *= 2
                self.output_blocks.append(Stage(*modules))
        self.out = nn.Sequential(
            GroupNorm(channels), nn.SiLU(), nn.Conv2d(channels, out_channels, 3, padding=1)
        )

    @property
    def multiple(self) -> int:
        """Heights and widths must be multiples of this: whole windows at the coarsest level."""
        return max(1, self.window_size) << (self.levels - 1)

    def forward(self, x: Tensor, timesteps: Tensor, lq: Tensor | None = None) -> Tensor:
        """Predict x0, float32.

        Args:
            x: N x 3 x H x W, x_t divided by its standard deviation; sides are multiples of
                :attr:`multiple`.
            timesteps: N, original indices 0..T-1.
            lq: N x 3 x H x W in -1..1, with ``cond_lq``.
        """
        sinusoids = timestep_embedding(timesteps, self.model_channels)
        embedding = self.time_embed(sinusoids.to(next(self.time_embed.parameters()).dtype))
        if self.cond_lq:
            if lq is None:
                raise ValueError("this network is conditioned on the LR frame: lq is needed")
            x = torch.cat([x, lq], dim=1)
        # The first and last layers and the time embedding may be float32 around a half torso.
        compute = next(self.middle_block.get_submodule("0.emb_layers").parameters()).dtype
        embedding = embedding.to(compute)
        hidden = x.to(next(self.input_blocks.parameters()).dtype)
        skips: list[Tensor] = []
        for stage in self.input_blocks:
            hidden = stage(hidden, embedding).to(compute)
            skips.append(hidden)
        hidden = self.middle_block(hidden, embedding)
        for stage in self.output_blocks:
            hidden = stage(torch.cat([hidden, skips.pop()], dim=1), embedding)
        return self.out(hidden.to(next(self.out[2].parameters()).dtype)).float()


def _accept(**checks: tuple[object, object]) -> None:
    for name, (given, accepted) in checks.items():
        if given != accepted:
            raise ValueError(f"{name} must be {accepted}, got {given}: no other variant is known")
