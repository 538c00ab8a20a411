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

"""Hot and cold targets with hard edges, within the range and far outside it.

Real scenes have them, few training frames do. Without those along the camera's own pixels a
network takes their corners for bright points, and shows them half as hot again.
"""

from __future__ import annotations

import math

import numpy as np

from difiisr_ros.core.camera_simulation import SCALE

CONTRAST = (0.2, 3.0)
"""In ranges, log-uniform."""
FAR_CONTRAST = (0.3, 500.0)
"""Of half of them."""
ALIGNED = 0.3
"""Share whose edges run along the camera's pixels."""
SIZE = (3.0, 32.0)
"""HR pixels, log-uniform."""


def log_uniform(limits: tuple[float, float], rng: np.random.Generator) -> float:
    """A number between the limits, every order of magnitude as likely."""
    return math.exp(rng.uniform(math.log(limits[0]), math.log(limits[1])))


def draw_target(shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    """One disc, square or bar, to be added to a crop; hard or soft, hot or (three in ten) cold."""
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    margin = min(16.0, min(shape) / 4)
    y, x = (rng.uniform(margin, side - margin) for side in shape)
    half = log_uniform(SIZE, rng) / 2
    kind = rng.integers(3)
    sign = 1 if rng.random() < 0.7 else -1
    contrast = sign * log_uniform(CONTRAST if rng.random() < 0.5 else FAR_CONTRAST, rng)
    if rng.random() < ALIGNED:
        sides = 2 * half * np.array([1.0, rng.uniform(1, 4) if kind == 2 else 1.0])
        sides = SCALE * np.maximum(1, np.round(rng.permutation(sides) / SCALE)).astype(int)
        top, left = (SCALE * int(place // SCALE) for place in (y, x))
        target = np.zeros(shape, np.float32)
        target[top : top + sides[0], left : left + sides[1]] = contrast
        return target
    if kind == 0:
        distance = np.hypot(rows - y, columns - x) - half
    else:
        angle = rng.uniform(0, math.pi) if kind == 2 else 0.0
        length = half * rng.uniform(0.5, 4) if kind == 2 else half
        along = (rows - y) * math.cos(angle) + (columns - x) * math.sin(angle)
        across = (columns - x) * math.cos(angle) - (rows - y) * math.sin(angle)
        distance = np.maximum(np.abs(along) - half, np.abs(across) - length)
    softness = rng.uniform(0.3, 3.0)  # HR pixels
    mask = 1 / (1 + np.exp(np.clip(2 * distance / softness, -30, 30)))
    return np.asarray(contrast * mask, np.float32)
