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
