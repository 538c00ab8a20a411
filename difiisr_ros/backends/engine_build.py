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

"""Builds a TensorRT engine from an ONNX graph, and loads it again.

By the Python API that TensorRT 10.0, 11.1 and TensorRT-RTX 1.7 have. The network is strongly typed:
the graph's own types decide the precision. That is the only way in TensorRT 11, where the builder's
precision flags are gone, and has been possible since 10. Where this has run, and where it has not,
is in docs/tensorrt.md.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from typing import Any

from difiisr_ros.backends.engine_cache import EngineShapes
from difiisr_ros.core.scale import SCALE
from difiisr_ros.errors import BackendUnavailable
from difiisr_ros.export.facts import CAMERA, LR, NOISE
from difiisr_ros.long_work import run_watched

_logger = logging.getLogger(__name__)


def make_logger(trt: Any) -> Any:
    """A ``tensorrt.ILogger`` that logs as Python does and keeps the last error in ``error``.

    One for all objects of a process: TensorRT wants it to outlive them.
    """
    levels = {
        trt.ILogger.Severity.INTERNAL_ERROR: logging.ERROR,
        trt.ILogger.Severity.ERROR: logging.ERROR,
        trt.ILogger.Severity.WARNING: logging.INFO,  # mostly of no concern to the user
        trt.ILogger.Severity.INFO: logging.DEBUG,
        trt.ILogger.Severity.VERBOSE: logging.NOTSET,
    }

    class Logger(trt.ILogger):
        def __init__(self) -> None:
            trt.ILogger.__init__(self)
            self.error = ""

        def log(self, severity: Any, msg: str) -> None:
            level = levels.get(severity, logging.INFO)
            if level == logging.ERROR:
                self.error = msg
            if level != logging.NOTSET:
                _logger.log(level, "TensorRT: %s", msg)

    return Logger()


def _make_monitor(trt: Any) -> Any:
    """A ``tensorrt.IProgressMonitor`` that tells how far the build is and can end it."""

    class Monitor(trt.IProgressMonitor):
        def __init__(self) -> None:
            trt.IProgressMonitor.__init__(self)
            self._lock = threading.Lock()  # called by several threads of TensorRT
            self._phases: dict[str, tuple[int, int]] = {}
            self._cancelled = False

        def phase_start(self, phase_name: str, parent_phase: str | None, num_steps: int) -> None:
            with self._lock:
                self._phases[phase_name] = 0, num_steps

        def step_complete(self, phase_name: str, step: int) -> bool:
            with self._lock:
                _, steps = self._phases.get(phase_name, (0, 0))
                self._phases[phase_name] = step + 1, steps
                return not self._cancelled

        def phase_finish(self, phase_name: str) -> None:
            with self._lock:
                self._phases.pop(phase_name, None)

        def text(self) -> str:
            with self._lock:
                return ", ".join(f"{p} {n} of {of}" for p, (n, of) in self._phases.items())

        def cancel(self) -> None:
            with self._lock:
                self._cancelled = True

    return Monitor()


def parse_graph(trt: Any, logger: Any, onnx: bytes) -> tuple[Any, Any, Any]:
    """The builder, the strongly typed network that is the graph, and its parser.

    The parser holds the weights: it has to live as long as the network is used.

    Raises:
        BackendUnavailable: TensorRT cannot read the graph, with its reasons.
    """
    builder = _start(trt.Builder, logger)
    network = builder.create_network(1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
    parser = trt.OnnxParser(network, logger)
    if not parser.parse(onnx):
        errors = [parser.get_error(i) for i in range(parser.num_errors)]
        reasons = [" ".join([*_whose(error), error.desc()]) for error in errors]
        raise BackendUnavailable(f"TensorRT cannot read the graph: {'; '.join(reasons)}")
    return builder, network, parser


def _whose(error: Any) -> list[str]:
    """The operator that the parser's error is about, where it is about one."""
    operator = error.node_operator()
    return [f"operator {operator} ({error.node_name()}):"] if operator else []


def build_plan(
    trt: Any,
    logger: Any,
    onnx: bytes,
    shapes: EngineShapes,
    *,
    tf32: bool,
    on_device: Callable[[], None],
    targets: Sequence[str] = (),
) -> bytes:
    """Build an engine, for minutes; see :func:`difiisr_ros.long_work.run_watched`.

    Args:
        trt: the ``tensorrt`` module.
        logger: of :func:`make_logger`.
        onnx: graph with the inputs of :mod:`difiisr_ros.export.facts`; their sizes may be open.
        shapes: LR batches that the engine is to take; one shape three times makes a fixed engine.
        tf32: whether float32 may be computed with 10 bits of mantissa.
        on_device: makes the device to build for the current one of the thread that calls it.
        targets: GPUs that TensorRT-RTX builds for, as ``sm86``; none where it is that device.

    Returns:
        The serialised engine, valid for this TensorRT and this kind of GPU, or for the targets.

    Raises:
        BackendUnavailable: TensorRT cannot build it; with its reason.
        Interrupted, KeyboardInterrupt: given up on request.
    """
    monitor = _make_monitor(trt)

    def work() -> bytes:
        on_device()
        builder, network, _parser = parse_graph(trt, logger, onnx)
        config = builder.create_builder_config()
        config.progress_monitor = monitor
        if not tf32:
            config.clear_flag(trt.BuilderFlag.TF32)
        _set_targets(trt, config, targets)
        _add_profile(builder, network, config, shapes)
        logger.error = ""
        plan = builder.build_serialized_network(network, config)
        if plan is None:
            raise BackendUnavailable(f"TensorRT cannot build the engine: {logger.error}")
        return bytes(plan)

    what = f"building a TensorRT engine for {shapes}"
    return run_watched(work, what=what, progress=monitor.text, cancel=monitor.cancel)


def _set_targets(trt: Any, config: Any, targets: Sequence[str]) -> None:
    if targets:
        config.num_compute_capabilities = len(targets)
    for index, target in enumerate(targets):
        if not config.set_compute_capability(getattr(trt.ComputeCapability, target.upper()), index):
            raise BackendUnavailable(f"TensorRT does not build for {target}")


def _add_profile(builder: Any, network: Any, config: Any, shapes: EngineShapes) -> None:
    """Say which sizes the dynamic inputs may have; a graph without any needs no profile."""
    sizes = (shapes.least, shapes.best, shapes.largest)
    profile = builder.create_optimization_profile()
    dynamic = 0
    for tensor in (network.get_input(i) for i in range(network.num_inputs)):
        shape = tuple(tensor.shape)
        if -1 not in shape:
            continue
        dynamic += 1
        if tensor.name == LR:
            profile.set_shape(tensor.name, *((n, 1, h, w) for n, h, w in sizes))
        elif tensor.name == NOISE:
            profile.set_shape(
                tensor.name, *((*shape[:2], SCALE * h, SCALE * w) for _, h, w in sizes)
            )
        elif tensor.name == CAMERA:
            profile.set_shape(tensor.name, *((n, *shape[1:]) for n, _, _ in sizes))
        else:
            raise BackendUnavailable(f"the graph's input {tensor.name} has an unknown size {shape}")
    if dynamic and config.add_optimization_profile(profile) < 0:
        raise BackendUnavailable(f"TensorRT refuses the sizes {shapes}")


class EngineRefused(ValueError):
    """This TensorRT or this GPU cannot use an engine, which another one can replace."""


def load_plan(trt: Any, logger: Any, plan: bytes) -> Any:
    """The ``ICudaEngine`` of a plan.

    Raises:
        EngineRefused: this TensorRT or this GPU cannot use it.
        BackendUnavailable: TensorRT does not work here at all.
    """
    runtime = _start(trt.Runtime, logger)
    logger.error = ""
    if hasattr(runtime, "get_engine_validity"):  # TensorRT 10 has it not
        _check_validity(trt, logger, *runtime.get_engine_validity(plan))
    engine = runtime.deserialize_cuda_engine(plan)
    if engine is None:
        raise EngineRefused(f"TensorRT cannot load it: {logger.error}")
    return engine


#: Reasons of an engine's invalidity that are the machine's, whatever the engine.
_OF_THE_MACHINE = {
    "OLD_CUDA_DRIVER": "the CUDA driver is too old",
    "OLD_CUDA_RUNTIME": "the CUDA runtime is too old",
    "INSUFFICIENT_GPU_MEMORY": "the GPU has not enough memory",
    "CUDA_ERROR": "CUDA failed",
}
_OF_THE_ENGINE = {
    "VERSION_MISMATCH": "it is of another version of TensorRT",
    "UNSUPPORTED_CC": "it is not for this GPU's compute capability",
    "MALFORMED_ENGINE": "it is no engine of this TensorRT, or damaged",
}


def _check_validity(trt: Any, logger: Any, validity: Any, diagnostics: int) -> None:
    if validity == trt.EngineValidity.SUBOPTIMAL:
        _logger.info("the engine would be faster if it were built for this GPU")
    if validity != trt.EngineValidity.INVALID:
        return
    found = {
        name
        for name, flag in trt.EngineInvalidityDiagnostics.__members__.items()
        if int(diagnostics) & int(flag)
    }
    said = [logger.error] if logger.error else []
    if reasons := [why for name, why in _OF_THE_ENGINE.items() if name in found]:
        raise EngineRefused("; ".join(reasons + said))
    reasons = [why for name, why in _OF_THE_MACHINE.items() if name in found]
    if reasons or said:  # without a GPU it names no reason, and logs one
        raise BackendUnavailable(f"TensorRT cannot run here: {'; '.join(reasons + said)}")
    raise EngineRefused("TensorRT says that it is invalid, and not why")


def _start(kind: Any, logger: Any) -> Any:
    try:
        return kind(logger)
    except TypeError as error:  # what the bindings make of a null pointer: no driver, no device
        raise BackendUnavailable(f"TensorRT cannot start: {logger.error or error}") from error
