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

"""A node under test, a tester beside it, and an executor, all in this process."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, ClassVar

import numpy as np
import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from lifecycle_msgs.srv import ChangeState
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CameraInfo, Image

from difiisr_ros.ros.conversions import array_to_image
from difiisr_ros.ros.node import SuperResolutionNode
from support.waiting import DEADLINE, wait_for


class Tester(Node):
    """The node beside the one under test. What it destroys, it destroys in the executor's thread:
    an executor that is just about to wait for it ends with InvalidHandle.
    """

    def __init__(self, graph: Graph) -> None:
        super().__init__("tester", context=graph.context)
        self._graph = graph

    def destroy_client(self, client: Any) -> bool:
        return self._graph.in_executor(super().destroy_client, client)

    def destroy_publisher(self, publisher: Any) -> bool:
        return self._graph.in_executor(super().destroy_publisher, publisher)

    def destroy_subscription(self, subscription: Any) -> bool:
        return self._graph.in_executor(super().destroy_subscription, subscription)


class Graph:
    """``with Graph(backend="bicubic") as graph:`` starts the node with these parameters."""

    def __init__(
        self,
        *cli_args: str,
        wait_active: bool = True,
        listener_wait: float = 0.0,
        **parameters: Any,
    ) -> None:
        self._listener_wait = listener_wait
        self._cli_args = ["--ros-args", *cli_args] if cli_args else []
        self._parameters = {"backend": "bicubic", **parameters}
        self._wait_active = wait_active

    _running: ClassVar[int] = 0

    def __enter__(self) -> Graph:
        assert not Graph._running, "two nodes of the same name would answer each other's tester"
        self.context = rclpy.Context()
        self.context.init(domain_id=int(os.environ.get("ROS_DOMAIN_ID", "0")))
        overrides = [Parameter(name, value=value) for name, value in self._parameters.items()]
        self.node = SuperResolutionNode(
            context=self.context,
            parameter_overrides=overrides,
            cli_args=self._cli_args,
            listener_wait=self._listener_wait,
        )
        self._thread = threading.Thread(target=self._spin, daemon=True)
        self._died: BaseException | None = None
        self.tester = Tester(self)
        self.images: list[Image] = []
        self.infos: list[CameraInfo] = []
        self.diagnostics: list[DiagnosticArray] = []
        self.subscribe(DiagnosticArray, "/diagnostics", self.diagnostics)
        self.executor = SingleThreadedExecutor(context=self.context)
        self.executor.add_node(self.node)
        self.executor.add_node(self.tester)
        self._stop = threading.Event()
        self._thread.start()
        Graph._running += 1
        try:
            if self._wait_active:
                wait_for(lambda: self.node.state_label == "active", "the node is active")
        except AssertionError:
            self.__exit__(None, None, None)
            raise
        return self

    def _spin(self) -> None:
        try:
            while not self._stop.is_set():
                self.executor.spin_once(timeout_sec=0.1)
        except BaseException as error:
            self._died = error
            raise

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop.set()
        self.executor.wake()
        self._thread.join(DEADLINE)
        self.executor.shutdown()
        self.tester.destroy_node()
        self.node.destroy_node()
        self.context.try_shutdown()
        Graph._running -= 1
        assert self._died is None, f"the executor, and so the node, was ended by {self._died!r}"

    def subscribe(self, kind: type, topic: str, into: list[Any], reliable: bool = True) -> Any:
        """Collect what is published on a topic."""
        qos = QoSProfile(
            depth=500,
            reliability=ReliabilityPolicy.RELIABLE if reliable else ReliabilityPolicy.BEST_EFFORT,
        )
        return self.tester.create_subscription(kind, topic, into.append, qos)

    def connect(self, image: str = "image_raw", output: str = "sr/image_raw") -> Graph:
        """Publish images (and camera_info beside them), collect the results; matched at return."""
        beside = image.rsplit("/", 1)[0] + "/" if "/" in image else ""
        beside_output = output.rsplit("/", 1)[0] + "/"
        self.publisher = self.tester.create_publisher(Image, image, 10)
        self.info_publisher = self.tester.create_publisher(CameraInfo, beside + "camera_info", 10)
        self.subscribe(Image, output, self.images)
        self.subscribe(CameraInfo, beside_output + "camera_info", self.infos)
        self.matched()
        return self

    def matched(self) -> None:
        """Wait until both image topics have found their other end."""
        wait_for(lambda: self.publisher.get_subscription_count() > 0, "the node subscribes")
        name = self.node.get_fully_qualified_name()

        def found() -> bool:
            topics = [s for s in self.tester.subscriptions if s.topic_name.endswith("image_raw")]
            return all(self.tester.count_publishers(s.topic_name) for s in topics)

        wait_for(found, f"{name} publishes")
        # The publisher of the results learns of the tester's subscription a little later.
        wait_for(
            lambda: all(c.output_subscribers() for c in self.node.cameras.values()), "it matches"
        )

    @staticmethod
    def image(pixels: np.ndarray, encoding: str = "passthrough", stamp: int = 1) -> Image:
        """A message with this stamp (seconds) and frame_id thermal_optical."""
        message = array_to_image(pixels, encoding)
        message.header.frame_id = "thermal_optical"
        message.header.stamp.sec = stamp
        return message

    def send(self, pixels: np.ndarray, encoding: str = "passthrough", stamp: int = 1) -> Image:
        """Publish a frame, and return its message."""
        message = self.image(pixels, encoding, stamp)
        self.publisher.publish(message)
        return message

    def roundtrip(self, pixels: np.ndarray, encoding: str = "passthrough", stamp: int = 1) -> Image:
        """Publish a frame and return its result."""
        before = len(self.images)
        self.send(pixels, encoding, stamp)
        wait_for(lambda: len(self.images) > before, f"a result for {encoding} {pixels.shape}")
        return self.images[before]

    def status(self, task: str, when: Callable[[dict[str, str], Any], bool] | None = None) -> Any:
        """The next diagnostics status of a task (for which ``when(values, status)`` is true)."""
        self.diagnostics.clear()

        def find() -> Any:
            for array in list(self.diagnostics):
                for status in array.status:
                    values = {entry.key: entry.value for entry in status.values}
                    if status.name.endswith(f": {task}") and (when is None or when(values, status)):
                        return values, status
            return None

        return wait_for(find, f"diagnostics of {task}")

    def in_executor(self, call: Callable[..., Any], *arguments: Any) -> Any:
        """What a call returns that is made in the executor's thread, as callbacks are.

        All that creates or destroys topics is made there, while there is one.
        """
        if not self._thread.is_alive() or threading.current_thread() is self._thread:
            return call(*arguments)
        done: list[Any] = []
        raised: list[Exception] = []

        def run() -> None:  # what is raised here would end the executor
            try:
                done.append(call(*arguments))
            except Exception as error:  # noqa: BLE001
                raised.append(error)

        self.executor.create_task(run)
        wait_for(lambda: done or raised or not self._thread.is_alive(), f"{call} returns")
        if raised:
            raise raised[0]
        assert done, f"the executor was ended by {self._died!r}"
        return done[0]

    def transition(self, name: str) -> bool:
        """Run a transition as the service would; whether it succeeded."""
        return self.in_executor(self.node.transition, name)

    def change_state(self, transition_id: int = 0, label: str = "") -> bool:
        """Ask for a transition by service, as ``ros2 lifecycle set`` does."""
        name = self.node.get_fully_qualified_name() + "/change_state"
        request = ChangeState.Request()
        request.transition.id, request.transition.label = transition_id, label
        return self.call(ChangeState, name, request).success

    def call(self, kind: type, name: str, request: Any) -> Any:
        """The answer of a service."""
        client = self.tester.create_client(kind, name)
        try:
            assert client.wait_for_service(DEADLINE), f"no service {name}"
            future = client.call_async(request)
            wait_for(future.done, f"an answer of {name}")
            return future.result()
        finally:
            self.tester.destroy_client(client)


class LogCapture:
    """What this process logs while a test runs; then it is handed on, for pytest to show.

    Output goes to a file that is only ever appended to. pytest's capfd reads its file and then cuts
    it to nothing: a line that is written between the two is lost, and a test waited for it in vain.

    Args:
        file: where to keep it.
    """

    _OUTPUTS = (1, 2)  # descriptors of standard output and error

    def __init__(self, file: Path) -> None:
        self._file = file

    def __enter__(self) -> LogCapture:
        self._before = [os.dup(output) for output in self._OUTPUTS]
        file = os.open(self._file, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        for output in self._OUTPUTS:
            os.dup2(file, output)
        os.close(file)
        return self

    def __exit__(self, *_exc: object) -> None:
        for output, before in zip(self._OUTPUTS, self._before):
            os.dup2(before, output)
            os.close(before)
        os.write(2, self._file.read_bytes())

    @property
    def text(self) -> str:
        """Everything so far."""
        return self._file.read_text(errors="replace")

    def lines(self, containing: str) -> list[str]:
        """The complete lines so far that contain this."""
        return [line for line in self.text.split("\n")[:-1] if containing in line]

    def wait(self, containing: str) -> str:
        """Wait for a line that contains this, and return it."""
        return wait_for(lambda: self.lines(containing), f"a log line with {containing!r}")[0]


def scene(height: int = 24, width: int = 32, dtype: Any = np.uint16, seed: int = 0) -> np.ndarray:
    """A smooth frame with structure, in the counts of a thermal camera for uint16."""
    rows, columns = np.mgrid[0:height, 0:width].astype(np.float64)
    noise = np.random.default_rng(seed).normal(0, 0.02, (height, width))
    unit = 0.5 + 0.3 * np.sin(rows / 4 + seed) * np.cos(columns / 5) + noise
    if dtype is np.uint8:
        return np.clip(unit * 255, 0, 255).astype(np.uint8)
    if dtype is np.uint16:
        return (28000 + 3000 * unit).astype(np.uint16)
    return (280 + 30 * unit).astype(np.float32)
