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

"""A simulated thermal camera that looks at a frame: optics, detector area, pattern, noise, x1/4.

The one simulator of the package: evaluation degrades recorded frames with it.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from difiisr_ros.core import radiometry
from difiisr_ros.core.scale import SCALE

#: Between these the optics' blur is drawn, Gaussian sigma in camera pixels.
BLUR = (0.2, 0.6)
#: Between these the row and column pattern is drawn, shares of the frame's range.
PATTERN = (0.0, 0.01)


@dataclass(frozen=True)
class SimulatedCamera:
    """One camera; its noise belongs to a frame's range, as cameras adapt to their scene."""

    blur: float
    """Standard deviation of the optics' point spread, camera pixels, before the detector element
    integrates over its area."""
    noise: float
    """Standard deviation of the white noise, in the frame's unit."""
    pattern: float
    """Standard deviation of what rows and columns add together, in the frame's unit."""

    @classmethod
    def draw(cls, hr: np.ndarray, noise: float, rng: np.random.Generator) -> SimulatedCamera:
        """A camera for a frame: blur and pattern from :data:`BLUR` and :data:`PATTERN`, uniformly.

        Args:
            hr: 4H x 4W, whose 1st to 99th percentiles are the range.
            noise: White noise, a share of the range.
            rng: What draws; two numbers are taken.
        """
        low, high = radiometry.measure_range(hr, "percentile")
        blur, pattern = rng.uniform(*BLUR), rng.uniform(*PATTERN)
        return cls(float(blur), noise * (high - low), float(pattern) * (high - low))

    def look(
        self, hr: np.ndarray, rng: np.random.Generator, fixed: np.random.Generator | None = None
    ) -> np.ndarray:
        """What the camera measures of a frame; see :func:`simulate_camera`."""
        size = {"blur": self.blur, "noise": self.noise, "pattern": self.pattern}
        return simulate_camera(hr, **size, rng=rng, fixed=fixed)


def simulate_camera(
    hr: np.ndarray,
    *,
    blur: float,
    noise: float,
    pattern: float,
    rng: np.random.Generator,
    fixed: np.random.Generator | None = None,
) -> np.ndarray:
    """Reduce a frame x4 as a thermal camera does: 4H x 4W to H x W, float32, not rounded.

    Args:
        hr: 4H x 4W, any real dtype, finite.
        blur: Gaussian sigma of the optics, camera pixels; then 4x4 pixels are averaged.
        noise: Standard deviation of the white noise, in the frame's unit.
        pattern: Of the sum of the rows' and the columns' own offsets, in the frame's unit.
        rng: What draws, the same numbers whatever the sizes of noise and pattern are.
        fixed: What draws the offsets of rows and columns, where these belong to the camera and
            not to the frame; None: ``rng``.
    """
    # Single precision has digits enough for differences to the frame's level, not for the level.
    level = np.float32(hr.min())
    scene = hr.astype(np.float32) - level
    if blur > 0:
        scene = cv2.GaussianBlur(scene, (0, 0), SCALE * blur, borderType=cv2.BORDER_REFLECT_101)
    height, width = hr.shape[0] // SCALE, hr.shape[1] // SCALE
    lr = cv2.resize(scene, (width, height), interpolation=cv2.INTER_AREA)
    draw = fixed or rng
    lines = draw.standard_normal((1, width)) + draw.standard_normal((height, 1))
    white = rng.standard_normal((height, width))
    lr = lr + 0.5**0.5 * pattern * lines + noise * white
    return (lr + level).astype(np.float32)
