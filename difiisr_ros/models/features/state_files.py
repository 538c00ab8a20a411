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

"""Weights of other people's networks from local files, read without running code from them."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from difiisr_ros.errors import ModelError
from difiisr_ros.models.tensor_file import TensorFileError, read_tensors

SAFETENSORS = (".safetensors",)
PICKLED = (".pth", ".pt", ".bin")
ACCEPTED = "accepted: .safetensors, or a plain state dict in .pth, .pt, .bin"
State = dict[str, Tensor]


def read_state(path: Path) -> State:
    """A state dict, key to float32 tensor, on the CPU.

    Pickled files are opened with torch's ``weights_only``: tensors and nothing else.

    Raises:
        ModelError: missing, not readable, or not a state dict; says what is accepted.
    """
    if not path.is_file():
        raise ModelError(f"{path}: no such file of weights; nothing is downloaded ({ACCEPTED})")
    try:
        if path.suffix in SAFETENSORS:
            state: Any = read_tensors(path)[0]
        elif path.suffix in PICKLED:
            state = torch.load(path, map_location="cpu", weights_only=True)
        else:
            raise ModelError(f"{path}: cannot tell what kind of file this is ({ACCEPTED})")
    except (TensorFileError, OSError, EOFError, RuntimeError, pickle.UnpicklingError) as error:
        reason = str(error).partition("\n")[0]
        raise ModelError(f"{path}: cannot be read as weights: {reason} ({ACCEPTED})") from error
    if not isinstance(state, dict) or not all(isinstance(v, Tensor) for v in state.values()):
        raise ModelError(f"{path}: is not a plain state dict of tensors ({ACCEPTED})")
    return {key: value.float() for key, value in state.items()}
