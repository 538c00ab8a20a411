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

"""Keeps the C library from giving a frame's memory back to the system after every use.

Buffers of some megabytes, which a frame's metrics need by the dozen, come from the system and go
back to it each time, and the system hands them out empty, page by page: that costs more than what
is computed in them (SSIM of 1280x1024 pixels: 95 ms with it, 30 ms without).
"""

from __future__ import annotations

import ctypes
import sys

_M_TRIM_THRESHOLD = -1
_M_MMAP_THRESHOLD = -3
_M_ARENA_MAX = -8
_LARGE = 1 << 30
_LARGEST_OF_OLD_GLIBC = 32 << 20


def keep_large_buffers() -> bool:
    """Keep freed buffers for the next frame; returns whether that could be arranged (glibc only).

    For the whole process, so it is for its main program to call, before other threads start. The
    process then never holds more than it needed at its worst moment, and does not shrink; threads
    share one heap.
    """
    if not sys.platform.startswith("linux"):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:  # another C library than glibc
        return False
    # Threads have heaps of their own otherwise, which do give everything back.
    mallopt(_M_ARENA_MAX, 1)
    limits = (_LARGE, _LARGEST_OF_OLD_GLIBC)
    return any(mallopt(_M_MMAP_THRESHOLD, limit) for limit in limits) and bool(
        mallopt(_M_TRIM_THRESHOLD, _LARGE)
    )


class HolesGivenBack:
    """Gives free memory back to the system whenever there were many other sizes of frames.

    640 sizes of ``lite`` grow a process by some 30 MB, and 1,500 by no more; without, by twice
    that, and on. A stream of one size, or of some cameras', never pays for it (10 to 50 ms).
    """

    AFTER = 64  # sizes

    def __init__(self) -> None:
        self._sizes: set[tuple[int, ...]] = set()

    def look(self, shape: tuple[int, ...]) -> None:
        """A frame of this shape has been upscaled."""
        self._sizes.add(shape)
        if len(self._sizes) < self.AFTER:
            return
        self._sizes.clear()
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
        if trim is not None:  # glibc
            trim(0)
