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

"""Detections drawn into a frame, to be looked at."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from difiisr_ros.core.radiometry import ValueRange, measure_range, normalize
from difiisr_ros.models.detector.boxes import Detections

#: RGB by class index, repeating: colours that colour-blind people can tell apart (Okabe and Ito).
COLORS = ((230, 159, 0), (86, 180, 233), (0, 158, 115), (240, 228, 66), (204, 121, 167))
_TEXT_HEIGHT = 10  # pixels


def draw_boxes(
    frame: np.ndarray,
    detections: Detections,
    classes: Sequence[str],
    value_range: ValueRange | None = None,
) -> np.ndarray:
    """The frame in gray with boxes, classes and scores.

    Args:
        frame: H x W, uint8, uint16 or float32.
        detections: in the frame's pixels.
        classes: names of the labels.
        value_range: counts that become black and white; None for the 1st and 99th percentile.

    Returns:
        H x W x 3, uint8, RGB.
    """
    import cv2

    normal = normalize(frame, value_range or measure_range(frame))
    gray = (normal.clip(0, 1) * 255).round().astype(np.uint8)
    picture = np.ascontiguousarray(np.repeat(gray[:, :, None], 3, axis=2))
    # The best last, on top.
    for index in range(len(detections) - 1, -1, -1):
        left, top, right, bottom = (round(float(side)) for side in detections.boxes[index])
        label = int(detections.labels[index])
        color = COLORS[label % len(COLORS)]
        # A box's right and bottom sides lie between pixels; the line is drawn inside.
        cv2.rectangle(picture, (left, top), (right - 1, bottom - 1), color)
        text = f"{classes[label]} {detections.scores[index]:.2f}"
        below = min(bottom + _TEXT_HEIGHT, frame.shape[0] - 1)
        baseline = top - 2 if top >= _TEXT_HEIGHT else below
        cv2.putText(picture, text, (left, baseline), cv2.FONT_HERSHEY_PLAIN, 0.7, color)
    return picture
