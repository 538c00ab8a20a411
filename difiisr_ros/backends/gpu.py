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

"""The CUDA device that TensorRT runs on."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from difiisr_ros.errors import BackendUnavailable


@dataclass(frozen=True)
class Gpu:
    """What an engine runs on."""

    device: torch.device
    name: str
    compute_capability: str


def find_gpu(device: str) -> Gpu:
    """The CUDA device of ``auto``, ``cuda`` or ``cuda:N``; BackendUnavailable if there is none."""
    if device == "cpu":
        raise BackendUnavailable("TensorRT runs on CUDA devices, and device is cpu")
    if not torch.cuda.is_available():
        raise BackendUnavailable("TensorRT needs a CUDA device, and torch sees none")
    chosen = torch.device(device if ":" in device else "cuda:0")
    if chosen.index >= torch.cuda.device_count():
        raise BackendUnavailable(
            f"{device} does not exist; {torch.cuda.device_count()} device(s) do"
        )
    major, minor = torch.cuda.get_device_capability(chosen)
    return Gpu(chosen, torch.cuda.get_device_name(chosen), f"{major}.{minor}")
