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

"""What ``/diagnostics`` says: the input of each camera, the inference, the backend.

Builds ``diagnostic_msgs`` by hand, because diagnostic_updater has no Python release that can be
installed without a ROS distribution. Levels: OK; WARN for what an operator should look at; ERROR
for a node that cannot work.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue

from difiisr_ros.core.condition import FrameMeasurement
from difiisr_ros.core.output_geometry import OutputGeometry
from difiisr_ros.core.region import Region
from difiisr_ros.ros.camera_stream import CameraStream
from difiisr_ros.stream import diagnostic_keys as keys
from difiisr_ros.stream.deadline import DeadlineController
from difiisr_ros.stream.parameter_table import not_used
from difiisr_ros.stream.statistics import StreamSnapshot

OK, WARN, ERROR = DiagnosticStatus.OK, DiagnosticStatus.WARN, DiagnosticStatus.ERROR
#: Share of the camera's rate below which the model is said not to keep up.
_KEEPS_UP = 0.8
#: Seconds without an image before the log says so too: a camera's driver may start after the node.
GRACE = 5.0


@dataclass
class NodeState:
    """What diagnostics reports besides the cameras."""

    lifecycle: str
    failure: str
    parameters: Mapping[str, Any]
    info: Any
    """``SuperResolver.info``, or None while nothing is loaded."""
    deadline: DeadlineController
    enabled: bool
    """As the ``~/enable`` service left it."""
    clock: tuple[str, bool]
    """What the clock does, in words, and whether it is to be looked at."""
    clock_jumps_back: int


@dataclass
class DiagnosticsReport:
    """Builds one message a second; remembers counters to tell what is new since the last."""

    node_name: str
    warnings: list[str] = field(default_factory=list)
    """What the log is to say after a :meth:`build`: why no image comes, once for each reason."""
    _rejected_before: dict[str, int] = field(default_factory=dict)
    _warned: dict[str, set[str]] = field(default_factory=dict)

    def build(self, cameras: Mapping[str, CameraStream], state: NodeState) -> DiagnosticArray:
        """All statuses; the caller stamps the message."""
        array = DiagnosticArray()
        self.warnings = []
        for camera in cameras.values():
            snapshot = camera.statistics.snapshot()
            array.status.append(self._input(camera, snapshot, state))
            array.status.append(self._inference(camera, snapshot, state))
        array.status.append(self._backend(state))
        return array

    def _status(
        self, task: str, level: bytes, message: str, hardware: str, values: Mapping[str, Any]
    ) -> DiagnosticStatus:
        return DiagnosticStatus(
            level=level,
            name=keys.status_name(self.node_name, task),
            message=message,
            hardware_id=hardware,
            values=[KeyValue(key=key, value=_text(value)) for key, value in values.items()],
        )

    def _input(
        self, camera: CameraStream, snapshot: StreamSnapshot, state: NodeState
    ) -> DiagnosticStatus:
        publishers, who = camera.publishers_of_input()
        rejected = sum(snapshot.rejected.values())
        new = rejected - self._rejected_before.get(camera.name, 0)
        self._rejected_before[camera.name] = rejected
        level, message = OK, f"receiving {snapshot.last_input} at {snapshot.input_hz:.1f} Hz"
        waited = snapshot.seconds_since_input
        if snapshot.received and waited < state.parameters["stale_after"]:
            self._warned.pop(camera.name, None)  # when images stop again, that is news
        conflict = camera.input_events.conflict(publishers) or camera.region.conflict()
        if state.lifecycle != "active":
            message = f"not subscribed: the node is {state.lifecycle}"
        elif not state.enabled:
            message = "not subscribed: disabled by ~/enable"
        elif not camera.subscribed:
            message = f"not subscribed: lazy, and nobody subscribes to {camera.output_topic}"
        elif waited > state.parameters["stale_after"]:
            level = WARN
            message = f"no image for {waited:.1f} s on {camera.image_topic}; {who}"
            if conflict:
                message += f"; {conflict}"
            self._warn(camera.name, f"{camera.image_topic} {who} {conflict}", waited, message)
        elif conflict:
            level, message = WARN, f"{conflict} ({who})"
        elif new:
            level = WARN
            message = f"{new} of the last frames dropped: {snapshot.last_error}"
        elif not snapshot.received:
            message = f"waiting for the first image on {camera.image_topic}"
        values = {
            keys.TOPIC: camera.image_topic,
            "camera_info topic": camera.info_topic,
            "publishers": who,
            "matched publishers": camera.input_events.matched,
            "incompatible QoS": conflict,
            "input": snapshot.last_input,
            "input rate (Hz)": snapshot.input_hz,
            keys.FRAMES_RECEIVED: snapshot.received,
            keys.FRAMES_DISPLACED: snapshot.displaced,
            "messages lost before the node": camera.input_events.lost,
            keys.FRAMES_REJECTED: rejected,
            keys.SHUTTER_FRAMES: snapshot.shutter,
        }
        values.update({f"rejected: {k}": n for k, n in sorted(snapshot.rejected.items())})
        values.update({f"noticed: {k}": n for k, n in sorted(snapshot.noticed.items())})
        values[keys.LOOKS_WRONG] = "; ".join(snapshot.oddities.values())
        values["last error"] = snapshot.last_error
        return self._status(_task(camera, keys.INPUT), level, message, camera.image_topic, values)

    def _warn(self, camera: str, reason: str, waited: float, message: str) -> None:
        """Have it logged, unless the reason is known or images may be about to come."""
        known = self._warned.setdefault(camera, set())
        if waited >= GRACE and reason not in known:
            known.add(reason)
            self.warnings.append(message)

    def _inference(
        self, camera: CameraStream, snapshot: StreamSnapshot, state: NodeState
    ) -> DiagnosticStatus:
        level, message = OK, f"publishing at {snapshot.output_hz:.1f} Hz"
        if snapshot.latency_ms:
            message += f", latency p50 {snapshot.latency_ms['p50']:.1f} ms"
        deadline, conflict = state.deadline, camera.output_conflict()
        if deadline.skipping:
            level, message = WARN, f"{message}; skipping frames that would miss deadline_ms"
        elif deadline.steps < deadline.num_steps:
            level = WARN
            message += f"; {deadline.steps} of {deadline.num_steps} steps to keep deadline_ms"
        elif (
            state.info is not None
            and state.info.model == "lite"
            and state.info.backend != "bicubic"
            and 0 < snapshot.output_hz < _KEEPS_UP * snapshot.input_hz
        ):
            # No fault, so no WARN: the newest frame wins. But there is something to be done.
            message += (
                f"; does not keep up with {snapshot.input_hz:.1f} Hz, "
                "model nano takes about half of the time"
            )
        if conflict:
            level, message = WARN, f"{message}; {conflict}"
        values: dict[str, Any] = {
            keys.TOPIC: camera.output_topic,
            "output rate (Hz)": snapshot.output_hz,
            keys.FRAMES_PUBLISHED: snapshot.published,
            keys.SUBSCRIBERS: camera.output_subscribers(),
            "incompatible QoS": conflict,
            "num_steps": deadline.num_steps,
            "num_steps in use": deadline.steps,
            "deadline (ms)": 1e3 * deadline.deadline,
            keys.FRAMES_SKIPPED: snapshot.skipped,
            "frames published late": snapshot.late,
        }
        for name, durations in (
            ("latency", snapshot.latency_ms),
            ("upscale", snapshot.upscale_ms),
            ("overhead", snapshot.overhead_ms),
        ):
            values.update({keys.duration(name, key): value for key, value in durations.items()})
        if snapshot.measurement is not None:
            values.update(_told(snapshot.measurement))
        if snapshot.geometry is not None:
            values.update(_shown(snapshot.geometry, snapshot.region))
        task = _task(camera, keys.INFERENCE)
        return self._status(task, level, message, camera.output_topic, values)

    def _backend(self, state: NodeState) -> DiagnosticStatus:
        values: dict[str, Any] = {keys.LIFECYCLE_STATE: state.lifecycle}
        level, message, hardware = OK, f"the node is {state.lifecycle}", "none"
        if state.info is not None:
            values.update(state.info.as_dict())
            hardware = str(state.info.device)
            message = f"{state.info.backend} on {hardware} ({state.info.precision})"
            if state.info.fallback:
                level, message = WARN, f"{message}, because {state.info.fallback}"
            if state.info.memory:
                level, message = WARN, f"{message}; {state.info.memory}"
        values["not used"] = "; ".join(not_used(state.parameters))
        clock, strange = state.clock
        if strange:
            level, message = WARN, f"{message}; {clock}"
        if state.failure:
            level, message = ERROR, state.failure
        values[keys.LAST_TRANSITION_ERROR] = state.failure
        values["clock"] = clock
        values["clock jumps back"] = state.clock_jumps_back
        return self._status(keys.BACKEND, level, message, hardware, values)


def _told(measured: FrameMeasurement) -> dict[str, Any]:
    """What the model was told of a camera with its newest frame."""
    camera = measured.camera
    if camera.is_reduced:
        return {"camera profile": camera.source}
    values = {
        "camera profile": camera.source,
        keys.NOISE_COUNTS: f"{measured.noise:.4g}",
        "noise (% of range)": 100 * measured.noise_share,
        "noise source": "estimated" if measured.noise_is_estimated else "profile",
        "blur (camera pixels)": "unknown" if camera.blur is None else f"{camera.blur:.3g}",
        keys.FRAMES_AVERAGED: f"{measured.frames:.3g}",
        keys.STILL_SHARE: f"{100 * measured.still:.3g}",
        keys.FOLLOWED_SHARE: f"{100 * measured.followed:.3g}",
    }
    learnt = measured.pattern
    return {
        **values,
        keys.PATTERN_COUNTS: "0" if learnt is None else f"{learnt.size:.3g}",
        "frames that taught the pattern": 0 if learnt is None else learnt.frames,
        "learning the pattern": "yes" if learnt is not None and learnt.learning else "no",
    }


def _shown(geometry: OutputGeometry, region: Region | None) -> dict[str, Any]:
    """What the newest result shows of the camera's image, and how large."""
    x, y = f"{geometry.x_scale:.4g}", f"{geometry.y_scale:.4g}"
    return {
        "result size": f"{geometry.size[0]}x{geometry.size[1]}",
        "result scale": x if x == y else f"{x} x {y}",
        "region": "whole frame" if region is None else str(region),
    }


def _task(camera: CameraStream, task: str) -> str:
    return f"{camera.name} {task}" if camera.name else task


def _text(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.2f}"
    return "" if value is None else str(value)
