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

"""Start super_resolution_node for several cameras.

    ros2 launch difiisr_ros multi_camera.launch.py camera_names:=front,rear

Subscribes /front/image_raw and /rear/image_raw, publishes /front/sr/image_raw and
/rear/sr/image_raw. One process serves all cameras and upscales frames that wait together at once;
with ``processes:=one_each`` every camera has a process, and can have parameters, of its own.
"""

from launch import LaunchDescription
from launch.actions import OpaqueFunction

from difiisr_ros.errors import OptionError
from difiisr_ros.ros.launch_actions import declare, is_given, texts_of
from difiisr_ros.ros.launch_node import DeclaredNode, SuperResolutionNode
from difiisr_ros.stream.launch_arguments import (
    ENCLAVE,
    LOG_LEVEL,
    NAMESPACE,
    NODE_PARAMETERS,
    PARAMS_FILE,
    RESPAWN,
    USE_SIM_TIME,
    LaunchArgument,
    given_parameters,
    of_parameters,
)
from difiisr_ros.stream.topic_names import check_topic

ARGUMENTS = (
    *of_parameters("camera_names", defaults={"camera_names": None}),
    LaunchArgument(
        "processes",
        "one: a process for all cameras, with one copy of the model. one_each: a process for each, "
        "a node with parameters of its own in the namespace of the camera's name.",
        default="one",
        choices=("one", "one_each"),
    ),
    PARAMS_FILE,
    NAMESPACE,
    LaunchArgument(
        "image",
        "Topic to subscribe, relative to the camera's name; camera_info is expected beside it.",
        default="image_raw",
    ),
    *of_parameters("model", "camera", "backend", "provider", "device"),
    *of_parameters("scale", "output_size", "output_fit"),
    *of_parameters("autostart", "build_only"),
    USE_SIM_TIME,
    RESPAWN,
    ENCLAVE,
    LOG_LEVEL,
)


def camera_names(texts):
    names = given_parameters(ARGUMENTS, texts, NODE_PARAMETERS).get("camera_names")
    if not names:
        raise OptionError("camera_names:= is empty; accepted are names, for example front,rear")
    if texts["image"].startswith(("/", "~")):
        raise OptionError(
            f"image:={texts['image']}: would be the same topic for every camera; accepted are "
            "relative names, for example thermal/image_raw"
        )
    check_topic("image", texts["image"])
    return names


def remappings(texts):
    return [(f"{name}/image_raw", f"{name}/{texts['image']}") for name in camera_names(texts)]


def one_process_each(context):
    texts = texts_of(ARGUMENTS, context, __file__)
    above = texts["namespace"].rstrip("/")
    return [
        SuperResolutionNode(
            ARGUMENTS,
            texts,
            namespace=f"{above}/{name}" if texts["namespace"] else name,
            remappings=[("image_raw", texts["image"])],
            more={"camera_names": [""]},
            # Each would take all processors for itself.
            presets={"num_threads": 1},
        )
        for name in camera_names(texts)
    ]


def generate_launch_description():
    return LaunchDescription(
        [
            *declare(ARGUMENTS),
            DeclaredNode(ARGUMENTS, __file__, remappings, condition=is_given("processes", "one")),
            OpaqueFunction(function=one_process_each, condition=is_given("processes", "one_each")),
        ]
    )
