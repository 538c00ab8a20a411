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
"""

from __future__ import annotations

import sys
from typing import Any

from rclpy.node import Node

from difiisr_ros.messages.box_mapping import BoxMapping, map_vision, map_yolo
from difiisr_ros.ros.detection_messages import ARRAYS, messages_of
from difiisr_ros.ros.executable import run_executable
from difiisr_ros.ros.qos import sensor_qos
from difiisr_ros.ros.start_parameters import declare_table
from difiisr_ros.stream.detectors import MAPPER_TABLE

_MAPS = {"vision_msgs": map_vision, "yolo_msgs": map_yolo}
_DEPTH = 10


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
        self._mapping = BoxMapping(
            **{name: values[name] for name in ("scale", "coordinates", "offset_x", "offset_y")}
        )
        self._publisher = self.create_publisher(kind, "detections", _DEPTH)
        self._subscription = self.create_subscription(
            kind, "sr/detections", self._on_detections, sensor_qos(_DEPTH)
        )

    def _on_detections(self, message: Any) -> None:
        self._publisher.publish(self._map(message, self._mapping))


if __name__ == "__main__":
    sys.exit(run_executable("detection_mapper_node", DetectionMapper))
