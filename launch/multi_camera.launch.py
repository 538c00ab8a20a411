"""Start one super_resolution_node for each of several cameras.

    ros2 launch difiisr_ros multi_camera.launch.py camera_names:=front,rear

Subscribes /front/image_raw and /rear/image_raw, publishes /front/sr/image_raw and
/rear/sr/image_raw. Every camera has a process of its own, so that a broken or slow one does not
hold up the others; config/multi_camera.yaml can give each its own parameters.
"""

from launch.actions import OpaqueFunction

from difiisr_ros.errors import OptionError
from difiisr_ros.ros.launch_actions import declare, super_resolution_node, texts_of
from difiisr_ros.ros.launch_arguments import (
    LOG_LEVEL,
    NAMESPACE,
    USE_SIM_TIME,
    LaunchArgument,
    camera_names,
    of_parameters,
    params_file,
)
from launch import LaunchDescription

ARGUMENTS = (
    LaunchArgument(
        "camera_names",
        "Names of the cameras, separated by commas; each is the namespace of its topics.",
        default=None,
    ),
    params_file("multi_camera.yaml"),
    NAMESPACE,
    LaunchArgument(
        "image",
        "Topic to subscribe, relative to the camera's name; camera_info is expected beside it.",
        default="image_raw",
    ),
    *of_parameters("model", "backend", "autostart"),
    USE_SIM_TIME,
    LOG_LEVEL,
)


def start(context):
    texts = texts_of(ARGUMENTS, context)
    names = camera_names(texts["camera_names"])
    if texts["image"].startswith(("/", "~")):
        raise OptionError(
            f"image:={texts['image']}: would be the same topic for every camera; accepted are "
            "relative names, for example thermal/image_raw"
        )
    above = texts["namespace"].rstrip("/")
    return [
        super_resolution_node(
            ARGUMENTS,
            texts,
            namespace=f"{above}/{name}" if texts["namespace"] else name,
            remappings=[("image_raw", texts["image"])],
        )
        for name in names
    ]


def generate_launch_description():
    return LaunchDescription([*declare(ARGUMENTS), OpaqueFunction(function=start)])
