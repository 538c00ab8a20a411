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

"""Frames to a CUDA device and back: pinned memory, a stream of its own, one wait a frame."""

from __future__ import annotations

import contextlib

import numpy as np
import torch
from torch import Tensor


class DeviceStream:
    """Copies between numpy and a device, in the order of one stream.

    Copies from pageable memory make the CPU wait for each; from pinned memory they only queue.
    torch keeps freed pinned blocks and does not hand one out again before its copy is done, so
    that after the first frames nothing is allocated.

    On a CPU device everything is the same without stream and pinning, which is how the code around
    it is tested where there is no GPU.
    """

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self._pinned = device.type == "cuda"
        self._stream = torch.cuda.Stream(device) if self._pinned else None

    @property
    def handle(self) -> int:
        """The ``cudaStream_t`` as a number; 0 on a CPU."""
        return 0 if self._stream is None else self._stream.cuda_stream

    def use(self) -> contextlib.AbstractContextManager[None]:
        """What runs inside is queued on this stream."""
        if self._stream is None:
            return contextlib.nullcontext()
        return torch.cuda.stream(self._stream)

    def upload(self, array: np.ndarray, out: Tensor | None = None) -> Tensor:
        """Queue the copy of an array to the device; it may be changed once this returns.

        Args:
            array: any strides.
            out: tensor on the device to copy to, of the same shape; a new one where None.
        """
        with self.use():
            staged = torch.empty(array.shape, dtype=_dtype_of(array), pin_memory=self._pinned)
            np.copyto(staged.numpy(), array)
            if out is None:
                out = torch.empty_like(staged, device=self.device)
            return out.copy_(staged, non_blocking=True)

    def download(self, tensor: Tensor) -> np.ndarray:
        """Wait for everything queued so far; an array of its own for each call."""
        with self.use():
            host = torch.empty(tensor.shape, dtype=tensor.dtype, pin_memory=self._pinned)
            host.copy_(tensor, non_blocking=True)
        if self._stream is not None:
            self._stream.synchronize()
        return host.numpy()

    def synchronize(self) -> None:
        """Wait for everything queued so far."""
        if self._stream is not None:
            self._stream.synchronize()


def _dtype_of(array: np.ndarray) -> torch.dtype:
    return torch.from_numpy(np.empty(0, array.dtype)).dtype
