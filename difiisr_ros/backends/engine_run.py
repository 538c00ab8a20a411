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

"""A loaded TensorRT engine, run on torch's tensors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from difiisr_ros.backends.cuda_staging import DeviceStream
from difiisr_ros.backends.device_memory import report_full_device
from difiisr_ros.backends.engine_cache import EngineShapes
from difiisr_ros.backends.engine_jit import JitCache
from difiisr_ros.errors import BackendUnavailable, FrameError
from difiisr_ros.export.facts import LR, SR


class LoadedEngine:
    """An engine with its execution context, and what is compiled on its first run."""

    def __init__(
        self,
        trt: Any,
        logger: Any,
        engine: Any,
        shapes: EngineShapes,
        stream: DeviceStream,
        jit: JitCache | None = None,
    ) -> None:
        self.shapes = shapes
        self._logger, self._stream, self._jit = logger, stream, jit
        self._seen: set[tuple[int, ...]] = set()
        if jit is None:
            self._context = engine.create_execution_context()
        else:
            self._context = jit.context_of(engine)
        if self._context is None:
            raise BackendUnavailable(f"no memory for the engine's activations: {logger.error}")
        names = [engine.get_tensor_name(i) for i in range(engine.num_io_tensors)]
        modes = {name: engine.get_tensor_mode(name) for name in names}
        self._inputs = [name for name in names if modes[name] == trt.TensorIOMode.INPUT]
        dtypes = {
            trt.DataType.FLOAT: torch.float32,
            trt.DataType.HALF: torch.float16,
        }
        self._dtypes = {name: dtypes[engine.get_tensor_dtype(name)] for name in names}

    def run(self, arrays: Mapping[str, np.ndarray]) -> np.ndarray:
        """One batch, and one wait for the device.

        Args:
            arrays: the graph's inputs by name; those that this graph has not are left out.
        """
        batch, _, height, width = arrays[LR].shape
        if (batch, height, width) not in self.shapes:
            raise FrameError(
                f"frames of {width}x{height} pixels do not fit the TensorRT engine, which takes "
                f"{_sides(self.shapes)}; larger ones need a tile_size within that"
            )
        with report_full_device(self._stream.device, arrays[LR].shape):
            result = self._execute(arrays)
        if self._jit is not None and arrays[LR].shape not in self._seen:
            self._seen.add(arrays[LR].shape)
            self._jit.save()
        return result

    def close(self) -> None:
        """Keep what was compiled since, also in the background."""
        if self._jit is not None:
            self._jit.save()

    def _execute(self, arrays: Mapping[str, np.ndarray]) -> np.ndarray:
        context, stream = self._context, self._stream
        with stream.use():
            held = []  # until the device has read them
            for name in self._inputs:
                tensor = stream.upload(arrays[name]).to(self._dtypes[name])
                held.append(tensor)
                self._check(context.set_input_shape(name, tuple(tensor.shape)), name)
                self._check(context.set_tensor_address(name, tensor.data_ptr()), name)
            shape = tuple(context.get_tensor_shape(SR))
            result = torch.empty(shape, dtype=self._dtypes[SR], device=stream.device)
            self._check(context.set_tensor_address(SR, result.data_ptr()), SR)
            self._check(context.execute_async_v3(stream.handle), "execution")
            return stream.download(result.float())

    def _check(self, succeeded: bool, what: str) -> None:
        if not succeeded:
            raise RuntimeError(f"TensorRT failed at {what}: {self._logger.error}")


def _sides(shapes: EngineShapes) -> str:
    (_, low_height, low_width), (_, height, width) = shapes.least, shapes.largest
    return f"{low_width}x{low_height} to {width}x{height}"
