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

"""What perceptual guidance sees through: any network that turns frames into feature maps."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from difiisr_ros.errors import FrameError

#: Mean and standard deviation of RGB that ImageNet's networks, SAM's among them, are trained with.
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


class FeatureNetwork(nn.Module, ABC):
    """A frozen network that gives feature maps of thermal frames.

    Everything that the network wants of its input (channels, mean and standard deviation, size) is
    done inside :meth:`maps`. As a torch module it moves by ``to(device, dtype)``.
    """

    #: What it is, for messages and reports.
    name: str
    #: By which ``load_features`` finds these very weights again.
    spec: str = "thermal"
    #: Names of the maps, in the order of :meth:`maps`, the finest first.
    layers: tuple[str, ...]
    #: Pixels of the network's input that a cell of each map is wide. The input is the frame, but
    #: for networks that say that they resize it.
    strides: tuple[int, ...]

    @abstractmethod
    def maps(self, x: Tensor) -> list[Tensor]:
        """Feature maps, differentiable in ``x``.

        Args:
            x: N x 1 x H x W, float, normalised intensity (0..1 is the scene's range, values
                outside are legal); any H and W.

        Returns:
            One N x C x ceil(H / stride) x ceil(W / stride) map per layer, in the dtype of the
            network's weights; H and W are those of the resized frame where the network resizes.

        Raises:
            FrameError: not such a tensor.
        """


def check_frames(x: Tensor) -> None:
    """Raise FrameError unless ``x`` is N x 1 x H x W of a floating type."""
    if x.ndim != 4 or x.shape[1] != 1 or not x.is_floating_point() or 0 in x.shape:
        raise FrameError(
            f"feature maps need N x 1 x H x W of a floating type, got {tuple(x.shape)} {x.dtype}"
        )


def as_imagenet(x: Tensor) -> Tensor:
    """N x 1 x H x W in normalised intensity to three channels as ImageNet's networks want them.

    Intensity stands in for each of red, green and blue; nothing is clipped, so that gradients are
    those of the frame everywhere.
    """
    mean = torch.tensor(IMAGENET_MEAN, dtype=x.dtype, device=x.device)[:, None, None]
    std = torch.tensor(IMAGENET_STD, dtype=x.dtype, device=x.device)[:, None, None]
    return (x - mean) / std


def pad_to_multiple(x: Tensor, multiple: int) -> Tensor:
    """Extend right and below by the last column and row."""
    height, width = x.shape[-2:]
    below, right = -height % multiple, -width % multiple
    return F.pad(x, (0, right, 0, below), mode="replicate") if below or right else x


def crop_to_frame(feature: Tensor, stride: int, height: int, width: int) -> Tensor:
    """Leave out the cells that see nothing but padding."""
    return feature[..., : -(-height // stride), : -(-width // stride)]
