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

"""torch's ways to say that memory does not suffice, as one error of ours."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch

from difiisr_ros.errors import DeviceOutOfMemory

#: What torch's allocator for the CPU says, in a RuntimeError without a type of its own.
_CPU_WORDS = ("can't allocate memory", "not enough memory")


@contextlib.contextmanager
def report_full_device(device: torch.device, shape: tuple[int, ...]) -> Iterator[None]:
    """Raise DeviceOutOfMemory for frames of this shape (N x 1 x H x W) where memory runs out."""
    try:
        yield
    except RuntimeError as error:
        full = isinstance(error, torch.cuda.OutOfMemoryError)
        if not full and not any(words in str(error) for words in _CPU_WORDS):
            raise
        if device.type == "cuda":
            torch.cuda.empty_cache()
        count, _, height, width = shape
        frames = "a frame" if count == 1 else f"{count} frames"
        raise DeviceOutOfMemory(
            f"{device} has not the memory for {frames} of {width}x{height}"
        ) from error
