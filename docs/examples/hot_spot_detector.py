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

"""A complete detector on super-resolved frames: what is hottest, and where that is.

Publishes its box in the camera's own pixels, and the direction in the camera's optical frame.
Replace ``detect`` by a detector of yours.
"""

import cv2
import numpy as np
import rclpy
from geometry_msgs.msg import Point32, PolygonStamped, Vector3Stamped
from message_filters import Subscriber, TimeSynchronizer
from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CameraInfo, Image

from difiisr_ros.ros.conversions import image_to_array  # cv_bridge's imgmsg_to_cv2 does, too

SCALE = 4
NEWEST = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)


def detect(pixels):
    """Boxes as (left, top, right, bottom), in edges: here one, around what is hottest."""
    gray = pixels if pixels.ndim == 2 else pixels[..., 0]
    low, high = float(gray.min()), float(gray.max())
    if low == high:
        return []
    rows, columns = np.nonzero(gray > (low + high) / 2)
    return [(columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)]


class HotSpotDetector(Node):
    """Subscribes sr/image_raw with sr/camera_info, publishes hot_spot and hot_spot/direction."""

    def __init__(self, **options):
        super().__init__("hot_spot_detector", **options)
        self.boxes = self.create_publisher(PolygonStamped, "hot_spot", 10)
        self.rays = self.create_publisher(Vector3Stamped, "hot_spot/direction", 10)
        image = Subscriber(self, Image, "sr/image_raw", qos_profile=NEWEST)
        info = Subscriber(self, CameraInfo, "sr/camera_info", qos_profile=NEWEST)
        self.pairs = TimeSynchronizer([image, info], queue_size=5)
        self.pairs.registerCallback(self.on_image)

    def on_image(self, image, info):
        """Detect in one frame."""
        for left, top, right, bottom in detect(image_to_array(image)):
            # A box in the camera's pixels: edges divide by the scale.
            corners = [(left, top), (right, top), (right, bottom), (left, bottom)]
            box = PolygonStamped(header=image.header)
            box.polygon.points = [Point32(x=x / SCALE, y=y / SCALE) for x, y in corners]
            self.boxes.publish(box)
            if info.k[0] == 0.0:
                continue  # not calibrated
            # The ray through its centre: sr/camera_info fits the result's pixel centres.
            centre = np.array([[[(left + right) / 2 - 0.5, (top + bottom) / 2 - 0.5]]], np.float64)
            distortion = np.array(info.d) if len(info.d) else None
            ((x, y),) = cv2.undistortPoints(centre, np.reshape(info.k, (3, 3)), distortion)[0]
            ray = Vector3Stamped(header=image.header)  # in the camera's optical frame
            ray.vector.x, ray.vector.y, ray.vector.z = float(x), float(y), 1.0
            self.rays.publish(ray)


def main():
    """Run the node."""
    rclpy.init()
    rclpy.spin(HotSpotDetector())


if __name__ == "__main__":
    main()
