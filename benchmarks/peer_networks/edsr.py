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

"""EDSR-baseline (arXiv 1707.02921): 16 residual blocks of 64 features, no normalisation."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn


class _Block(nn.Module):
    def __init__(self, features: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(features, features, 3, padding=1)
        self.conv2 = nn.Conv2d(features, features, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv2(F.relu(self.conv1(x), inplace=True))


class EdsrBaseline(nn.Module):
    """The x4 model: two x2 pixel shuffles, the last convolution at the full output size."""

    def __init__(self, features: int = 64, blocks: int = 16, channels: int = 3) -> None:
        super().__init__()
        self.head = nn.Conv2d(channels, features, 3, padding=1)
        self.body = nn.Sequential(
            *(_Block(features) for _ in range(blocks)), nn.Conv2d(features, features, 3, padding=1)
        )
        self.up = nn.Sequential(
            nn.Conv2d(features, 4 * features, 3, padding=1),
            nn.PixelShuffle(2),
            nn.Conv2d(features, 4 * features, 3, padding=1),
            nn.PixelShuffle(2),
        )
        self.tail = nn.Conv2d(features, channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        head = self.head(x)
        return self.tail(self.up(head + self.body(head)))
