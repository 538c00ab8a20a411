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

"""VGG-16 (arXiv 1409.1556), the network of most perceptual losses.

Written from the paper, with the keys of torchvision's and timm's weight files
(``features.<index>.weight``). The classifier, where the file has one, is left out. HED's files
(arXiv 1504.06375), which hold its convolutions fine-tuned on edges, are converted.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from difiisr_ros.errors import ModelError
from difiisr_ros.models.checkpoint import load_state
from difiisr_ros.models.features.base import (
    IMAGENET_MEAN,
    IMAGENET_STD,
    FeatureNetwork,
    as_imagenet,
    check_frames,
    crop_to_frame,
    pad_to_multiple,
)
from difiisr_ros.models.features.state_files import State, read_state

#: Convolutions of each of the five stages, between which the resolution is halved.
STAGES = (2, 2, 3, 3, 3)
_PUBLISHED = (64, 128, 256, 512, 512)
_CLASSIFIER = re.compile(r"(classifier|pre_logits|head)\.")
_HED_MEAN_BGR = (104.00699, 116.66877, 122.67892)


class VggFeatures(FeatureNetwork):
    """Activations after the last ReLU of every stage, relu1_2 to relu5_3.

    They are those that LPIPS (arXiv 1801.03924) compares. The frame is padded to a multiple of 16
    by repeating its last row and column.

    Args:
        widths: channels of every convolution.
    """

    name = "vgg16"
    layers = tuple(f"relu{stage}_{n}" for stage, n in enumerate(STAGES, start=1))
    strides = tuple(2**stage for stage in range(len(STAGES)))

    def __init__(self, widths: list[int]) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        inputs, following = 3, iter(widths)
        for count in STAGES:
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


def load_vgg(path: Path) -> VggFeatures:
    """From torchvision's or timm's state dict, of any width, or from HED's ``.h5``.

    Raises:
        ModelError: the file cannot be read, or is not of this network.
    """
    whole = _read_hed(path) if path.suffix == ".h5" else read_state(path)
    state = {k: v for k, v in whole.items() if not _CLASSIFIER.match(k)}
    # The file's own widths; the paper's where a convolution is missing, for the message.
    with torch.device("meta"):
        published = VggFeatures(_published_widths()).state_dict()
    shapes = [state.get(key, like).shape for key, like in published.items() if like.ndim == 4]
    network = VggFeatures([max((1, *shape[:1])) for shape in shapes])
    load_state(path, network, state, "is no VGG-16 in torchvision's or timm's layout")
    return network


def _published_widths() -> list[int]:
    return [width for width, count in zip(_PUBLISHED, STAGES) for _ in range(count)]


def _read_hed(path: Path) -> State:
    """The convolutions of HED's file (Keras), under torchvision's keys."""
    try:
        import h5py
    except ImportError as error:
        raise ModelError(f"{path}: needs h5py to be read: pip install h5py") from error
    if not path.is_file():
        raise ModelError(f"{path}: no such file of weights; nothing is downloaded")
    state: State = {}
    index = 0
    try:
        with h5py.File(path, "r") as file:
            for stage, count in enumerate(STAGES, start=1):
                for number in range(count):
                    name = "conv2d" if number == 0 else f"conv2d_{number}"
                    kernel, bias = (
                        torch.from_numpy(_array(file, f"block{stage}/layers/{name}/vars/{part}"))
                        for part in (0, 1)
                    )
                    state[f"features.{index}.weight"] = kernel.permute(3, 2, 0, 1).contiguous()
                    state[f"features.{index}.bias"] = bias
                    index += 2
                index += 1  # the pooling between
    except (OSError, KeyError, AttributeError, TypeError, ValueError, RuntimeError) as error:
        raise ModelError(f"{path}: cannot be read as HED's weights: {error}") from error
    first = "features.0.weight"
    if state[first].shape[1] == 3:
        state[first], state["features.0.bias"] = _for_imagenets_input(
            state[first], state["features.0.bias"]
        )
    return state


def _array(file: Any, name: str) -> Any:
    return file[name][()].astype("float32")


def _for_imagenets_input(kernel: Tensor, bias: Tensor) -> tuple[Tensor, Tensor]:
    """A first convolution of BGR in 0..255 minus a mean, as one of normalised RGB.

    Equal but for the frame's outermost pixels, where zeros of one are 1 of 255 of the other.
    """
    mean, std = torch.tensor(IMAGENET_MEAN), torch.tensor(IMAGENET_STD)
    turned = kernel.flip(1)
    offset = 255 * mean - torch.tensor(_HED_MEAN_BGR[::-1])
    return turned * (255 * std)[:, None, None], bias + (turned.sum(dim=(2, 3)) @ offset)
