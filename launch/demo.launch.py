"""Play thermal frames through super_resolution_node, and look at them.

    ros2 launch difiisr_ros demo.launch.py
    ros2 launch difiisr_ros demo.launch.py source:=/path/to/bag view:=rviz2

Starts frame_player_node, super_resolution_node and sr_monitor_node, and, where one is installed and
there is a display, a viewer of the camera's and the super-resolved images. Without a viewer the
monitor's line a second shows that it works. `difiisr demo` measures more, and needs no launch.
"""

import os

from ament_index_python.packages import PackageNotFoundError, get_package_prefix
from launch.actions import DeclareLaunchArgument, IncludeLaunchDescription, LogInfo, OpaqueFunction
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution
from launch_ros.actions import Node
from launch_ros.substitutions import FindPackageShare

from launch import LaunchDescription

ARGUMENTS = {
    "source": ("synthetic", "'synthetic', or the path of an image, a folder of images, or a bag"),
    "rate": ("30.0", "Frames a second"),
    "width": ("160", "Width of the synthetic camera in pixels"),
    "height": ("120", "Height of the synthetic camera in pixels"),
    "model": ("", "'lite' or the path of a model file; empty: the node's default"),
    "backend": ("", "auto, torch or bicubic; empty: the node's default"),
    "view": ("auto", "auto, image_view, rqt_image_view, rviz2 or none"),
}

#: Packages with a viewer, the preferred first: image_view scales 16-bit counts to the screen.
VIEWERS = ("image_view", "rqt_image_view", "rviz2")
TOPICS = ("/image_raw", "/sr/image_raw")


def _installed(package):
    try:
        get_package_prefix(package)
    except PackageNotFoundError:
        return False
    return True


def _viewer_nodes(package):
    if package == "image_view":
        return [
            Node(
                package=package,
                executable="image_view",
                name=f"view{topic.replace('/', '_')}",
                remappings=[("image", topic)],
                parameters=[{"do_dynamic_scaling": True, "autosize": True}],
            )
            for topic in TOPICS
        ]
    if package == "rqt_image_view":
        return [
            Node(package=package, executable="rqt_image_view", arguments=[topic], name=f"view{i}")
            for i, topic in enumerate(TOPICS)
        ]
    config = PathJoinSubstitution([FindPackageShare("difiisr_ros"), "config", "demo.rviz"])
    return [Node(package=package, executable="rviz2", arguments=["-d", config])]


def _viewers(wanted, display):
    """The viewer's nodes, or a line that says why there is none."""
    if wanted == "none":
        return []
    if wanted not in ("auto", *VIEWERS):
        raise ValueError(f"view:={wanted}; accepted are auto, {', '.join(VIEWERS)} and none")
    if not display:
        return [LogInfo(msg="no display, so no viewer is started; see the monitor's lines")]
    for package in VIEWERS if wanted == "auto" else (wanted,):
        if _installed(package):
            return _viewer_nodes(package)
    missing = wanted if wanted != "auto" else " or ".join(VIEWERS)
    return [LogInfo(msg=f"{missing} is not installed, so no viewer is started")]


def _actions(context):
    values = {name: LaunchConfiguration(name).perform(context) for name in ARGUMENTS}
    node = IncludeLaunchDescription(
        PythonLaunchDescriptionSource(
            PathJoinSubstitution(
                [FindPackageShare("difiisr_ros"), "launch", "super_resolution.launch.py"]
            )
        ),
        launch_arguments={name: values[name] for name in ("model", "backend")}.items(),
    )
    player = Node(
        package="difiisr_ros",
        executable="frame_player_node",
        name="frame_player",
        output="screen",
        parameters=[
            {
                "source": values["source"],
                "rate": float(values["rate"]),
                "width": int(values["width"]),
                "height": int(values["height"]),
                "reliability": "reliable",  # whatever QoS a viewer asks for, it gets the images
            }
        ],
    )
    monitor = Node(
        package="difiisr_ros", executable="sr_monitor_node", name="sr_monitor", output="screen"
    )
    display = os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    return [node, monitor, player, *_viewers(values["view"], display)]


def generate_launch_description():
    declarations = [
        DeclareLaunchArgument(name, default_value=default, description=description)
        for name, (default, description) in ARGUMENTS.items()
    ]
    return LaunchDescription([*declarations, OpaqueFunction(function=_actions)])
