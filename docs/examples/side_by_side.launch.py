"""Two of super_resolution.launch.py beside each other, and beside whatever else is included.

launch keeps the arguments of all included files in one place: without a group, the first camera's
image and another system's model or params_file would reach the second of ours too.
"""

from launch import LaunchDescription
from launch.actions import GroupAction, IncludeLaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import PathJoinSubstitution
from launch_ros.substitutions import FindPackageShare


def isolated(**arguments):
    """Our launch file with these arguments and no others."""
    file = PathJoinSubstitution(
        [FindPackageShare("difiisr_ros"), "launch", "super_resolution.launch.py"]
    )
    include = IncludeLaunchDescription(PythonLaunchDescriptionSource(file))
    return GroupAction([include], scoped=True, forwarding=False, launch_configurations=arguments)


def generate_launch_description():
    """One node for the front camera, one for the rear."""
    return LaunchDescription(
        [
            isolated(namespace="front", image="/front/image_raw"),
            isolated(namespace="rear", image="/rear/image_raw", model="nano"),
        ]
    )
