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

"""VGG-16 and VGG-19 (arXiv 1409.1556), the networks of most perceptual losses.

Written from the paper, with the keys of torchvision's and timm's weight files
(``features.<index>.weight``). The classifier, where the file has one, is left out.
"""

from __future__ import annotations

import re
from pathlib import Path

import torch
from torch import Tensor, nn

from difiisr_ros.models.checkpoint import load_state
from difiisr_ros.models.features.base import (
    FeatureNetwork,
    as_imagenet,
    check_frames,
    crop_to_frame,
    pad_to_multiple,
)
from difiisr_ros.models.features.state_files import read_state

#: Convolutions of each of the five stages, between which the resolution is halved.
STAGES = {"vgg16": (2, 2, 3, 3, 3), "vgg19": (2, 2, 4, 4, 4)}
_CLASSIFIER = re.compile(r"(classifier|pre_logits|head)\.")


class VggFeatures(FeatureNetwork):
    """Activations after the last ReLU of every stage, relu1_2 to relu5_3 (relu5_4 of VGG-19).

    They are those that LPIPS (arXiv 1801.03924) compares. The frame is padded to a multiple of 16
    by repeating its last row and column.

    Args:
        name: ``vgg16`` or ``vgg19``.
        widths: channels of every convolution.
    """

    def __init__(self, name: str, widths: list[int]) -> None:
        super().__init__()
        self.name = name
        convolutions = STAGES[name]
        self.layers = tuple(f"relu{stage}_{n}" for stage, n in enumerate(convolutions, start=1))
        self.strides = tuple(2**stage for stage in range(len(convolutions)))
        layers: list[nn.Module] = []
        inputs, following = 3, iter(widths)
        for count in convolutions:
            for _ in range(count):
                outputs = next(following)
                # Out of place: guidance differentiates, and the maps are handed out.
                layers += [nn.Conv2d(inputs, outputs, 3, padding=1), nn.ReLU()]
                inputs = outputs
            layers.append(nn.MaxPool2d(2))
        self.features = nn.Sequential(*layers[:-1])

    def maps(self, x: Tensor) -> list[Tensor]:
        """See :class:`FeatureNetwork`."""
        check_frames(x)
        height, width = x.shape[-2:]
        dtype = next(self.parameters()).dtype
        hidden = as_imagenet(pad_to_multiple(x, self.strides[-1])).to(dtype)
        found = []
        for layer in self.features:
            if isinstance(layer, nn.MaxPool2d):
                found.append(hidden)
            hidden = layer(hidden)
        found.append(hidden)
        return [crop_to_frame(m, s, height, width) for m, s in zip(found, self.strides)]


def load_vgg(name: str, path: Path) -> VggFeatures:
    """From torchvision's or timm's state dict, of any width, with its classifier or without.

    Raises:
        ModelError: the file cannot be read, or is not of this network.
    """
    state = {k: v for k, v in read_state(path).items() if not _CLASSIFIER.match(k)}
    # The file's own widths; the paper's where a convolution is missing, for the message.
    with torch.device("meta"):
        published = VggFeatures(name, _published_widths(name)).state_dict()
    shapes = [state.get(key, like).shape for key, like in published.items() if like.ndim == 4]
    network = VggFeatures(name, [max((1, *shape[:1])) for shape in shapes])
    load_state(path, network, state, f"is no {name} in torchvision's or timm's layout")
    return network


def _published_widths(name: str) -> list[int]:
    channels = (64, 128, 256, 512, 512)
    return [width for width, count in zip(channels, STAGES[name]) for _ in range(count)]
