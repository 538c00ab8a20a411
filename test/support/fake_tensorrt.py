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

"""Stands for ``tensorrt`` and ``tensorrt_rtx`` where an engine is to run, which needs a GPU.

What loads and runs engines has the names, and only the names, that the bindings define for it, so
that a name they do not have is an AttributeError here too; what may not be called yet, or not with
these arguments, is an AssertionError. A plan holds the graph, and ONNX Runtime runs it on the CPU,
at the addresses that were set. What builds engines is tested by the library itself
(``test_tensorrt_build.py``): here a plan is put together without one.
"""

from __future__ import annotations

import ctypes
import enum
import json
import math
import types
from dataclasses import asdict
from typing import Any

import numpy as np
import onnx
import onnxruntime
import torch

from difiisr_ros.backends.engine_cache import EngineShapes
from difiisr_ros.backends.gpu import Gpu
from difiisr_ros.errors import BackendUnavailable

MAGIC = b"FAKEPLAN"
ORIN = Gpu(torch.device("cpu"), "NVIDIA Orin", "8.7")
ADA = Gpu(torch.device("cpu"), "NVIDIA L4", "8.9")


class Behaviour:
    """What a test wants the module to do, and what it has done."""

    def __init__(self) -> None:
        self.builds = 0
        self.shapes: list[EngineShapes] = []
        self.targets: list[tuple[str, ...]] = []
        self.tf32: list[bool] = []
        self.loads = 0
        self.executions = 0
        self.build_error = ""
        self.no_driver = False
        self.no_memory = False
        self.fail_execution = False
        #: Names of EngineInvalidityDiagnostics that every engine has.
        self.invalid: tuple[str, ...] = ()
        self.suboptimal = False
        #: What is compiled on a first run, and what the runtime cache was given.
        self.compiled = b"kernels"
        self.given: list[bytes] = []
        self.takes_kernels = True


def use(monkeypatch: Any, name: str = "tensorrt", version: str = "11.1.0.106", gpu: Gpu = ORIN):
    """The module of this name is the stand-in, the other is missing; return it."""
    import sys

    from difiisr_ros.backends import engine_maker
    from difiisr_ros.backends import gpu as gpus

    module = make(name, version)
    for each in ("tensorrt", "tensorrt_rtx"):
        monkeypatch.setitem(sys.modules, each, module if each == name else None)
    monkeypatch.setattr(gpus, "find_gpu", lambda device: gpu)

    def build_plan(trt: Any, logger: Any, graph: bytes, shapes: EngineShapes, **how: Any) -> bytes:
        assert trt is module
        behaviour = module.behaviour
        behaviour.builds += 1
        behaviour.shapes.append(shapes)
        behaviour.targets.append(how["targets"])
        behaviour.tf32.append(how["tf32"])
        if behaviour.build_error:
            raise BackendUnavailable(behaviour.build_error)
        how["on_device"]()
        head = json.dumps([version, asdict(shapes)]).encode()
        return MAGIC + head + b"\n" + graph

    monkeypatch.setattr(engine_maker, "build_plan", build_plan)
    return module


def make(name: str, version: str) -> types.ModuleType:
    """A new module; its ``behaviour`` belongs to the test."""
    module: Any = types.ModuleType(name)
    behaviour = Behaviour()
    is_rtx = name == "tensorrt_rtx"

    class Severity(enum.IntEnum):
        INTERNAL_ERROR, ERROR, WARNING, INFO, VERBOSE = range(5)

    class ILogger:
        __slots__ = ("__dict__", "_started")  # a Python subclass may have what it likes

        def __init__(self) -> None:
            self._started = True

    ILogger.Severity = Severity  # type: ignore[attr-defined]

    class DataType(enum.IntEnum):
        FLOAT, HALF = range(2)

    class TensorIOMode(enum.IntEnum):
        NONE, INPUT, OUTPUT = range(3)

    class EngineValidity(enum.IntEnum):
        VALID, SUBOPTIMAL, INVALID = range(3)

    class EngineInvalidityDiagnostics(enum.IntEnum):
        VERSION_MISMATCH = 1
        UNSUPPORTED_CC = 2
        OLD_CUDA_DRIVER = 4
        OLD_CUDA_RUNTIME = 8
        INSUFFICIENT_GPU_MEMORY = 16
        MALFORMED_ENGINE = 32
        CUDA_ERROR = 64

    class ComputeCapability(enum.IntEnum):
        NONE, CURRENT, SM75, SM80, SM86, SM89, SM120 = 0, 1, 75, 80, 86, 89, 120

    class HostMemory:
        """A buffer, no bytes."""

        def __init__(self, data: bytes) -> None:
            self._data = data

        def __bytes__(self) -> bytes:
            return self._data

    class RuntimeCache:
        __slots__ = ("_data",)

        def __init__(self) -> None:
            self._data = b""

        def deserialize(self, data: bytes) -> bool:
            behaviour.given.append(bytes(data))
            self._data = bytes(data) if behaviour.takes_kernels else b""
            return behaviour.takes_kernels

        def serialize(self) -> HostMemory:
            return HostMemory(self._data)

    class RuntimeConfig:
        __slots__ = ("_cache",)

        def __init__(self) -> None:
            self._cache: RuntimeCache | None = None

        def create_runtime_cache(self) -> RuntimeCache:
            return RuntimeCache()

        def set_runtime_cache(self, cache: RuntimeCache) -> bool:
            assert isinstance(cache, RuntimeCache)
            self._cache = cache
            return True

    class Engine:
        __slots__ = ("_model", "_shapes")

        def __init__(self, model: onnx.ModelProto, shapes: EngineShapes) -> None:
            self._model, self._shapes = model, shapes

        def _values(self) -> list[onnx.ValueInfoProto]:
            return [*self._model.graph.input, *self._model.graph.output]

        @property
        def num_io_tensors(self) -> int:
            return len(self._values())

        def get_tensor_name(self, index: int) -> str:
            return self._values()[index].name

        def get_tensor_mode(self, name: str) -> TensorIOMode:
            if name in {value.name for value in self._model.graph.input}:
                return TensorIOMode.INPUT
            return TensorIOMode.OUTPUT

        def get_tensor_dtype(self, name: str) -> DataType:
            (value,) = (v for v in self._values() if v.name == name)
            kinds = {
                onnx.TensorProto.FLOAT: DataType.FLOAT,
                onnx.TensorProto.FLOAT16: DataType.HALF,
            }
            return kinds[value.type.tensor_type.elem_type]

        def create_execution_context(self, config: Any = None) -> Context | None:
            assert (config is not None) == is_rtx
            return None if behaviour.no_memory else Context(self, config)

    def create_runtime_config(self: Engine) -> RuntimeConfig:
        return RuntimeConfig()

    if is_rtx:
        Engine.create_runtime_config = create_runtime_config  # type: ignore[attr-defined]

    class Context:
        __slots__ = ("_addresses", "_config", "_engine", "_session", "_sizes")

        def __init__(self, engine: Engine, config: Any) -> None:
            self._engine, self._config = engine, config
            options = onnxruntime.SessionOptions()
            options.log_severity_level = 4
            self._session = onnxruntime.InferenceSession(
                engine._model.SerializeToString(), options, providers=["CPUExecutionProvider"]
            )
            self._sizes: dict[str, tuple[int, ...]] = {}
            self._addresses: dict[str, int] = {}

        def set_input_shape(self, name: str, shape: tuple[int, ...]) -> bool:
            assert type(shape) in (tuple, list)
            assert self._engine.get_tensor_mode(name) is TensorIOMode.INPUT
            if name == "lr" and (shape[0], *shape[2:]) not in self._engine._shapes:
                return False
            self._sizes[name] = tuple(shape)
            return True

        def get_tensor_shape(self, name: str) -> tuple[int, ...]:
            if name in self._sizes:
                return self._sizes[name]
            missing = {v.name for v in self._engine._model.graph.input} - set(self._sizes)
            assert not missing, f"the sizes of {missing} are not set"
            batch, _, height, width = self._sizes["lr"]
            metadata = {m.key: m.value for m in self._engine._model.metadata_props}
            scale = int(metadata["scale"])
            return batch, 1, scale * height, scale * width

        def set_tensor_address(self, name: str, memory: int) -> bool:
            assert type(memory) is int
            self._addresses[name] = memory
            return True

        def execute_async_v3(self, stream_handle: int) -> bool:
            assert type(stream_handle) is int
            names = {v.name for v in self._engine._values()}
            assert set(self._addresses) == names, "not every address is set"
            if behaviour.fail_execution:
                return False
            behaviour.executions += 1
            if is_rtx:
                self._config._cache._data = behaviour.compiled
            feed = {v.name: self._array(v.name) for v in self._engine._model.graph.input}
            (result,) = self._session.run(None, feed)
            output = self._engine._model.graph.output[0].name
            self._array(output)[...] = result
            return True

        def _array(self, name: str) -> np.ndarray:
            half = self._engine.get_tensor_dtype(name) is DataType.HALF
            dtype = np.dtype(np.float16 if half else np.float32)
            shape = self.get_tensor_shape(name)
            size = math.prod(shape) * dtype.itemsize
            raw = (ctypes.c_byte * size).from_address(self._addresses[name])
            return np.frombuffer(raw, dtype).reshape(shape)

    class Runtime:
        __slots__ = ("_logger",)

        def __init__(self, logger: Any) -> None:
            assert isinstance(logger, ILogger) and logger._started, "ILogger.__init__ not called"
            if behaviour.no_driver:
                logger.log(Severity.ERROR, "CUDA initialization failure with error: 35")
                raise TypeError("pybind11::init(): factory function returned nullptr")
            self._logger = logger

        def _fits(self, plan: bytes) -> bool:
            head = plan.removeprefix(MAGIC).partition(b"\n")[0]
            return plan.startswith(MAGIC) and json.loads(head)[0] == version

        def deserialize_cuda_engine(self, serialized_engine: bytes) -> Engine | None:
            behaviour.loads += 1
            if not self._fits(serialized_engine):
                self._logger.log(Severity.ERROR, "The engine plan file is not compatible")
                return None
            head, _, graph = serialized_engine.removeprefix(MAGIC).partition(b"\n")
            sides = json.loads(head)[1]
            shapes = EngineShapes(**{name: tuple(shape) for name, shape in sides.items()})
            return Engine(onnx.load_from_string(graph), shapes)

    def get_engine_validity(self: Runtime, plan: bytes) -> tuple[EngineValidity, int]:
        names = behaviour.invalid or (() if self._fits(plan) else ("VERSION_MISMATCH",))
        if names:
            return EngineValidity.INVALID, sum(EngineInvalidityDiagnostics[n] for n in names)
        return EngineValidity.SUBOPTIMAL if behaviour.suboptimal else EngineValidity.VALID, 0

    if is_rtx:
        Runtime.get_engine_validity = get_engine_validity  # type: ignore[attr-defined]
        module.ComputeCapability = ComputeCapability
        module.EngineValidity = EngineValidity
        module.EngineInvalidityDiagnostics = EngineInvalidityDiagnostics
    module.__version__ = version
    module.behaviour = behaviour
    for item in (ILogger, DataType, TensorIOMode, Runtime):
        setattr(module, item.__name__, item)
    return module
