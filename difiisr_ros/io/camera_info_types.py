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

"""``CameraInfo`` as ROS 2 has it, of a message with ROS 1's spelling."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

_ROI = ("x_offset", "y_offset", "height", "width", "do_rectify")
_MATRICES = ("d", "k", "r", "p")


def standard_camera_info(message: Any) -> Any:
    """The message itself, or one of ROS 2's type where it has D, K, R and P.

    ``rosbags-convert`` keeps ROS 1's definition, whose fields have the same order and types.
    """
    if hasattr(message, "k") or not hasattr(message, "K"):
        return message
    types, old = _types(), message.header
    stamp = types["builtin_interfaces/msg/Time"](old.stamp.sec, old.stamp.nanosec)
    fields = ("height", "width", "distortion_model", "binning_x", "binning_y")
    return types["sensor_msgs/msg/CameraInfo"](
        header=types["std_msgs/msg/Header"](stamp=stamp, frame_id=old.frame_id),
        roi=types["sensor_msgs/msg/RegionOfInterest"](
            **{name: getattr(message.roi, name) for name in _ROI}
        ),
        **{name: getattr(message, name) for name in fields},
        **{name: getattr(message, name.upper()) for name in _MATRICES},
    )


@lru_cache(maxsize=1)
def _types() -> Any:
    from rosbags.typesys import Stores, get_typestore

    return get_typestore(Stores.ROS2_JAZZY).types
