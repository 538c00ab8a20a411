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

"""Score a detector on annotated frames and store the figures in its file; prints a table.

    python benchmarks/record_detector.py FILE --data FOLDER --boxes FILE --name hit_uav/test

Scored by ``difiisr detect`` on HR frames, and on frames reduced by antialiased bicubic and
upscaled; docs/figures.md shows what is in the files. A second table gives what the network costs
here; --json writes it for `tools/write_figures.py --record detector`.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import nn

from difiisr_ros.cli import main as difiisr
from difiisr_ros.lab.detection.coco import METRICS
from difiisr_ros.models.detector.checkpoint import load_detector
from difiisr_ros.models.detector.detector import Detector
from difiisr_ros.models.detector.model import ThermalDetector

METHODS = "bicubic,bicubic_pillow,difiisr"
ROUNDS = 25
SIZE = (512, 640)  # of the cost table: height, width


def measure(detector: str, data: Path, boxes: Path) -> dict:
    """``difiisr detect``'s report."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        command = ["detect", str(data), "--boxes", str(boxes), "--detector", detector]
        command += ["--degradation", "reduced"]
        if difiisr([*command, "--methods", METHODS, "--json", str(report)]) != 0:
            raise SystemExit(f"failed: difiisr {' '.join(command)}")
        return json.loads(report.read_text())


def table(report: dict) -> str:
    """Markdown: means with intervals, then AP50 by class."""
    methods = report["methods"]
    by_class = [metric for metric in methods["hr"] if metric.startswith("ap50/")]
    lines = ["| frames | " + " | ".join(METRICS) + " |", "| --- |" + " --- |" * len(METRICS)]
    for name, values in methods.items():
        lines.append(f"| {name} | " + " | ".join(_cell(values[m]) for m in METRICS) + " |")
    for name, values in report["against_hr"].items():
        cells = " | ".join(_cell(values[m], "+") for m in METRICS)
        lines.append(f"| {name} - hr | {cells} |")
    lines += ["", "| AP50 | " + " | ".join(m.partition("/")[2] for m in by_class) + " |"]
    lines.append("| --- |" + " --- |" * len(by_class))
    for name, values in methods.items():
        lines.append(f"| {name} | " + " | ".join(_cell(values[m]) for m in by_class) + " |")
    return "\n".join(lines)


def _cell(entry: dict, sign: str = "") -> str:
    return f"{entry['value']:{sign}.3f} ({entry['low']:{sign}.3f} to {entry['high']:{sign}.3f})"


def cost(detector: str) -> list[dict]:
    """Work and best time of the features up to each map, and of all output maps."""
    rows = []
    network, _ = load_detector(detector)
    work: list[int] = []
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            module.register_forward_hook(
                lambda conv, _, out: work.append(out.numel() * conv.weight[0].numel())
            )
    exact = Detector.load(detector, precision="fp32").network
    reduced = Detector.load(detector, precision="bf16").network
    ways = [(exact, False), (reduced, False), (reduced, True)]
    names = network.FEATURES
    counts = (*range(1, len(names) + 1), None)
    # The best of many, in turn: other work on the machine only ever adds, and comes in bursts.
    times = np.array(
        [
            [[_run(n, c, g) for n, g in ways for _ in range(2)] for c in counts]
            for _ in range(ROUNDS)
        ]
    )
    best = times.reshape(ROUNDS, len(counts), len(ways), 2).min(axis=(0, 3)) * 1e3
    for count, row in zip(counts, best):
        title = "detection" if count is None else f"features to {names[count - 1]}"
        work.clear()
        _run(network, count)
        times_ms = zip(("fp32_ms", "bf16_ms", "bf16_gradient_ms"), row)
        rows.append(
            {"what": title, "gmac": round(sum(work) / 1e9, 2)}
            | {key: round(float(value), 1) for key, value in times_ms}
        )
    return rows


def cost_table(rows: list[dict]) -> str:
    """Markdown."""
    size = f"{SIZE[1]}x{SIZE[0]}"
    lines = [
        f"| {size} | multiply-adds, G | fp32, ms | bf16, ms | bf16 with gradient, ms |",
        "| --- | --- | --- | --- | --- |",
    ]
    return "\n".join([*lines, *("| " + " | ".join(map(str, r.values())) + " |" for r in rows)])


def _run(network: ThermalDetector, count: int | None, gradient: bool = False) -> float:
    """Seconds of one frame; with the gradient of the maps' sum in the frame."""
    x = torch.rand(1, 1, *SIZE).to(next(network.parameters()).device).requires_grad_(gradient)
    start = time.perf_counter()
    with torch.set_grad_enabled(gradient):
        names = network.FEATURES[:count]
        maps = list(network(x)) if count is None else network.features(x, names)
        if gradient:
            torch.autograd.grad(sum(m.float().sum() for m in maps), x)
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("detector", type=Path)
    parser.add_argument("--data", type=Path, required=True, metavar="FOLDER")
    parser.add_argument("--boxes", type=Path, required=True, metavar="FILE")
    parser.add_argument("--name", required=True, help="what to call the data in the file")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write what it costs")
    args = parser.parse_args()
    report = measure(str(args.detector), args.data, args.boxes)
    with safe_open(str(args.detector), "pt") as file:
        metadata = file.metadata()
    facts = json.loads(metadata["facts"])
    quality = {"images": report["images"], "averaged": report["averaged"]}
    facts["quality"] = {args.name: {**quality, **report["methods"]}}
    save_file(load_file(args.detector), args.detector, {**metadata, "facts": json.dumps(facts)})
    args.detector.chmod(0o644)
    print(table(report))
    print()
    rows = cost(str(args.detector))
    print(cost_table(rows))
    if args.json:
        result = {"size": [SIZE[1], SIZE[0]], "cost": {args.detector.stem: rows}}
        args.json.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
