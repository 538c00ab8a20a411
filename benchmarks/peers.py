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

"""Time one frame by this package and by others, in turn, in one process.

    python benchmarks/peers.py [--sizes 160x120,320x256] [--published] [--json FILE]

The others are the networks of ``peer_networks/``, with random weights, which take the same time;
OpenCV's bicubic; and, with ``--published``, DifIISR as published, at 64x64 (it takes seconds). Of
the others the network alone is timed, in float32 and, where the CPU computes in it, in bfloat16,
channels_last, and the faster one counts; of ours everything, from a 16-bit frame to a 16-bit frame.

All take turns, round by round, so that a slow moment of the machine hits all alike. A ratio is the
median over the rounds of a peer's time over ours in the same round; ``best`` is the shortest time
seen, which is nearest to what a quiet machine does. CPU times count what all threads computed; with
``--threads 1`` they hardly depend on what else the machine does.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import torch
from peer_networks import Compact, EdsrBaseline, PlainResidual, Span, SwinIRLight
from torch import nn
from train_fair_opponent import PAIRS

from difiisr_ros import SuperResolver
from difiisr_ros.allocator import keep_large_buffers
from difiisr_ros.core.device import has_native_bf16
from difiisr_ros.models.lite_int8 import int8_is_supported
from difiisr_ros.scene.street import SyntheticScene

OURS = "difiisr_ros"
NETWORKS: dict[str, Callable[[], nn.Module]] = {
    "SRVGGNetCompact": Compact,
    "SPAN": Span,
    "EDSR-baseline": EdsrBaseline,
    "SwinIR-light": SwinIRLight,
    "fair opponent": PAIRS["lite"].opponent,
    "nano's fair opponent": PAIRS["nano"].opponent,
}
PRECISIONS = {"fp32": torch.float32, "bf16": torch.bfloat16}
Call = Callable[[], object]


class Times(NamedTuple):
    """Milliseconds of one call."""

    wall: float
    cpu: float


def on_tensor(network: nn.Module, size: tuple[int, int], precision: str, channels: int) -> Call:
    """One pass of a network in a precision."""
    dtype = PRECISIONS[precision]
    network = network.eval().to(dtype).to(memory_format=torch.channels_last)
    image = torch.rand(1, channels, size[1], size[0])
    if not isinstance(network, PlainResidual):  # it turns its own part to its precision
        image = image.to(dtype)
    image = image.contiguous(memory_format=torch.channels_last)

    def call() -> object:
        with torch.inference_mode():
            return network(image)

    return call


def upscale(frame: np.ndarray, num_steps: int = 1, **how: str) -> Call:
    """A whole upscale by this package; PyTorch unless ``how`` says otherwise."""
    how = {"backend": "torch", **how}
    resolver = SuperResolver.load(num_steps=num_steps, strict_backend=True, **how)
    return lambda: resolver.upscale(frame)


def published(size: tuple[int, int]) -> Call:
    """DifIISR's own networks with random weights: encode, one denoising step, decode; float32."""
    from difiisr_ros.models.published.network import PublishedModel

    model = PublishedModel().eval()
    image = torch.rand(1, 3, size[1], size[0])

    noise = [torch.zeros_like(image)]
    schedule = model.config.schedule().respaced(1)

    def call() -> object:
        with torch.inference_mode():
            return model(image, noise, schedule)

    return call


def calls_for(size: tuple[int, int], with_published: bool) -> dict[str, Call]:
    width, height = size
    frame = SyntheticScene(width, height, scale=1).frame(0)[0]
    whole = (4 * width, 4 * height)
    calls: dict[str, Call] = {
        OURS: upscale(frame),
        f"{OURS}, onnx": upscale(frame, backend="onnx"),
        f"{OURS}, 2 steps": upscale(frame, 2),
        f"{OURS}, 4 steps": upscale(frame, 4),
        **({f"{OURS}, int8": upscale(frame, precision="int8")} if int8_is_supported() else {}),
        f"{OURS}, nano": upscale(frame, model="nano"),
        f"{OURS}, nano, onnx": upscale(frame, model="nano", backend="onnx"),
        "OpenCV bicubic": lambda: cv2.resize(frame, whole, interpolation=cv2.INTER_CUBIC),
    }
    for name, make in NETWORKS.items():
        channels = 1 if "fair opponent" in name else 3
        for precision in PRECISIONS if has_native_bf16() else ("fp32",):
            calls[f"{name} {precision}"] = on_tensor(make(), size, precision, channels)
    if with_published:
        calls["DifIISR as published fp32"] = published(size)
    return calls


def take_turns(calls: dict[str, Call], rounds: int, budget: float) -> dict[str, list[Times]]:
    """Times of every call, by round; a slow one runs until it has used ``budget`` seconds.

    Raises:
        ValueError: no rounds.
    """
    if rounds < 1:
        raise ValueError(f"at least one round is needed, got {rounds}")
    for call in calls.values():
        call()
        call()
    times: dict[str, list[Times]] = {name: [] for name in calls}
    for _ in range(rounds):
        for name, call in calls.items():
            if sum(t.wall for t in times[name]) > 1e3 * budget and len(times[name]) >= 2:
                continue
            wall, cpu = time.perf_counter(), time.process_time()
            call()
            times[name].append(
                Times(1e3 * (time.perf_counter() - wall), 1e3 * (time.process_time() - cpu))
            )
    return times


def summarise(times: dict[str, list[Times]]) -> dict[str, dict[str, float]]:
    """Per peer in its faster precision: median and best ms, and the median ratios to ours."""
    ours = times[OURS]
    rows: dict[str, dict[str, float]] = {}
    for name, own in times.items():
        peer, _, precision = name.rpartition(" ")
        if precision not in PRECISIONS:
            peer, precision = name, ""
        row = {
            "median_ms": statistics.median(t.wall for t in own),
            "best_ms": min(t.wall for t in own),
            "cpu_ms": statistics.median(t.cpu for t in own),
            "ratio": statistics.median(a.wall / b.wall for a, b in zip(own, ours)),
            "best_ratio": min(t.wall for t in own) / min(t.wall for t in ours),
            "cpu_ratio": statistics.median(a.cpu / b.cpu for a, b in zip(own, ours)),
            "rounds": len(own),
        }
        if peer not in rows or row["cpu_ms"] < rows[peer]["cpu_ms"]:
            rows[peer] = {"precision": precision, **row}  # type: ignore[dict-item]
    return rows


def show(size: tuple[int, int], rows: dict[str, dict[str, float]]) -> None:
    print(f"\n{size[0]}x{size[1]} -> {4 * size[0]}x{4 * size[1]}")
    print(
        f"{'':<26} {'':>4} {'median ms':>10} {'best ms':>9} {'CPU ms':>9} {'ratio':>7} "
        f"{'best':>7} {'CPU':>7}"
    )
    for name, row in rows.items():
        print(
            f"{name:<26} {row['precision']:>4} {row['median_ms']:>10.2f} {row['best_ms']:>9.2f} "
            f"{row['cpu_ms']:>9.2f} {row['ratio']:>7.2f} {row['best_ratio']:>7.2f} "
            f"{row['cpu_ratio']:>7.2f}",
            flush=True,
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", default="160x120,320x256", metavar="WxH,...")
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--budget", type=float, default=10.0, help="seconds for each, at most")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--published", action="store_true", help="DifIISR as published, at 64x64")
    parser.add_argument("--json", type=Path, metavar="FILE")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    keep_large_buffers()  # as the node does: for all alike
    sizes = [(int(w), int(h)) for w, h in (s.split("x") for s in args.sizes.split(","))]
    if args.published and (64, 64) not in sizes:
        sizes.insert(0, (64, 64))
    results: dict[str, object] = {"threads": torch.get_num_threads(), "torch": torch.__version__}
    for size in sizes:
        calls = calls_for(size, args.published and size == (64, 64))
        rows = summarise(take_turns(calls, args.rounds, args.budget))
        show(size, rows)
        results[f"{size[0]}x{size[1]}"] = rows
    if args.json:
        args.json.write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
