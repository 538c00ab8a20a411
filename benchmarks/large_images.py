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

"""How many large best-effort images reach another process, with and without the Fast DDS profile.

    python benchmarks/large_images.py --json out/large_images.json

Publisher and subscriber are processes of their own, as a node and a detector are. Without
config/fastdds_large_images.xml most images of 10 MB do not fit the default shared-memory segment
and are lost, which looks like a slow network; with it, at least 98 of 100 must arrive.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import time
from typing import Any

from difiisr_ros.ros.dds_profile import VARIABLES, find_profile

TOPIC = "large_image"


def qos() -> Any:
    from rclpy.qos import QoSProfile, ReliabilityPolicy

    return QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)


def publish(width: int, height: int, rate: float, frames: int) -> None:
    """Publish frames once somebody listens."""
    import numpy as np
    import rclpy
    from sensor_msgs.msg import Image

    from difiisr_ros.ros.conversions import array_to_image

    rclpy.init()
    node = rclpy.create_node("large_image_publisher")
    publisher = node.create_publisher(Image, TOPIC, qos())
    frame = np.zeros((height, width), np.uint16)
    while publisher.get_subscription_count() == 0:
        time.sleep(0.05)
    time.sleep(1.0)
    begin = time.monotonic()
    for i in range(frames):
        publisher.publish(array_to_image(frame, "mono16"))
        time.sleep(max(0.0, begin + (i + 1) / rate - time.monotonic()))
    time.sleep(1.0)  # what is on its way may still arrive
    rclpy.shutdown()


def receive(seconds: float) -> None:
    """Count what arrives and print it."""
    import rclpy
    from sensor_msgs.msg import Image

    rclpy.init()
    node = rclpy.create_node("large_image_subscriber")
    arrived: list[float] = []
    node.create_subscription(Image, TOPIC, lambda _: arrived.append(time.monotonic()), qos())
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        rclpy.spin_once(node, timeout_sec=0.1)
    print(len(arrived))
    rclpy.shutdown()


def measure(options: argparse.Namespace, profile: str | None) -> int:
    """How many frames arrived, with this profile or with Fast DDS's defaults."""
    environment = {k: v for k, v in os.environ.items() if k not in VARIABLES}
    environment["ROS_DOMAIN_ID"] = str(random.randint(1, 101))
    environment["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"
    if profile:
        environment.update(dict.fromkeys(VARIABLES, profile))
    size = ["--width", options.width, "--height", options.height]
    load = ["--rate", options.rate, "--frames", options.frames]
    command = [sys.executable, __file__, *map(str, size + load)]
    subscriber = subprocess.Popen(
        [*command, "--role", "receive"], env=environment, stdout=subprocess.PIPE, text=True
    )
    subprocess.run([*command, "--role", "publish"], env=environment, check=True)
    return int(subscriber.communicate(timeout=120)[0].split()[-1])


def main() -> int:
    """Measure both and print a line for each."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--width", type=int, default=2560)
    parser.add_argument("--height", type=int, default=2048)
    parser.add_argument("--rate", type=float, default=10.0, help="frames a second")
    parser.add_argument("--frames", type=int, default=100)
    parser.add_argument("--json", metavar="FILE", help="write the numbers here too")
    parser.add_argument("--role", choices=("publish", "receive"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.role == "publish":
        publish(options.width, options.height, options.rate, options.frames)
        return 0
    if options.role == "receive":
        receive(options.frames / options.rate + 8.0)
        return 0
    results: dict[str, Any] = {"frames": options.frames, "settings": vars(options)}
    for name, profile in (("profile", str(find_profile())), ("defaults", None)):
        received = measure(options, profile)
        results[name] = {"received": received, "fraction": received / options.frames}
        print(f"{name:10} {received} of {options.frames} received")
    if options.json:
        with open(options.json, "w", encoding="utf-8") as file:
            json.dump(results, file, indent=2)
    return 0


if __name__ == "__main__":
    sys.exit(main())
