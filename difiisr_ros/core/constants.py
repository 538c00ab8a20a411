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

"""Constant tensors: made once, copied once to every device and type that reads them.

Copying a constant to a GPU for every frame would make the CPU wait each time, and may not happen
while a CUDA graph is recorded.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

_held: list[list[Tensor]] = []


def constant(maxsize: int) -> Callable[[Callable[..., np.ndarray]], Callable[..., Tensor]]:
    """Decorate a function that makes an array, to give a tensor like another one.

    ``f(*args) -> array`` becomes ``f(like, *args) -> tensor`` of ``like``'s device and dtype; the
    last ``maxsize`` are kept. Arrays should be float32, so that a trace sees a constant.
    """

    def decorate(make: Callable[..., np.ndarray]) -> Callable[..., Tensor]:
        # Ordinary tensors even if the first call comes from inference mode: a tensor made there
        # could never take part in training afterwards.
        @lru_cache(maxsize=maxsize)
        @torch.inference_mode(False)
        def copy(device: torch.device, dtype: torch.dtype, *args: int) -> Tensor:
            tensor = torch.from_numpy(np.ascontiguousarray(make(*args)))
            if tensor.device != device or tensor.dtype != dtype:
                # The type first: a copy to a device is waited for, a conversion there would not be,
                # and another stream might read the result too early.
                tensor = tensor.to(dtype).to(device)
            return tensor

        def get(like: Tensor, *args: int) -> Tensor:
            tensor = copy(like.device, like.dtype, *args)
            for held in _held:
                held.append(tensor)
            return tensor

        get.__doc__ = make.__doc__
        get.cache_clear = copy.cache_clear  # type: ignore[attr-defined]
        return get

    return decorate


@contextlib.contextmanager
def hold_constants() -> Iterator[list[Tensor]]:
    """The constants that are read inside, for a CUDA graph to hold: it reads their addresses, and
    must not find others there once the caches have let them go."""
    held: list[Tensor] = []
    _held.append(held)
    try:
        yield held
    finally:
        _held[:] = [other for other in _held if other is not held]
