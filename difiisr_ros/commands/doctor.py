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

"""``difiisr doctor``: what is installed, what runs here and why the rest does not, and how fast."""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import json
import logging
import os
import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from difiisr_ros.atomic_write import write_atomically
from difiisr_ros.backends.factory import AUTO, BACKENDS, PRECISIONS
from difiisr_ros.backends.onnx_plugins import PLUGINS, is_there
from difiisr_ros.commands.earlier_output import refuse_other_json
from difiisr_ros.errors import DifiisrError, first_line
from difiisr_ros.io.write_stack import check_target
from difiisr_ros.pipeline import SuperResolver
from difiisr_ros.version import REPORT_TO

HELP = "Say what runs here, how fast, and why the rest does not; for bug reports, too."
EXIT_NO_MODEL = 1
SIZES = ((160, 120), (320, 256), (640, 512))
_OPTIONAL = ("onnxruntime", "onnxruntime-gpu", "onnx", "tensorrt", "tensorrt-rtx-cu12",
             "tensorrt-rtx-cu13", "safetensors", "rosbags")  # fmt: skip
_SECONDS = 0.7  # of each size
_SLOW = 2.0  # seconds of a frame, which then is timed once
_NETWORKS = ("torch", "onnx", "tensorrt", "tensorrt_rtx", "opencv")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("--model", default="lite", help="'lite', 'nano', or a model file")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write what was found as JSON")


def run(args: argparse.Namespace) -> int:
    """Look, print as it goes; 0, or 1 where the model does not run on any backend."""
    check_target(args.json)
    refuse_other_json(args.json, ("backends", "precisions"))
    report: dict[str, Any] = {"versions": _versions(), "providers": _providers()}
    for name, version in report["versions"].items():
        print(f"{name:<18}{version}")
    print(f"{'ROS':<18}{_ros()}")
    report["ros"] = _ros()
    if report["providers"]:
        print(f"{'ONNX Runtime on':<18}{', '.join(report['providers'])}")
    print("\nbackends")
    report["backends"] = {}
    for name in (name for name in BACKENDS if name != AUTO):
        report["backends"][name] = found = _try(args.model, backend=name)
        print(f"  {name:<13}{_words(found)}", flush=True)
    report["plugins"] = {}
    for name in filter(is_there, PLUGINS):
        report["plugins"][name] = found = _try(args.model, provider=name)
        print(f"  onnx, provider {name}: {_words(found)}", flush=True)
    print("\nprecisions")
    report["precisions"] = {}
    for name in (name for name in PRECISIONS if name != AUTO):
        report["precisions"][name] = found = _try(args.model, precision=name)
        print(f"  {name:<13}{_words(found)}", flush=True)
    print("\nframes a second with the defaults")
    report["default"], report["frames_per_second"] = _speeds(args.model)
    print(f"\nA bug report: send all of the above, the command or the node's log, and what was "
          f"expected\ninstead, to {REPORT_TO}")  # fmt: skip
    if args.json:
        report["report_to"] = REPORT_TO
        write_atomically(args.json, (json.dumps(report, indent=2) + "\n").encode())
    runs = any(report["backends"][name]["runs"] for name in _NETWORKS)
    return 0 if runs else EXIT_NO_MODEL


def _versions() -> dict[str, str]:
    from difiisr_ros.lab.evaluation.versions import versions

    return versions(["cuda"] if _cuda() else [], _OPTIONAL)


def _cuda() -> bool:
    try:
        import torch
    except Exception:  # noqa: BLE001 - a broken installation is what is to be found out
        return False
    return torch.cuda.is_available()


def _providers() -> list[str]:
    try:
        import onnxruntime
    except Exception:  # noqa: BLE001 - the backend's own attempt says why
        return []
    return list(onnxruntime.get_available_providers())


def _ros() -> str:
    if importlib.util.find_spec("rclpy") is None:
        return "none: rclpy cannot be imported; source an installation, or `make setup`"
    return os.environ.get("ROS_DISTRO") or "rclpy of this Python, no installation sourced"


def _try(model: str, **asked: Any) -> dict[str, Any]:
    """Whether this runs, exactly as asked; else why not."""
    try:
        with _quiet():
            resolver = SuperResolver.load(model, strict_backend=True, **asked)
            info = resolver.info
            resolver.upscale(_frame(32, 24))
            resolver.close()
    except DifiisrError as error:
        return {"runs": False, "why_not": first_line(error)}
    except Exception as error:  # noqa: BLE001 - whatever is wrong here is the answer
        return {"runs": False, "why_not": f"{type(error).__name__}: {first_line(error)}"}
    return {"runs": True, "why_not": None, **info.as_dict()}


def _words(found: dict[str, Any]) -> str:
    if not found["runs"]:
        return f"no: {found['why_not']}"
    library = f", {found['library']}" if found["library"] else ""
    return f"yes, {found['backend']} on {found['device']} ({found['precision']}){library}"


def _speeds(model: str) -> tuple[dict[str, Any] | None, dict[str, float]]:
    """What runs by default, and its frames a second by size."""
    try:
        resolver = SuperResolver.load(model)
    except DifiisrError as error:
        print(f"  no: {first_line(error)}")
        return None, {}
    rates = {}
    for width, height in SIZES:
        frame = _frame(width, height)
        rate = 1 / _seconds_of(lambda frame=frame: resolver.upscale(frame))  # type: ignore[misc]
        rates[f"{width}x{height}"] = round(rate, 2)
        print(f"  {width}x{height:<8}{rate:.{0 if rate >= 10 else 2}f}", flush=True)
    info = resolver.info.as_dict()
    resolver.close()
    if info["missed"]:
        print(f"  {info['missed']}")
    print(f"  by {info['model']}, {info['backend']} on {info['device']} ({info['precision']})")
    return info, rates


def _seconds_of(run: Callable[[], object]) -> float:
    """Median of a run, without the first, which allocates; unless that is slow already."""
    times: list[float] = []
    end = time.perf_counter() + _SECONDS
    while len(times) < 2 or time.perf_counter() < end:
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
        if len(times) == 1:
            if times[0] > _SLOW:
                return times[0]
            end = time.perf_counter() + _SECONDS
    return statistics.median(times[1:])


def _frame(width: int, height: int) -> np.ndarray:
    rows, columns = np.mgrid[:height, :width]
    return (29000 + 4 * rows + 3 * columns + 200 * ((rows // 9 + columns // 7) % 2)).astype("u2")


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """What is tried may warn; the table says it."""
    logger = logging.getLogger("difiisr_ros")
    before = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(before)
