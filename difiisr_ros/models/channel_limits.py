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

"""How large the channels of a prior expert's maps get; stored in the model's file, for 8 bits."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

PREFIX = "int8."


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
    def from_tensors(cls, entries: dict[str, Tensor], shape: tuple[int, int]) -> ChannelLimits:
        """Read :meth:`tensors` back; ``shape`` is the network's blocks and channels.

        Raises:
            ValueError: unknown or missing entries, or another shape.
        """
        for name in {f"{PREFIX}streams", f"{PREFIX}hiddens"} ^ entries.keys():
            raise ValueError(f"{name} is {'unknown' if name in entries else 'missing'}")
        for name, limits in entries.items():
            if limits.shape != shape:
                raise ValueError(f"{name} has the shape {tuple(limits.shape)}, not {shape}")
        return cls(*(tuple(entries[f"{PREFIX}{name}"]) for name in ("streams", "hiddens")))
