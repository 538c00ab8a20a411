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

"""A region of interest that reaches beyond the frame, said once."""

from __future__ import annotations

from typing import Any

import numpy as np


class ClippedRegion:
    """Looks at frames until one does not hold all of the region that was asked for.

    Args:
        resolver: A ``SuperResolver``, whose options and camera's crop count.
    """

    def __init__(self, resolver: Any) -> None:
        self._region, self._crop = resolver.options.region, resolver.camera.crop
        self._said = False

    def look(self, frame: np.ndarray) -> list[str]:
        """What to say of a frame, H x W before the crop; of a region outside its error tells."""
        if self._said or self._region is None:
            return []
        height, width = self._crop.of(frame).shape
        words = self._region.clipping(width, height)
        self._said = bool(words)
        return [words] if words else []
