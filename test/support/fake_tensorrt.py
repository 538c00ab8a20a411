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

"""Stands for the ``tensorrt`` module: its documented Python API as far as ours uses it, strictly.

Every class has the names, and only the names, that the bindings of TensorRT 10.0.0 and 11.1.0 both
define for it, so that a name they do not have is an AttributeError here too; what may not be called
yet, or not with these arguments, is an AssertionError. A built engine holds the graph, and ONNX
Runtime runs it on the CPU, at the addresses that were set.
"""

from __future__ import annotations

import ctypes
import enum
import math
import threading
import types
from typing import Any

import numpy as np
import onnx
import onnxruntime

MAGIC = b"FAKEPLAN"


class Behaviour:
    """What a test wants the module to do."""

    def __init__(self) -> None:
        self.builds = 0
        self.loads = 0
        #: Severity name and text of what the next build logs before it fails.
        self.build_error = ""
        self.parse_errors: tuple[str, ...] = ()
        #: Set to let a build end that is to be waited for.
        self.hold: threading.Event | None = None
        self.building = threading.Event()
        self.cancelled = False
        self.no_device = False
        self.no_memory = False
        self.fail_execution = False
        self.tf32: list[bool] = []
        self.profiles: list[dict[str, tuple[tuple[int, ...], ...]]] = []
        self.executions = 0


def make(version: str = "11.1.0.106") -> types.ModuleType:
    """A new module; its ``behaviour`` belongs to the test."""
    major = int(version.partition(".")[0])
    module: Any = types.ModuleType("tensorrt")
    behaviour = Behaviour()

    class Severity(enum.IntEnum):
        INTERNAL_ERROR, ERROR, WARNING, INFO, VERBOSE = range(5)

    class ILogger:
        __slots__ = ("__dict__", "_started")  # a Python subclass may have what it likes

        def __init__(self) -> None:
            self._started = True

    ILogger.Severity = Severity  # type: ignore[attr-defined]

    class IProgressMonitor:
        def __init__(self) -> None:
            self._started = True

    class NetworkDefinitionCreationFlag(enum.IntEnum):
        STRONGLY_TYPED = 0 if major >= 11 else 1

    class BuilderFlag(enum.IntEnum):
        TF32 = 7

    class DataType(enum.IntEnum):
        FLOAT, HALF = range(2)

    class TensorIOMode(enum.IntEnum):
        NONE, INPUT, OUTPUT = range(3)

    def check_logger(logger: Any) -> None:
        assert isinstance(logger, ILogger) and logger._started, "ILogger.__init__ was not called"
        if behaviour.no_device:
            logger.log(Severity.ERROR, "CUDA initialization failure with error: 35")
            raise TypeError("pybind11::init(): factory function returned nullptr")

    class Tensor:
        __slots__ = ("_name", "_shape")

        def __init__(self, value: onnx.ValueInfoProto) -> None:
            self._name = value.name
            dims = value.type.tensor_type.shape.dim
            self._shape = tuple(d.dim_value if d.HasField("dim_value") else -1 for d in dims)

        @property
        def name(self) -> str:
            return self._name

        @property
        def shape(self) -> tuple[int, ...]:
            return self._shape

    class Network:
        __slots__ = ("_model",)

        def __init__(self) -> None:
            self._model: onnx.ModelProto | None = None

        @property
        def num_inputs(self) -> int:
            return len(self._model.graph.input)

        def get_input(self, index: int) -> Tensor:
            return Tensor(self._model.graph.input[index])

    class ParserError:
        __slots__ = ("_text",)

        def __init__(self, text: str) -> None:
            self._text = text

        def desc(self) -> str:
            return self._text

    class OnnxParser:
        __slots__ = ("_network",)

        def __init__(self, network: Network, logger: Any) -> None:
            assert isinstance(network, Network)
            check_logger(logger)
            self._network = network

        def parse(self, model: bytes, path: str | None = None) -> bool:
            memoryview(model)  # a buffer is what it takes
            if behaviour.parse_errors:
                return False
            self._network._model = onnx.load_from_string(bytes(model))
            return True

        @property
        def num_errors(self) -> int:
            return len(behaviour.parse_errors)

        def get_error(self, index: int) -> ParserError:
            return ParserError(behaviour.parse_errors[index])

    class Profile:
        __slots__ = ("_shapes",)

        def __init__(self) -> None:
            self._shapes: dict[str, tuple[tuple[int, ...], ...]] = {}

        def set_shape(self, input: str, min: Any, opt: Any, max: Any) -> None:
            sizes = tuple(min), tuple(opt), tuple(max)
            if not all(0 <= a <= b <= c for a, b, c in zip(*sizes)):
                raise RuntimeError("Shape provided for opt is inconsistent with other shapes.")
            self._shapes[input] = sizes

    class BuilderConfig:
        __slots__ = ("_flags", "_monitor", "_profiles")

        def __init__(self) -> None:
            self._profiles: list[Profile] = []
            self._monitor: Any = None
            self._flags = {BuilderFlag.TF32}

        @property
        def progress_monitor(self) -> Any:
            return self._monitor

        @progress_monitor.setter
        def progress_monitor(self, monitor: Any) -> None:
            assert isinstance(monitor, IProgressMonitor) and monitor._started
            self._monitor = monitor

        def clear_flag(self, flag: BuilderFlag) -> None:
            self._flags.discard(BuilderFlag(flag))

        def add_optimization_profile(self, profile: Profile) -> int:
            self._profiles.append(profile)
            return len(self._profiles) - 1

    class HostMemory:
        """What build_serialized_network returns: a buffer, no bytes."""

        def __init__(self, data: bytes) -> None:
            self._data = data

        def __bytes__(self) -> bytes:
            return self._data

    class Builder:
        __slots__ = ("_logger",)

        def __init__(self, logger: Any) -> None:
            check_logger(logger)
            self._logger = logger

        def create_network(self, flags: int = 0) -> Network:
            strong = bool(flags & 1 << NetworkDefinitionCreationFlag.STRONGLY_TYPED)
            assert strong or major >= 11, "weakly typed: precision would need builder flags"
            return Network()

        def create_builder_config(self) -> BuilderConfig:
            return BuilderConfig()

        def create_optimization_profile(self) -> Profile:
            return Profile()

        def build_serialized_network(
            self, network: Network, config: BuilderConfig
        ) -> HostMemory | None:
            assert network._model is not None, "nothing was parsed"
            behaviour.builds += 1
            behaviour.tf32.append(BuilderFlag.TF32 in config._flags)
            inputs = [Tensor(value) for value in network._model.graph.input]
            dynamic = {t.name for t in inputs if -1 in t.shape}
            shapes = config._profiles[0]._shapes if config._profiles else {}
            assert dynamic <= set(shapes), "dynamic inputs need an optimisation profile"
            for tensor in inputs:
                for size in shapes.get(tensor.name, ()):
                    assert len(size) == len(tensor.shape)
                    assert all(d in (-1, s) for d, s in zip(tensor.shape, size))
            behaviour.profiles.append(shapes)
            if not self._report(config._monitor):
                behaviour.cancelled = True
                return None
            if behaviour.build_error:
                self._logger.log(Severity.ERROR, behaviour.build_error)
                return None
            self._logger.log(Severity.INFO, "Engine generation completed")
            head = f"{version}\n{shapes!r}\n".encode()
            return HostMemory(MAGIC + head + network._model.SerializeToString())

        @staticmethod
        def _report(monitor: Any) -> bool:
            """The phases of a build; False once the monitor wants no more."""
            if monitor is None:
                return True
            monitor.phase_start("Building Engine", None, 2)
            monitor.phase_start("Timing tactics", "Building Engine", 1000)
            behaviour.building.set()
            step, going = 0, True
            while going and behaviour.hold is not None and not behaviour.hold.wait(0.01):
                going = monitor.step_complete("Timing tactics", step)
                step += 1
            monitor.phase_finish("Timing tactics")
            going = going and monitor.step_complete("Building Engine", 0)
            monitor.phase_finish("Building Engine")
            return going

    class Engine:
        __slots__ = ("_model", "_shapes")

        def __init__(self, model: onnx.ModelProto, shapes: dict) -> None:
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

        def create_execution_context(self) -> Context | None:
            return None if behaviour.no_memory else Context(self)

    class Context:
        __slots__ = ("_addresses", "_engine", "_session", "_sizes")

        def __init__(self, engine: Engine) -> None:
            self._engine = engine
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
            if name in self._engine._shapes:
                least, _, largest = self._engine._shapes[name]
                if not all(a <= b <= c for a, b, c in zip(least, shape, largest)):
                    return False
            self._sizes[name] = tuple(shape)
            return True

        def get_tensor_shape(self, name: str) -> tuple[int, ...]:
            if name in self._sizes:
                return self._sizes[name]
            missing = {v.name for v in self._engine._model.graph.input} - set(self._sizes)
            assert not missing, f"the sizes of {missing} are not set"
            batch, _, height, width = self._sizes["lr"]
            return batch, 1, 4 * height, 4 * width

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
            check_logger(logger)
            self._logger = logger

        def deserialize_cuda_engine(self, serialized_engine: bytes) -> Engine | None:
            behaviour.loads += 1
            built_by, _, rest = bytes(serialized_engine).removeprefix(MAGIC).partition(b"\n")
            shapes, _, graph = rest.partition(b"\n")
            if not serialized_engine.startswith(MAGIC) or built_by.decode() != version:
                self._logger.log(Severity.ERROR, "The engine plan file is not compatible")
                return None
            return Engine(onnx.load_from_string(graph), eval(shapes))

    module.__version__ = version
    module.behaviour = behaviour
    for item in (
        ILogger,
        IProgressMonitor,
        NetworkDefinitionCreationFlag,
        BuilderFlag,
        DataType,
        TensorIOMode,
        OnnxParser,
        Builder,
        Runtime,
    ):
        setattr(module, item.__name__, item)
    return module
