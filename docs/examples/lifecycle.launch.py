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
