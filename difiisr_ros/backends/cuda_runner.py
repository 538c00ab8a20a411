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

"""Runs a sampler on a CUDA device: recorded once as a CUDA graph for each kind of frame, replayed.

A sampler at LR resolution is some hundred small kernels, and queueing each costs the CPU more than
the GPU needs to compute it. A CUDA graph queues all of them at once, for one size and one set of
options, at fixed addresses. So graphs are recorded for what keeps coming, and only the last few are
kept; everything else runs as usual (eagerly). Each frame waits for the device once, at its end.

What has run on a GPU, and what has not, is in docs/tensorrt.md.
"""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from difiisr_ros.backends.cuda_staging import DeviceStream
from difiisr_ros.core.constants import hold_constants
from difiisr_ros.errors import DeviceOutOfMemory, first_line

MAX_GRAPHS = 4
#: Eager runs of a kind of frame before it is recorded: the first chooses kernels and allocates
#: workspaces, which may not happen while recording; a size that comes once is not worth recording.
WARMUP_RUNS = 2
_MAX_COUNTED = 64

_logger = logging.getLogger(__name__)

Compute = Callable[..., Tensor]


class Recorded(Protocol):
    """A recorded computation with its inputs and its result at fixed addresses."""

    inputs: Sequence[Tensor]
    result: Tensor

    def replay(self) -> None:
        """Queue the whole computation on the current stream."""

    def free(self) -> None:
        """Give its memory back."""


class CudaGraph:
    """A computation recorded by :class:`torch.cuda.CUDAGraph`, with memory of its own."""

    def __init__(self, compute: Compute, inputs: Sequence[Tensor]) -> None:
        self.inputs = inputs
        self._graph = torch.cuda.CUDAGraph()
        # thread_local: what other threads do with the device meanwhile does not end the recording.
        recording = torch.cuda.graph(
            self._graph, stream=torch.cuda.current_stream(), capture_error_mode="thread_local"
        )
        with hold_constants() as self._constants, recording:
            self.result = compute(*inputs)

    def replay(self) -> None:
        """See :class:`Recorded`."""
        self._graph.replay()

    def free(self) -> None:
        """See :class:`Recorded`."""
        self._graph.reset()


class CudaRunner:
    """Runs computations on one device. Not thread-safe: SuperResolver runs one call at a time.

    Args:
        device: of torch.
        max_graphs: recorded computations kept, the least recently used goes first; 0: none.
        record: makes a :class:`Recorded`; only tests give another one.
    """

    def __init__(
        self,
        device: torch.device,
        max_graphs: int = MAX_GRAPHS,
        record: Callable[[Compute, Sequence[Tensor]], Recorded] = CudaGraph,
    ) -> None:
        self._stream = DeviceStream(device)
        self._max_graphs = max_graphs
        self._record = record
        self._graphs: OrderedDict[Hashable, Recorded] = OrderedDict()
        self._runs: OrderedDict[Hashable, int] = OrderedDict()
        #: Why nothing is recorded any more, or None.
        self.eager_because: str | None = None

    def run(
        self, key: Hashable, compute: Compute, arrays: Sequence[np.ndarray], graph: bool = True
    ) -> np.ndarray:
        """``compute`` of the arrays as tensors on the device, as an array of its own.

        Args:
            key: everything besides the arrays' values and shapes that the result depends on.
            compute: from tensors to a tensor, on the current stream, without waiting for the
                device, and with the same kernels for the same key and shapes.
            arrays: inputs; may be changed once this returns.
            graph: False where ``compute`` cannot be recorded.

        Raises:
            DeviceOutOfMemory: also after every graph and cached block was freed.
        """
        full_key = key, tuple(array.shape for array in arrays)
        try:
            return self._run(full_key, compute, arrays, graph)
        except torch.cuda.OutOfMemoryError:
            self.clear()
        try:
            return self._eager(compute, arrays)
        except torch.cuda.OutOfMemoryError as error:
            self.clear()
            shapes = ", ".join("x".join(map(str, array.shape)) for array in arrays)
            raise DeviceOutOfMemory(
                f"{self._stream.device} has not the memory for inputs of {shapes}: "
                f"{first_line(error)}"
            ) from error

    def wait_for_others(self) -> None:
        """Wait for what was queued on the device's other streams, such as the model's weights."""
        if self._stream.device.type == "cuda":
            torch.cuda.synchronize(self._stream.device)

    def clear(self) -> None:
        """Free the graphs and what torch caches."""
        self._stream.synchronize()
        for recorded in self._graphs.values():
            recorded.free()
        self._graphs.clear()
        self._runs.clear()
        if self._stream.device.type == "cuda":
            torch.cuda.empty_cache()

    def _run(
        self, key: Hashable, compute: Compute, arrays: Sequence[np.ndarray], graph: bool
    ) -> np.ndarray:
        recorded = self._graphs.get(key)
        if recorded is None and graph and self._is_due(key):
            recorded = self._try_to_record(key, compute, arrays)
        if recorded is None:
            return self._eager(compute, arrays)
        self._graphs.move_to_end(key)
        for tensor, array in zip(recorded.inputs, arrays):
            self._stream.upload(array, out=tensor)
        with self._stream.use():
            recorded.replay()
        return self._stream.download(recorded.result)

    def _eager(self, compute: Compute, arrays: Sequence[np.ndarray]) -> np.ndarray:
        inputs = [self._stream.upload(array) for array in arrays]
        with self._stream.use():
            result = compute(*inputs)
        return self._stream.download(result)

    def _is_due(self, key: Hashable) -> bool:
        """Count a run; whether this kind of frame has come often enough to be recorded."""
        if self._max_graphs <= 0 or self.eager_because is not None:
            return False
        runs = self._runs.pop(key, 0)
        self._runs[key] = runs + 1
        while len(self._runs) > _MAX_COUNTED:
            self._runs.popitem(last=False)
        return runs >= WARMUP_RUNS

    def _try_to_record(
        self, key: Hashable, compute: Compute, arrays: Sequence[np.ndarray]
    ) -> Recorded | None:
        while len(self._graphs) >= self._max_graphs:  # before, so that its memory is free
            self._stream.synchronize()
            self._graphs.popitem(last=False)[1].free()
        inputs = [self._stream.upload(array) for array in arrays]
        self._stream.synchronize()  # recording forbids work that is under way elsewhere
        try:
            with self._stream.use():
                recorded = self._record(compute, inputs)
        except torch.cuda.OutOfMemoryError:
            raise
        except RuntimeError as error:
            # A driver, a torch or an operation that cannot be recorded: as fast as without graphs.
            self.eager_because = first_line(error)
            _logger.warning("CUDA graphs are not used: %s", self.eager_because)
            return None
        self._graphs[key] = recorded
        return recorded

    @property
    def graphs(self) -> tuple[Any, ...]:
        """Keys of what is recorded, the least recently used first."""
        return tuple(self._graphs)
