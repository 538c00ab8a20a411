"""Start super_resolution_node.

    ros2 launch difiisr_ros super_resolution.launch.py image:=/thermal/image_raw

Parameters come from ``params_file``; the arguments here override it when they are given. With
``autostart:=false`` the node waits, unconfigured, for a lifecycle manager.
"""

from launch.actions import DeclareLaunchArgument, OpaqueFunction
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution
from launch_ros.actions import LifecycleNode
from launch_ros.substitutions import FindPackageShare

from launch import LaunchDescription

ARGUMENTS = {
    "params_file": (
        PathJoinSubstitution([FindPackageShare("difiisr_ros"), "config", "super_resolution.yaml"]),
        "YAML file of parameters, keyed /**:",
    ),
    "namespace": ("", "Namespace of the node and of its relative topics"),
    "image": ("image_raw", "Topic to subscribe; camera_info is expected beside it"),
    "camera_info": ("", "Topic of the calibration, where it is not beside the image"),
    "model": ("", "'lite' or the path of a model file; empty: as in params_file"),
    "backend": ("", "auto, torch or bicubic; empty: as in params_file"),
    "autostart": ("", "true, or false for a lifecycle manager; empty: as in params_file"),
    "use_sim_time": ("false", "Take the time from /clock, for bag replay"),
    "log_level": ("info", "debug, info, warn, error or fatal"),
}

#: Arguments that override a parameter of the same name when they are not empty.
OVERRIDES = ("model", "backend", "autostart")


def _node(context):
    values = {name: LaunchConfiguration(name).perform(context) for name in ARGUMENTS}
    overrides = {name: values[name] for name in OVERRIDES if values[name]}
    for name in ("autostart", "use_sim_time"):
        given = values[name].lower()
        if given not in ("", "true", "false"):
            raise ValueError(f"{name}:={values[name]}; accepted are true and false")
        if given:
            overrides[name] = given == "true"
    remappings = [("image_raw", values["image"])]
    if values["camera_info"]:
        remappings.append(("camera_info", values["camera_info"]))
    return [
        LifecycleNode(
            package="difiisr_ros",
            executable="super_resolution_node",
            name="super_resolution",
            namespace=values["namespace"],
            parameters=[values["params_file"], overrides],
            remappings=remappings,
            arguments=["--ros-args", "--log-level", values["log_level"]],
            output="screen",
            emulate_tty=True,
        )
    ]


def generate_launch_description():
    declarations = [
        DeclareLaunchArgument(name, default_value=default, description=description)
        for name, (default, description) in ARGUMENTS.items()
    ]
    return LaunchDescription([*declarations, OpaqueFunction(function=_node)])
