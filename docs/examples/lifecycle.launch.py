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

"""Configure super_resolution_node, then activate it, by launch's own events."""

from launch import LaunchDescription
from launch.actions import EmitEvent, IncludeLaunchDescription, RegisterEventHandler
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import PathJoinSubstitution
from launch_ros.event_handlers import OnStateTransition
from launch_ros.events.lifecycle import ChangeState
from launch_ros.substitutions import FindPackageShare
from lifecycle_msgs.msg import Transition


def change(transition):
    """An event that asks the node for a transition."""
    return EmitEvent(
        event=ChangeState(
            lifecycle_node_matcher=lambda node: node.node_name == "/super_resolution",
            transition_id=transition,
        )
    )


def generate_launch_description():
    """The node without autostart, and what drives it."""
    node = IncludeLaunchDescription(
        PythonLaunchDescriptionSource(
            PathJoinSubstitution(
                [FindPackageShare("difiisr_ros"), "launch", "super_resolution.launch.py"]
            )
        ),
        launch_arguments={"autostart": "false"}.items(),
    )
    activate_when_configured = RegisterEventHandler(
        OnStateTransition(
            start_state="configuring",
            goal_state="inactive",
            entities=[change(Transition.TRANSITION_ACTIVATE)],
        )
    )
    return LaunchDescription(
        [activate_when_configured, node, change(Transition.TRANSITION_CONFIGURE)]
    )
