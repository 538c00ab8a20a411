"""How large the channels of a prior expert's maps get; stored in the model's file, for 8 bits."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from difiisr_ros.models.lite import CameraNet

PREFIX = "int8."
_FRAMES = 0.9

Example = tuple[Tensor, Tensor]
"""What the network reads of LR frames, N x 1 x H x W, and the embedding of their cameras, N x E."""


@dataclass(frozen=True)
class ChannelLimits:
    """Magnitudes that channels stay below in nine of ten frames, C for each block."""

    streams: tuple[Tensor, ...]
    """Of the stream before a block."""
    hiddens: tuple[Tensor, ...]
    """Of what is between a block's two convolutions."""

    def tensors(self) -> dict[str, Tensor]:
        """As entries of a model file, float32."""
        both = {"streams": self.streams, "hiddens": self.hiddens}
        return {
            f"{PREFIX}{name}": torch.stack(list(limits)).float().cpu().contiguous()
            for name, limits in both.items()
        }

    @classmethod
    def from_tensors(cls, entries: dict[str, Tensor], network: CameraNet) -> ChannelLimits:
        """Read :meth:`tensors` back.

        Raises:
            ValueError: unknown or missing entries, or shapes that are not the network's.
        """
        shape = len(network.blocks), network.head.out_channels
        for name in {f"{PREFIX}streams", f"{PREFIX}hiddens"} ^ entries.keys():
            raise ValueError(f"{name} is {'unknown' if name in entries else 'missing'}")
        for name, limits in entries.items():
            if limits.shape != shape:
                raise ValueError(f"{name} has the shape {tuple(limits.shape)}, not {shape}")
        return cls(*(tuple(entries[f"{PREFIX}{name}"]) for name in ("streams", "hiddens")))


@torch.no_grad()
def measure_limits(network: CameraNet, examples: Iterable[Example]) -> ChannelLimits:
    """Run the network, float32 in evaluation mode, on examples; ValueError if there are none."""
    streams: list[list[Tensor]] = [[] for _ in network.blocks]
    hiddens: list[list[Tensor]] = [[] for _ in network.blocks]
    for x, embedding in examples:
        total = network.head(x)
        for i, block in enumerate(network.blocks):
            streams[i].append(_largest(total))
            scale, shift = block.modulation(embedding)[..., None, None].chunk(2, dim=1)  # type: ignore[operator]
            hidden = F.relu(block.conv1(total) * (1 + scale) + shift)  # type: ignore[operator]
            hiddens[i].append(_largest(hidden))
            total = total + block.conv2(hidden)  # type: ignore[operator]
    if not streams[0]:
        raise ValueError("no examples to measure channels on")
    return ChannelLimits(*(tuple(map(_over, maps)) for maps in (streams, hiddens)))


def _largest(maps: Tensor) -> Tensor:
    return maps.abs().amax(dim=(0, 2, 3))


def _over(found: list[Tensor]) -> Tensor:
    # Of all frames the largest would be that of the oddest: ten times as coarse on all others.
    return torch.stack(found).quantile(_FRAMES, dim=0)
