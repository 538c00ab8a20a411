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

"""One cell of the table: one backend at one size, batch and number of steps, in this process.

    python -m difiisr_ros.lab.bench.cell '{"engine": {...}, "size": [160, 120], ...}'

Prints one line of JSON. A process of its own, because memory that another cell has used, threads
that it has set and kernels that it has chosen would be measured with it.
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from difiisr_ros.allocator import keep_large_buffers
from difiisr_ros.errors import BackendUnavailable
from difiisr_ros.lab.bench.memory import peak_rss_mb
from difiisr_ros.lab.bench.message import image_cdr
from difiisr_ros.lab.bench.stages import STAGES, StageClock, watched
from difiisr_ros.scene.street import SyntheticScene

WARMUP_FRAMES = 3
MOST_FRAMES = 1000
_PROJECTED = "torch"  # the backend whose projections can be left out at no cost
_COMPARED = 5  # runs with and without them, alternating


@dataclass(frozen=True)
class Cell:
    """What to measure."""

    engine: dict[str, Any]
    """Keyword arguments of ``SuperResolver.load``, num_steps among them."""
    size: tuple[int, int]
    """Width and height of the camera's frame."""
    batch: int
    seconds: float
    """Measure for so long, at least ``least`` times."""
    least: int

    def as_json(self) -> str:
        """For the process that measures it."""
        return json.dumps(asdict(self))


def measure(cell: Cell) -> dict[str, Any]:
    """Measure a cell.

    Returns:
        ``latency_ms`` (``p50``, ``p99``, ``min``: a batch of frames in memory to as many
        serialised messages), ``cpu_ms`` (of all threads, median), ``fps``, ``stages_ms``
        (medians; ``project`` is None where it cannot be told from the network), ``start``
        (``load_s`` and ``first_ms``), ``memory_mb`` (``rss`` and, on a GPU, ``device``) and
        ``info``.

    Raises:
        BackendUnavailable: the backend does not run here.
        DifiisrError: the options are not possible.
    """
    begin = time.perf_counter()
    from difiisr_ros.pipeline import SuperResolver

    resolver = SuperResolver.load(**cell.engine, strict_backend=True)
    load_s = time.perf_counter() - begin
    frames = example_frames(cell.size, cell.batch)
    backend, clock = resolver._backend, StageClock()
    camera = resolver.camera.of_the_scene()  # every pixel of an example measures

    def step() -> tuple[float, float]:
        start, cpu = time.perf_counter(), time.process_time()
        results = resolver.upscale_batch(frames, camera=camera)
        upscaled = time.perf_counter()
        for result in results:
            image_cdr(result, time.time_ns(), "mono16")
        end = time.perf_counter()
        stages.append({**clock.take(), "message": end - upscaled})
        return end - start, time.process_time() - cpu

    stages: list[dict[str, float]] = []
    with watched(backend, clock):
        first, _ = step()
        for _ in range(WARMUP_FRAMES - 1):
            step()
        stages.clear()
        measured: list[tuple[float, float]] = []
        end = time.perf_counter() + cell.seconds
        while len(measured) < cell.least or (
            time.perf_counter() < end and len(measured) < MOST_FRAMES
        ):
            measured.append(step())
    times = [wall for wall, _ in measured]
    medians = {name: 1e3 * statistics.median(s.get(name, 0.0) for s in stages) for name in STAGES}
    memory = {"rss": round(peak_rss_mb()), **_device_memory(resolver.info.device)}
    project = _projection_ms(resolver, frames)
    medians["network"] = max(0.0, medians["network"] - (project or 0.0))
    stages_ms = {**medians, "project": project}
    p50, p99 = (1e3 * float(np.percentile(times, q)) for q in (50, 99))
    return {
        "latency_ms": {
            "p50": round(p50, 3),
            "p99": round(p99, 3),
            "min": round(1e3 * min(times), 3),
        },
        "cpu_ms": round(1e3 * statistics.median(cpu for _, cpu in measured), 3),
        "fps": round(1e3 * cell.batch / p50, 2),
        "frames": len(times),
        "stages_ms": {k: None if v is None else round(v, 3) for k, v in stages_ms.items()},
        "start": {"load_s": round(load_s, 3), "first_ms": round(1e3 * first, 1)},
        "memory_mb": memory,
        "info": resolver.info.as_dict(),
    }


def example_frames(size: tuple[int, int], batch: int) -> list[np.ndarray]:
    """16-bit frames of a scene, the first ones of the demo's street: H x W uint16.

    White noise, which is easier to have, takes longer than any scene: all of it stands out.
    """
    scene = SyntheticScene(*size, scale=1)  # what is drawn larger would be in this process's peak
    return [scene.frame(index)[0] for index in range(batch)]


def _projection_ms(resolver: Any, frames: list[np.ndarray]) -> float | None:
    """What the projections add to a run: with and without them, alternating."""
    count = resolver.options.consistency
    if resolver.info.backend != _PROJECTED or count == 0:
        return 0.0 if count == 0 or resolver.info.backend == "bicubic" else None
    times: dict[int, list[float]] = {0: [], count: []}
    for repeat in range(_COMPARED + 1):
        for consistency, spent in times.items():
            resolver.configure(consistency=consistency)
            start = time.perf_counter()
            resolver.upscale_batch(frames, camera=resolver.camera.of_the_scene())
            if repeat > 0:
                spent.append(time.perf_counter() - start)
    resolver.configure(consistency=count)
    differences = [a - b for a, b in zip(times[count], times[0])]
    return max(0.0, 1e3 * statistics.median(differences))


def _device_memory(device: str) -> dict[str, int]:
    if not device.startswith("cuda"):
        return {}
    import torch

    # What the caching allocator took from the card, which is what other programs lack.
    return {"device": round(torch.cuda.max_memory_reserved() / 1e6)}


def main() -> int:
    """Measure the cell in the first argument and print its JSON."""
    keep_large_buffers()  # as the node and the commands do
    given = json.loads(sys.argv[1])
    given["size"] = tuple(given["size"])
    try:
        result = measure(Cell(**given))
    except BackendUnavailable as error:
        result = {"unavailable": str(error)}
    sys.stdout.write(json.dumps(result) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
