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

"""The little that training under ``torchrun`` needs; without it, one process."""

from __future__ import annotations

import os
from collections.abc import Iterable

import torch
import torch.distributed as dist


def start() -> tuple[int, int]:
    """Join the process group that torchrun describes. Returns (rank, world size), (0, 1) alone."""
    world = int(os.environ.get("WORLD_SIZE", "1"))
    if world == 1:
        return 0, 1
    on_gpus = torch.cuda.is_available()
    if on_gpus:  # else all processes of a machine take its first one
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    dist.init_process_group("nccl" if on_gpus else "gloo")
    return dist.get_rank(), world


def average_gradients(parameters: Iterable[torch.nn.Parameter], world: int) -> None:
    """Mean of the gradients over all processes; does nothing alone."""
    if world == 1:
        return
    for parameter in parameters:
        if parameter.grad is not None:
            dist.all_reduce(parameter.grad)
            parameter.grad /= world


def broadcast(value: float, world: int) -> float:
    """The first process's value, so that all stop at the same step."""
    if world == 1:
        return value
    box = torch.tensor([value], dtype=torch.float64)
    if torch.cuda.is_available():
        box = box.cuda()
    dist.broadcast(box, 0)
    return float(box.item())


def stop(world: int) -> None:
    """Leave the process group."""
    if world > 1:
        dist.destroy_process_group()
