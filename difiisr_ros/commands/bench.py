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

"""``difiisr bench``: how fast this machine upscales, where the time goes, and how near the limit.

Every cell of the table runs in a process of its own (:mod:`difiisr_ros.lab.bench.cell`), which
makes its peak memory its own.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import platform
import subprocess
import sys
from pathlib import Path
from typing import Any

from difiisr_ros.atomic_write import write_atomically
from difiisr_ros.backends.factory import BACKENDS
from difiisr_ros.commands.earlier_output import refuse_other_json
from difiisr_ros.commands.engine_arguments import add_engine_arguments, engine_arguments
from difiisr_ros.commands.numbers import real
from difiisr_ros.core.camera_profile import resolve_camera
from difiisr_ros.errors import DifiisrError, OptionError
from difiisr_ros.io.write_stack import check_target
from difiisr_ros.lab.bench.cell import Cell
from difiisr_ros.lab.bench.roofline_limit import near_limit
from difiisr_ros.lab.bench.table import heading, roofline_lines, row, start_lines
from difiisr_ros.version import __version__

HELP = "Time this machine: latency, frame rate, memory, stages, and the distance to its limit."
SIZES, BATCHES, STEPS = "160x120,320x256,640x512", "1,4", "1,2,4"
_QUICK = {"sizes": "160x120", "batches": "1", "num_steps": "1", "seconds": 0.5}
_LEAST_FRAMES = 5


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("--sizes", default=SIZES, metavar="WxH,...", help="of the camera's frames")
    parser.add_argument("--batches", default=BATCHES, metavar="N,...", help="frames per pass")
    parser.add_argument("--num-steps", metavar="K,...", help=f"diffusion steps (default: {STEPS})")
    parser.add_argument(
        "--seconds",
        type=real(),
        default=2.0,
        metavar="S",
        help="measure each cell for so long, 5 frames at least",
    )
    parser.add_argument(
        "--quick", action="store_true", help="seconds in all: 160x120, batch 1, one step"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all numbers to FILE")
    add_engine_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Measure, print as it goes, and return 0; 1 where a cell failed."""
    if args.quick:
        for name, value in _QUICK.items():
            setattr(args, name, value)
    if args.seconds <= 0:
        raise OptionError(f"--seconds must be above 0, got {args.seconds:g}")
    check_target(args.json)
    refuse_other_json(args.json, ("machine", "cells"))
    known = resolve_camera(args.camera)
    if known.of_the_scene() != known:
        keys = "missing, crop, bad_pixels, pattern, byte_order"
        print(f"not used: {keys} of {args.camera}: frames are made")
    sizes = [_size(text) for text in args.sizes.split(",")]
    batches = _numbers("--batches", args.batches)
    engine = engine_arguments(args)  # where a quality is given, it decides the steps
    steps = [engine["num_steps"]] if "num_steps" in engine else None
    steps = steps or _numbers("--num-steps", args.num_steps or STEPS)
    names = [args.backend]
    if args.backend == "auto":
        # A provider is ONNX Runtime's, and the other backends have none.
        names = [b for b in BACKENDS if b != "auto"] if args.provider == "auto" else ["onnx"]

    print(
        f"{platform.machine()}, {os.cpu_count()} CPUs, {_cpu_name()}; Python "
        f"{platform.python_version()}; difiisr_ros {__version__}"
    )
    print(heading(args.scale), flush=True)
    cells: list[dict[str, Any]] = []
    not_run: dict[str, str] = {}
    for name in names:
        for size in sizes:
            # Interpolation takes no steps, and the graphs that OpenCV runs one: one row says all.
            for k in steps[:1] if name in ("opencv", "bicubic") else steps:
                for batch in batches:
                    if name in not_run:
                        continue
                    asked = {**engine, "backend": name, "num_steps": k}
                    measured = _measure(Cell(asked, size, batch, args.seconds, _LEAST_FRAMES))
                    if "unavailable" in measured:
                        not_run[name] = measured["unavailable"]
                        continue
                    cell = {"size": size, "batch": batch, "num_steps": k, **measured}
                    cells.append(cell)
                    print(row(cell), flush=True)
    for name, reason in not_run.items():
        print(f"not run: {name}: {reason}")
    if not cells:
        raise OptionError("no backend that was asked for runs here")
    for line in start_lines(cells):
        print(line)
    roofline = _roofline(engine, cells, min(1.0, args.seconds))
    for line in roofline_lines(roofline):
        print(line)
    if args.json:
        result = {
            "machine": _machine(),
            "version": __version__,
            "scale": args.scale,
            "cells": cells,
            "not_run": not_run,
            "roofline": roofline,
            "settings": {"seconds": args.seconds, "engine": engine},
        }
        text = json.dumps(result, indent=2) + "\n"
        write_atomically(args.json, text.encode())
    return 0


def _measure(cell: Cell) -> dict[str, Any]:
    return _in_own_process("difiisr_ros.lab.bench.cell", cell.as_json())


def _in_own_process(module: str, argument: str) -> dict[str, Any]:
    """Run a module of ours that prints a line of JSON last."""
    environment = dict(os.environ)
    package = str(Path(__file__).resolve().parents[2])
    paths = [package, *filter(None, [environment.get("PYTHONPATH")])]
    environment["PYTHONPATH"] = os.pathsep.join(paths)
    command = [sys.executable, "-m", module, argument]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        why = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
        raise DifiisrError(f"measuring failed: {why}")
    return json.loads(done.stdout.strip().splitlines()[-1])


def _roofline(
    engine: dict[str, Any], cells: list[dict[str, Any]], seconds: float
) -> dict[str, Any]:
    """Work, rates and limits for the cells that run a network on a batch of 1.

    Where PyTorch has no such device its rates are not known.
    """
    networks = [
        c
        for c in cells
        if c["info"]["model"] != "none"
        and c["batch"] == 1
        and c["info"]["device"].partition(":")[0] in ("cpu", "cuda")
    ]
    if not networks:
        return {"rates": {}, "cells": []}
    if importlib.util.find_spec("torch") is None:
        print("no limit: PyTorch, which measures what this machine can do, is not installed")
        return {"rates": {}, "cells": []}
    engines = sorted({(c["info"]["device"], c["info"]["precision"]) for c in networks})
    asked = {
        "model": engine["model"],
        "consistency": engine["consistency"],
        "scale": engine["scale"],
        "threads": engine["num_threads"],
        "precision": networks[0]["info"]["precision"],
        "engines": engines,
        "sizes": sorted({tuple(c["size"]) for c in networks}),
        "steps": sorted({c["info"]["num_steps"] for c in networks}),
        "seconds": seconds,
    }
    measured = _in_own_process("difiisr_ros.lab.bench.roofline", json.dumps(asked))
    return {"rates": measured["rates"], "cells": near_limit(networks, measured)}


def _size(text: str) -> tuple[int, int]:
    parts = text.strip().lower().split("x")
    if len(parts) != 2 or not all(p.isdigit() and int(p) > 0 for p in parts):
        raise OptionError(f"--sizes takes WIDTHxHEIGHT,..., e.g. 160x120,640x512; got {text!r}")
    return int(parts[0]), int(parts[1])


def _numbers(option: str, text: str) -> list[int]:
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isdigit() and int(part) > 0 for part in parts):
        raise OptionError(f"{option} takes whole numbers from 1, e.g. 1,4; got {text!r}")
    return [int(part) for part in parts]


def _machine() -> dict[str, Any]:
    return {
        "architecture": platform.machine(),
        "cpu": _cpu_name(),
        "cpus": os.cpu_count(),
        "system": platform.platform(),
        "python": platform.python_version(),
    }


def _cpu_name() -> str:
    info = Path("/proc/cpuinfo")
    if info.is_file():
        for line in info.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or "CPU"
