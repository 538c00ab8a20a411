"""Start super_resolution_node for several cameras.

    ros2 launch difiisr_ros multi_camera.launch.py camera_names:=front,rear

Subscribes /front/image_raw and /rear/image_raw, publishes /front/sr/image_raw and
/rear/sr/image_raw. One process serves all cameras and upscales frames that wait together at once;
with ``processes:=one_each`` every camera has a process, and can have parameters, of its own.
"""

from launch import LaunchDescription
from launch.actions import OpaqueFunction

from difiisr_ros.errors import OptionError
from difiisr_ros.ros.launch_actions import declare, texts_of
from difiisr_ros.ros.launch_node import SuperResolutionNode
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
    *of_parameters("model", "camera", "backend", "scale", "output_size", "output_fit"),
    *of_parameters("autostart", "build_only"),
    USE_SIM_TIME,
    RESPAWN,
    ENCLAVE,
    LOG_LEVEL,
)


def one_process(texts, names):
    remappings = [(f"{name}/image_raw", f"{name}/{texts['image']}") for name in names]
    return [SuperResolutionNode(ARGUMENTS, texts, remappings=remappings)]


def one_process_each(texts, names):
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
        for name in names
    ]


def start(context):
    texts = texts_of(ARGUMENTS, context, __file__)
    names = given_parameters(ARGUMENTS, texts, NODE_PARAMETERS).get("camera_names")
    if not names:
        raise OptionError("camera_names:= is empty; accepted are names, for example front,rear")
    if texts["image"].startswith(("/", "~")):
        raise OptionError(
            f"image:={texts['image']}: would be the same topic for every camera; accepted are "
            "relative names, for example thermal/image_raw"
        )
    check_topic("image", texts["image"])
    start_nodes = one_process if texts["processes"] == "one" else one_process_each
    return start_nodes(texts, names)


def generate_launch_description():
    return LaunchDescription([*declare(ARGUMENTS), OpaqueFunction(function=start)])
