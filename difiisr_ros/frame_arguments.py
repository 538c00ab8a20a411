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

"""What SuperResolver is given with a frame, checked before anything is read, learnt or computed."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from difiisr_ros.core.plain_numbers import plain_int
from difiisr_ros.core.radiometry import ValueRange, check_frame, check_value_range
from difiisr_ros.errors import FrameError, OptionError
from difiisr_ros.stream_memory import StreamMemory


class Given(NamedTuple):
    """A frame, and what is said of it alone."""

    frame: np.ndarray
    """H x W, uint8, uint16 or float32."""
    missing: np.ndarray | None
    value_range: ValueRange | None
    memory: StreamMemory | None


def check_batch(frames: Any, value_ranges: Any, missing: Any, memories: Any) -> list[Given]:
    """The frames of a batch with what is given of each, None where nothing is.

    Arguments are those of :meth:`difiisr_ros.pipeline.SuperResolver.upscale_batch`.

    Raises:
        FrameError: no frames, several shapes or dtypes, a frame or mask that cannot be used, more
            or less of something than frames, or one memory for two of them.
        OptionError: no range, or no memory.
    """
    checked = [check_frame(frame) for frame in _listed(frames, "frames")]
    if not checked:
        raise FrameError("no frames given")
    first, count = checked[0], len(checked)
    if any(f.shape != first.shape or f.dtype != first.dtype for f in checked):
        kinds = ", ".join(sorted({f"{f.shape} {f.dtype}" for f in checked}))
        raise FrameError(f"a batch needs frames of one shape and dtype, got {kinds}")
    ranges = _of_each(value_ranges, count, "value ranges")
    masks = _of_each(missing, count, "masks of missing pixels")
    pasts = [check_memory(memory) for memory in _of_each(memories, count, "memories")]
    used = [id(memory) for memory in pasts if memory is not None]
    if len(set(used)) != len(used):
        raise FrameError(
            "memories must be all different, one for each camera; two frames were given the same "
            "one: give frames of one camera one after the other"
        )
    return [
        Given(
            frame,
            check_mask(masks[i]),
            None if ranges[i] is None else check_value_range(ranges[i]),
            pasts[i],
        )
        for i, frame in enumerate(checked)
    ]


def check_memory(memory: Any) -> StreamMemory | None:
    """The memory itself, or None; OptionError unless it is one of these."""
    if memory is not None and not isinstance(memory, StreamMemory):
        raise OptionError(
            "memory must be a StreamMemory, which takes what is used of a stream as MemoryOptions, "
            f"or None, got {memory!r}"
        )
    return memory


def check_mask(mask: Any) -> np.ndarray | None:
    """The mask of missing pixels as a plain array, or None; FrameError unless it is H x W, bool."""
    if mask is None:
        return None
    if not isinstance(mask, np.ndarray) or mask.dtype != bool or mask.ndim != 2:
        array = isinstance(mask, np.ndarray)
        got = f"{mask.dtype} of shape {mask.shape}" if array else type(mask).__name__
        raise FrameError(
            "the mask of missing pixels is a numpy array of bool, height x width of the frame, "
            f"True where nothing was measured, got {got}"
        )
    return np.asarray(mask)


def check_sides(height: Any, width: Any) -> tuple[int, int]:
    """Height and width of a frame as ints; FrameError unless they are whole numbers above 0."""
    sides = plain_int(height), plain_int(width)
    if sides[0] is None or sides[1] is None or sides[0] < 1 or sides[1] < 1:
        raise FrameError(
            f"height and width of a frame are whole numbers of 1 or more, got {height!r} and "
            f"{width!r}"
        )
    return sides[0], sides[1]


def _of_each(given: Any, count: int, what: str) -> list[Any]:
    if given is None:
        return [None] * count
    found = _listed(given, what)
    if len(found) != count:
        raise FrameError(f"{count} frames need as many {what}, got {len(found)}")
    return found


def _listed(given: Any, what: str) -> list[Any]:
    try:
        return list(given)
    except TypeError as error:
        got = type(given).__name__
        raise FrameError(f"{what} are a list, one for each frame, got {got}") from error
