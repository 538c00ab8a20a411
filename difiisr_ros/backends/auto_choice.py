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

"""``auto``: the fastest of the backends that run here, measured once for each machine and model.

PyTorch comes first; another backend takes its place where it needs less than 0.9 of its time. The
choice is kept as a JSON file in the cache's folder ``auto``, under a name made of everything that
it depends on; removing the file measures again. While other processes keep the machine busy the
first runs, and nothing is kept. Plug-in providers of ONNX Runtime are compared too
(:mod:`difiisr_ros.backends.auto_plugins`). ``DIFIISR_AUTO_BENCHMARK=0`` measures nothing and takes
the first.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import logging
import os
import platform
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from difiisr_ros.atomic_write import write_whole
from difiisr_ros.backends.auto_plugins import load_named, load_plugins, plugin_names
from difiisr_ros.backends.base import Backend
from difiisr_ros.backends.cache_folder import cache_folder
from difiisr_ros.backends.libraries import is_installed
from difiisr_ros.backends.machine_load import OtherProcesses
from difiisr_ros.backends.onnx_plugins import CPU, PLUGINS
from difiisr_ros.core.scale import SCALE
from difiisr_ros.errors import BackendUnavailable, DifiisrError
from difiisr_ros.models.model_files import EMBEDDED, model_path
from difiisr_ros.version import __version__

FOLDER = "auto"
SWITCH = "DIFIISR_AUTO_BENCHMARK"
MARGIN = 0.9
"""Share of the first backend's time that another one must stay below to take its place."""
SIZE = (256, 320)
"""Height and width of the frame that is upscaled. At 160x120 what a backend does once for a frame
decides, at a camera's usual size what it does for each pixel: with ``nano`` ONNX Runtime is the
faster one there, and takes nearly twice PyTorch's time in bfloat16 at 640x512 (``difiisr
bench --backend``)."""
BUSY = 0.2
"""Share of the processors that other processes may use while it is measured."""
_MOST_RUNS = 20  # of each backend
_BUDGET_S = 1.0

_DISTRIBUTIONS = (
    "torch",
    "onnxruntime",
    "onnxruntime-gpu",
    "onnxruntime-openvino",
    "tensorrt",
    *(plugin.distribution for plugin in PLUGINS.values()),
)
_logger = logging.getLogger(__name__)

Load = Callable[..., Backend]
"""``load(name, device=None, provider=None)``: a loaded backend, on another device than was asked
for if given, by a plug-in provider if one is."""


def candidates(model: str) -> tuple[str, ...]:
    """Names of the backends that may run here, the one to prefer first; nothing is imported."""
    if Path(model).suffix == ".onnx":
        return ("onnx",)
    modules = {"torch": "torch", "onnx": "onnxruntime"}
    found = tuple(n for n, m in modules.items() if is_installed(m))
    return found or (("opencv",) if model in EMBEDDED else ("torch",))


def load_fastest(load: Load, model: str, asked: dict[str, Any]) -> Backend:
    """Load the backend that the measurement chooses, or has chosen.

    Args:
        load: see :data:`Load`.
        model: name or path.
        asked: device, precision and num_threads, which the choice depends on.

    Raises:
        what ``load`` raises for the first candidate, where none runs.
    """
    names = candidates(model)
    # A graph does what is built into it, and may not do what is measured.
    is_graph = Path(model).suffix == ".onnx"
    plugins = () if is_graph else plugin_names(names, asked)
    if names in (("onnx",), ("opencv",)) and not is_graph:
        load = _with_torch_last(load)
    if len(names) + len(plugins) == 1 or os.environ.get(SWITCH) == "0":
        return _load_first(load, names)[1]
    key = choice_key(model, asked)
    chosen = _recall(key)
    if chosen in (*names, *plugins):
        try:
            return load_named(load, chosen)
        except DifiisrError as error:
            if chosen == names[0]:
                raise
            _logger.warning("backend %s was the fastest, and does not run now: %s", chosen, error)
            return _load_first(load, names)[1]
    return _load_and_measure(load, names, plugins, key)


def _load_first(load: Load, names: tuple[str, ...]) -> tuple[str, Backend]:
    """The first that runs: another may have the device or precision that was asked for."""
    refused: BackendUnavailable | None = None
    for name in names:
        try:
            return name, load(name)
        except BackendUnavailable as error:
            _logger.info("auto: backend %s does not run here: %s", name, error)
            refused = refused or error
    assert refused is not None, "there is a candidate"
    raise refused


def _with_torch_last(load: Load) -> Load:
    def load_or_torch(name: str, **other: str) -> Backend:
        try:
            return load(name, **other)
        except BackendUnavailable as error:
            if other:
                raise
            _logger.info("auto: backend %s does not run here: %s", name, error)
            return load("torch")  # which says how it is installed

    return load_or_torch


def _load_and_measure(
    load: Load, names: tuple[str, ...], plugins: tuple[str, ...], key: dict[str, Any]
) -> Backend:
    others = OtherProcesses()
    first, backend = _load_first(load, names)
    loaded = {first: backend}
    if others.share() > BUSY:
        _logger.info("auto: %s runs; the machine is too busy to compare", first)
        return backend
    # All on one device: a CPU need not be tried against a GPU.
    device = backend.device
    for name in names[names.index(first) + 1 :]:
        try:
            loaded[name] = load(name, device=device)
        except DifiisrError as error:
            _logger.info("auto: backend %s does not run here: %s", name, error)
    reference = loaded.get("onnx")
    if reference is not None and reference.device == CPU:
        loaded.update(load_plugins(load, plugins, reference, *SIZE))
    if len(loaded) == 1:
        return backend
    others = OtherProcesses()
    seconds = measure(loaded)
    busy = others.share() > BUSY
    chosen = first if busy else choose(seconds)
    times = ", ".join(f"{name} {1e3 * value:.1f} ms" for name, value in seconds.items())
    _logger.info(
        "auto: %s for %dx%d pixels on %s%s; %s runs",
        times,
        SIZE[1],
        SIZE[0],
        device,
        ", beside other processes" if busy else "",
        chosen,
    )
    if not busy:
        _remember(key, chosen, seconds)
    for name, backend in loaded.items():
        if name != chosen:
            backend.close()
    return loaded[chosen]


def measure(loaded: dict[str, Backend]) -> dict[str, float]:
    """Best seconds of one step for a frame of :data:`SIZE`, by backend; taken in turns.

    The best, because what others do to the machine only ever adds to a time, and adds more to a
    backend whose threads wait for each other.
    """
    frame = _scene()
    found: dict[str, list[float]] = {name: [] for name in loaded}
    for backend in loaded.values():
        backend.warmup(*SIZE)
    noises = {
        name: np.zeros((b.noise_count(1), SIZE[0] * SCALE, SIZE[1] * SCALE), np.float32)
        for name, b in loaded.items()
    }
    began = time.perf_counter()
    for done in range(_MOST_RUNS):
        if done and time.perf_counter() - began > _BUDGET_S:
            break
        for name, backend in loaded.items():
            # The first waits for the threads of the backend before, which spin for a while.
            for timed in (False, True):
                start = time.perf_counter()
                backend.run(frame, noises[name], 1, 1)
                if timed:
                    found[name].append(time.perf_counter() - start)
    return {name: min(values) for name, values in found.items()}


def _scene() -> np.ndarray:
    """A ramp with a camera's noise: in white noise every pixel stands out, and costs all alike."""
    noise = np.random.default_rng(0).standard_normal(SIZE, dtype=np.float32)
    return (np.linspace(0, 1, SIZE[1], dtype=np.float32) + 0.01 * noise)[None, None]


def choose(seconds: dict[str, float]) -> str:
    """The first, or the fastest of those that are faster than it by the margin."""
    first = next(iter(seconds))
    fastest = min(seconds, key=lambda name: seconds[name])
    return fastest if seconds[fastest] < MARGIN * seconds[first] else first


def choice_key(model: str, asked: dict[str, Any]) -> dict[str, Any]:
    """Everything that a choice depends on.

    Raises:
        ModelError: no such model.
    """
    versions = {}
    for name in _DISTRIBUTIONS:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return {
        "difiisr_ros": __version__,
        "versions": versions,
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 0,
        "gpus": _gpus(),
        "frame": list(SIZE),
        "model_sha256": hashlib.sha256(model_path(model).read_bytes()).hexdigest(),
        **asked,
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def _gpus() -> list[str]:
    """What NVIDIA's driver says of its devices, and the kinds of others' graphics cards."""
    found = []
    for folder, files, key in (
        ("/sys/class/drm", "card*/device/uevent", "PCI_ID="),
        ("/proc/driver/nvidia/gpus", "*/information", "Model:"),
    ):
        for file in sorted(Path(folder).glob(files)):
            try:
                lines = file.read_text().splitlines()
            except OSError:
                continue
            found += [line[len(key) :].strip() for line in lines if line.startswith(key)]
    return found


def _file(key: dict[str, Any]) -> Path:
    digest = hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()
    return cache_folder() / FOLDER / f"{digest[:24]}.json"


def _recall(key: dict[str, Any]) -> str | None:
    try:
        entry = json.loads(_file(key).read_text())
        return str(entry["backend"]) if entry["key"] == key else None
    except (OSError, ValueError, KeyError, TypeError):
        return None  # not there, or not to be read: measured again


def _remember(key: dict[str, Any], backend: str, seconds: dict[str, float]) -> None:
    entry = {"backend": backend, "seconds": seconds, "key": key}
    try:
        write_whole(_file(key), (json.dumps(entry, indent=2) + "\n").encode(), sync=True)
    except OSError as error:
        _logger.warning("the choice of a backend is not kept: %s", error)
