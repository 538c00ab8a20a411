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

"""A camera as a process of its own: the same few frames for ever, at a steady rate.

python camera.py WIDTH HEIGHT RATE
"""

from __future__ import annotations

import sys
import time

import rclpy
from rclpy.qos import QoSProfile
from sensor_msgs.msg import Image

from difiisr_ros.ros.conversions import array_to_image
from difiisr_ros.scene.street import SyntheticScene

width, height, rate = int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])
rclpy.init()
node = rclpy.create_node("camera")
publisher = node.create_publisher(Image, "image_raw", QoSProfile(depth=5))
scene = SyntheticScene(width=width, height=height, seed=0)
messages = [array_to_image(scene.frame(5 * i)[0], "mono16") for i in range(8)]
begin, number = time.monotonic(), 0
while True:
    message = messages[number % len(messages)]
    message.header.stamp = node.get_clock().now().to_msg()
    publisher.publish(message)
    number += 1
    time.sleep(max(0.0, begin + number / rate - time.monotonic()))
