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

"""SPAN (arXiv 2311.12770), as it runs: its training-time branches merged into 3x3 convolutions."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class _AttentionBlock(nn.Module):
    """Three convolutions; the result weights itself through an odd function, without weights."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(features, features, 3, padding=1)
        self.conv2 = nn.Conv2d(features, features, 3, padding=1)
        self.conv3 = nn.Conv2d(features, features, 3, padding=1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        first = F.silu(self.conv1(x))
        last = self.conv3(F.silu(self.conv2(first)))
        return (last + x) * (torch.sigmoid(last) - 0.5), first


class Span(nn.Module):
    """Six blocks of 48 features; early, middle and late features meet in a 1x1 convolution."""

    def __init__(self, features: int = 48, blocks: int = 6, scale: int = 4, channels: int = 3):
        super().__init__()
        self.head = nn.Conv2d(channels, features, 3, padding=1)
        self.blocks = nn.ModuleList(_AttentionBlock(features) for _ in range(blocks))
        self.after = nn.Conv2d(features, features, 3, padding=1)
        self.merge = nn.Conv2d(4 * features, features, 1)
        self.tail = nn.Conv2d(features, channels * scale**2, 3, padding=1)
        self.scale = scale

    def forward(self, x: Tensor) -> Tensor:
        head = self.head(x)
        out, _ = early, _ = self.blocks[0](head)
        for block in self.blocks[1:-1]:
            out, _ = block(out)
        out, middle = self.blocks[-1](out)
        merged = self.merge(torch.cat([head, self.after(out), early, middle], dim=1))
        return F.pixel_shuffle(self.tail(merged), self.scale)
