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

"""The other end of the node's topics and services, in the test's own process.

Used by tests that start the node as a process, with or without launch. Everything is waited for
with a generous deadline, and sent again until it is answered: two processes take a while to find
each other, and best effort does not repeat.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from diagnostic_msgs.msg import DiagnosticArray
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState, GetState
from rcl_interfaces.srv import GetParameters
from rclpy.parameter import parameter_value_to_python
from rclpy.qos import QoSProfile
from sensor_msgs.msg import CameraInfo, Image

from difiisr_ros.ros.conversions import array_to_image
from support.spinning import Spinning
from support.waiting import DEADLINE, wait_for


class Peer(Spinning):
    """Reads the node's diagnostics, and calls its services."""

    def __init__(self) -> None:
        super().__init__(name=f"peer_{os.getpid()}")
        self._statuses: dict[str, tuple[int, Any]] = {}
        self._reports = 0
        self._clients: dict[str, Any] = {}
        self.node.create_subscription(DiagnosticArray, "/diagnostics", self._on_diagnostics, 10)

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        self._reports += 1
        for status in message.status:
            self._statuses[status.name] = (self._reports, status)

    def values(
        self, name: str, when: Callable[[dict[str, str]], Any] = bool, what: str = ""
    ) -> dict[str, str]:
        """The diagnostics values of a status, from a report after this call for which ``when``."""
        before = self._reports

        def find() -> dict[str, str] | None:
            number, status = self._statuses.get(name, (0, None))
            if number <= before:
                return None
            values = {entry.key: entry.value for entry in status.values}
            return values if when(values) else None

        try:
            return wait_for(find, f"diagnostics '{name}' {what}")
        except AssertionError as error:
            raise AssertionError(f"{error}; the last were {self._statuses}") from None

    def message(self, name: str, when: Callable[[str], Any]) -> str:
        """The next summary of a diagnostics status for which ``when``."""
        before = self._reports

        def find() -> str | None:
            number, status = self._statuses.get(name, (0, None))
            return status.message if number > before and when(status.message) else None

        return wait_for(find, f"a message of diagnostics '{name}'")

    def status_names(self) -> list[str]:
        """The statuses in diagnostics so far."""
        return sorted(self._statuses)

    def call(self, kind: type, name: str, request: Any) -> Any:
        """The answer of a service that does nothing the second time.

        On a busy machine the first answer may be lost: the service sends it before the middleware
        has introduced the two. So it is asked again.
        """
        client = self._client(kind, name)
        end = time.monotonic() + DEADLINE
        while True:
            future = client.call_async(request)
            with contextlib.suppress(AssertionError):
                wait_for(future.done, f"an answer of {name}", timeout=5.0)
                return future.result()
            client.remove_pending_request(future)
            assert time.monotonic() < end, f"no answer of {name} in {DEADLINE:g} s"

    def _client(self, kind: type, name: str) -> Any:
        if name not in self._clients:
            self._clients[name] = self.node.create_client(kind, name)
        assert self._clients[name].wait_for_service(DEADLINE), f"no service {name}"
        return self._clients[name]

    def state(self, node: str = "/super_resolution") -> str:
        """The label of its lifecycle state."""
        return self.call(GetState, f"{node}/get_state", GetState.Request()).current_state.label

    def until(self, state: str, node: str = "/super_resolution") -> None:
        """Wait until the node is in this lifecycle state."""
        wait_for(lambda: self.state(node) == state, f"{node} is {state}")

    def transition(self, label: str, node: str = "/super_resolution") -> bool:
        """Ask for a transition, as ``ros2 lifecycle set`` does; whether it succeeded."""
        name = f"{node}/change_state"
        # Once only, so first something that is never possible, until an answer has come through.
        impossible = ChangeState.Request(transition=Transition(id=255))
        assert not self.call(ChangeState, name, impossible).success
        request = ChangeState.Request(transition=Transition(label=label))
        future = self._client(ChangeState, name).call_async(request)
        wait_for(future.done, f"an answer of {name}")
        return future.result().success

    def parameters(self, names: list[str], node: str = "/super_resolution") -> dict[str, Any]:
        """Values of parameters."""
        request = GetParameters.Request(names=names)
        answer = self.call(GetParameters, f"{node}/get_parameters", request)
        return dict(zip(names, map(parameter_value_to_python, answer.values)))


class Stream:
    """A camera and the consumer of its results."""

    _stamp = 0

    def __init__(
        self, peer: Peer, image: str = "/image_raw", info: str = "", output: str = "/sr/image_raw"
    ) -> None:
        self.image, self.output = image, output
        self.images: list[Image] = []
        self.infos: list[CameraInfo] = []
        beside = image.rpartition("/")[0]
        qos = QoSProfile(depth=100)
        node = peer.node
        self.publisher = node.create_publisher(Image, image, qos)
        self._infos = node.create_publisher(CameraInfo, info or f"{beside}/camera_info", qos)
        node.create_subscription(Image, output, self.images.append, qos)
        node.create_subscription(
            CameraInfo, f"{output.rpartition('/')[0]}/camera_info", self.infos.append, qos
        )

    def message(self, frame: np.ndarray) -> Image:
        """The frame as a message, with a stamp that no other has."""
        Stream._stamp += 1
        message = array_to_image(frame)
        message.header.stamp.sec = Stream._stamp
        message.header.frame_id = "thermal_optical"
        return message

    def send(self, message: Image) -> None:
        """Publish it, with the calibration of a camera of that size beside it."""
        width, height = float(message.width), float(message.height)
        info = CameraInfo(header=message.header, width=message.width, height=message.height)
        info.k = [width, 0.0, width / 2, 0.0, width, height / 2, 0.0, 0.0, 1.0]
        info.p = [width, 0.0, width / 2, 0.0, 0.0, width, height / 2, 0.0, 0.0, 0.0, 1.0, 0.0]
        self._infos.publish(info)
        self.publisher.publish(message)

    def roundtrip(self, frame: np.ndarray) -> tuple[Image, Image, CameraInfo]:
        """Send a frame until its result is there; returns frame, result and its camera_info."""
        message = self.message(frame)

        def answered() -> tuple[Image, Image, CameraInfo] | None:
            # Copies: the executor's thread appends.
            images = [m for m in list(self.images) if m.header == message.header]
            infos = [m for m in list(self.infos) if m.header == message.header]
            return (message, images[0], infos[0]) if images and infos else None

        end = time.monotonic() + DEADLINE
        while time.monotonic() < end:
            self.send(message)
            with contextlib.suppress(AssertionError):
                return wait_for(answered, "a result", timeout=0.5)
        raise AssertionError(
            f"no result on {self.output} for a frame on {self.image}, which "
            f"{self.publisher.get_subscription_count()} subscribe; {len(self.images)} other images "
            f"and {len(self.infos)} camera_infos came"
        )
