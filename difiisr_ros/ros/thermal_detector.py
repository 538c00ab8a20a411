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

"""``thermal_detector``: a detector on a thermal stream, publishing vision_msgs/Detection2DArray.

Subscribes ``sr/image_raw``, publishes ``sr/detections``; remap both for the camera's own image. The
newest frame wins, in a thread of its own.
"""

from __future__ import annotations

import sys
from typing import Any

from rclpy.node import Node
from sensor_msgs.msg import Image

from difiisr_ros.backends.detectors import load_detector
from difiisr_ros.errors import DifiisrError
from difiisr_ros.messages.any_image import message_to_gray
from difiisr_ros.ros.detection_messages import detection_array, messages_of
from difiisr_ros.ros.executable import run_executable
from difiisr_ros.ros.qos import sensor_qos
from difiisr_ros.ros.start_parameters import declare_table
from difiisr_ros.stream.detectors import DETECTOR_TABLE
from difiisr_ros.stream.frame_slot import FrameSlots, FrameWorker

_DEPTH = 10
_ONLY = ""  # name of the one slot
_STOP_TIMEOUT = 4.0


class ThermalDetector(Node):
    """The node.

    Raises:
        OptionError: A wrong parameter, or vision_msgs is not installed.
        ModelError, BackendUnavailable: The detector cannot be loaded.
    """

    def __init__(self, node_name: str = "thermal_detector", **kwargs: Any) -> None:
        super().__init__(node_name, **kwargs)
        try:
            values = declare_table(self, DETECTOR_TABLE)
            self._kinds = messages_of("vision_msgs")
            names = [n.strip() for n in values["classes"].split(",") if n.strip()]
            self._detector = load_detector(values["detector"], values["layout"], names)
        except Exception:
            self.destroy_node()
            raise
        self._min_score = values["min_score"]
        self.get_logger().info(f"{values['detector']} finds {', '.join(self._detector.classes)}")
        self._publisher = self.create_publisher(
            self._kinds.Detection2DArray, "sr/detections", _DEPTH
        )
        self._slots: FrameSlots[Image] = FrameSlots([_ONLY])
        self._worker = FrameWorker(self._slots, self._work, self._failed, name="detect")
        self._subscription = self.create_subscription(
            Image, "sr/image_raw", self._on_image, sensor_qos(1)
        )

    def stop(self) -> None:
        """End the thread; called once the node is not spun any more."""
        self._worker.stop(_STOP_TIMEOUT)

    def _on_image(self, message: Image) -> None:
        self._slots.put(_ONLY, message)

    def _work(self, frames: dict[str, Image]) -> None:
        message = frames[_ONLY]
        frame, _ = message_to_gray(message)
        found = self._detector.detect(frame, min_score=self._min_score)
        names = [self._detector.classes[label] for label in found.labels]
        self._publisher.publish(
            detection_array(self._kinds, message.header, found.boxes, found.scores, names)
        )

    def _failed(self, error: BaseException) -> None:
        text = str(error) if isinstance(error, DifiisrError) else repr(error)
        self.get_logger().error(f"no detections: {text}", throttle_duration_sec=10.0)


if __name__ == "__main__":
    sys.exit(run_executable("thermal_detector_node", ThermalDetector))
