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

"""A camera that stands still, and a target that crosses its picture."""

from __future__ import annotations

import numpy as np

SHAPE = 48, 64
NOISE = 30.0
SPAN = 3000


def still_frames(
    count: int, seed: int = 0, target: bool = True, shape: tuple[int, int] = SHAPE
) -> list[np.ndarray]:
    """uint16, a smooth scene with white noise of 1 % of its span, new in every frame; the target
    is 6x8 pixels and goes 3 pixels a frame."""
    rng = np.random.default_rng(seed)
    frames = []
    for number in range(count):
        frame = still_scene(shape, seed)
        if target:
            left = (4 + 3 * number) % (shape[1] - 6)
            frame[12:20, left : left + 6] += SPAN / 2
        frames.append(np.rint(frame + NOISE * rng.standard_normal(shape)).astype(np.uint16))
    return frames


def still_scene(shape: tuple[int, int] = SHAPE, seed: int = 0) -> np.ndarray:
    """What such a camera looks at: H x W, float64."""
    rows, columns = np.mgrid[: shape[0], : shape[1]].astype(np.float64)
    waves = np.sin(10 * rows / shape[0] + seed) * np.cos(10 * columns / shape[1])
    return 28000 + SPAN * (0.5 + 0.5 * waves)
