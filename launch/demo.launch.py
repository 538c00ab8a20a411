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

"""Play thermal frames through super_resolution_node, and look at them.

    ros2 launch difiisr_ros demo.launch.py
    ros2 launch difiisr_ros demo.launch.py source:=/path/to/bag view:=rviz2

Starts frame_player_node, super_resolution_node and sr_monitor_node and, where they are installed
and there is a display, an image view and RViz with the camera's and the super-resolved images.
Without them the monitor's line a second shows that it works. `difiisr demo` measures more, and does
not need launch.
"""

import os

from launch import LaunchDescription
from launch.actions import LogInfo, OpaqueFunction
from launch_ros.actions import Node

from difiisr_ros.ros.launch_actions import (
    EndOnce,
    declare,
    is_installed,
    share,
    texts_of,
    tool_node,
)
from difiisr_ros.ros.launch_node import SuperResolutionNode
from difiisr_ros.stream import frame_player_parameters
from difiisr_ros.stream.launch_arguments import (
    LOG_LEVEL,
    PARAMS_FILE,
    LaunchArgument,
    given_parameters,
    of_parameters,
)

PLAYER = frame_player_parameters.BY_NAME
SYNTHETIC = PLAYER["source"].default

#: Packages that show an image, the preferred first.
IMAGE_VIEWS = ("image_view", "rqt_image_view")
RVIZ = "rviz2"
TOPICS = ("/image_raw", "/sr/image_raw")

ARGUMENTS = (
    *of_parameters("source", "rate", "width", "height", table=PLAYER, unset="the player's default"),
    # Image views, unlike RViz, show the 16-bit counts of a thermal scene as one even gray.
    *of_parameters("encoding", table=PLAYER, defaults={"encoding": "mono8"}),
    PARAMS_FILE,
    *of_parameters("model"),
    *of_parameters(
        "camera",
        unset="config/synthetic_camera.yaml for the synthetic scene, else as in params_file",
    ),
    *of_parameters("backend", "num_steps"),
    LaunchArgument(
        "view",
        "What shows the images: auto starts an image view and RViz, each where it is installed.",
        default="auto",
        choices=("auto", *IMAGE_VIEWS, RVIZ, "none"),
    ),
    LOG_LEVEL,
)


def viewer(package):
    """The nodes that show both images."""
    if package == "image_view":
        return [
            Node(
                package=package,
                executable="image_view",
                name=f"view{topic.replace('/', '_')}",
                remappings=[("image", topic)],
                parameters=[{"autosize": True}],
            )
            for topic in TOPICS
        ]
    if package == "rqt_image_view":
        return [
            Node(
                package=package,
                executable="rqt_image_view",
                name=f"view{topic.replace('/', '_')}",
                arguments=[topic],
            )
            for topic in TOPICS
        ]
    return [Node(package=package, executable=RVIZ, arguments=["-d", share("config/thermal.rviz")])]


def viewers(view, has_display):
    """The viewers to start, or a line that says why there is none."""
    if view == "none":
        return []
    if not has_display:
        return [LogInfo(msg="no display, so no viewer is started; see the monitor's lines")]
    wanted = [(view,)] if view != "auto" else [IMAGE_VIEWS, (RVIZ,)]
    nodes = []
    for packages in wanted:
        found = [package for package in packages if is_installed(package)]
        if found:
            nodes += viewer(found[0])
        else:
            nodes.append(LogInfo(msg=f"{' or '.join(packages)} is not installed, so not started"))
    return nodes


def start(context):
    texts = texts_of(ARGUMENTS, context, __file__)
    # Reliable: a viewer gets the images whatever QoS it asks for.
    played = {**given_parameters(ARGUMENTS, texts, PLAYER), "reliability": "reliable"}
    more = {"camera_names": [""]}  # the player is one camera
    if not texts["camera"] and texts["source"] in ("", SYNTHETIC):
        # Whatever the file says is of another camera.
        more["camera"] = share("config/synthetic_camera.yaml")
    system = EndOnce()
    return [
        system.handler(),
        SuperResolutionNode(
            ARGUMENTS,
            texts,
            namespace="",
            more=more,
            on_exit=system.when_exits("super_resolution_node"),
        ),
        tool_node("sr_monitor_node", "sr_monitor", {}),
        tool_node(
            "frame_player_node",
            "frame_player",
            played,
            on_exit=system.when_exits("frame_player_node"),
        ),
        *viewers(texts["view"], os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")),
    ]


def generate_launch_description():
    return LaunchDescription([*declare(ARGUMENTS), OpaqueFunction(function=start)])
