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

"""The fair opponent: a plain residual network at the camera's resolution over bicubic."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from difiisr_ros.core.resample import unfold, upsample_folded


class _Block(nn.Module):
    def __init__(self, features: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(features, features, 3, padding=1)
        self.conv2 = nn.Conv2d(features, features, 3, padding=1)
        nn.init.normal_(self.conv2.weight, std=0.1 * (9 * features) ** -0.5)
        nn.init.zeros_(self.conv2.bias)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv2(F.relu(self.conv1(x), inplace=True))


class PlainResidual(nn.Module):
    """What one would write first: residual blocks, a pixel shuffle, a bicubic skip; 1 channel.

    The network runs in its weights' precision and the skip in float32, as in this package's own
    model; ``residual_std`` scales the output to unit variance.
    """

    def __init__(self, features: int, blocks: int, residual_std: float = 0.04) -> None:
        super().__init__()
        self.residual_std = residual_std
        self.head = nn.Conv2d(1, features, 3, padding=1)
        self.body = nn.Sequential(*(_Block(features) for _ in range(blocks)))
        self.tail = nn.Conv2d(features, 16, 3, padding=1)
        nn.init.normal_(self.tail.weight, std=1e-3)
        nn.init.zeros_(self.tail.bias)

    def predict_folded(self, lr: Tensor) -> Tensor:
        """N x 1 x H x W to folded N x 16 x H x W, float32."""
        head = self.head((lr - 0.5).to(self.head.weight.dtype))
        residual = self.tail(head + self.body(head)).float()
        return upsample_folded(lr) + self.residual_std * residual

    def forward(self, lr: Tensor) -> Tensor:
        return unfold(self.predict_folded(lr))
