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

"""Actions of replay_evaluation.launch.py: one step after the other, and an end to all of them.

The frames are prepared while the node loads its model; the player starts when both are ready. When
the last result is recorded the recorder finishes its bag, the recording is scored, and everything
is shut down. A step that fails ends it all with its reason.
"""

from __future__ import annotations

import signal
from collections.abc import Callable
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray
from launch.actions import OpaqueFunction, RegisterEventHandler
from launch.event import Event
from launch.event_handler import EventHandler
from launch.event_handlers import OnProcessExit
from launch.events import matches_action
from launch.events.process import SignalProcess
from launch.launch_context import LaunchContext
from launch_ros.ros_adapters import get_ros_node
from std_msgs.msg import UInt64

from difiisr_ros.ros.launch_actions import EndOnce
from difiisr_ros.stream.replay import ReplayProgress, Stage


class NodeReady(Event):
    """The node takes frames, and its results will be recorded."""

    name = "difiisr_ros.NodeReady"


class AllRecorded(Event):
    """Everything that was played is done and recorded."""

    name = "difiisr_ros.AllRecorded"


class Replay:
    """The steps of a replay.

    Args:
        node_name: Fully qualified, with the leading slash; ``frames_done`` is in its namespace.
        system: What is shut down at the end.
        prepare: Action that executes the process which writes the frames to play.
        make_player: Makes the action that plays them, once they are written.
        recorder: Action of the recorder.
        score: Action that scores the recording.
        finished: Makes the reason of the shutdown from the number of published results.
    """

    def __init__(
        self,
        node_name: str,
        system: EndOnce,
        *,
        prepare: Any,
        make_player: Callable[[], Any],
        recorder: Any,
        score: Any,
        finished: Callable[[int], str],
    ) -> None:
        self._node_name = node_name
        self._progress = ReplayProgress(node_name.lstrip("/"))
        self._system = system
        self._prepare, self._recorder, self._score = prepare, recorder, score
        self._make_player = make_player
        self._finished = finished
        self._prepared = self._ready = self._recorded = False

    def actions(self) -> list[Any]:
        """For the launch description, beside the node's own action."""
        on_exit = [
            (self._prepare, self._when_prepared),
            (self._recorder, self._when_recorder_ends),
            (self._score, self._when_scored),
        ]
        on_event = [(NodeReady, self._when_ready), (AllRecorded, self._when_recorded)]
        return [
            self._system.handler(),
            *(
                RegisterEventHandler(OnProcessExit(target_action=action, on_exit=handle))
                for action, handle in on_exit
            ),
            *(
                RegisterEventHandler(
                    EventHandler(
                        matcher=lambda event, kind=kind: isinstance(event, kind),
                        entities=[OpaqueFunction(function=handle)],
                    )
                )
                for kind, handle in on_event
            ),
            OpaqueFunction(function=self._watch),
            self._recorder,
            self._prepare,
        ]

    def _watch(self, context: LaunchContext) -> None:
        """Follow the node's diagnostics.

        Lifecycle transition events are not waited for: a node that starts by itself may have sent
        them before launch could listen.
        """

        from difiisr_ros.ros.qos import latched_qos

        def later(function: Callable[..., Any], *arguments: Any) -> None:
            context.asyncio_loop.call_soon_threadsafe(function, *arguments)

        def listen(message: DiagnosticArray) -> None:
            stage = self._progress.update(
                {s.name: {entry.key: entry.value for entry in s.values} for s in message.status}
            )
            if stage is Stage.ACTIVE:
                later(context.emit_event_sync, NodeReady())
            elif stage is Stage.FAILED:
                reason = f"the node is not ready: {self._progress.reason}"
                later(self._system.fail, context, reason)
            elif stage is Stage.DONE:
                later(context.emit_event_sync, AllRecorded())

        def count(message: UInt64) -> None:
            self._progress.recorded = message.data

        node = get_ros_node(context)
        done = self._node_name.rpartition("/")[0] + "/frames_done"
        node.create_subscription(DiagnosticArray, "/diagnostics", listen, 10)
        node.create_subscription(UInt64, done, count, latched_qos())

    def _when_prepared(self, event: Any, context: LaunchContext) -> list[Any] | None:
        if event.returncode:
            self._system.fail(context, "there is nothing to play, see above")
            return None
        self._prepared = True
        return self._play()

    def _when_ready(self, context: LaunchContext) -> list[Any] | None:
        self._ready = True
        return self._play()

    def _play(self) -> list[Any] | None:
        if not (self._prepared and self._ready):
            return None
        player = self._make_player()
        handler = OnProcessExit(target_action=player, on_exit=self._when_played)
        return [RegisterEventHandler(handler), player]

    def _when_played(self, event: Any, context: LaunchContext) -> None:
        self._progress.played = True
        if event.returncode:
            self._system.fail(context, f"the player has ended with exit code {event.returncode}")

    def _when_recorded(self, context: LaunchContext) -> None:
        self._recorded = True
        context.emit_event_sync(
            SignalProcess(
                signal_number=signal.SIGINT, process_matcher=matches_action(self._recorder)
            )
        )

    def _when_recorder_ends(self, event: Any, context: LaunchContext) -> list[Any] | None:
        if not self._recorded or event.returncode:
            code = f" with exit code {event.returncode}" if event.returncode else ""
            self._system.fail(context, f"the recorder has ended{code}")
            return None
        return [self._score]

    def _when_scored(self, event: Any, context: LaunchContext) -> None:
        if event.returncode:
            self._system.fail(context, f"scoring has ended with exit code {event.returncode}")
        else:
            self._system.end(context, self._finished(self._progress.published))
