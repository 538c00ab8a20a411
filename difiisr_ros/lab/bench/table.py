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

"""The measurements as text: a row per cell, as it is measured, and the roofline below."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from difiisr_ros.lab.bench.stages import STAGES

_HEAD = (
    f"{'size':>8} {'batch':>5} {'steps':>5} {'p50 ms':>9} {'p99 ms':>9} "
    f"{'CPU ms':>9} {'fps':>7} {'RSS MB':>7} "
)


def heading(scale: int) -> str:
    """The line above the rows, of a table of one scale."""
    return f"{f'backend, x{scale}':<22} {_HEAD}" + " ".join(f"{stage:>9}" for stage in STAGES)


def row(cell: dict[str, Any]) -> str:
    """One cell; stages in ms for the batch, "-" where a stage cannot be told from the network."""
    info, latency = cell["info"], cell["latency_ms"]
    name = f"{info['backend']} {info['device']} {info['precision']}"
    stages = [cell["stages_ms"][stage] for stage in STAGES]
    shown = " ".join(f"{'-' if ms is None else format(ms, '.2f'):>9}" for ms in stages)
    width, height = cell["size"]
    return (
        f"{name:<22} {f'{width}x{height}':>8} {cell['batch']:>5} {cell['num_steps']:>5} "
        f"{latency['p50']:>9.2f} {latency['p99']:>9.2f} "
        f"{cell['cpu_ms']:>9.2f} {cell['fps']:>7.1f} {cell['memory_mb']['rss']:>7} {shown}"
    )


def start_lines(cells: Sequence[dict[str, Any]]) -> list[str]:
    """Load and first frame of each backend's first cell."""
    lines, seen = [], set()
    for cell in cells:
        info, start = cell["info"], cell["start"]
        if info["backend"] not in seen:
            seen.add(info["backend"])
            library = f" ({info['library']})" if info.get("library") else ""
            lines.append(
                f"start: {info['backend']}{library} loads in {start['load_s']:.2f} s, imports "
                f"included; its first frame then takes {start['first_ms']:.0f} ms"
            )
    return lines


def roofline_lines(roofline: dict[str, Any]) -> list[str]:
    """What the machine does at best, and how near each cell of batch 1 comes to it."""
    lines = []
    for engine, r in roofline["rates"].items():
        core = f" ({r['core_gflops']:.0f} per core)" if "core_gflops" in r else ""
        lines.append(
            f"machine, {engine}: matmul {r['matmul_gflops']:.0f} GFLOP/s, 3x3 convolution of 32 "
            f"channels {r['conv_gflops']:.0f} GFLOP/s{core}, copy {r['copy_gb_s']:.1f} GB/s"
        )
    for cell in roofline["cells"]:
        width, height = cell["size"]
        cpu = f", CPU time {cell['cpu_distance']:.2f} times" if "cpu_distance" in cell else ""
        lines.append(
            f"roofline: {cell['backend']} {cell['precision']} {width}x{height}, "
            f"{cell['num_steps']} step(s): {cell['gflop']:.2f} GFLOP, {cell['least_mb']:.1f} MB "
            f"({cell['operator_mb']:.0f} MB through operators); limit "
            f"{max(cell['limit_ms'].values()):.2f} ms, p50 {cell['distance']:.2f} times that{cpu}"
        )
    return lines
