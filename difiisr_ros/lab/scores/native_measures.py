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

"""What a method does to a frame as the camera delivered it, without a truth, against bicubic.

Sharpened noise, a lattice of dots and edges that are no sharper than before are what one sees on
native frames; frames that were reduced by antialiased bicubic show none of it.
"""

from __future__ import annotations

import numpy as np

from difiisr_ros.core.scale import SCALE
from difiisr_ros.lab.scores.edge_width import Edges
from difiisr_ros.lab.scores.flat_places import FlatPlaces, noise, noise_above_nyquist

#: Keys of :meth:`NativeMeasures.measure`.
NATIVE = ("noise_gain", "noise_above_nyquist", "lattice", "edge_width")


class NativeMeasures:
    """Measures results of one camera frame.

    Args:
        lr: H x W, any real dtype.
        bicubic: sH x sW, the frame upscaled by OpenCV's bicubic, in the results' dtype; at x1 the
            frame itself.
        scale: s.
    """

    def __init__(self, lr: np.ndarray, bicubic: np.ndarray, scale: int = SCALE) -> None:
        self._scale = scale
        self.flat = FlatPlaces(lr, scale)
        self.edges = Edges(lr, self.flat.noise, bicubic, scale)
        residual = self.flat.residual(bicubic)
        self._noise = noise(residual)
        self._above = noise_above_nyquist(residual, scale)

    def measure(self, sr: np.ndarray) -> dict[str, float]:
        """Every one of :data:`NATIVE`; NaN where the frame has nothing to measure it by.

        Args:
            sr: sH x sW.

        Returns:
            ``noise_gain``, ``noise_above_nyquist``: in flat places, over bicubic's.
            ``lattice``: see :meth:`FlatPlaces.lattice`. ``edge_width``: camera pixels.
        """
        residual = self.flat.residual(sr)
        return {
            "noise_gain": _ratio(noise(residual), self._noise),
            "noise_above_nyquist": _ratio(noise_above_nyquist(residual, self._scale), self._above),
            "lattice": self.flat.lattice(residual),
            "edge_width": self.edges.width(sr),
        }


def _ratio(value: float, reference: float) -> float:
    return value / reference if reference > 0 else float("nan")
