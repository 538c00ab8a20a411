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

"""``auto``: plug-in providers of ONNX Runtime beside the backends that it chooses from.

One is compared where it is installed, has hardware of its own (no graphics that are computed on the
CPU) and gives the same results as ONNX Runtime on the CPU.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import numpy as np

from difiisr_ros.backends.base import Backend
from difiisr_ros.backends.onnx_plugins import CPU, PLUGINS, is_there
from difiisr_ros.core.scale import SCALE
from difiisr_ros.errors import BackendUnavailable, DifiisrError

MOST_DIFFERENCE = 1e-3
"""Of any pixel, in normalised intensity, from ONNX Runtime on the CPU."""
_STEPS = (1, 2)  # one has no noise, and so another first layer than several

_logger = logging.getLogger(__name__)


def plugin_names(names: tuple[str, ...], asked: dict[str, Any]) -> tuple[str, ...]:
    """``onnx PROVIDER`` for each plug-in that may run what was asked for; nothing is imported.

    Args:
        names: the backends that ``auto`` chooses from.
        asked: device and precision, as they were asked for.
    """
    fits = asked["device"] in ("auto", CPU) and asked["precision"] in ("auto", "fp32")
    if "onnx" not in names or not fits:
        return ()
    return tuple(f"onnx {provider}" for provider in PLUGINS if is_there(provider))


def load_named(load: Callable[..., Backend], name: str, **other: str) -> Backend:
    """Load ``BACKEND`` or ``onnx PROVIDER``; raises what ``load`` raises."""
    backend, _, provider = name.partition(" ")
    return load(backend, **({"provider": provider} if provider else {}), **other)


def load_plugins(
    load: Callable[..., Backend],
    names: tuple[str, ...],
    reference: Backend,
    height: int,
    width: int,
) -> dict[str, Backend]:
    """Those that run here by hardware of their own, and as ``reference`` does.

    Args:
        load: see :func:`load_named`.
        names: as :func:`plugin_names` gives them.
        reference: ONNX Runtime on the CPU.
        height, width: of the frame that results are compared on.
    """
    found = {}
    for name in names:
        try:
            backend = load_named(load, name)
        except DifiisrError as error:
            _logger.info("auto: %s does not run here: %s", name, error)
            continue
        reason = _not_taken(name, backend, reference, height, width)
        if reason:
            _logger.info("auto: %s is not taken: %s", name, reason)
            backend.close()
        else:
            found[name] = backend
    return found


def _not_taken(name: str, backend: Backend, reference: Backend, height: int, width: int) -> str:
    if backend.device == CPU and not PLUGINS[name.partition(" ")[2]].computes_on_cpus:
        return "it computes on the CPU, by software graphics"
    rng = np.random.default_rng(0)
    frame = rng.random((1, 1, height, width), dtype=np.float32)
    for num_steps in _STEPS:
        try:
            count = reference.noise_count(num_steps)
            noise = rng.standard_normal((count, SCALE * height, SCALE * width), dtype=np.float32)
            right = reference.run(frame, noise, num_steps, 1)
        except BackendUnavailable:
            continue  # a graph that is not to be had here is not run either
        try:
            difference = float(np.abs(backend.run(frame, noise, num_steps, 1) - right).max())
        except DifiisrError as error:
            return str(error)
        # Written so that no number is no agreement.
        if not difference <= MOST_DIFFERENCE:
            return f"{num_steps} step(s) differ from the CPU's by {difference:.2g} of the range"
    return ""
