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

"""The exported graph in other runtimes than PyTorch, on this CPU, taken in turns in one process.

    python benchmarks/runtimes.py [--model nano] [--size 160x120 ...] [--num-steps K] [--threads N]

Runs what is installed of PyTorch (fp32, and bf16 where the CPU computes in it), ONNX Runtime (fp32)
and OpenVINO (f32, with the hint bf16, and bf16 for the network alone with PyTorch around it), each
from LR to SR. With ``--threads 1`` the CPU time
hardly depends on what else the machine does. Beside the times stand the mean difference from
PyTorch in fp32, and how far the result's reduction is from the LR frame, on a smooth frame: a
runtime that computes bicubic or the back-projection in bf16 loses what the camera has measured.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from difiisr_ros.backends.onnx_session import GraphSession
from difiisr_ros.backends.torch_backend import TorchBackend
from difiisr_ros.core.condition import NOTHING_KNOWN
from difiisr_ros.core.device import has_native_bf16
from difiisr_ros.core.resample import (
    back_project,
    downsample_folded,
    fold,
    unfold,
    upsample_folded,
)
from difiisr_ros.export.facts import LR, NOISE, GraphOptions
from difiisr_ros.export.onnx_writer import GraphShape, export_onnx, read_facts
from difiisr_ros.models.checkpoint import load_model

Run = Callable[[np.ndarray, np.ndarray], np.ndarray]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--size", nargs="+", default=["160x120", "320x256"], metavar="WxH")
    parser.add_argument("--num-steps", type=int, default=1)
    parser.add_argument("--model", default="lite", help="lite, nano or a file of difiisr train")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=6.0, help="for each size")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    rows = []
    for size in args.size:
        width, height = map(int, size.split("x"))
        for row in measure(args.model, height, width, args.num_steps, args.threads, args.seconds):
            rows.append({"size": size, "num_steps": args.num_steps, "threads": args.threads, **row})
            print(
                f"{size:>8}  {row['runtime']:<18} wall {row['wall_ms']:7.1f} ms  "
                f"CPU {row['cpu_ms']:7.1f} ms  from fp32 {row['difference']:.1e}  "
                f"from LR {row['inconsistency']:.1e}",
                flush=True,
            )
    if args.json:
        args.json.write_text(json.dumps(rows, indent=2) + "\n")


def measure(
    model: str, height: int, width: int, steps: int, threads: int, seconds: float
) -> list[dict]:
    """Median times and errors of every runtime that is here, at one size."""
    graph = export_onnx(model, GraphOptions(steps), GraphShape(1, height, width))
    runs = {
        **by_torch(model, steps),
        **by_onnx_runtime(graph, threads),
        **by_openvino(model, graph, threads),
    }
    rows, columns = np.mgrid[:height, :width]
    frame = 0.5 + 0.3 * np.sin(columns / 9) + 0.15 * np.cos(rows / 7)
    lr = frame.astype(np.float32)[None, None]
    rng = np.random.default_rng(0)
    count = read_facts(graph, "graph").noise_count
    noise = rng.standard_normal((count, 4 * height, 4 * width), dtype=np.float32)
    exact = runs["torch fp32"](lr, noise)
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in runs}
    until = time.perf_counter() + seconds
    while time.perf_counter() < until or len(times["torch fp32"]) < 3:
        for name, run in runs.items():
            run(lr, noise)  # until the threads of the runtime before have gone to sleep
            wall, cpu = time.perf_counter(), time.process_time()
            run(lr, noise)
            times[name].append((time.perf_counter() - wall, time.process_time() - cpu))
    return [
        {
            "runtime": name,
            "wall_ms": 1e3 * statistics.median(wall for wall, _ in times[name]),
            "cpu_ms": 1e3 * statistics.median(cpu for _, cpu in times[name]),
            "runs": len(times[name]),
            "difference": float(np.abs(run(lr, noise) - exact).mean()),
            "inconsistency": inconsistency(run(lr, noise), lr),
        }
        for name, run in runs.items()
    ]


def inconsistency(sr: np.ndarray, lr: np.ndarray) -> float:
    """Mean difference of the result's reduction from the frame, of its range."""
    reduced = downsample_folded(fold(torch.from_numpy(np.array(sr)))).numpy()
    return float(np.abs(reduced - lr).mean())


def by_torch(model: str, steps: int) -> dict[str, Run]:
    def make(precision: str) -> Run:
        backend = TorchBackend(model, device="cpu", precision=precision)
        backend.load()
        return lambda lr, noise: backend.run(lr, noise, steps, 1)

    precisions = ["fp32", "bf16"] if has_native_bf16() else ["fp32"]
    return {f"torch {precision}": make(precision) for precision in precisions}


def by_onnx_runtime(graph: bytes, threads: int) -> dict[str, Run]:
    session = GraphSession(graph, read_facts(graph, "graph"), "graph", "cpu", threads)
    return {"onnxruntime fp32": lambda lr, noise: session.run(lr, noise, 0.0)}


def by_openvino(name: str, graph: bytes, threads: int) -> dict[str, Run]:
    try:
        import openvino
    except ImportError:
        print("OpenVINO is not installed and is left out")
        return {}
    core = openvino.Core()

    def make(model: bytes, precision: str) -> Run:
        hints = {
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_NUM_THREADS": threads,
            "INFERENCE_PRECISION_HINT": precision,
        }
        compiled = core.compile_model(core.read_model(model), "CPU", hints)
        names = {value.any_name for value in compiled.inputs}

        def run(lr: np.ndarray, noise: np.ndarray) -> np.ndarray:
            feeds = {LR: lr, NOISE: noise[:, None]}
            return compiled({name: feeds[name] for name in names})[0]

        return run

    precisions = ("f32", "bf16") if has_native_bf16() else ("f32",)
    runs = {f"openvino {precision}": make(graph, precision) for precision in precisions}
    if read_facts(graph, "graph").num_steps == 1 and "bf16" in precisions:
        network = make(network_alone(name), "bf16")

        @torch.inference_mode()
        def both(lr: np.ndarray, noise: np.ndarray) -> np.ndarray:
            frame, residual = torch.from_numpy(lr), torch.from_numpy(network(lr, noise))
            return unfold(back_project(upsample_folded(frame) + residual, frame, 1)).numpy()

        runs["openvino+torch"] = both
    return runs


def network_alone(model: str) -> bytes:
    """The prior expert: LR to folded residual, nothing around it."""

    class Network(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.network, _ = load_model(model)

        def forward(self, lr: torch.Tensor) -> torch.Tensor:
            return self.network.predict_prior(lr, torch.from_numpy(NOTHING_KNOWN.values))

    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        file = Path(folder) / "network.onnx"
        torch.onnx.export(
            Network().eval(),
            (torch.rand(1, 1, 8, 8),),
            str(file),
            dynamo=False,
            opset_version=17,
            input_names=[LR],
            dynamic_axes={LR: {2: "height", 3: "width"}},
        )
        return file.read_bytes()


if __name__ == "__main__":
    main()
