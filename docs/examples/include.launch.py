"""Ours in a launch file of yours: the camera's topic, and a namespace for what is published."""

from ament_index_python.packages import get_package_share_directory
from launch import LaunchDescription
from launch.actions import IncludeLaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource


def generate_launch_description():
    """One camera, called rig."""
    ours = get_package_share_directory("difiisr_ros") + "/launch/super_resolution.launch.py"
    arguments = {"image": "/thermal/image_raw", "namespace": "rig", "model": "nano"}
    source = PythonLaunchDescriptionSource(ours)
    return LaunchDescription([IncludeLaunchDescription(source, launch_arguments=arguments.items())])
