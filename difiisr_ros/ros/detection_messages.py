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

"""Messages of detections, which come with detectors: asked for by name, and missed by name."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import Any

import numpy as np

from difiisr_ros.errors import OptionError

#: Package to the name of its message.
ARRAYS = {"vision_msgs": "Detection2DArray", "yolo_msgs": "DetectionArray"}


def messages_of(package: str) -> Any:
    """The module of a package's messages.

    Raises:
        OptionError: It is not installed; says how that is done.
    """
    try:
        if package == "yolo_msgs":
            import yolo_msgs.msg

            return yolo_msgs.msg
        import vision_msgs.msg

        return vision_msgs.msg
    except ImportError as error:
        how = f"sudo apt install ros-{os.environ.get('ROS_DISTRO', 'DISTRO')}-vision-msgs"
        if package == "yolo_msgs":
            how = "it is part of yolo_ros (source the workspace that has it)"
        raise OptionError(
            f"the messages of {package} cannot be imported by {sys.executable} ({error}); {how}"
        ) from error


def detection_array(
    kinds: Any,
    header: Any,
    boxes: np.ndarray,
    scores: np.ndarray,
    names: Sequence[str],
) -> Any:
    """A ``vision_msgs/Detection2DArray``.

    Args:
        kinds: the messages of vision_msgs.
        header: of the image, put everywhere as it is.
        boxes: n x 4, pixels: left, top, right, bottom, in edges (0 is the first pixel's left edge).
        scores: n.
        names: of their classes, n.

    Returns:
        The message, whose centres count from the middle of the first pixel, as camera_info does.
    """
    message = kinds.Detection2DArray()
    message.header = header
    found = []
    for (left, top, right, bottom), score, name in zip(boxes.tolist(), scores.tolist(), names):
        detection = kinds.Detection2D()
        detection.header = header
        place = getattr(detection.bbox.center, "position", detection.bbox.center)
        place.x, place.y = (left + right) / 2 - 0.5, (top + bottom) / 2 - 0.5
        detection.bbox.size_x, detection.bbox.size_y = right - left, bottom - top
        hypothesis = kinds.ObjectHypothesisWithPose()
        hypothesis.hypothesis.class_id, hypothesis.hypothesis.score = name, score
        detection.results = [hypothesis]
        found.append(detection)
    message.detections = found
    return message
