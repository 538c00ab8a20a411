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

from difiisr_ros.errors import FrameError
from difiisr_ros.messages.camera_info import half_pixel


@dataclass(frozen=True)
class BoxMapping:
    """From a result's pixels to the camera's.

    With ``coordinates`` ``centers`` 0 is the middle of the first pixel, as in camera_info; with
    ``edges`` its edge.
    """

    scale: float = 4.0
    """Pixels of the result a pixel of the camera's, along a row."""
    coordinates: str = "centers"
    offset_x: float = 0.0
    offset_y: float = 0.0
    """Camera pixels left of and above what the result shows: a crop's, or a region's offset."""
    scale_y: float = 0.0
    """Along a column; 0: as along a row."""
    left: float = 0.0
    top: float = 0.0
    """Pixels of the result left of and above the camera's: a letterbox's bars. Negative: what was
    cut off."""
    picture: tuple[int, int] | None = None
    """Width and height of the camera's image, where they are known."""

    def x(self, value: float) -> float:
        """A column."""
        return (value + self._half - self.left) / self.scale - self._half + self.offset_x

    def y(self, value: float) -> float:
        """A row."""
        return (value + self._half - self.top) / self._scale_y - self._half + self.offset_y

    def width(self, value: float) -> float:
        """A length along a row."""
        return value / self.scale

    def height(self, value: float) -> float:
        """A length along a column."""
        return value / self._scale_y

    def picture_of(self, width: int, height: int) -> tuple[int, int]:
        """Width and height of the camera's image, of which the result has this size.

        What was left out at the right and at the bottom is not known without :attr:`picture`.
        """
        if self.picture is not None:
            return self.picture
        return (
            round(self.width(width - 2 * self.left) + self.offset_x),
            round(self.height(height - 2 * self.top) + self.offset_y),
        )

    @property
    def _scale_y(self) -> float:
        return self.scale_y or self.scale

    @property
    def _half(self) -> float:
        return 0.5 if self.coordinates == "centers" else 0.0


def mapping_between(
    result: Any, camera: Any, coordinates: str, convention: str = "pixel_center"
) -> BoxMapping:
    """The mapping that two ``CameraInfo`` stand for: exact at every scale, size, fit and region.

    Args:
        result, camera: of the same frame.
        coordinates: see :class:`BoxMapping`.
        convention: by which the result's was made; see
            :func:`difiisr_ros.messages.camera_info.scale_camera_info`.

    Raises:
        FrameError: one of them is not calibrated.
    """
    for name, info in (("the camera's", camera), ("the result's", result)):
        if not (info.k[0] and info.k[4]):
            raise FrameError(f"{name} camera_info has no calibration (K is 0)")
    half = half_pixel(convention)
    scales, offsets = [], []
    for axis, focal, centre in (("x", 0, 2), ("y", 4, 5)):
        bins = [max(getattr(i, f"binning_{axis}"), 1) for i in (result, camera)]
        starts = [getattr(i.roi, f"{axis}_offset") for i in (result, camera)]
        ratio = result.k[focal] / camera.k[focal]  # of the unbinned pixels
        scales.append(float(ratio * bins[1] / bins[0]))
        # The result's first edge, in unbinned pixels of its own, and of the camera's.
        edge = (starts[0] - half - result.k[centre]) / ratio + camera.k[centre] + half
        offsets.append(float((edge - starts[1]) / bins[1]))
    area = camera.roi if camera.roi.width and camera.roi.height else camera
    picture = area.width // max(camera.binning_x, 1), area.height // max(camera.binning_y, 1)
    return BoxMapping(scales[0], coordinates, offsets[0], offsets[1], scales[1], picture=picture)


def map_vision(message: Any, mapping: BoxMapping) -> Any:
    """A ``vision_msgs/Detection2DArray``; returns the message."""
    for detection in message.detections:
        box = detection.bbox
        _map_point(getattr(box.center, "position", box.center), mapping)
        box.size_x, box.size_y = mapping.width(box.size_x), mapping.height(box.size_y)
    return message


def map_yolo(message: Any, mapping: BoxMapping) -> Any:
    """A ``yolo_msgs/DetectionArray`` with masks and key points; returns the message."""
    for detection in message.detections:
        box, mask = detection.bbox, detection.mask
        _map_point(box.center.position, mapping)
        box.size.x, box.size.y = mapping.width(box.size.x), mapping.height(box.size.y)
        for point in (*mask.data, *(k.point for k in detection.keypoints.data)):
            _map_point(point, mapping)
        if mask.width or mask.height:
            mask.width, mask.height = mapping.picture_of(mask.width, mask.height)
    return message


def _map_point(point: Any, mapping: BoxMapping) -> None:
    point.x, point.y = mapping.x(point.x), mapping.y(point.y)
