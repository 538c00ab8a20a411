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

"""The detector's network: anchor-free, one output map at stride 4, small enough for a CPU.

Thermal objects seen from the air or from far are tiny (a person in HIT-UAV is 12x19 pixels), so
everything is predicted at stride 4, where such an object still covers 3x5 cells, and deeper
stages only bring context. As in CenterNet (arXiv 1904.07850) an object is a peak of its class's
heatmap; as in FCOS (arXiv 1904.01355) its box is given by the distances from the cell's centre to
the four sides.

The backbone's feature maps are open (:meth:`ThermalDetector.features`): they serve as a
perceptual prior, and are differentiable in the frame.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from difiisr_ros.errors import OptionError

CLASSES = ("person", "car", "bicycle", "other_vehicle")
STRIDE = 4
"""Input pixels a cell of the output maps, along each side."""
#: Sides are padded to a multiple of the deepest stage's stride.
SIZE_MULTIPLE = 32
#: A box side's distance is this many pixels where the network outputs 0: half a usual object.
TYPICAL_DISTANCE = 8.0
_PRIOR_PROBABILITY = 0.01  # of a peak, before training: keeps the first steps from diverging


@dataclass(frozen=True)
class DetectorConfig:
    """Architecture; stored in the model file."""

    channels: tuple[int, ...] = (16, 32, 48, 96, 128)
    """Of the stages at stride 2, 4, 8, 16 and 32."""
    blocks: tuple[int, ...] = (0, 1, 2, 2, 1)
    """Residual blocks of each stage."""
    head_channels: int = 32
    classes: tuple[str, ...] = CLASSES

    def __post_init__(self) -> None:
        # JSON has no tuples.
        for name in ("channels", "blocks", "classes"):
            object.__setattr__(self, name, tuple(getattr(self, name)))
        if len(self.channels) != 5 or len(self.blocks) != 5:
            raise ValueError("channels and blocks name five stages")

    def as_dict(self) -> dict[str, Any]:
        """The fields, for the model file."""
        return asdict(self)


class Prediction(NamedTuple):
    """What the network says of N frames, one cell per :data:`STRIDE` pixels, float32."""

    logits: Tensor
    """N x classes x H/4 x W/4: a peak's logit is the score of an object centred there."""
    distances: Tensor
    """N x 4 x H/4 x W/4, pixels: from the cell's centre to the left, top, right, bottom side."""


class ConvNorm(nn.Module):
    """3x3 (or 1x1) convolution and batch normalisation."""

    def __init__(self, inputs: int, outputs: int, kernel: int = 3, stride: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False)
        self.norm: nn.Module = nn.BatchNorm2d(outputs)
        nn.init.kaiming_normal_(self.conv.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x: Tensor) -> Tensor:
        """N x inputs x H x W to N x outputs x H/stride x W/stride."""
        return self.norm(self.conv(x))

    def fuse(self) -> None:
        """Fold the normalisation into the convolution; for evaluation only."""
        if isinstance(self.norm, nn.BatchNorm2d):
            self.conv = fuse_conv_bn_eval(self.conv, self.norm)
            self.norm = nn.Identity()


class ResidualBlock(nn.Module):
    """conv - ReLU - conv, added to its input, ReLU (arXiv 1512.03385)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = ConvNorm(channels, channels)
        self.conv2 = ConvNorm(channels, channels)
        nn.init.zeros_(self.conv2.norm.weight)  # type: ignore[arg-type]  # starts as the identity

    def forward(self, x: Tensor) -> Tensor:
        """N x C x H x W to the same."""
        return F.relu(x + self.conv2(F.relu(self.conv1(x), inplace=True)), inplace=True)


class Stage(nn.Module):
    """Halves the resolution, then residual blocks."""

    def __init__(self, inputs: int, outputs: int, blocks: int) -> None:
        super().__init__()
        self.down = ConvNorm(inputs, outputs, stride=2)
        self.blocks = nn.Sequential(*(ResidualBlock(outputs) for _ in range(blocks)))

    def forward(self, x: Tensor) -> Tensor:
        """N x inputs x H x W to N x outputs x H/2 x W/2."""
        return self.blocks(F.relu(self.down(x), inplace=True))


class ThermalDetector(nn.Module):
    """See the module's text. Frames are N x 1 x H x W in normalised intensity (0..1 is the
    scene's range, values outside are legal), any H and W.
    """

    #: Names of the backbone's feature maps, in order; the number is their stride in pixels.
    FEATURES = ("stride2", "stride4", "stride8", "stride16", "stride32")

    def __init__(self, config: DetectorConfig | None = None) -> None:
        super().__init__()
        self.config = config or DetectorConfig()
        c, head = self.config.channels, self.config.head_channels
        self.stages = nn.ModuleList(
            Stage(inputs, outputs, blocks)
            for inputs, outputs, blocks in zip((1, *c[:-1]), c, self.config.blocks)
        )
        # Top-down path (feature pyramid, arXiv 1612.03144) from stride 32 to stride 4.
        self.laterals = nn.ModuleList(ConvNorm(inputs, head, kernel=1) for inputs in c[1:])
        self.merge = ConvNorm(head, head)
        self.class_conv = ConvNorm(head, head)
        self.box_conv = ConvNorm(head, head)
        self.class_out = nn.Conv2d(head, len(self.config.classes), 1)
        self.box_out = nn.Conv2d(head, 4, 1)
        nn.init.normal_(self.class_out.weight, std=0.01)
        bias = torch.logit(torch.tensor(_PRIOR_PROBABILITY)).item()
        nn.init.constant_(self.class_out.bias, bias)  # type: ignore[arg-type]
        nn.init.normal_(self.box_out.weight, std=0.01)
        nn.init.zeros_(self.box_out.bias)  # type: ignore[arg-type]

    def features(self, x: Tensor, names: Sequence[str] | None = None) -> list[Tensor]:
        """Feature maps of the backbone, differentiable in ``x``.

        Args:
            x: N x 1 x H x W; sides are padded to a multiple of 32 by repeating the last row and
                column.
            names: which of :data:`FEATURES`, in the order wanted; None for all. Stages deeper
                than the deepest one named are not computed.

        Returns:
            One N x C x H/stride x W/stride map for each name (of the padded H and W).

        Raises:
            OptionError: an unknown name.
        """
        names = self.FEATURES if names is None else tuple(names)
        unknown = [name for name in names if name not in self.FEATURES]
        if unknown:
            raise OptionError(f"feature maps are {', '.join(self.FEATURES)}, got {unknown[0]!r}")
        if not names:
            return []
        last = max(self.FEATURES.index(name) for name in names)
        maps = self._backbone(x, last + 1)
        return [maps[self.FEATURES.index(name)] for name in names]

    def forward(self, x: Tensor) -> Prediction:
        """N x 1 x H x W to maps of the padded frame (see :meth:`features`)."""
        maps = self._backbone(x, len(self.stages))[1:]
        top = self.laterals[-1](maps[-1])
        for lateral, fine in zip(reversed(self.laterals[:-1]), reversed(maps[:-1])):
            top = F.interpolate(top, scale_factor=2.0, mode="nearest") + lateral(fine)
        top = F.relu(self.merge(F.relu(top)), inplace=True)
        logits = self.class_out(F.relu(self.class_conv(top), inplace=True)).float()
        # Sizes spread over a factor of 20: their logarithm is what a linear layer can give.
        log_distances = self.box_out(F.relu(self.box_conv(top), inplace=True)).float()
        return Prediction(logits, TYPICAL_DISTANCE * log_distances.clamp(-4, 4).exp())

    def _backbone(self, x: Tensor, stages: int) -> list[Tensor]:
        height, width = x.shape[-2:]
        extra = -height % SIZE_MULTIPLE, -width % SIZE_MULTIPLE
        if any(extra):
            x = F.pad(x, (0, extra[1], 0, extra[0]), mode="replicate")
        x = (x - 0.5).to(self.class_out.weight.dtype)
        maps = []
        for stage in self.stages[:stages]:
            x = stage(x)
            maps.append(x)
        return maps

    def fuse(self) -> ThermalDetector:
        """Fold normalisations into convolutions, in place: the same result, faster.

        The network must be in evaluation mode and cannot be trained afterwards.
        """
        for module in self.modules():
            if isinstance(module, ConvNorm):
                module.fuse()
        return self
