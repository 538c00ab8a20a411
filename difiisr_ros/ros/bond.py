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

"""The node's half of a bond, by which Nav2's lifecycle manager sees that it lives.

The manager gives up a node that it has activated when no heartbeat comes within ``bond_timeout``.
The messages are of the package bond, which comes with Nav2 and is no dependency of ours.
"""

from __future__ import annotations

import uuid
from typing import Any

from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from rclpy.clock import Clock, ClockType

#: Name of the topic, relative, as the manager and Nav2's own nodes have it.
TOPIC = "bond"

#: Seconds without a heartbeat that break the bond; told to the other half for its messages only.
HEARTBEAT_TIMEOUT = 4.0


class Bond:
    """Heartbeats from creation until :meth:`end`, or until the other half ends the bond.

    Args:
        node: whose life it is; its name is the bond's.
        period: seconds between heartbeats.

    Raises:
        ImportError: The package bond is not installed.
    """

    def __init__(self, node: Any, period: float) -> None:
        from bond.msg import Status

        self._node, self._kind, self._period = node, Status, period
        self._instance = str(uuid.uuid4())
        self._ended = False
        # A group that goes with it: the node's own keeps what has been destroyed.
        group = MutuallyExclusiveCallbackGroup()
        self._publisher = node.create_publisher(Status, TOPIC, 1, callback_group=group)
        self._subscription = node.create_subscription(
            Status, TOPIC, self._on_status, 10, callback_group=group
        )
        # A bag's clock that stands still must not look like a death.
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        self._timer = node.create_timer(
            period, node.never_fatal(self._beat), callback_group=group, clock=steady
        )
        self._beat()

    def end(self) -> None:
        """Say that it ends on purpose, and free the topic."""
        if not self._ended:
            self._publish(active=False)
        self._ended = True
        self._node.destroy_timer(self._timer)
        self._node.destroy_subscription(self._subscription)
        self._node.destroy_publisher(self._publisher)

    def _beat(self) -> None:
        if not self._ended:
            self._publish(active=True)

    def _on_status(self, status: Any) -> None:
        other = status.id == self._node.get_name() and status.instance_id != self._instance
        if other and not status.active and not self._ended:
            self._ended = True
            self._publish(active=False)  # which the other half waits for

    def _publish(self, active: bool) -> None:
        status = self._kind()
        status.header.stamp = self._node.get_clock().now().to_msg()
        status.id = self._node.get_name()
        status.instance_id = self._instance
        status.active = active
        status.heartbeat_timeout = HEARTBEAT_TIMEOUT
        status.heartbeat_period = self._period
        self._publisher.publish(status)


def form_bond(node: Any, period: float) -> Bond | None:
    """A bond, or None where the package bond is missing, which is logged."""
    try:
        return Bond(node, period)
    except ImportError as error:
        node.get_logger().info(
            f"no bond with a lifecycle manager ({error}); Nav2's needs the package bond here, or "
            "bond_timeout: 0.0"
        )
        return None
