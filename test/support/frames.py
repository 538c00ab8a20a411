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

"""Frames for tests: a smooth scene, and files of noise."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np

from difiisr_ros.io.images import write_image
from difiisr_ros.scene.street import SyntheticScene


@cache
def street() -> SyntheticScene:
    """A street of 160x120 as a real camera gives it; rendered once, for it takes a second."""
    return SyntheticScene(160, 120, real_camera=True)


def smooth_frame(dtype=np.uint16, shape=(24, 32), seed=0) -> np.ndarray:
    """A scene as smooth as an integrated random walk, in the counts that cameras of a type have."""
    rng = np.random.default_rng(seed)
    smooth = np.cumsum(np.cumsum(rng.normal(size=shape), axis=0), axis=1)
    smooth = (smooth - smooth.min()) / np.ptp(smooth)
    low, high = (20, 220) if dtype == np.uint8 else (29_000, 31_000)
    return (low + (high - low) * smooth).astype(dtype)


def write_noise(folder: Path, count: int, shape: tuple[int, int]) -> Path:
    """Write ``0.png``, ``1.png`` ... of 16-bit noise; returns the folder."""
    for i in range(count):
        pixels = np.random.default_rng(i).integers(29000, 30000, shape).astype(np.uint16)
        write_image(folder / f"{i}.png", pixels)
    return folder
