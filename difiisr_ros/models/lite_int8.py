"""The prior expert in 8-bit integers, for CPUs with VNNI: half the time of bfloat16.

The convolutions at half resolution, which take most of the time, multiply 8-bit integers and add
into 32 bits (oneDNN). What adds up over the blocks stays float32, so that an error is made once
per convolution and not carried on; the first and the last layers stay as they are.

Every channel has a scale of its own, folded into the weights beforehand: a channel of the stream
is divided by its scale when it is rounded, and the next convolution's weights are multiplied by
it. Scales come from running the float network on frames of a synthetic scene when the model is
loaded (post-training quantisation, arXiv 2106.08295), so that any model file will do.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from difiisr_ros.models.lite import ResidualBlock, TwoResolutionNet

MARGIN = 2.0
"""How far beyond a channel's largest calibrated value 8 bits reach; what lies further saturates."""
FLOOR = 1.0
"""Least of it, in units of the largest value of all channels: quiet channels, too, meet frames
that are unlike the calibrated ones, and saturation is a larger error than coarse steps."""
_ZERO = 128  # what 0 is stored as in the stream, which has both signs


def int8_is_supported() -> bool:
    """Whether this PyTorch has the operators and this CPU multiplies 8-bit integers itself."""
    has_vnni = getattr(torch.cpu, "_is_vnni_supported", lambda: False)
    return bool(has_vnni()) and hasattr(torch.ops.onednn, "qconv2d_pointwise")


class Int8Conv:
    """3x3 convolution of uint8 maps whose scales are already part of the weights."""

    def __init__(self, weight: Tensor, bias: Tensor, zero: int) -> None:
        self._scale = weight.abs().amax(dim=(1, 2, 3)).clamp_min(1e-12) / 127
        rounded = (weight / self._scale[:, None, None, None]).round().to(torch.int8)
        self._weight = torch.ops.onednn.qconv_prepack(
            rounded, self._scale, 1.0, zero, [1, 1], [1, 1], [1, 1], 1, None
        )
        self._weight_zero = torch.zeros(len(weight), dtype=torch.int32)
        self._bias, self._zero = bias.clone(), zero

    def _inputs(self, x: Tensor) -> tuple[Any, ...]:
        return x, 1.0, self._zero, self._weight, self._scale, self._weight_zero

    def relu(self, x: Tensor, dtype: torch.dtype) -> Tensor:
        """ReLU of the convolution, as ``dtype``; uint8 is rounded and saturates."""
        return torch.ops.onednn.qconv2d_pointwise(
            *self._inputs(x), self._bias, [1, 1], [1, 1], [1, 1], 1, 1.0, 0, dtype, "relu", [], ""
        )

    def add_to(self, total: Tensor, x: Tensor) -> Tensor:
        """The convolution plus ``total``, which is overwritten."""
        return torch.ops.onednn.qconv2d_pointwise.binary(
            *self._inputs(x), total, self._bias, [1, 1], [1, 1], [1, 1], 1,
            1.0, 0, total.dtype, 1.0, 0, "sum", 1.0, "none", [], "",
        )  # fmt: skip


class Int8Prior(nn.Module):
    """Stands in for a :class:`TwoResolutionNet` without embedding, at inference.

    Where gradients are taken, the network itself answers: rounding has none.

    Args:
        network: float32, in evaluation mode; turned to ``compute`` in place.
        compute: precision of the first and the last layers.
        examples: normalised LR frames, N x 1 x H x W, to find the scales with.
    """

    def __init__(
        self, network: TwoResolutionNet, compute: torch.dtype, examples: Iterable[Tensor]
    ) -> None:
        super().__init__()
        streams, hiddens = _largest(network, examples)
        self._inverse = [1 / scale for scale in streams]
        self._first: list[Int8Conv] = []
        self._second: list[Int8Conv] = []
        with torch.no_grad():
            for block, stream, hidden in zip(network.blocks, streams, hiddens):
                assert isinstance(block, ResidualBlock)
                weight = block.conv1.weight * stream / hidden.view(-1, 1, 1, 1)
                bias = _bias(block.conv1) / hidden.flatten()
                self._first.append(Int8Conv(weight, bias, _ZERO))
                weight = block.conv2.weight * hidden
                self._second.append(Int8Conv(weight, _bias(block.conv2), 0))
            self._tail = Int8Conv(network.tail.weight * streams[-1], _bias(network.tail), _ZERO)
        self.network = network.to(compute).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.head = network.head

    def forward(self, x: Tensor, embedding: Tensor | None = None) -> Tensor:
        """N x 1 x H x W to N x 16 x H x W, see :class:`TwoResolutionNet`."""
        if torch.is_grad_enabled() and x.requires_grad:
            return self.network(x, embedding)
        height, width = x.shape[-2:]
        if height % 2 or width % 2:
            x = F.pad(x, (0, width % 2, 0, height % 2), mode="replicate")
        half = F.pixel_unshuffle(x, 2).contiguous(memory_format=torch.channels_last)
        half = self.head(half).float()
        total = half.clone()
        for first, second, inverse in zip(self._first, self._second, self._inverse):
            hidden = first.relu(_rounded(total, inverse), torch.uint8)
            total = second.add_to(total, hidden)
        fine = self._tail.relu(_rounded(total + half, self._inverse[-1]), x.dtype)
        fine = torch.cat([F.pixel_shuffle(fine, 2), x], dim=1)
        fine = fine.contiguous(memory_format=torch.channels_last)
        fine = self.network.fine2(F.relu(self.network.fine1(fine), inplace=True))
        return fine[..., :height, :width]


def _rounded(stream: Tensor, inverse: Tensor) -> Tensor:
    """To uint8 around 128; adding a half makes cutting off the fraction rounding."""
    return torch.mul(stream, inverse).add_(_ZERO + 0.5).clamp_(0, 255).to(torch.uint8)


def _bias(conv: nn.Conv2d) -> Tensor:
    assert conv.bias is not None
    return conv.bias


@torch.no_grad()
def _largest(
    network: TwoResolutionNet, examples: Iterable[Tensor]
) -> tuple[list[Tensor], list[Tensor]]:
    """Scales per channel (1 x C x 1 x 1): of the stream before every convolution, of what is
    between each block's two.
    """
    count = len(network.blocks)
    streams: list[Tensor | None] = [None] * (count + 1)
    hiddens: list[Tensor | None] = [None] * count

    def keep(store: list[Tensor | None], index: int, maps: Tensor) -> None:
        largest = maps.abs().amax(dim=(0, 2, 3), keepdim=True)
        known = store[index]
        store[index] = largest if known is None else torch.maximum(known, largest)

    for lr in examples:
        height, width = (side // 2 * 2 for side in lr.shape[-2:])
        half = network.head(F.pixel_unshuffle((lr - 0.5)[..., :height, :width], 2))
        total = half
        for i, block in enumerate(network.blocks):
            assert isinstance(block, ResidualBlock)
            keep(streams, i, total)
            hidden = F.relu(block.conv1(total))
            keep(hiddens, i, hidden)
            total = total + block.conv2(hidden)
        keep(streams, count, total + half)

    def scales(store: list[Tensor | None], levels: int) -> list[Tensor]:
        found = [value for value in store if value is not None]
        return [(MARGIN * v).clamp_min(FLOOR * float(v.max())) / levels for v in found]

    return scales(streams, 127), scales(hiddens, 255)
