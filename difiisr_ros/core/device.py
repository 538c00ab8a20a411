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

"""Which device to compute on, and in which precision."""

from __future__ import annotations

import torch

from difiisr_ros.errors import BackendUnavailable

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


def current_device() -> torch.device:
    """This process's CUDA device where there is one, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def choose_device(device: str = "auto") -> torch.device:
    """``auto``, ``cpu``, ``cuda`` or ``cuda:N`` as a device. Raises BackendUnavailable."""
    if device == "auto":
        return torch.device("cuda:0" if torch.cuda.is_available() else "cpu")
    if device == "cpu":
        return torch.device("cpu")
    if not torch.cuda.is_available():
        raise BackendUnavailable(f"device {device} was asked for, but torch sees no CUDA device")
    chosen = torch.device(device if ":" in device else f"{device}:0")
    if chosen.index >= torch.cuda.device_count():
        raise BackendUnavailable(
            f"{device} does not exist; {torch.cuda.device_count()} device(s) do"
        )
    return chosen


def choose_precision(precision: str, device: torch.device) -> str:
    """The key of :data:`DTYPES` to run a network in on a device. Raises BackendUnavailable."""
    if precision == "auto":
        if device.type == "cuda":
            return "fp16"
        # Without native bfloat16 instructions it is emulated and slower than float32.
        return "bf16" if has_native_bf16() else "fp32"
    if precision not in DTYPES:
        raise BackendUnavailable(f"{precision} is not for this model; use bf16 or fp32")
    if precision == "fp16" and device.type == "cpu":
        raise BackendUnavailable("fp16 is not for CPUs; use bf16 or fp32")
    return precision


def has_native_bf16() -> bool:
    """Whether this CPU multiplies bfloat16 itself (AVX-512 BF16, AMX, Arm BF16)."""
    if not torch.ops.mkldnn._is_mkldnn_bf16_supported():
        return False
    get_capabilities = getattr(torch.cpu, "get_capabilities", None)
    if get_capabilities is None:  # torch < 2.10
        return bool(torch.cpu._is_avx512_bf16_supported())
    found = get_capabilities()
    return any(found.get(name) for name in ("avx512_bf16", "amx_bf16", "bf16", "sve_bf16"))


def is_for_itself() -> bool:
    """Whether what is computed now is needed by no gradient and by no graph: the result is all."""
    return not torch.is_grad_enabled() and not torch.jit.is_tracing()
