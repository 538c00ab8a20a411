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

"""Start super_resolution_node.

    ros2 launch difiisr_ros super_resolution.launch.py image:=/thermal/image_raw

Parameters come from ``params_file``; the arguments here override it when they are given. With
``autostart:=false`` the node waits, unconfigured, for a lifecycle manager. With
``build_only:=true`` it builds what its backend needs, and ends. See docs/launch.md.
"""

from launch import LaunchDescription

from difiisr_ros.ros.launch_actions import declare
from difiisr_ros.ros.launch_node import DeclaredNode
from difiisr_ros.stream.launch_arguments import (
    ENCLAVE,
    LOG_LEVEL,
    NAMESPACE,
    PARAMS_FILE,
    RESPAWN,
    USE_SIM_TIME,
    LaunchArgument,
    of_parameters,
)
from difiisr_ros.stream.topic_names import check_topic

ARGUMENTS = (
    PARAMS_FILE,
    NAMESPACE,
    LaunchArgument(
        "image",
        "Topic to subscribe; camera_info is expected beside it.",
        default="image_raw",
    ),
    LaunchArgument("camera_info", "Topic of the calibration, where it is not beside the image."),
    *of_parameters("model", "camera", "backend", "provider", "device"),
    *of_parameters("scale", "output_size", "output_fit", "roi"),
    *of_parameters(
        "output_encoding", "num_steps", "num_threads", "deadline_ms", "autostart", "build_only"
    ),
    USE_SIM_TIME,
    RESPAWN,
    ENCLAVE,
    LOG_LEVEL,
)


def remappings(texts):
    topics = {"image_raw": "image", "camera_info": "camera_info"}
    return [(ours, check_topic(name, texts[name])) for ours, name in topics.items() if texts[name]]


def generate_launch_description():
    return LaunchDescription([*declare(ARGUMENTS), DeclaredNode(ARGUMENTS, __file__, remappings)])
