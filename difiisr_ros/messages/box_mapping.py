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

"""Boxes found in a super-resolved image, in the camera's pixels. No ROS here.

Messages are changed in place, whatever their package: the fields are those of vision_msgs'
``Detection2DArray`` and of yolo_ros' ``DetectionArray``. Header, ids, classes and scores stay; so
do 3-D boxes and poses, which are in metres.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class BoxMapping:
    """From an enlarged image's pixels to the camera's.

    With ``centers`` 0 is the middle of the first pixel, as in camera_info; with ``edges`` its edge.
    """

    scale: float = 4.0
    """Pixels of the enlarged image a pixel of the camera's."""
    coordinates: str = "centers"
    offset_x: float = 0.0
    offset_y: float = 0.0
    """Camera pixels that were left out at the left and the top before enlarging."""

    def x(self, value: float) -> float:
        """A column."""
        return self._place(value) + self.offset_x

    def y(self, value: float) -> float:
        """A row."""
        return self._place(value) + self.offset_y

    def length(self, value: float) -> float:
        """A width or height."""
        return value / self.scale

    def _place(self, value: float) -> float:
        half = 0.5 if self.coordinates == "centers" else 0.0
        return (value + half) / self.scale - half


def map_vision(message: Any, mapping: BoxMapping) -> Any:
    """A ``vision_msgs/Detection2DArray``; returns the message."""
    for detection in message.detections:
        box = detection.bbox
        _map_point(getattr(box.center, "position", box.center), mapping)
        box.size_x, box.size_y = mapping.length(box.size_x), mapping.length(box.size_y)
    return message


def map_yolo(message: Any, mapping: BoxMapping) -> Any:
    """A ``yolo_msgs/DetectionArray`` with masks and key points; returns the message."""
    for detection in message.detections:
        box, mask = detection.bbox, detection.mask
        _map_point(box.center.position, mapping)
        box.size.x, box.size.y = mapping.length(box.size.x), mapping.length(box.size.y)
        for point in (*mask.data, *(k.point for k in detection.keypoints.data)):
            _map_point(point, mapping)
        # The camera's picture, of which a crop had been left out.
        mask.height = round(mapping.length(mask.height) + mapping.offset_y) if mask.height else 0
        mask.width = round(mapping.length(mask.width) + mapping.offset_x) if mask.width else 0
    return message


def _map_point(point: Any, mapping: BoxMapping) -> None:
    point.x, point.y = mapping.x(point.x), mapping.y(point.y)
