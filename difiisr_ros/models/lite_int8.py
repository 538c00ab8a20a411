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

"""The prior expert in 8-bit integers, for CPUs with VNNI.

The blocks' convolutions, which take most of the time, multiply 8-bit integers and add into 32 bits
(oneDNN). What adds up over the blocks stays in floating point, so that an error of 8 bits is made
once per convolution and not carried on; the first and the last layer stay as they are.

Every channel has a scale of its own, folded into the weights beforehand: a channel of the stream
is divided by its scale when it is rounded, and the next convolution's weights are multiplied by
it. Scales come from running the float network on training frames of many cameras (post-training
quantisation, arXiv 2106.08295); the model's file has them. What is told of a camera scales and
shifts the sums of 32 bits: it is part of the factors that these are multiplied by anyhow, and of
the biases.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from difiisr_ros.core.resample import SCALE, channels_last
from difiisr_ros.errors import BackendUnavailable
from difiisr_ros.models.channel_limits import ChannelLimits
from difiisr_ros.models.lite import CameraNet, LiteDenoiser, ResidualBlock, end, one_by_one

MARGIN = 1.5
"""How far beyond a channel's limit 8 bits reach; what lies further saturates.
More is coarser on every frame, less saturates at targets of two ranges."""
FLOOR = 0.5
"""Least of it, in units of the largest limit of all channels: quiet channels, too, meet frames
that are unlike those of training, and saturation is a larger error than coarse steps."""
_ZERO = 128  # what 0 is stored as in the stream, which has both signs

LEAST_CHANNELS = 16
"""Of the prior expert: narrower convolutions gain nothing."""


def int8_is_supported() -> bool:
    """Whether this PyTorch has the operators and this CPU multiplies 8-bit integers itself."""
    has_vnni = getattr(torch.cpu, "_is_vnni_supported", lambda: False)
    return bool(has_vnni()) and hasattr(torch.ops.onednn, "qconv2d_pointwise")


def check_int8(device: torch.device) -> None:
    """Raise BackendUnavailable, with the reason, where the 8-bit prior expert cannot run."""
    if device.type != "cpu":
        raise BackendUnavailable(f"int8 is for CPUs; use fp16 on {device}")
    if not int8_is_supported():
        raise BackendUnavailable(
            "int8 needs a CPU with VNNI (AVX-512 or AVX) and a PyTorch with oneDNN's quantised "
            "convolutions; use bf16 or fp32"
        )


def int8_prior(network: LiteDenoiser, compute: torch.dtype) -> Int8Prior:
    """Quantise the prior expert of a float32 network; its first and last layer go to ``compute``.

    Raises:
        BackendUnavailable: the expert has too few channels, or its file has no limits.
    """
    channels = network.config.prior_channels
    if channels < LEAST_CHANNELS:
        raise BackendUnavailable(
            f"int8 is for models of {LEAST_CHANNELS} channels or more, which gain from it; "
            f"this one has {channels}: use bf16 or fp32"
        )
    if network.channel_limits is None:
        raise BackendUnavailable(
            "the model's file does not say how large its channels get, which int8 needs; "
            "'difiisr train' writes it. Use bf16 or fp32"
        )
    return Int8Prior(network.prior, compute, network.channel_limits)


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

    def _inputs(self, x: Tensor, scale: Tensor) -> tuple[Any, ...]:
        return x, 1.0, self._zero, self._weight, scale, self._weight_zero

    def relu(
        self,
        x: Tensor,
        dtype: torch.dtype,
        scale: Tensor | float = 1.0,
        shift: Tensor | float = 0.0,
    ) -> Tensor:
        """ReLU of ``scale`` times the convolution plus ``shift``, as ``dtype``.

        uint8 is rounded and saturates. ``scale`` and ``shift`` are numbers, or one for each of the
        result's channels (C, float32), of any sign.
        """
        return torch.ops.onednn.qconv2d_pointwise(
            *self._inputs(x, self._scale * scale),
            self._bias * scale + shift,
            [1, 1],
            [1, 1],
            [1, 1],
            1,
            1.0,
            0,
            dtype,
            "relu",
            [],
            "",
        )

    def add_to(self, total: Tensor, x: Tensor) -> Tensor:
        """The convolution plus ``total``, which is overwritten."""
        return torch.ops.onednn.qconv2d_pointwise.binary(
            *self._inputs(x, self._scale),
            total,
            self._bias,
            [1, 1],
            [1, 1],
            [1, 1],
            1,
            1.0,
            0,
            total.dtype,
            1.0,
            0,
            "sum",
            1.0,
            "none",
            [],
            "",
        )


class Int8Prior(nn.Module):
    """Stands in for a :class:`CameraNet` at inference.

    Where gradients are taken, the network itself answers: rounding has none.

    Args:
        network: float32, in evaluation mode; turned to ``compute`` in place.
        compute: precision of the first and the last layer, and of what adds up between them.
        limits: of its channels.
    """

    def __init__(self, network: CameraNet, compute: torch.dtype, limits: ChannelLimits) -> None:
        super().__init__()
        streams, self._hiddens = _scales(limits.streams, 127), _scales(limits.hiddens, 255)
        self._inverse = [(1 / scale).to(compute) for scale in streams]
        self._first: list[Int8Conv] = []
        self._second: list[Int8Conv] = []
        with torch.no_grad():
            for block, stream, hidden in zip(_blocks(network), streams, self._hiddens):
                weight = block.conv1.weight * stream / hidden.view(-1, 1, 1, 1)
                bias = _bias(block.conv1) / hidden.flatten()
                self._first.append(Int8Conv(weight, bias, _ZERO))
                weight = block.conv2.weight * hidden
                self._second.append(Int8Conv(weight, _bias(block.conv2), 0))
        self.network = network.to(compute).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.head = network.head

    def forward(self, x: Tensor, embedding: Tensor, scale: int = SCALE) -> Tensor:
        """N x 1 x H x W to N x scale^2 x H x W, see :class:`CameraNet`."""
        if torch.is_grad_enabled() and x.requires_grad:
            return self.network(x, embedding, scale)
        if len(embedding) > 1:  # one frame's factors are another's mistake
            return one_by_one(self._of_one_camera, x, embedding, scale)
        return self._of_one_camera(x, embedding, scale)

    def _of_one_camera(self, x: Tensor, embedding: Tensor, scale: int) -> Tensor:
        first = self.head(channels_last(x))
        total = first.clone(memory_format=torch.channels_last)
        for i, block in enumerate(_blocks(self.network)):
            factor, shift = block.modulation(embedding)[0].float().chunk(2)
            shift = shift / self._hiddens[i].flatten()
            rounded = _rounded(total, self._inverse[i])
            hidden = self._first[i].relu(rounded, torch.uint8, 1 + factor, shift)
            total = self._second[i].add_to(total, hidden)
        return end(self.network.tail, total.add_(first), scale)


def _blocks(network: CameraNet) -> list[ResidualBlock]:
    return list(network.blocks)  # type: ignore[arg-type]


def _rounded(stream: Tensor, inverse: Tensor) -> Tensor:
    """To uint8 around 128.

    By way of int8: bfloat16 has whole numbers to 256, but no halves from 128 on.
    """
    signed = torch.mul(stream, inverse).round_().clamp_(-_ZERO, _ZERO - 1).to(torch.int8)
    return signed.view(torch.uint8).bitwise_xor_(_ZERO)


def _bias(conv: nn.Conv2d) -> Tensor:
    assert conv.bias is not None
    return conv.bias


def _scales(limits: tuple[Tensor, ...], levels: int) -> list[Tensor]:
    """Per channel, 1 x C x 1 x 1."""
    return [
        (MARGIN * v).clamp_min(max(FLOOR * v.max().item(), 1e-6)).view(1, -1, 1, 1) / levels
        for v in limits
    ]
