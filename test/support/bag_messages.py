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

"""Messages for bags, made without ROS; importing this needs rosbags."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from rosbags.typesys import Stores, get_typestore

from difiisr_ros.io.bags import CAMERA_INFO, COMPRESSED_IMAGE, IMAGE

STORE = get_typestore(Stores.ROS2_JAZZY)
TYPES = STORE.types


def header(stamp_ns: int = 0, frame_id: str = "flir") -> Any:
    """std_msgs/Header."""
    stamp = TYPES["builtin_interfaces/msg/Time"](*divmod(stamp_ns, 10**9))
    return TYPES["std_msgs/msg/Header"](stamp=stamp, frame_id=frame_id)


def image(head: Any, frame: np.ndarray, **fields: Any) -> Any:
    """sensor_msgs/Image of a uint16 frame; fields replace those that are right."""
    right = {
        "height": frame.shape[0],
        "width": frame.shape[1],
        "encoding": "mono16",
        "is_bigendian": 0,
        "step": frame.strides[0],
        "data": frame.view(np.uint8).ravel(),
    }
    return TYPES[IMAGE](header=head, **{**right, **fields})


def compressed(head: Any, frame: np.ndarray, layout: str, suffix: str = ".png") -> Any:
    """sensor_msgs/CompressedImage."""
    data = np.frombuffer(cv2.imencode(suffix, frame)[1].tobytes(), np.uint8)
    return TYPES[COMPRESSED_IMAGE](header=head, format=layout, data=data)


def camera_info(
    head: Any,
    width: int,
    height: int,
    focal: float = 20.0,
    roi: tuple[int, int, int, int, bool] = (0, 0, 0, 0, False),
    **fields: Any,
) -> Any:
    """sensor_msgs/CameraInfo of a camera that looks through the middle of its image."""
    k = np.array([focal, 0, (width - 1) / 2, 0, focal, (height - 1) / 2, 0, 0, 1.0])
    usual = {
        "distortion_model": "plumb_bob",
        "d": np.zeros(5),
        "k": k,
        "r": np.eye(3).ravel(),
        "p": np.insert(k.reshape(3, 3), 3, 0, 1).ravel(),
        "binning_x": 0,
        "binning_y": 0,
    }
    region = TYPES["sensor_msgs/msg/RegionOfInterest"](*roi)
    return TYPES[CAMERA_INFO](
        header=head, width=width, height=height, roi=region, **{**usual, **fields}
    )
