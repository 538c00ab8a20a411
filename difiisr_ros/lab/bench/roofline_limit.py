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

"""The distance of measured cells from what the machine could do; no PyTorch needed."""

from __future__ import annotations

from typing import Any


def limit_ms(work: dict[str, float], rates: dict[str, float]) -> dict[str, float]:
    """Least time of a frame in ms: ``compute`` and ``memory``, of which the larger counts.

    Args:
        work: ``gflop`` and ``least_mb`` per frame.
        rates: ``matmul_gflops``, ``conv_gflops`` (the faster one counts) and ``copy_gb_s``.
    """
    fastest = max(rates["matmul_gflops"], rates["conv_gflops"])
    return {
        "compute": 1e3 * work["gflop"] / fastest,
        "memory": work["least_mb"] / rates["copy_gb_s"],
    }


def near_limit(cells: list[dict[str, Any]], measured: dict[str, Any]) -> list[dict[str, Any]]:
    """For each cell of batch 1 its work, its limit, and p50 as a multiple of that (``distance``).

    On a CPU also ``cpu_distance``: its CPU time as a multiple of what the operations alone take.

    Args:
        cells: as :func:`difiisr_ros.lab.bench.cell.measure` gives them, with ``size``.
        measured: ``rates`` by "device precision", and ``work`` by ``size`` and ``num_steps``.
    """
    works = {(tuple(w["size"]), w["num_steps"]): w for w in measured["work"]}
    near = []
    for cell in cells:
        info = cell["info"]
        work = works[tuple(cell["size"]), info["num_steps"]]
        rates = measured["rates"][f"{info['device']} {info['precision']}"]
        limit = limit_ms(work, rates)
        entry = {
            "backend": info["backend"],
            "precision": info["precision"],
            **work,
            "limit_ms": limit,
            "distance": cell["latency_ms"]["p50"] / max(limit.values()),
        }
        if "core_gflops" in rates:
            entry["cpu_distance"] = 1e-3 * cell["cpu_ms"] * rates["core_gflops"] / work["gflop"]
        near.append(entry)
    return near
