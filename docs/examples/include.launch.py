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
