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

"""``super_resolution``: a lifecycle node that republishes thermal streams super-resolved.

The slow part (loading, warming up) happens in *configure*; *activate* only subscribes. Callbacks
store the newest message; one worker thread upscales and publishes, so that parameter services and
diagnostics answer while a frame is being computed.
"""

from __future__ import annotations

import threading
import time
import traceback
from collections.abc import Mapping
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray
from rcl_interfaces.msg import SetParametersResult
from rclpy.clock import Clock, ClockType
from rclpy.parameter import Parameter
from std_srvs.srv import SetBool

from difiisr_ros.errors import OptionError
from difiisr_ros.long_work import interrupting, stop_requested
from difiisr_ros.ros.bond import Bond, form_bond
from difiisr_ros.ros.camera_stream import BLOCK_DEPTH, Arrival, CameraStream
from difiisr_ros.ros.clock_watch import ClockWatch
from difiisr_ros.ros.diagnostics import DiagnosticsReport, NodeState
from difiisr_ros.ros.guarded_lifecycle import GuardedLifecycleNode
from difiisr_ros.ros.parameters import NodeParameters, as_written, without_unchanged
from difiisr_ros.ros.qos import forget_overrides
from difiisr_ros.ros.upscaling import Upscaler
from difiisr_ros.stream.deadline import DeadlineController
from difiisr_ros.stream.frame_slot import FrameSlots, FrameWorker
from difiisr_ros.stream.log_bridge import LogBridge

#: Seconds to wait for the frame in work when deactivating; ros2 launch kills after ten.
STOP_TIMEOUT = 4.0

#: Seconds between looks at who follows transitions, before the first.
LISTENER_PERIOD = 0.02

#: Seconds between looks at who subscribes, where the middleware does not report it (Humble).
DEMAND_PERIOD = 0.25


class SuperResolutionNode(GuardedLifecycleNode):
    """See ``docs/super_resolution_node.md`` for topics, parameters, services and diagnostics."""

    def __init__(
        self, node_name: str = "super_resolution", listener_wait: float = 0.0, **kwargs: Any
    ) -> None:
        """
        Args:
            node_name: unless remapped.
            listener_wait: with ``autostart``, seconds at most that the first transition waits for
                somebody who follows transitions.
            kwargs: of rclpy's node.
        """
        super().__init__(node_name, **kwargs)
        #: The streams by camera name.
        self.cameras: dict[str, CameraStream] = {}
        self._upscaler: Upscaler | None = None  # while configured
        self._log_bridge = LogBridge(self.get_logger())
        self.parameters = NodeParameters(
            self, lambda: self.state_label in ("inactive", "active"), self._objection
        )
        self._create_cameras()
        # A timer and a transition may meet here when the user's executor has several threads.
        self._demand_lock = threading.RLock()
        self._bond: Bond | None = None  # while active
        self._slots: FrameSlots[Arrival] | None = None
        self._worker: FrameWorker[Arrival] | None = None
        self._clock_watch = ClockWatch(self)
        self._report = DiagnosticsReport(self.get_fully_qualified_name().lstrip("/"))
        # Not a lifecycle publisher, and on the steady clock: diagnostics must speak in every state
        # and while a bag's clock stands still.
        self._diagnostics = self.create_publisher(DiagnosticArray, "/diagnostics", 10)
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        self._diagnostics_timer = self.create_timer(
            1.0, self.never_fatal(self._publish_diagnostics), clock=steady
        )
        self._demand_timer = self.create_timer(
            DEMAND_PERIOD, self.never_fatal(self._follow_demand), clock=steady
        )
        self._enabled = True
        self._enable_service = self.create_service(SetBool, "~/enable", self._on_enable)
        self._start_timer = None
        #: Of the process that spins this node.
        self.exit_code = 0
        self._start_by = time.monotonic() + listener_wait
        if self.parameters["autostart"] or self.parameters["build_only"]:
            self._start_timer = self.create_timer(
                LISTENER_PERIOD if listener_wait else 0.0,
                self.never_fatal(self._autostart),
                clock=steady,
            )

    def set_parameters_atomically(self, parameter_list: list[Parameter]) -> SetParametersResult:
        """As every node's; a read-only parameter may be set to what it is."""
        changes = without_unchanged(self, as_written(parameter_list))
        if parameter_list and not changes:
            return SetParametersResult(successful=True)
        return super().set_parameters_atomically(changes)

    def configure(self) -> None:
        """Validate, load, warm up, create the publishers, listen to what region is wanted."""
        for note in self.parameters.unknown():
            self.get_logger().warning(note)
        rejected = self.parameters.rejected
        if rejected:
            raise OptionError("; ".join(rejected.values()))
        self._create_cameras()
        upscaler = Upscaler.load(self.cameras, self.get_logger(), self.parameters)
        self._upscaler = upscaler
        info = upscaler.engine.info
        self.get_logger().info(
            f"model {info.model}, backend {info.backend} on {info.device} ({info.precision})"
            + (f", {info.library}" if info.library else "")
        )
        for camera in self.cameras.values():
            camera.create_publishers(
                self.parameters["output_transport"],
                self.parameters["drop_policy"],
                self.never_fatal(self._follow_demand),
            )
            camera.region.subscribe()

    def _objection(self, values: Mapping[str, Any]) -> str | None:
        """Why what is loaded cannot take these parameters; None if it can, or nothing is."""
        upscaler = self._upscaler
        return None if upscaler is None else upscaler.objection(values)

    def _create_cameras(self) -> None:
        names = self.parameters["camera_names"]
        if names != list(self.cameras):
            self.cameras.clear()  # in place: the upscaler looks its cameras up here
            self.cameras.update((name, CameraStream(self, name)) for name in names)

    def activate(self) -> None:
        """Start the worker and subscribe."""
        assert self._upscaler is not None, "configured"
        block = self.parameters["drop_policy"] == "block"
        names = list(self.cameras)
        slots: FrameSlots[Arrival]
        slots = FrameSlots(names, BLOCK_DEPTH, self._wake_executor) if block else FrameSlots(names)
        self._slots = slots
        self._worker = FrameWorker(slots, self._upscaler.work, self._worker_failed)
        self._follow_demand()
        period = self.parameters["bond_heartbeat_period"]
        if period and not self.parameters["autostart"]:
            self._bond = form_bond(self, period)

    def deactivate(self) -> None:
        """Unsubscribe, discard what waits, let the frame in work finish."""
        bond, self._bond = self._bond, None
        if bond is not None:
            bond.end()
        with self._demand_lock:
            worker, self._worker, self._slots = self._worker, None, None
            for camera in self.cameras.values():
                camera.unsubscribe()
        with interrupting():  # an engine that a live parameter asked for is not waited for
            finished = worker is None or worker.stop(STOP_TIMEOUT)
        if not finished:
            raise RuntimeError(f"the frame in work did not finish within {STOP_TIMEOUT:g} s")

    def release(self) -> None:
        """Keep what was learnt, free the topics and the engine."""
        upscaler, self._upscaler = self._upscaler, None
        if upscaler is not None:
            upscaler.keep_patterns()
        for camera in self.cameras.values():
            camera.destroy()
        forget_overrides(self)
        if upscaler is not None:
            upscaler.close()

    def destroy_node(self) -> None:
        """Stop the worker and free everything, in whatever state."""
        try:
            self.deactivate()
            self.release()
        except Exception:  # noqa: BLE001 - the process is ending, and must end
            # An engine that is still at work is left alone: closing it would wait for it.
            self.get_logger().error(f"while ending:\n{traceback.format_exc()}")
        self._clock_watch.close()
        self._log_bridge.close()
        super().destroy_node()

    def _autostart(self) -> None:
        # What is published before a subscriber is found is lost to it.
        followed = self.count_subscribers("~/transition_event")
        if not followed and time.monotonic() < self._start_by:
            return
        timer, self._start_timer = self._start_timer, None
        if timer is None:  # it had fired once more before it was destroyed
            return
        self.destroy_timer(timer)
        configured = self.transition("configure")
        if self.parameters["build_only"]:
            self._end_after_build(configured)
        elif configured:
            self.transition("activate")
        elif self.context.ok() and not stop_requested():
            command = f"ros2 lifecycle set {self.get_fully_qualified_name()}"
            self.get_logger().error(
                f"not started; correct the parameters, then `{command} configure` and "
                f"`{command} activate`"
            )

    def _end_after_build(self, configured: bool) -> None:
        trouble = self.transition_error
        if configured:
            assert self._upscaler is not None
            trouble = self._upscaler.engine.info.fallback or ""
            if not self.parameters["warmup_width"] * self.parameters["warmup_height"]:
                trouble = "warmup_width and warmup_height are 0, so there was nothing to build for"
        if trouble:
            self.exit_code = 1
            self.get_logger().error(f"build_only: {trouble}")
        else:
            self.get_logger().info("build_only: everything is built")
        self.context.try_shutdown()

    def _follow_demand(self) -> None:
        """Listen to a camera while its result is wanted: enabled, and not lazy without anyone."""
        transport, policy = self.parameters["image_transport"], self.parameters["drop_policy"]
        with self._demand_lock:
            if self._slots is None:
                return
            for camera in self.cameras.values():
                wanted = self._enabled and (
                    not self.parameters["lazy"] or camera.output_subscribers() > 0
                )
                if wanted and not camera.subscribed:
                    camera.subscribe(self._slots, transport, policy)
                elif camera.subscribed and not wanted:
                    camera.unsubscribe()

    def _on_enable(self, request: Any, response: Any) -> Any:
        self._enabled = request.data
        self._follow_demand()
        response.success = True
        state = "enabled" if self._enabled else "disabled"
        response.message = f"{state}; the node is {self.state_label}"
        self.get_logger().info(f"{state} by service")
        return response

    def _wake_executor(self) -> None:
        """A slot has room again, so a subscription that was held back may take a message."""
        if self.executor is not None:
            self.executor.wake()

    def _worker_failed(self, error: BaseException) -> None:
        text = "".join(traceback.format_exception(error))
        for camera in self.cameras.values():
            camera.statistics.rejected("internal_error", f"{type(error).__name__}: {error}")
        self.get_logger().error(f"upscaling failed:\n{text}", throttle_duration_sec=10.0)

    def _publish_diagnostics(self) -> None:
        upscaler = self._upscaler
        state = NodeState(
            lifecycle=self.state_label,
            failure=self.transition_error,
            parameters=self.parameters.values(),
            info=None if upscaler is None else upscaler.engine.info,
            deadline=DeadlineController(0.0, 1) if upscaler is None else upscaler.deadline,
            enabled=self._enabled,
            clock=self._clock_watch.describe(),
            clock_jumps_back=self._clock_watch.jumps_back,
        )
        message = self._report.build(dict(self.cameras), state)
        message.header.stamp = self.get_clock().now().to_msg()
        self._diagnostics.publish(message)
        for warning in self._report.warnings:
            self.get_logger().warning(warning)
