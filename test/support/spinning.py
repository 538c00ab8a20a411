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

"""ROS nodes in a context of their own, as another process has, spun by a thread."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable
from typing import Any, TypeVar

import rclpy
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.qos import HistoryPolicy, QoSProfile

from support.waiting import DEADLINE

KEEP_ALL = QoSProfile(history=HistoryPolicy.KEEP_ALL)
Self = TypeVar("Self", bound="Spinning")


class Spinning:
    """``with Spinning(FramePlayer, rate=10.0) as nodes:``, a node and a tester beside it.

    Args:
        kind: the node under test; without one there is the tester alone, which then is ``node``.
        name: the tester's.
        spin: False: it never takes what it has subscribed to.
        parameters: of the node under test.
    """

    def __init__(
        self,
        kind: Callable[..., Any] | None = None,
        name: str = "tester",
        spin: bool = True,
        **parameters: Any,
    ) -> None:
        self.context = rclpy.Context()
        self.context.init(domain_id=int(os.environ.get("ROS_DOMAIN_ID", "0")))
        self.tester: Node = rclpy.create_node(name, context=self.context)
        overrides = [Parameter(key, value=value) for key, value in parameters.items()]
        try:
            self.node: Any = (
                kind(context=self.context, parameter_overrides=overrides) if kind else self.tester
            )
        except Exception:
            self.context.try_shutdown()
            raise
        self.executor = SingleThreadedExecutor(context=self.context)
        for node in {self.tester, self.node}:
            self.executor.add_node(node)
        self._thread = threading.Thread(target=self._spin, daemon=True) if spin else None

    def __enter__(self: Self) -> Self:
        if self._thread:
            self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self.node is not self.tester:
            self.node.stop()
        self.executor.shutdown()
        if self._thread:
            self._thread.join(DEADLINE)
        for node in {self.tester, self.node}:
            node.destroy_node()
        self.context.try_shutdown()

    def _spin(self) -> None:
        with contextlib.suppress(ExternalShutdownException):
            self.executor.spin()

    def listen(self, kind: type, topic: str, qos: QoSProfile = KEEP_ALL) -> list[Any]:
        """The messages on a topic from now on: a list that grows."""
        received: list[Any] = []
        self.tester.create_subscription(kind, topic, received.append, qos)
        return received
