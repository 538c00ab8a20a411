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

"""What is done when a frame does not fit into the device's memory: one at a time, smaller tiles."""

from __future__ import annotations

import logging

from difiisr_ros.errors import DeviceOutOfMemory
from difiisr_ros.options import UpscaleOptions

LEAST_TILE = 64
_ALIGN = 8

_logger = logging.getLogger(__name__)


class MemoryLimit:
    """Remembers what has not fitted, so that not every frame has to fail first."""

    def __init__(self) -> None:
        #: What is reduced, and why, for SuperResolver.info; None: nothing is.
        self.reason: str | None = None
        #: Whether frames are run one at a time.
        self.one_by_one = False
        self._tile = 0

    def applied(self, options: UpscaleOptions) -> UpscaleOptions:
        """The options with tiles that may fit."""
        if not self._tile or 0 < options.tile_size <= self._tile:
            return options
        # A quarter shared on each side keeps the borders of the tiles out of sight.
        overlap = min(options.tile_overlap, self._tile // 4 // _ALIGN * _ALIGN)
        return options.changed(tile_size=self._tile, tile_overlap=overlap)

    def reduce(
        self, shape: tuple[int, ...], options: UpscaleOptions, error: DeviceOutOfMemory
    ) -> None:
        """Ask for less the next time.

        Args:
            shape: N x 1 x H x W of the frames that did not fit.
            options: with which they did not.
            error: what the backend said; raised where nothing is left to reduce.
        """
        if shape[0] > 1 and not self.one_by_one:
            self.one_by_one = True
            what = "frames are run one at a time"
        else:
            side = max(shape[-2:])
            side = min(side, options.tile_size) if options.tile_size else side
            if side <= LEAST_TILE:
                raise error
            self._tile = max(side // 2 // _ALIGN * _ALIGN, LEAST_TILE)
            what = f"frames are run in tiles of {self._tile} pixels"
        self.reason = f"{what}: {error}"
        _logger.warning(self.reason)

    def forget(self) -> None:
        """Try again as asked."""
        self.reason, self.one_by_one, self._tile = None, False, 0
