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

"""``detection_mapper``: boxes of a super-resolved image, in the camera's pixels.

Subscribes ``sr/detections``, publishes ``detections``: header, ids, classes and scores as they are.
With ``mapping: camera_info`` it subscribes ``camera_info`` and ``sr/camera_info`` too.
"""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any

from rclpy.node import Node
from sensor_msgs.msg import CameraInfo

from difiisr_ros.errors import FrameError
from difiisr_ros.messages.box_mapping import BoxMapping, map_vision, map_yolo
from difiisr_ros.ros.detection_messages import ARRAYS, messages_of
from difiisr_ros.ros.executable import run_executable
from difiisr_ros.ros.qos import sensor_qos
from difiisr_ros.ros.start_parameters import declare_table
from difiisr_ros.stream.detectors import BY_PARAMETERS, MAPPER_TABLE
from difiisr_ros.stream.stamped_mappings import StampedMappings

_MAPS = {"vision_msgs": map_vision, "yolo_msgs": map_yolo}
_DEPTH = 10
_INFO_QOS = sensor_qos(50)
_MAPPING = ("scale", "scale_y", "coordinates", "offset_x", "offset_y", "left", "top")
_REPORT_PERIOD = 10.0  # seconds


class DetectionMapper(Node):
    """The node.

    Raises:
        OptionError: A wrong parameter, or messages that are not installed.
    """

    def __init__(self, node_name: str = "detection_mapper", **kwargs: Any) -> None:
        super().__init__(node_name, **kwargs)
        try:
            values = declare_table(self, MAPPER_TABLE)
            package = values["message_type"]
            kind = getattr(messages_of(package), ARRAYS[package])
        except Exception:
            self.destroy_node()
            raise
        self._map = _MAPS[package]
        self._mapping = BoxMapping(**{name: values[name] for name in _MAPPING})
        self._known = StampedMappings(values["coordinates"], values["camera_info_convention"])
        self._waiting: deque[Any] = deque()  # for the camera_info of their frame
        self._publisher = self.create_publisher(kind, "detections", _DEPTH)
        by_parameters = values["mapping"] == BY_PARAMETERS
        self._subscription = self.create_subscription(
            kind,
            "sr/detections",
            self._on_detections if by_parameters else self._on_detections_of_a_frame,
            sensor_qos(_DEPTH),
        )
        if not by_parameters:
            for topic, keep in (
                ("camera_info", self._known.camera),
                ("sr/camera_info", self._known.result),
            ):
                callback = partial(self._on_info, keep)
                self.create_subscription(CameraInfo, topic, callback, _INFO_QOS)

    def _on_detections(self, message: Any) -> None:
        self._publisher.publish(self._map(message, self._mapping))

    def _on_info(self, keep: Callable[[Any], None], info: CameraInfo) -> None:
        keep(info)
        self._publish_known()

    def _on_detections_of_a_frame(self, message: Any) -> None:
        self._waiting.append(message)
        lack = self._publish_known()
        if len(self._waiting) > _DEPTH:
            self._waiting.popleft()
            self._drop(f"{lack}; a detector must keep the header of its image")

    def _publish_known(self) -> str:
        """Publish what waits and can be mapped; returns what the oldest of the others lacks."""
        waiting, self._waiting = self._waiting, deque()
        first = ""
        for message in waiting:
            try:
                mapping = self._known.of(message.header.stamp)
            except FrameError as error:
                self._drop(f"{error}; set mapping to {BY_PARAMETERS}, and scale")
                continue
            if isinstance(mapping, str):
                first = first or mapping
                self._waiting.append(message)
            else:
                self._publisher.publish(self._map(message, mapping))
        return first

    def _drop(self, why: str) -> None:
        self.get_logger().error(f"detections dropped: {why}", throttle_duration_sec=_REPORT_PERIOD)


if __name__ == "__main__":
    sys.exit(run_executable("detection_mapper_node", DetectionMapper))
