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

"""What a command says of the frames that it upscales: each thing once."""

from __future__ import annotations

from typing import Any

import numpy as np

from difiisr_ros.core.oddities import FrameCheck


class FrameNotices:
    """Looks at the frames of one source, for what is odd and for a region that is clipped.

    Args:
        resolver: A ``SuperResolver``, whose options and camera count.
        every: See :class:`~difiisr_ros.core.oddities.FrameCheck`.
    """

    def __init__(self, resolver: Any, every: int = 64) -> None:
        self._check = FrameCheck(resolver.camera, every)
        self._region, self._crop = resolver.options.region, resolver.camera.crop

    def look(
        self, frame: np.ndarray, order: str = "", stored: np.ndarray | None = None
    ) -> list[str]:
        """What is new about a frame, in sentences.

        Arguments are those of :meth:`difiisr_ros.core.oddities.FrameCheck.look`.
        """
        found = [oddity.words for oddity in self._check.look(frame, order, stored)]
        if self._region is not None:
            height, width = self._crop.of(frame).shape
            if words := self._region.clipping(width, height):
                self._region = None
                found.insert(0, words)
        return [f"{words} (said once)" for words in found]
