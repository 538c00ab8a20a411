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

"""EfficientNet-Lite0 (arXiv 1905.11946, without squeeze-and-excitation), as far as stride 16.

Written from the paper and from TensorFlow's description of the Lite variants: ReLU6 everywhere, a
stem of 32 channels, padding as TensorFlow's SAME. The keys are those of the weight files.
"""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path

import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from difiisr_ros.models.checkpoint import load_state
from difiisr_ros.models.features.base import (
    FeatureNetwork,
    as_imagenet,
    check_frames,
    crop_to_frame,
    pad_to_multiple,
)
from difiisr_ros.models.features.state_files import read_state

#: Repeats, kernel, stride of the first, expansion, channels of each stage.
_STAGES = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
)
#: Stages whose result is handed out: the last at strides 2, 4, 8 and 16.
_HANDED_OUT = (0, 1, 2, 4)
_STEM = 32
_EPSILON = 1e-3
_BLOCKS = sum(stage[0] for stage in _STAGES)
_DEEPER = re.compile(r"_conv_head\.|_bn1\.|_fc\.|_blocks\.(\d+)\.")


class EfficientNetLite0(FeatureNetwork):
    """Results of the stages that end at strides 2, 4, 8 and 16, before any activation.

    The frame is padded to a multiple of 16 by repeating its last row and column.
    """

    name = "efficientnet_lite0"
    layers = ("stride2", "stride4", "stride8", "stride16")
    strides = (2, 4, 8, 16)

    def __init__(self) -> None:
        super().__init__()
        self._conv_stem = nn.Conv2d(3, _STEM, 3, stride=2, bias=False)
        self._bn0 = nn.BatchNorm2d(_STEM, eps=_EPSILON)
        blocks: list[nn.Module] = []
        ends, inputs = [], _STEM
        for repeats, kernel, stride, expansion, outputs in _STAGES:
            for number in range(repeats):
                step = stride if number == 0 else 1
                blocks.append(_Block(inputs, outputs, kernel, step, expansion))
                inputs = outputs
            ends.append(len(blocks) - 1)
        self._blocks = nn.ModuleList(blocks)
        self._handed_out = {ends[stage] for stage in _HANDED_OUT}

    def maps(self, x: Tensor) -> list[Tensor]:
        """See :class:`FeatureNetwork`."""
        check_frames(x)
        height, width = x.shape[-2:]
        hidden = as_imagenet(pad_to_multiple(x, self.strides[-1])).to(self._conv_stem.weight.dtype)
        hidden = F.relu6(self._bn0(_same(self._conv_stem, hidden)))
        found = []
        for number, block in enumerate(self._blocks):
            hidden = block(hidden)
            if number in self._handed_out:
                found.append(hidden)
        return [crop_to_frame(m, s, height, width) for m, s in zip(found, self.strides)]


class _Block(nn.Module):
    """Widen, filter each channel by itself, narrow; added to the input where the shapes allow."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        middle = inputs * expansion
        if expansion > 1:
            self._expand_conv = nn.Conv2d(inputs, middle, 1, bias=False)
            self._bn0 = nn.BatchNorm2d(middle, eps=_EPSILON)
        self._depthwise_conv = nn.Conv2d(
            middle, middle, kernel, stride=stride, groups=middle, bias=False
        )
        self._bn1 = nn.BatchNorm2d(middle, eps=_EPSILON)
        self._project_conv = nn.Conv2d(middle, outputs, 1, bias=False)
        self._bn2 = nn.BatchNorm2d(outputs, eps=_EPSILON)
        self._adds = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        """N x inputs x H x W to N x outputs x H/stride x W/stride."""
        hidden = x
        if hasattr(self, "_expand_conv"):
            hidden = F.relu6(self._bn0(self._expand_conv(hidden)))
        hidden = F.relu6(self._bn1(_same(self._depthwise_conv, hidden)))
        hidden = self._bn2(self._project_conv(hidden))
        return x + hidden if self._adds else hidden


def _fold_normalisation(module: nn.Module) -> None:
    """Put every batch normalisation into the convolution before it: a third of the gradient's time
    on a CPU."""
    for child in module.children():
        _fold_normalisation(child)
    names = [name for name, _ in module.named_children()]
    for before, name in pairwise(names):
        normalisation = getattr(module, name)
        if isinstance(normalisation, nn.BatchNorm2d):
            setattr(module, before, fuse_conv_bn_eval(getattr(module, before), normalisation))
            setattr(module, name, nn.Identity())


def _same(convolution: nn.Conv2d, x: Tensor) -> Tensor:
    """With TensorFlow's SAME padding, of sides that are multiples of the stride."""
    total = convolution.kernel_size[0] - convolution.stride[0]
    before, after = total // 2, total - total // 2  # more after than before
    return convolution(F.pad(x, (before, after, before, after)))


def load_efficientnet(path: Path) -> EfficientNetLite0:
    """From the state dict of the whole network; what is deeper than stride 16 is left out.

    Raises:
        ModelError: the file cannot be read, or is not of this network.
    """
    state = {}
    for key, value in read_state(path).items():
        found = _DEEPER.match(key)
        if found is None or (found[1] is not None and int(found[1]) < _BLOCKS):
            state[key] = value
    network = EfficientNetLite0()
    load_state(path, network, state, "is no EfficientNet-Lite0 in efficientnet_lite_pytorch's keys")
    _fold_normalisation(network.eval())
    return network
