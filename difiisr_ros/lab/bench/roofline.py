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

"""How fast this machine could be at best: work per frame over what the machine is measured to do.

    python -m difiisr_ros.lab.bench.roofline '{"model": "lite", "sizes": [[160, 120]], ...}'

The roofline model (Williams, Waterman and Patterson, CACM 52(4), 2009): a frame takes no less than
its floating point operations over the machine's rate, and no less than the bytes that must move
over its bandwidth. Both rates are measured, on this machine and in the network's own precision.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode

from difiisr_ros.core.device import DTYPES
from difiisr_ros.core.scale import SCALE
from difiisr_ros.models.lite_int8 import Int8Conv

_MATRIX = {"cpu": 1024, "cuda": 8192}
_CHANNELS = 32  # of the convolution that is timed: those that the embedded model has most of
_COPIED = {"cpu": 1 << 27, "cuda": 1 << 31}  # bytes: more than any cache holds


def machine_rates(device: str, precision: str, seconds: float) -> dict[str, float]:
    """What the machine does at best.

    Args:
        device: ``cpu`` or ``cuda:N``.
        precision: ``fp32``, ``bf16``, ``fp16`` or ``int8``.
        seconds: time for each of the three measurements.

    Returns:
        ``matmul_gflops`` and ``conv_gflops`` (3x3, 32 channels, at a 320x256 camera's size, as the
        embedded model has them), ``copy_gb_s`` (read and written bytes), and on a CPU
        ``core_gflops``: the better of the first two per second of CPU time, which other processes
        change little.
    """
    kind = device.partition(":")[0]
    dtype = DTYPES.get(precision, torch.bfloat16)
    n = _MATRIX[kind]
    with torch.inference_mode():
        matrix = torch.rand(n, n, device=device).to(dtype)
        matmul, matmul_cpu = _best(lambda: matrix @ matrix, kind, seconds)
        weight = torch.rand(_CHANNELS, _CHANNELS, 3, 3, device=device).to(dtype)
        weight = weight.contiguous(memory_format=torch.channels_last)
        maps = torch.rand(1, _CHANNELS, 256, 320, device=device).to(dtype)
        maps = maps.contiguous(memory_format=torch.channels_last)
        conv, conv_cpu = _best(lambda: F.conv2d(maps, weight, padding=1), kind, seconds)
        source = torch.ones(_COPIED[kind] // 4, device=device)
        target = torch.empty_like(source)
        if precision == "int8":  # has no matrix product of its own here
            integer = Int8Conv(torch.rand(_CHANNELS, _CHANNELS, 3, 3), torch.zeros(_CHANNELS), 128)
            bytes_ = torch.zeros(maps.shape, dtype=torch.uint8)
            bytes_ = bytes_.contiguous(memory_format=torch.channels_last)
            conv, conv_cpu = _best(lambda: integer.relu(bytes_, torch.uint8), kind, seconds)
        copy, _ = _best(lambda: target.copy_(source), kind, seconds)
    gflop_matmul, gflop_conv = 2e-9 * n**3, 2e-9 * 9 * _CHANNELS**2 * 256 * 320
    rates = {
        "matmul_gflops": gflop_matmul / matmul,
        "conv_gflops": gflop_conv / conv,
        "copy_gb_s": 2e-9 * _COPIED[kind] / copy,
    }
    if kind == "cpu":
        rates["core_gflops"] = max(gflop_matmul / matmul_cpu, gflop_conv / conv_cpu)
    return rates


def _best(function: Callable[[], Any], kind: str, seconds: float) -> tuple[float, float]:
    """Shortest time and CPU time of a call, s."""
    wait = torch.cuda.synchronize if kind == "cuda" else (lambda: None)
    function()
    wait()
    best = best_cpu = float("inf")
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or best == float("inf"):
        start, cpu = time.perf_counter(), time.process_time()
        function()
        wait()
        best = min(best, time.perf_counter() - start)
        best_cpu = min(best_cpu, time.process_time() - cpu)
    return best, max(best_cpu, 1e-9)


class _TrafficCounter(TorchDispatchMode):
    """Bytes that all operators read and write, views aside."""

    def __init__(self) -> None:
        super().__init__()
        self.bytes = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        if not getattr(func, "is_view", False):
            tensors = [t for t in tree_leaves((args, kwargs, result)) if isinstance(t, Tensor)]
            self.bytes += sum(t.numel() * t.element_size() for t in tensors)
        return result


def work(
    model: str,
    size: tuple[int, int],
    num_steps: int,
    consistency: int,
    precision: str,
    scale: int = SCALE,
) -> dict[str, float]:
    """What one frame takes, whoever computes it, to become ``scale`` times as large.

    Returns:
        ``gflop`` (multiplications and additions of convolutions and matrix products),
        ``least_mb`` (the 16-bit frame, the weights once, the noise and the 16-bit result) and
        ``operator_mb`` (what PyTorch's operators read and write one by one, which caches hold a
        part of).
    """
    import numpy as np

    from difiisr_ros.backends.torch_backend import TorchBackend

    # In float32 on the CPU: the operations are the same, and this runs everywhere.
    backend = TorchBackend(model, device="cpu", precision="fp32")
    backend.load()
    width, height = size
    lr = np.zeros((1, 1, height, width), np.float32)
    side = SCALE * height, SCALE * width  # noise is of x4 at every scale
    noise = np.zeros((backend.noise_count(num_steps), *side), np.float32)

    def run() -> None:
        backend.run(lr, noise, num_steps, consistency, scale=scale)

    run()
    flops, traffic = FlopCounterMode(display=False), _TrafficCounter()
    with flops:
        run()
    with traffic:
        run()
    network = backend._loaded()
    parts = [network.camera_embedding, network.prior] if num_steps == 1 else [network]
    weights = sum(p.numel() for part in parts for p in part.parameters())
    least = 2 * lr.size + 2 * scale**2 * lr.size + 4 * noise.size
    item = 1 if precision == "int8" else DTYPES[precision].itemsize
    least += weights * item
    return {
        "gflop": flops.get_total_flops() / 1e9,
        "least_mb": least / 1e6,
        # Nearly all of it is the network's, whose tensors are of its precision.
        "operator_mb": traffic.bytes * item / 4 / 1e6,
    }


def main() -> int:
    """Measure what the first argument asks for and print one line of JSON."""
    asked = json.loads(sys.argv[1])
    if asked["threads"] > 0:
        torch.set_num_threads(asked["threads"])
    rates = {
        f"{device} {precision}": machine_rates(device, precision, asked["seconds"])
        for device, precision in asked["engines"]
    }
    works = [
        {
            "size": size,
            "num_steps": steps,
            **work(
                asked["model"],
                tuple(size),
                steps,
                asked["consistency"],
                asked["precision"],
                asked["scale"],
            ),
        }
        for size in asked["sizes"]
        for steps in asked["steps"]
    ]
    sys.stdout.write(json.dumps({"rates": rates, "work": works}) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
