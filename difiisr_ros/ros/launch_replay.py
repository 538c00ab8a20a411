"""Actions of replay_evaluation.launch.py: begin when the node is ready, end when it is done."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray
from launch.actions import OpaqueFunction, RegisterEventHandler
from launch.event import Event
from launch.event_handler import EventHandler
from launch.event_handlers import OnProcessExit
from launch.launch_context import LaunchContext
from launch_ros.ros_adapters import get_ros_node

from difiisr_ros.ros.launch_actions import EndOnce
from difiisr_ros.ros.replay import ReplayProgress, Stage


class NodeReady(Event):
    """The node takes frames."""

    name = "difiisr_ros.NodeReady"


def play_when_ready(
    node_name: str, player: Any, system: EndOnce, finished: Callable[[int], str]
) -> list[Any]:
    """Start ``player`` when the node is active; shut down when all that it played is done.

    Lifecycle transition events are not waited for: a node that starts by itself may have sent them
    before launch could listen.

    Args:
        node_name: fully qualified, with the leading slash.
        player: an action that executes a process.
        system: what is shut down.
        finished: makes the reason of the shutdown from the number of published results.
    """
    progress = ReplayProgress(node_name.lstrip("/"))

    def watch(context: LaunchContext) -> None:
        def later(function: Callable[..., Any], *arguments: Any) -> None:
            context.asyncio_loop.call_soon_threadsafe(function, *arguments)

        def listen(message: DiagnosticArray) -> None:
            stage = progress.update(
                {s.name: {entry.key: entry.value for entry in s.values} for s in message.status}
            )
            if stage is Stage.ACTIVE:
                later(context.emit_event_sync, NodeReady())
            elif stage is Stage.FAILED:
                later(system.fail, context, f"the node is not ready: {progress.reason}")
            elif stage is Stage.DONE:
                later(system.end, context, finished(progress.published))

        get_ros_node(context).create_subscription(DiagnosticArray, "/diagnostics", listen, 10)

    def ended(event: Any, context: LaunchContext) -> None:
        progress.played = True
        if event.returncode:
            system.fail(context, f"the player has ended with exit code {event.returncode}")

    return [
        system.handler(),
        RegisterEventHandler(
            EventHandler(matcher=lambda event: isinstance(event, NodeReady), entities=[player])
        ),
        RegisterEventHandler(OnProcessExit(target_action=player, on_exit=ended)),
        OpaqueFunction(function=watch),
    ]
