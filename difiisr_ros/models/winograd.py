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

"""3x3 convolutions by minimal filtering: a quarter of the multiplications, in float32 on CPUs.

Winograd's F(4x4, 3x3) (Lavin & Gray, arXiv 1509.09308): tiles of 6x6 pixels, which overlap by two,
are transformed by ``B``, kernels by ``G``; there the convolution is a product for each of 36
positions, a matrix product over the channels; ``A`` transforms back to 4x4 pixels. The products
are four times fewer than a direct convolution's; the transforms cost what grows with the channels,
not with their square, so that it pays from some hundred channels on. Rounding errors are about five
times a direct convolution's: for float32, not for less.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

TILE = 4  # pixels of a result tile's side
_REACH = TILE + 2
_CHUNK = 1 << 23  # values of transformed tiles that are held at a time (32 MB)
_LEAST_CHANNELS, _LEAST_TILES = 160, 128  # below them the transforms take what the products save

_B = (
    (4, 0, -5, 0, 1, 0),
    (0, -4, -4, 1, 1, 0),
    (0, 4, -4, -1, 1, 0),
    (0, -2, -1, 2, 1, 0),
    (0, 2, -1, -2, 1, 0),
    (0, 4, 0, -5, 0, 1),
)
_G = (
    (1 / 4, 0, 0),
    (-1 / 6, -1 / 6, -1 / 6),
    (-1 / 6, 1 / 6, -1 / 6),
    (1 / 24, 1 / 12, 1 / 6),
    (1 / 24, -1 / 12, 1 / 6),
    (0, 0, 1),
)
_A = ((1, 1, 1, 1, 1, 0), (0, 1, -1, 2, -2, 0), (0, 1, 1, 4, 4, 0), (0, 1, -1, 8, -8, 1))


def _square(matrix: tuple[tuple[float, ...], ...]) -> Tensor:
    """The transform along both axes as one matrix, of 2-D tiles as vectors."""
    line = torch.tensor(matrix, dtype=torch.float64, device="cpu")
    return torch.kron(line, line).float()


class Conv3x3(nn.Conv2d):
    """A 3x3 convolution of stride 1 and padding 1, by minimal filtering where :meth:`minimise` was
    called and the map is large enough; same parameters and keys as ``nn.Conv2d``."""

    def __init__(self, channels: int, out_channels: int) -> None:
        super().__init__(channels, out_channels, 3, padding=1)
        self._minimal = False

    def minimise(self) -> None:
        """Use minimal filtering from now on where it is faster; weights are float32 on a CPU."""
        enough = min(self.in_channels, self.out_channels) >= _LEAST_CHANNELS
        on_cpu = self.weight.dtype == torch.float32 and self.weight.device.type == "cpu"
        self._minimal = enough and on_cpu

    def forward(self, x: Tensor) -> Tensor:
        """N x C x H x W to N x C' x H x W."""
        tiles = -(-x.shape[-2] // TILE) * -(-x.shape[-1] // TILE)
        if not self._minimal or tiles < _LEAST_TILES:
            return super().forward(x)
        return winograd_conv(x, self.weight, self.bias)


def winograd_conv(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """``F.conv2d(x, weight, bias, padding=1)`` of a 3x3 kernel, without gradients.

    Args:
        x: N x C x H x W, float32, fastest in channels last, as is the result.
        weight: C' x C x 3 x 3; bias: C'.
    """
    count, channels, height, width = x.shape
    out_channels = len(weight)
    rows, columns = -(-height // TILE), -(-width // TILE)
    # Transformed again at every call: that is nothing beside the products, and kept it would be
    # four times the memory of the weights.
    kernels = _square(_G) @ weight.permute(2, 3, 1, 0).reshape(9, -1)
    kernels = kernels.view(_REACH**2, channels, out_channels)
    into, back = _square(_B), _square(_A)
    out = torch.empty(
        (count, out_channels, TILE * rows, TILE * columns), memory_format=torch.channels_last
    )
    step = max(1, _CHUNK // (columns * channels * _REACH**2))
    for image, result in zip(x, out.permute(0, 2, 3, 1)):
        padding = (0, 0, 1, TILE * columns - width + 1, 1, TILE * rows - height + 1)
        padded = F.pad(image.permute(1, 2, 0), padding)
        line = padded.stride(0)
        for first in range(0, rows, step):
            part = min(step, rows - first)
            tiles = padded.as_strided(
                (_REACH, _REACH, part, columns, channels),
                (line, channels, TILE * line, TILE * channels, 1),
                first * TILE * line,
            ).reshape(_REACH**2, -1)
            spectrum = (into @ tiles).view(_REACH**2, -1, channels)
            product = torch.bmm(spectrum, kernels).view(_REACH**2, -1)
            pixels = (back @ product).view(TILE, TILE, part, columns, out_channels)
            target = result[TILE * first : TILE * (first + part)]
            target = target.view(part, TILE, columns, TILE, out_channels)
            target.copy_(pixels.permute(2, 0, 3, 1, 4))
            if bias is not None:
                target.add_(bias)
    return out[..., :height, :width]
