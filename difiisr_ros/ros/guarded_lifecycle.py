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

"""A lifecycle node that no transition can kill.

rclpy swallows what a transition callback raises without a log line, and up to Jazzy an invalid
``change_state`` request raises out of ``spin()`` (ros2/rclpy #1209); later ones answer it without a
word. Here every failure is logged with its reason, answered, and leaves the node retryable.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable
from typing import Any

from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn

from difiisr_ros.errors import DifiisrError, Interrupted, first_line


class GuardedLifecycleNode(LifecycleNode):
    """Override the hooks (``configure``, ``activate`` ...), not the ``on_...`` callbacks.

    A hook that raises :class:`DifiisrError` has met something that the user can correct: one line
    is logged. Anything else is a fault of ours and logged with its traceback. Either way the node
    stays up: a failed configure or activate is undone and leaves the previous state; what fails
    while stopping leaves the node unconfigured, with everything freed.
    """

    def __init__(self, node_name: str, **kwargs: Any) -> None:
        #: Why the last transition failed; empty after one that succeeded.
        self.transition_error = ""
        self._last_label = "unconfigured"
        super().__init__(node_name, **kwargs)
        self._guard_change_state_service()

    def configure(self) -> None:
        """Unconfigured to inactive."""

    def activate(self) -> None:
        """Inactive to active."""

    def deactivate(self) -> None:
        """Active to inactive; must also undo a half-done :meth:`activate`."""

    def release(self) -> None:
        """Free everything; must also undo a half-done :meth:`configure`. Idempotent."""

    @property
    def state_label(self) -> str:
        """``unconfigured``, ``inactive``, ``active``, ``finalized``, or a transition state.

        After :meth:`destroy_node` the last one that there was.
        """
        machine = self._state_machine
        return self._last_label if machine is None else machine.current_state[1]

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Run :meth:`configure`; a failure leaves the node unconfigured."""
        return self._guarded("configure", state, self.configure, self.release)

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Enable publishers, then run :meth:`activate`; a failure leaves the node inactive."""

        def undo() -> None:
            self.deactivate()
            LifecycleNode.on_deactivate(self, state)

        def enable() -> None:
            LifecycleNode.on_activate(self, state)
            self.activate()

        return self._guarded("activate", state, enable, undo)

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Run :meth:`deactivate`, then disable publishers."""

        def disable() -> None:
            self.deactivate()
            LifecycleNode.on_deactivate(self, state)

        return self._guarded("deactivate", state, disable)

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Run :meth:`release`."""
        return self._guarded("cleanup", state, self.release)

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Deactivate and release from any state."""

        def stop() -> None:
            self.deactivate()
            self.release()

        return self._guarded("shutdown", state, stop)

    def on_error(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Free everything, so that the node can be configured again."""
        try:
            self.deactivate()
            self.release()
        except Exception:  # noqa: BLE001 - rclpy would swallow it without a word
            self.get_logger().error(f"freeing after an error failed:\n{traceback.format_exc()}")
        return TransitionCallbackReturn.SUCCESS

    def destroy_node(self) -> None:
        """End the node, and leave nothing of it in the ROS graph.

        rclpy leaves the state machine to the garbage collector, and with it the lifecycle services,
        which nobody answers any more, and the name of the node.
        """
        super().destroy_node()
        self._last_label = self.state_label
        self._state_machine = None

    def transition(self, name: str) -> bool:
        """Run a transition from inside the process; whether it succeeded."""
        if self._state_machine is None:  # destroyed
            return False
        try:
            result = getattr(self, f"trigger_{name}")()
        except Exception as error:  # noqa: BLE001 - rclpy raises RCLError for an invalid transition
            if self.context.ok():
                self._invalid_transition(name, f" ({first_line(error)})")
            return False
        return result == TransitionCallbackReturn.SUCCESS

    def never_fatal(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Wrap a callback for a timer or an event: what it raises is logged, and no more.

        rclpy raises a callback's exception out of the executor, which would end the process.
        """

        def guarded() -> None:
            try:
                callback()
            except Exception:  # noqa: BLE001
                self.get_logger().error(
                    f"in a callback:\n{traceback.format_exc()}", throttle_duration_sec=10.0
                )

        return guarded

    def _guarded(
        self,
        name: str,
        state: LifecycleState,
        run: Callable[[], None],
        undo: Callable[[], None] | None = None,
    ) -> TransitionCallbackReturn:
        try:
            run()
        except Exception as error:  # noqa: BLE001 - rclpy would swallow it without a word
            self.transition_error = f"{name} failed: {error}"
            if not self.context.ok() or isinstance(error, Interrupted):
                self.get_logger().info(f"{name} interrupted by the shutdown")
            elif isinstance(error, DifiisrError):
                self.get_logger().error(self.transition_error)
            else:
                self.get_logger().error(f"{name} failed:\n{traceback.format_exc()}")
            if undo is None:
                return TransitionCallbackReturn.ERROR  # on_error frees everything
            try:
                undo()
            except Exception:  # noqa: BLE001
                self.get_logger().error(f"undoing {name} failed:\n{traceback.format_exc()}")
                return TransitionCallbackReturn.ERROR
            return TransitionCallbackReturn.FAILURE
        self.transition_error = ""
        return TransitionCallbackReturn.SUCCESS

    def _guard_change_state_service(self) -> None:
        service = getattr(self, "_service_change_state", None)
        if service is None:  # created without its communication interface
            return
        answer = service.callback

        def guarded(request: Any, response: Any) -> Any:
            asked = request.transition
            possible = self._state_machine.available_transitions
            is_possible = any(
                label == asked.label if asked.label else number == asked.id
                for number, label, *_ in possible
            )
            why = ""
            if is_possible:
                try:
                    return answer(request, response)
                except Exception as error:  # noqa: BLE001 - RCLError, not exported by every rclpy
                    why = f" ({first_line(error)})"
            self._invalid_transition(asked.label or self._named(asked.id), why)
            response.success = False
            return response

        service.callback = guarded

    def _named(self, number: int) -> str:
        """A transition that was asked for by its number alone.

        Of shutdown there is one for each state, so that another state's is told by its number too.
        """
        labels = {entry[0]: entry[1] for entry in self._state_machine.transition_graph}
        label = labels.get(number, f"id {number}")
        return f"{label} (id {number})" if list(labels.values()).count(label) > 1 else label

    def _invalid_transition(self, asked: str, why: str = "") -> None:
        possible = sorted({entry[1] for entry in self._state_machine.available_transitions})
        self.get_logger().warning(
            f"transition '{asked}' is not possible while {self.state_label}; "
            f"possible are {', '.join(possible) or 'none'}{why}"
        )
