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

"""A thermal camera, its super-resolution, yolo_ros, and its boxes in the camera's pixels.

    ros2 launch yolo_ros.launch.py image:=/thermal/image_raw device:=cpu

yolo_ros listens to bgr8, reliably, and publishes /yolo/detections in pixels of the result; the
boxes on /detections (yolo_msgs/DetectionArray) are in the camera's.
"""

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, GroupAction, IncludeLaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution
from launch_ros.actions import Node, SetParameter
from launch_ros.substitutions import FindPackageShare

ARGUMENTS = {
    "image": "/thermal/image_raw",
    "model": "yolov8m.pt",
    "device": "cuda:0",
    "imgsz_width": "640",
    "imgsz_height": "480",
}


def isolated(package, file, arguments, *before):
    """A package's launch file with these arguments and nobody else's, which launch would share."""
    path = PathJoinSubstitution([FindPackageShare(package), "launch", file])
    include = IncludeLaunchDescription(PythonLaunchDescriptionSource(path))
    return GroupAction(
        [*before, include], scoped=True, forwarding=False, launch_configurations=arguments
    )


def generate_launch_description():
    """Ours, yolo_ros and the mapper; the camera's driver is yours."""
    super_resolution = isolated(
        "difiisr_ros",
        "super_resolution.launch.py",
        {"image": LaunchConfiguration("image")},
        SetParameter("output_encoding", "bgr8"),
    )
    detector = isolated(
        "yolo_bringup",
        "yolo.launch.py",
        {
            "input_image_topic": "/sr/image_raw",
            "image_reliability": "1",  # reliable, as the result is published
            **{n: LaunchConfiguration(n) for n in ARGUMENTS if n != "image"},
        },
    )
    mapper = Node(
        package="difiisr_ros",
        executable="detection_mapper_node",
        remappings=[("sr/detections", "/yolo/detections")],
        parameters=[{"message_type": "yolo_msgs", "coordinates": "edges"}],
        output="screen",
    )
    declared = [DeclareLaunchArgument(n, default_value=v) for n, v in ARGUMENTS.items()]
    return LaunchDescription([*declared, super_resolution, detector, mapper])
