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

"""Simulated camera frames of known blur, pattern and noise, for the benchmarks of measurements."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from difiisr_ros.core import radiometry
from difiisr_ros.core.camera_simulation import SCALE, simulate_camera
from difiisr_ros.io.images import list_files, read_image


def evenly(folder: Path, count: int) -> list[np.ndarray]:
    """``count`` frames of a folder, evenly spaced, or all of them."""
    paths = list_files(folder)
    chosen = np.linspace(0, len(paths) - 1, min(count, len(paths))).astype(int)
    return [read_image(paths[i]) for i in chosen]


def simulate(
    hr: np.ndarray,
    *,
    blur: float,
    noise: float,
    pattern: float,
    step: float | None,
    random: np.random.Generator,
) -> tuple[np.ndarray, float]:
    """The frame that a camera of a quarter of the resolution delivers, and its range.

    Args:
        hr: 4H x 4W, the scene.
        blur: Gaussian sigma of the optics, camera pixels, before area sampling.
        noise, pattern: standard deviations of white noise, and of row and column offsets
            together; shares of the range.
        step: what values are rounded to, in the unit of ``hr``; None: not rounded.

    Returns:
        H x W, float32, and the range from the 1st to the 99th percentile of the scene.
    """
    height, width = (side // SCALE for side in hr.shape)
    scene = hr[: height * SCALE, : width * SCALE].astype(np.float32)
    low, high = radiometry.measure_range(scene)
    span = high - low
    frame = simulate_camera(
        scene, blur=blur, noise=noise * span, pattern=pattern * span, rng=random
    )
    if step is not None:
        frame = np.rint(frame / step) * step
    return frame.astype(np.float32), span
