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

"""What a detector finds in a frame, and the suppression of what it finds twice."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from difiisr_ros.core.crop import Crop
from difiisr_ros.core.radiometry import ValueRange

MAX_DETECTIONS = 100  # a frame, as COCO's evaluation takes at most
NMS_IOU = 0.6


@dataclass(frozen=True)
class Detections:
    """Objects found in one frame, best first."""

    boxes: np.ndarray
    """n x 4, float32, pixels: left, top, right, bottom, inside the frame."""
    scores: np.ndarray
    """n, float32, 0..1."""
    labels: np.ndarray
    """n, int64: index into the detector's classes."""

    def __len__(self) -> int:
        return len(self.scores)

    def before(self, crop: Crop) -> Detections:
        """The same in pixels of the frame before the crop of what was looked at."""
        offset = np.array([crop.left, crop.top] * 2, np.float32)
        return replace(self, boxes=self.boxes + offset)

    def enlarged(self, factor: float) -> Detections:
        """The same in pixels of a frame that is larger by a factor than what was looked at."""
        return replace(self, boxes=self.boxes * np.float32(factor))


class FindsObjects(Protocol):
    """A detector: of this package, or a user's."""

    classes: tuple[str, ...]

    def detect(
        self, frame: np.ndarray, value_range: ValueRange | None = None, min_score: float = 0.01
    ) -> Detections:
        """Find objects in one frame.

        Args:
            frame: H x W, uint8, uint16 or float32, any size.
            value_range: counts that become black and white; None for the frame's 1st and 99th
                percentile.
            min_score: weaker objects are left out.

        Raises:
            FrameError: not such a frame.
        """


def suppress(boxes: np.ndarray, labels: np.ndarray, max_iou: float) -> np.ndarray:
    """Greedy non-maximum suppression within each class.

    Args:
        boxes: n x 4, best first.
        labels: n.
        max_iou: a box that overlaps a better one of its class by more is left out.

    Returns:
        Indices of the boxes that stay, in order.
    """
    overlap = pairwise_iou(boxes, boxes) > max_iou
    overlap &= labels[:, None] == labels[None, :]
    alive = np.ones(len(boxes), bool)
    for i in range(len(boxes)):
        if alive[i]:
            alive[i + 1 :] &= ~overlap[i, i + 1 :]
    return np.flatnonzero(alive)


def pairwise_iou(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """n x m: intersection over union of boxes n x 4 and m x 4 (left, top, right, bottom)."""
    low = np.maximum(a[:, None, :2], b[None, :, :2])
    high = np.minimum(a[:, None, 2:], b[None, :, 2:])
    intersection = (high - low).clip(min=0).prod(axis=2)
    area_a, area_b = ((box[:, 2:] - box[:, :2]).prod(axis=1) for box in (a, b))
    return intersection / np.maximum(area_a[:, None] + area_b[None, :] - intersection, 1e-9)
