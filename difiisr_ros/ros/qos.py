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

"""Quality of service: the profiles in use, and what to tell a user whose topics do not match.

A node that runs without output is the most frequent complaint about image nodes, and mostly a QoS
mismatch; so every topic's partners and conflicts are collected for diagnostics.
"""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from rclpy.exceptions import ParameterException
from rclpy.qos import (
    DurabilityPolicy,
    HistoryPolicy,
    QoSProfile,
    ReliabilityPolicy,
    qos_policy_name_from_kind,
)

from difiisr_ros.errors import OptionError

try:
    from rclpy.event_handler import PublisherEventCallbacks, SubscriptionEventCallbacks
except ImportError:  # Humble
    from rclpy.qos_event import PublisherEventCallbacks, SubscriptionEventCallbacks


def sensor_qos(depth: int) -> QoSProfile:
    """Best effort, which matches publishers of either reliability (REP 2003)."""
    return QoSProfile(depth=depth, reliability=ReliabilityPolicy.BEST_EFFORT)


def replay_qos() -> QoSProfile:
    """Reliable and without a limit of its own, for sources of which every frame counts."""
    return QoSProfile(history=HistoryPolicy.KEEP_ALL, reliability=ReliabilityPolicy.RELIABLE)


def latched_qos() -> QoSProfile:
    """The last message, also for who subscribes after it was published."""
    return QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)


@dataclass
class TopicEvents:
    """What the middleware reported about one topic's other end."""

    topic: str
    conflicts: int = 0
    """Endpoints met whose QoS does not match."""
    conflicting_policy: str = ""
    """The policy of the last conflict, for example RELIABILITY."""
    matched: int | None = None
    """Endpoints matched now; None where rclpy does not report it (Humble)."""
    lost: int = 0
    """Messages lost on the way, where the middleware reports it."""
    changed: Callable[[], None] = field(default=lambda: None)
    """Called when an endpoint comes or goes."""

    def _on_conflict(self, event: Any) -> None:
        self.conflicts = event.total_count
        self.conflicting_policy = _policy_name(event.last_policy_kind)

    def _on_matched(self, event: Any) -> None:
        self.matched = event.current_count
        self.changed()

    def _on_lost(self, event: Any) -> None:
        self.lost = event.total_count

    def for_subscription(self) -> SubscriptionEventCallbacks:
        """Callbacks to create a subscription with."""
        return _callbacks(
            SubscriptionEventCallbacks,
            incompatible_qos=self._on_conflict,
            matched=self._on_matched,
            message_lost=self._on_lost,
        )

    def for_publisher(self) -> PublisherEventCallbacks:
        """Callbacks to create a publisher with."""
        return _callbacks(
            PublisherEventCallbacks, incompatible_qos=self._on_conflict, matched=self._on_matched
        )

    def conflict(self, endpoints: int, matched: int | None = None) -> str:
        """A conflict that lasts, in words; empty if there is none.

        Args:
            endpoints: how many the topic's other end has in the graph.
            matched: how many of them matched, where the caller knows.
        """
        matched = self.matched if matched is None else matched
        if not self.conflicts or (matched or 0) >= endpoints:
            return ""  # never met one, or it has gone
        return f"incompatible QoS on {self.topic}: {self.conflicting_policy}"


def _policy_name(kind: Any) -> str:
    # Jazzy's helper answers None for kinds it does not know.
    return str(qos_policy_name_from_kind(kind) or kind).replace("_QOS_POLICY", "")


def _callbacks(kind: Any, **callbacks: Callable[[Any], None]) -> Any:
    known = inspect.signature(kind.__init__).parameters  # Humble lacks some
    return kind(**{name: call for name, call in callbacks.items() if name in known})


@contextlib.contextmanager
def explain_overrides(topic: str) -> Iterator[None]:
    """Turn what rclpy raises for a wrong ``qos_overrides`` parameter into an :class:`OptionError`.

    Raises:
        OptionError: naming the topic, the override and what is accepted.
    """
    try:
        yield
    except (RuntimeError, ParameterException) as error:
        if isinstance(error, RuntimeError) and "QoS override" not in str(error):
            raise
        raise OptionError(
            f"qos_overrides of {topic}: {error}; accepted are reliability: reliable, best_effort; "
            "history: keep_last, keep_all; depth: a whole number"
        ) from error


def forget_overrides(node: Any) -> None:
    """Undeclare the ``qos_overrides`` parameters, to be declared again with the next entities.

    Otherwise the defaults of the first configuration would override those of the next, for
    example best effort those of ``drop_policy: block``. What the user gave is not lost.
    """
    for name in node.get_parameters_by_prefix("qos_overrides"):
        full_name = f"qos_overrides.{name}"
        # rclpy declares them read-only, and does not undeclare what is read-only.
        node.describe_parameter(full_name).read_only = False
        node.undeclare_parameter(full_name)


def describe_publishers(node: Any, topic: str, message_type: str) -> tuple[int, str]:
    """How many publishers a topic has, and who they are, for a user who waits for messages.

    Args:
        node: any rclpy node.
        topic: resolved name.
        message_type: what the subscription expects, for example ``sensor_msgs/msg/Image``.

    Returns:
        The number, and words such as ``1 publisher: /driver (best_effort)``; a publisher of
        another message type is pointed out.
    """
    endpoints = node.get_publishers_info_by_topic(topic)
    if not endpoints:
        return 0, "no publisher"
    who = []
    for endpoint in endpoints:
        name = f"{endpoint.node_namespace.rstrip('/')}/{endpoint.node_name}"
        about = endpoint.qos_profile.reliability.name.lower()
        if endpoint.topic_type != message_type:
            about = f"publishes {endpoint.topic_type}, not {message_type}"
        who.append(f"{name} ({about})")
    plural = "" if len(endpoints) == 1 else "s"
    return len(endpoints), f"{len(endpoints)} publisher{plural}: {', '.join(who)}"
