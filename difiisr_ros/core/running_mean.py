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

"""A mean over time, pixel by pixel: what of the past is kept, and what the mean is worth."""

from __future__ import annotations

import cv2
import numpy as np


def box(values: np.ndarray, side: int) -> np.ndarray:
    """Means over squares of an odd side; H x W, float32."""
    return cv2.boxFilter(values, cv2.CV_32F, (side, side), borderType=cv2.BORDER_REFLECT_101)


def kept(worst: np.ndarray, doubt: float, change: float, around: int) -> np.ndarray:
    """How much of the past counts: H x W, float32, from 1 below ``doubt`` to 0 from ``change`` on.

    Args:
        worst: H x W, by how much the present differs from it.
        doubt, change: in the same unit.
        around: side of the square of pixels that go with one that has changed.
    """
    keep = np.clip((change - worst) / (change - doubt), 0.0, 1.0).astype(np.float32)
    return cv2.erode(keep, np.ones((around, around), np.uint8))


def weighed(seen: np.ndarray, least: float) -> tuple[np.ndarray, np.ndarray]:
    """Weight of the newest frame, and how many frames the mean is worth with it.

    The noise of a weighted mean is that of a plain one of as many frames as it is worth.

    Args:
        seen: H x W, float32: how many the mean before is worth; 0 where it does not count.
        least: weight that the newest has at least.
    """
    weight = np.maximum(1.0 / (seen + 1.0), np.float32(least))
    with np.errstate(divide="ignore", invalid="ignore"):
        worth = 1.0 / ((1.0 - weight) ** 2 / seen + weight**2)
    return weight, np.where(seen > 0, worth, np.float32(1.0))
