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

"""Libraries that backends need, asked for before they are imported: what is missing, what kills.

Wheels are built for some processors, and one that lacks an instruction ends the process with
SIGILL, before any message (PyTorch 2.10 on a Raspberry Pi's Cortex-A72). Where that is known to
happen, on other machines than x86_64, PyTorch is imported in a child process first; the answer is
kept in the cache's folder ``libraries``, for this version, machine and Python.

``DIFIISR_TRY_TORCH=1`` tries it on every machine, ``0`` on none.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import importlib.util
import json
import logging
import os
import platform
import signal
import subprocess
import sys
from functools import lru_cache
from pathlib import Path

from difiisr_ros.atomic_write import write_whole
from difiisr_ros.backends.cache_folder import cache_folder
from difiisr_ros.errors import BackendUnavailable

FOLDER = "libraries"
SWITCH = "DIFIISR_TRY_TORCH"
_NEVER_TRIED = ("x86_64", "amd64", "x86")
_TIMEOUT_S = 300
#: Imports it, and uses what is compiled for this processor.
_TRIAL = (
    "import torch; torch.nn.functional.conv2d(torch.ones(1, 8, 16, 16), torch.ones(8, 8, 3, 3))"
)
#: Distributions whose module has another name.
_DISTRIBUTIONS = {"PIL": "pillow", "skimage": "scikit-image", "yaml": "pyyaml",
                  "cv2": "opencv-python-headless"}  # fmt: skip
_logger = logging.getLogger(__name__)


class LibraryMissing(BackendUnavailable):
    """A library is not installed, or cannot be imported on this machine."""


def missing(error: ImportError, library: str) -> LibraryMissing:
    """The error that names the module that really is missing, and how it is installed.

    Args:
        error: what importing a module of this package raised.
        library: what it needs, where the error does not say which module it is about.
    """
    module = (error.name or library).partition(".")[0]
    distribution = _DISTRIBUTIONS.get(module, module)
    return LibraryMissing(
        f"{module} cannot be imported by {sys.executable} ({error}); "
        f"install it with: {sys.executable} -m pip install {distribution}"
    )


def is_installed(module: str) -> bool:
    """Whether a module is there to be imported; it is not imported."""
    try:
        return importlib.util.find_spec(module) is not None
    except ValueError:  # it is marked as missing: sys.modules[module] is None
        return False


def missed(backend: str) -> str | None:
    """What is not installed and would do more than this backend, in a sentence; None if nothing."""
    if backend not in ("onnx", "opencv") or is_installed("torch"):
        return None
    more = "torch is not installed, which more steps, guidance, bf16 and int8, and training need"
    if backend == "opencv" and not is_installed("onnxruntime"):
        more = f"onnxruntime is not installed, which runs lite faster than OpenCV; {more}"
    return f"{more}: pip install 'difiisr_ros[torch]'"


def check_torch() -> None:
    """Raise LibraryMissing where importing PyTorch would end the process.

    On x86_64 this compares a word. Where PyTorch is not installed nothing is raised: importing it
    says so.
    """
    switch = os.environ.get(SWITCH, "")
    wanted = switch == "1" or (not switch and platform.machine().lower() not in _NEVER_TRIED)
    if not wanted or "torch" in sys.modules:
        return
    try:
        version = importlib.metadata.version("torch")
    except importlib.metadata.PackageNotFoundError:
        return
    if reason := _death_of_torch(version):
        raise LibraryMissing(reason)


@lru_cache(maxsize=1)
def _death_of_torch(version: str) -> str:
    """How the process would end, in a sentence, or nothing; from the child or from memory."""
    facts = [version, sys.executable, platform.machine(), _processor()]
    name = hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:16]
    file: Path | None = None
    try:
        file = cache_folder() / FOLDER / f"torch-{name}.json"
        code = int(json.loads(file.read_text())["code"])
    except (OSError, ValueError, KeyError, TypeError):
        found = _try_torch(version)
        if found is None:
            return ""
        code = found
        _remember(file, code)
    # A positive code is an exception, which importing it here raises too, with its words.
    if code >= 0:
        return ""
    try:
        ended = signal.Signals(-code).name
    except ValueError:
        ended = f"signal {-code}"
    reason = (
        f"importing torch {version} ends the process by {ended} on this machine "
        f"({platform.machine()}, {_processor()}); install another version of it, or run backend "
        f"onnx (pip install onnxruntime)"
        + (f"; it is tried again when {file} is removed" if file else "")
    )
    _logger.warning("%s", reason)
    return reason


def _try_torch(version: str) -> int | None:
    """The exit code of a child that imports PyTorch; None where that could not be found out."""
    _logger.info("trying torch %s in a process of its own, once", version)
    try:
        return subprocess.run(
            [sys.executable, "-c", _TRIAL],
            check=False,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=_TIMEOUT_S,
        ).returncode
    except (OSError, subprocess.TimeoutExpired) as error:
        _logger.info("torch could not be tried: %s", error)
        return None


def _remember(file: Path | None, code: int) -> None:
    if file is None:
        return
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        write_whole(file, json.dumps({"code": code}).encode())
    except OSError as error:
        _logger.warning("that torch was tried is not kept: %s", error)


@lru_cache(maxsize=1)
def _processor() -> str:
    """What Linux says of the processor: parts of one name differ in their instructions."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    wanted = ("model name", "CPU part", "CPU implementer", "Model")
    found = dict(line.split(":", 1) for line in lines if line.startswith(wanted) and ":" in line)
    return ", ".join(f"{key.strip()} {value.strip()}" for key, value in found.items())
