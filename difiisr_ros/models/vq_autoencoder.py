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

"""The published VQ autoencoder: images to latents of a quarter of the size and back.

Parameters and state-dict keys are those of the published configuration and checkpoints. The
latent is quantised when it is decoded, never when it is encoded.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from difiisr_ros.models.swin_unet_blocks import Upsample
from difiisr_ros.models.vq_autoencoder_blocks import (
    Downsample,
    Middle,
    ResnetBlock,
    norm,
)

_DISTANCES = 1 << 24  # values of the table of distances that are held at a time (64 MB)


class Level(nn.Module):
    """Residual blocks at one resolution, and the way to the next where there is one."""

    def __init__(self, channels: int, out_channels: int, blocks: int) -> None:
        super().__init__()
        self.block = nn.ModuleList(
            ResnetBlock(channels if i == 0 else out_channels, out_channels) for i in range(blocks)
        )

    def forward(self, x: Tensor) -> Tensor:
        """N x C x H x W to N x C' x H' x W'."""
        for block in self.block:
            x = block(x)
        for name in ("downsample", "upsample"):
            if hasattr(self, name):
                x = getattr(self, name)(x)
        return x


def _input(x: Tensor, conv_in: nn.Conv2d, mid: Middle) -> Tensor:
    # The first and the last layer may be more precise than those between them.
    return conv_in(x.to(conv_in.weight.dtype)).to(mid.block_1.conv1.weight.dtype)


def _output(x: Tensor, norm_out: nn.Module, conv_out: nn.Conv2d) -> Tensor:
    x = F.silu(norm_out(x), inplace=True)
    return conv_out(x.to(conv_out.weight.dtype))


class Encoder(nn.Module):
    """Image N x in_channels x H x W to N x z_channels x H/f x W/f."""

    def __init__(
        self, in_channels: int, ch: int, ch_mult: list[int], num_res_blocks: int, z_channels: int
    ) -> None:
        super().__init__()
        self.conv_in = nn.Conv2d(in_channels, ch, 3, padding=1)
        self.down = nn.ModuleList()
        channels = ch
        for i, multiple in enumerate(ch_mult):
            level = Level(channels, ch * multiple, num_res_blocks)
            channels = ch * multiple
            if i < len(ch_mult) - 1:
                level.downsample = Downsample(channels)
            self.down.append(level)
        self.mid = Middle(channels)
        self.norm_out = norm(channels)
        self.conv_out = nn.Conv2d(channels, z_channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """See the class."""
        x = _input(x, self.conv_in, self.mid)
        for level in self.down:
            x = level(x)
        return _output(self.mid(x), self.norm_out, self.conv_out)


class Decoder(nn.Module):
    """Latent N x z_channels x H x W to an image N x out_ch x fH x fW; nothing is clipped."""

    def __init__(
        self, out_ch: int, ch: int, ch_mult: list[int], num_res_blocks: int, z_channels: int
    ) -> None:
        super().__init__()
        channels = ch * ch_mult[-1]
        self.conv_in = nn.Conv2d(z_channels, channels, 3, padding=1)
        self.mid = Middle(channels)
        levels = []
        for i, multiple in reversed(list(enumerate(ch_mult))):
            level = Level(channels, ch * multiple, num_res_blocks + 1)
            channels = ch * multiple
            if i > 0:
                level.upsample = Upsample(channels)
            levels.append(level)
        self.up = nn.ModuleList(reversed(levels))  # keys count from the finest level
        self.norm_out = norm(channels)
        self.conv_out = nn.Conv2d(channels, out_ch, 3, padding=1)

    def forward(self, z: Tensor) -> Tensor:
        """See the class."""
        x = self.mid(_input(z, self.conv_in, self.mid))
        for level in reversed(self.up):
            x = level(x)
        return _output(x, self.norm_out, self.conv_out)


class Codebook(nn.Module):
    """The ``n_embed`` latents that decoding knows; keys as in the checkpoints."""

    def __init__(self, n_embed: int, embed_dim: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(n_embed, embed_dim)

    def nearest(self, z: Tensor) -> Tensor:
        """Index of the code nearest to each latent: N x C x H x W -> N x H x W, int64.

        Always in float32: half-precision distances would change some of the choices.
        """
        codes = self.embedding.weight.float()
        lengths = (codes**2).sum(1)
        flat = z.float().permute(0, 2, 3, 1).flatten(0, 2)
        step = max(1, _DISTANCES // len(codes))
        # |z|^2 is the same for all codes, so the nearest one is decided without it.
        found = [
            torch.addmm(lengths, part, codes.T, alpha=-2.0).argmin(1) for part in flat.split(step)
        ]
        return torch.cat(found).view(z.shape[0], *z.shape[2:])

    def forward(self, z: Tensor) -> Tensor:
        """Every latent replaced by its nearest code, float32."""
        return self.embedding(self.nearest(z)).float().permute(0, 3, 1, 2)


class VQModelTorch(nn.Module):
    """Encoder, codebook and decoder; the arguments are the published configuration's ``params``.

    Args:
        ddconfig: ``ch``, ``ch_mult``, ``num_res_blocks``, ``z_channels``, ``in_channels``,
            ``out_ch``; and ``double_z``, ``attn_resolutions``, ``dropout``, ``padding_mode``,
            ``resolution``, which must have the published values or no effect.
        n_embed: number of codes.
        embed_dim: channels of a code.

    Raises:
        ValueError: a parameter that is missing, unknown, or has an unsupported value.
    """

    def __init__(self, ddconfig: Mapping[str, Any], n_embed: int, embed_dim: int) -> None:
        super().__init__()
        known = dict(ddconfig)
        fixed = {"double_z": False, "attn_resolutions": [], "padding_mode": "zeros"}
        for name, accepted in fixed.items():
            given = known.pop(name, accepted)
            if (list(given) if isinstance(accepted, list) else given) != accepted:
                raise ValueError(f"ddconfig.{name} must be {accepted!r}, got {given!r}")
        # Without effect at inference: no layer depends on them.
        known.pop("dropout", None)
        known.pop("resolution", None)
        try:
            in_channels, out_ch, z_channels = (
                known.pop(name) for name in ("in_channels", "out_ch", "z_channels")
            )
            shape = (known.pop("ch"), list(known.pop("ch_mult")), known.pop("num_res_blocks"))
        except KeyError as error:
            raise ValueError(f"ddconfig needs {error.args[0]!r}") from error
        if known:
            raise ValueError(f"ddconfig has an unknown parameter {next(iter(known))!r}")
        self.factor = 1 << (len(shape[1]) - 1)
        self.encoder = Encoder(in_channels, *shape, z_channels)
        self.decoder = Decoder(out_ch, *shape, z_channels)
        self.quantize = Codebook(n_embed, embed_dim)
        self.quant_conv = nn.Conv2d(z_channels, embed_dim, 1)
        self.post_quant_conv = nn.Conv2d(embed_dim, z_channels, 1)

    def encode(self, image: Tensor) -> Tensor:
        """N x 3 x fH x fW in -1..1 to the latent N x 3 x H x W, not quantised, float32."""
        hidden = self.encoder(image)
        return self.quant_conv(hidden.to(self.quant_conv.weight.dtype)).float()

    def decode(self, latent: Tensor, *, quantize: bool = True) -> Tensor:
        """Latent N x 3 x H x W to an image N x 3 x fH x fW, float32, about -1..1, not clipped."""
        z = self.quantize(latent) if quantize else latent.float()
        z = self.post_quant_conv(z.to(self.post_quant_conv.weight.dtype))
        return self.decoder(z).float()

    def forward(self, image: Tensor) -> Tensor:
        """The image encoded and decoded again."""
        return self.decode(self.encode(image))
