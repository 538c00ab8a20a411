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

"""``~/roi``: which part of a camera's image is to be upscaled, from now on.

Latched (reliable, transient local): a tracker that published before the node was configured is
heard. The newest message counts for the next frame; all zeros are the whole frame again.
"""

from __future__ import annotations

from typing import Any

from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from rclpy.qos import QoSPolicyKind
from rclpy.qos_overriding_options import QoSOverridingOptions
from sensor_msgs.msg import RegionOfInterest

from difiisr_ros.core.region import parse_region
from difiisr_ros.errors import OptionError
from difiisr_ros.ros.qos import TopicEvents, explain_overrides, latched_qos
from difiisr_ros.stream.region_choice import Notice, RegionChoice

#: Durability among them, for trackers that do not latch.
_OVERRIDABLE = (
    QoSPolicyKind.DEPTH,
    QoSPolicyKind.DURABILITY,
    QoSPolicyKind.HISTORY,
    QoSPolicyKind.RELIABILITY,
)


class RegionTopic:
    """The topic of one camera, and the region that was chosen by it or by the parameter.

    Args:
        node: the node.
        camera: its name, which comes between the node's and ``roi``; may be empty.
        notice: told of messages that say nothing.
    """

    def __init__(self, node: Any, camera: str, notice: Notice) -> None:
        self.choice = RegionChoice()
        self.topic = node.resolve_topic_name(f"~/{camera}/roi" if camera else "~/roi")
        self._node, self._notice = node, notice
        self._events = TopicEvents(self.topic)
        self._subscription: Any = None

    def subscribe(self) -> None:
        """Begin to listen.

        Raises:
            OptionError: A wrong ``qos_overrides`` parameter.
        """
        self._events = TopicEvents(self.topic)
        with explain_overrides(self.topic):
            self._subscription = self._node.create_subscription(
                RegionOfInterest,
                self.topic,
                self._on_region,
                latched_qos(),
                callback_group=MutuallyExclusiveCallbackGroup(),
                event_callbacks=self._events.for_subscription(),
                qos_overriding_options=QoSOverridingOptions(_OVERRIDABLE),
            )

    def destroy(self) -> None:
        """Stop listening, and forget what was asked for. Idempotent."""
        if self._subscription is not None:
            self._node.destroy_subscription(self._subscription)
        self._subscription = None
        self.choice.reset()

    def conflict(self) -> str:
        """A publisher whose QoS does not match, in words; empty if there is none."""
        if self._subscription is None:
            return ""
        return self._events.conflict(self._node.count_publishers(self.topic))

    def _on_region(self, message: RegionOfInterest) -> None:
        numbers = message.x_offset, message.y_offset, message.width, message.height
        try:
            self.choice.ask(parse_region(numbers))
        except OptionError as error:
            self._notice("roi_empty", f"message on {self.topic} not used: {error}")
