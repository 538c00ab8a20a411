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

"""Distillation: the embedded model learns a published model's results instead of sharp frames.

The teacher is slow, so its answers are kept in a pool: each training step asks it for a few new
ones, which take the place of the oldest, and draws its batch from the pool.
"""

from __future__ import annotations

from collections import deque
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from difiisr_ros.core.device import DTYPES, choose_precision
from difiisr_ros.core.resample import fold
from difiisr_ros.errors import OptionError
from difiisr_ros.lab.training.data import CropSampler
from difiisr_ros.lab.training.degradation import degrade
from difiisr_ros.models.published.files import describe, load_published, prepare
from difiisr_ros.models.published.frames import noise_images, upscale_frames
from difiisr_ros.models.published.kind import is_published

_CONSISTENCY = 1  # as the student is used


class Teacher:
    """A published model that answers LR crops.

    Args:
        model: file that ``difiisr convert`` wrote.
        num_steps: that it takes, 1 as the release does.
        fresh: new answers that it gives for each training step; 0 asks once for a batch.
        pool: answers that are kept.

    Raises:
        ModelError: not a usable model.
        OptionError: not a published model, or num_steps beyond its schedule.
    """

    def __init__(
        self,
        model: str,
        device: torch.device,
        *,
        num_steps: int = 1,
        fresh: int = 1,
        pool: int = 256,
        precision: str = "auto",
    ) -> None:
        if not is_published(model):
            raise OptionError(
                f"--distill takes a file that 'difiisr convert' has written; {model} is none"
            )
        network, facts = load_published(model)
        if not 1 <= num_steps <= network.config.steps:
            raise OptionError(f"the teacher takes 1..{network.config.steps} steps, got {num_steps}")
        dtype = DTYPES[choose_precision(precision, device)]
        self._network = prepare(network, device, dtype)
        self._schedule = network.config.schedule().respaced(num_steps)
        self._device, self._fresh = device, fresh
        self._pool: deque[tuple[Tensor, Tensor, Tensor]] = deque(maxlen=pool)
        self.facts: dict[str, Any] = {
            **describe(Path(model)),
            "num_steps": num_steps,
            "facts": facts,
        }

    def answer(self, lr: Tensor, generator: torch.Generator) -> Tensor:
        """Its results for N x 1 x H x W, in normalised intensity: N x 1 x 4H x 4W."""
        height, width = (4 * side for side in lr.shape[-2:])
        count = noise_images(len(self._schedule), self._network.config.stochasticity)
        with torch.no_grad():
            return torch.cat(
                [
                    upscale_frames(
                        self._network,
                        frame[None].to(self._device),
                        torch.randn(count, height, width, generator=generator).to(self._device),
                        self._schedule,
                        _CONSISTENCY,
                    )
                    for frame in lr
                ]
            )

    def examples(
        self, sampler: CropSampler, size: int, degradation: str, generator: torch.Generator
    ) -> tuple[Tensor, Tensor, Tensor]:
        """A batch of LR crops N x 1 x H x W, its answers, folded, and what is told of the crops'
        cameras, on its device."""
        wanted = max(self._fresh, size - len(self._pool))
        if wanted:
            batch = sampler.draw(min(wanted, size))
            read = degrade(batch, degradation, generator)
            answers = fold(self.answer(read.lr, generator)).cpu()
            self._pool.extend(zip(read.lr, answers, read.camera))
        chosen = torch.randperm(len(self._pool), generator=generator)[:size].tolist()
        kept = [self._pool[i] for i in chosen]
        frames, taught, told = (torch.stack(part).to(self._device) for part in zip(*kept))
        return frames, taught, told
