"""Start super_resolution_node.

    ros2 launch difiisr_ros super_resolution.launch.py image:=/thermal/image_raw

Parameters come from ``params_file``; the arguments here override it when they are given. With
``autostart:=false`` the node waits, unconfigured, for a lifecycle manager. With
``build_only:=true`` it builds what its backend needs, and ends. See docs/launch.md.
"""

from launch import LaunchDescription
from launch.actions import OpaqueFunction

from difiisr_ros.ros.launch_actions import declare, super_resolution_node, texts_of, until_built
from difiisr_ros.stream.launch_arguments import (
    LOG_LEVEL,
    NAMESPACE,
    USE_SIM_TIME,
    LaunchArgument,
    of_parameters,
    params_file,
)

ARGUMENTS = (
    params_file("super_resolution.yaml"),
    NAMESPACE,
    LaunchArgument(
        "image",
        "Topic to subscribe; camera_info is expected beside it.",
        default="image_raw",
    ),
    LaunchArgument("camera_info", "Topic of the calibration, where it is not beside the image."),
    *of_parameters("model", "camera", "backend", "output_encoding", "num_steps", "num_threads"),
    *of_parameters("deadline_ms", "autostart", "build_only"),
    USE_SIM_TIME,
    LOG_LEVEL,
)


def start(context):
    texts = texts_of(ARGUMENTS, context)
    remappings = [("image_raw", texts["image"])]
    if texts["camera_info"]:
        remappings.append(("camera_info", texts["camera_info"]))
    return until_built(texts, [super_resolution_node(ARGUMENTS, texts, remappings=remappings)])


def generate_launch_description():
    return LaunchDescription([*declare(ARGUMENTS), OpaqueFunction(function=start)])
