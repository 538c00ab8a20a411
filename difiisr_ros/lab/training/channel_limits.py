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

"""How large a network's channels get, measured on frames of many cameras."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from functools import partial

import torch
from torch import Tensor, nn

from difiisr_ros.core.bound import shown
from difiisr_ros.core.condition import FEATURES
from difiisr_ros.lab.training.data import Frame
from difiisr_ros.lab.training.guidance_priors import degraded, evenly_chosen
from difiisr_ros.models.channel_limits import ChannelLimits
from difiisr_ros.models.lite import CameraNet, LiteDenoiser, ResidualBlock

FRAMES = 60
_USUAL = 0.9  # of the frames

Example = tuple[Tensor, Tensor]
"""What the network reads of LR frames, N x 1 x H x W, and the embedding of their cameras, N x E."""


@torch.no_grad()
def channel_examples(network: LiteDenoiser, frames: Sequence[Frame]) -> Iterator[Example]:
    """What the prior expert reads of some of the frames, each as another camera sees it."""
    device = network.prior.head.weight.device
    for lr, _, camera in degraded(evenly_chosen(frames, FRAMES), device, 0, "camera"):
        yield shown(lr) - 0.5, network.camera_embedding(camera[:, :FEATURES])


@torch.no_grad()
def measure_limits(network: CameraNet, examples: Iterable[Example]) -> ChannelLimits:
    """Run the network, float32 in evaluation mode, on examples; ValueError if there are none."""
    streams: list[list[Tensor]] = [[] for _ in network.blocks]
    hiddens: list[list[Tensor]] = [[] for _ in network.blocks]
    with ExitStack() as hooks:
        for block, stream, hidden in zip(network.blocks, streams, hiddens):
            assert isinstance(block, ResidualBlock)
            for module, found in ((block, stream), (block.conv2, hidden)):
                hook = module.register_forward_pre_hook(partial(_keep_largest, found))
                hooks.callback(hook.remove)
        for x, embedding in examples:
            network(x, embedding)
    if not streams[0]:
        raise ValueError("no examples to measure channels on")
    return ChannelLimits(*(tuple(map(_over, maps)) for maps in (streams, hiddens)))


def _keep_largest(found: list[Tensor], module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
    found.append(inputs[0].abs().amax(dim=(0, 2, 3)))


def _over(found: list[Tensor]) -> Tensor:
    # Of all frames the largest would be that of the oddest: ten times as coarse on all others.
    return torch.stack(found).quantile(_USUAL, dim=0)
