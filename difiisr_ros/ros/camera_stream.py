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

"""One camera's topics: what it subscribes and publishes, and what has passed through.

A camera with an empty name uses ``image_raw``, ``camera_info`` and ``sr/...`` themselves; a named
one puts its name in front.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from rclpy.qos import QoSProfile
from rclpy.qos_overriding_options import QoSOverridingOptions
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from difiisr_ros.core.crop import Crop
from difiisr_ros.core.output_geometry import OutputGeometry
from difiisr_ros.core.radiometry import RangeSmoother
from difiisr_ros.core.region import Region
from difiisr_ros.errors import FrameError
from difiisr_ros.messages.camera_info import result_camera_info
from difiisr_ros.messages.camera_info_fit import crop_still_to_do
from difiisr_ros.ros.qos import (
    TopicEvents,
    describe_publishers,
    explain_overrides,
    replay_qos,
    sensor_qos,
)
from difiisr_ros.ros.region_topic import RegionTopic
from difiisr_ros.stream.frame_slot import FrameSlots
from difiisr_ros.stream.shutter import ShutterWatch
from difiisr_ros.stream.statistics import StreamStatistics, Throttle
from difiisr_ros.stream_memory import StreamMemory

#: camera_info messages kept to find the one with the image's stamp, which may arrive after it.
_INFOS_KEPT = 16

#: Frames that `drop_policy: block` holds before it leaves the rest to the middleware.
BLOCK_DEPTH = 8


@dataclass(frozen=True)
class Arrival:
    """An image message and when it came, in ``time.monotonic()`` seconds."""

    message: Any
    time: float


@dataclass(frozen=True)
class View:
    """What of the camera's image a result shows, and how: what its camera_info is made by."""

    geometry: OutputGeometry
    region: Region | None
    """Of what the crop leaves; None: all of it."""
    convention: str
    crop: Crop
    image: tuple[int, int]
    """Width and height of the camera's image, before the crop."""


class RoomInSlot(MutuallyExclusiveCallbackGroup):
    """Lets a subscription take a message only while its slot has room.

    What is not taken stays in the middleware's history, so that nothing is lost and the executor
    never blocks. Nothing else keeps a frame from being displaced. Whoever empties the slot must
    wake the executor.
    """

    def __init__(self, slots: FrameSlots[Arrival], name: str) -> None:
        super().__init__()
        self._slots = slots
        self._name = name

    def can_execute(self, entity: Any) -> bool:
        """Whether the executor may take a message now."""
        if isinstance(getattr(entity, "topic_name", None), str) and self._slots.full(self._name):
            return False
        return super().can_execute(entity)


class CameraStream:
    """The publishers, subscriptions and statistics of one camera."""

    def __init__(self, node: Any, name: str = "") -> None:
        self.node = node
        self.name = name
        self.statistics = StreamStatistics()
        self.smoother = RangeSmoother(0.0)
        self.shutter = ShutterWatch()
        #: Of the frames before the newest; the worker's.
        self.memory = StreamMemory()
        self._remembered_stamp = (0, 0)
        #: The last result and what it shows, to be published again while the shutter is closed.
        self.last: tuple[Image | CompressedImage, View] | None = None
        self.complaints = Throttle()
        self.region = RegionTopic(node, name, self.notice)
        self.greeted = False
        prefix = f"{name}/" if name else ""
        self._image_name = prefix + "image_raw"
        self._info_name = prefix + "camera_info"
        self._output_image_name = prefix + "sr/image_raw"
        self._output_info_name = prefix + "sr/camera_info"
        self.image_topic = node.resolve_topic_name(self._image_name)
        self.info_topic = self._sibling(self.image_topic, self._info_name)
        self.output_topic = node.resolve_topic_name(self._output_image_name)
        self.input_events = TopicEvents(self.image_topic)
        self.output_events = TopicEvents(self.output_topic)
        self._infos: OrderedDict[tuple[int, int], Any] = OrderedDict()
        self._scaled: tuple[Any, View, Any] | None = None
        self._stamp = (0, 0)
        self._image_publisher: Any = None
        self._info_publisher: Any = None
        self._subscriptions: list[Any] = []
        self._image_type: type = Image

    def create_publishers(
        self, output_transport: str, drop_policy: str, on_demand: Callable[[], None]
    ) -> None:
        """Create them reliable, so that a subscriber of either reliability matches.

        Args:
            output_transport: ``raw`` or ``compressed``.
            drop_policy: ``latest`` or ``block``.
            on_demand: called when a subscriber of the result comes or goes.
        """
        depth = 1 if drop_policy == "latest" else 50
        options = QoSOverridingOptions.with_default_policies()
        node = self.node
        raw = node.resolve_topic_name(self._output_image_name)
        compressed = output_transport == "compressed"
        self.output_topic = self._compressed_topic(self._output_image_name) if compressed else raw
        self.output_events = TopicEvents(self.output_topic, changed=on_demand)
        with explain_overrides(self.output_topic):
            self._image_publisher = node.create_lifecycle_publisher(
                CompressedImage if compressed else Image,
                self.output_topic,
                QoSProfile(depth=depth),
                qos_overriding_options=options,
                callback_group=MutuallyExclusiveCallbackGroup(),
                event_callbacks=self.output_events.for_publisher(),
            )
            self._info_publisher = node.create_lifecycle_publisher(
                CameraInfo,
                self._sibling(raw, self._output_info_name),
                QoSProfile(depth=depth),
                qos_overriding_options=options,
                callback_group=MutuallyExclusiveCallbackGroup(),
            )

    def subscribe(self, slots: FrameSlots[Arrival], image_transport: str, drop_policy: str) -> None:
        """Start storing what arrives into ``slots``."""
        block = drop_policy == "block"
        # Groups of their own, here and for publishers: a group never forgets an entity, so the
        # node's default group would grow with every activation.
        group = RoomInSlot(slots, self.name) if block else MutuallyExclusiveCallbackGroup()
        compressed = image_transport == "compressed"
        if compressed:
            self.image_topic = self._compressed_topic(self._image_name)
        else:
            self.image_topic = self.node.resolve_topic_name(self._image_name)
        self.statistics.start()
        self._image_type = CompressedImage if compressed else Image
        self.input_events = TopicEvents(self.image_topic)
        options = QoSOverridingOptions.with_default_policies()
        with explain_overrides(self.image_topic):
            self._subscriptions.append(
                self.node.create_subscription(
                    self._image_type,
                    self.image_topic,
                    self._image_callback(slots, compressed),
                    replay_qos() if block else sensor_qos(1),
                    callback_group=group,
                    event_callbacks=self.input_events.for_subscription(),
                    qos_overriding_options=options,
                )
            )
        with explain_overrides(self.info_topic):
            self._subscriptions.append(
                self.node.create_subscription(
                    CameraInfo,
                    self.info_topic,
                    self._store_info,
                    sensor_qos(5),
                    callback_group=MutuallyExclusiveCallbackGroup(),
                    qos_overriding_options=options,
                )
            )

    def unsubscribe(self) -> None:
        """Stop listening. Idempotent."""
        for subscription in self._subscriptions:
            self.node.destroy_subscription(subscription)
        self._subscriptions = []

    def destroy(self) -> None:
        """Free the topics. Idempotent."""
        self.unsubscribe()
        self.region.destroy()
        for publisher in (self._image_publisher, self._info_publisher):
            if publisher is not None:
                self.node.destroy_lifecycle_publisher(publisher)
        self._image_publisher = self._info_publisher = None
        self._infos.clear()
        self._scaled = None
        self.smoother.reset()
        self.statistics.forget_oddities()
        self.shutter.reset()
        self.memory.reset()
        self._remembered_stamp = (0, 0)
        self.last = None
        self.greeted = False

    def publish(self, image: Image | CompressedImage, view: View) -> None:
        """Publish a result, and its camera_info when the camera has one."""
        self._image_publisher.publish(image)
        info = self._info_for(image.header.stamp)
        if info is None:
            return
        known = self._scaled
        if known is None or known[0] is not info or known[1] != view:
            how = view.geometry, view.region, view.convention
            try:
                crop = crop_still_to_do(info, view.image, view.crop)
                self._scaled = known = (info, view, result_camera_info(info, *how, crop))
            except FrameError as error:  # no fault of the image, which is out already
                words = f"camera_info on {self.info_topic} not used: {error}"
                self.notice("unusable_camera_info", words)
                return
        scaled = known[2]
        # Subscribers pair image and camera_info by equal stamps.
        scaled.header = image.header
        self._info_publisher.publish(scaled)

    def notice(self, cause: str, words: str) -> None:
        """Count something odd that was no obstacle, and log it unless it was a moment ago."""
        self.statistics.noticed(cause)
        if self.complaints.allow(cause) is not None:
            self.node.get_logger().warning(words)

    @property
    def subscribed(self) -> bool:
        """Whether the camera's topics are being listened to."""
        return bool(self._subscriptions)

    def publishers_of_input(self) -> tuple[int, str]:
        """How many publishers the image topic has, and who they are."""
        kind = f"sensor_msgs/msg/{self._image_type.__name__}"
        return describe_publishers(self.node, self.image_topic, kind)

    def output_conflict(self) -> str:
        """A subscriber of the result whose QoS does not match, in words; empty if none."""
        if self._image_publisher is None:
            return ""
        asking = self.node.count_subscribers(self.output_topic)
        return self.output_events.conflict(asking, self._image_publisher.get_subscription_count())

    def output_subscribers(self) -> int:
        """How many subscribers the result has; 0 while unconfigured."""
        publisher = self._image_publisher
        return 0 if publisher is None else publisher.get_subscription_count()

    def _image_callback(
        self, slots: FrameSlots[Arrival], compressed: bool
    ) -> Callable[[Any], None]:
        def store(message: Any) -> None:
            now = time.monotonic()
            self._notice_stamp(message.header.stamp)
            if compressed:
                self.statistics.received(f"compressed ({message.format[:40]})")
            else:
                self.statistics.received(
                    f"{message.encoding[:40]} {message.width}x{message.height}"
                )
            displaced = slots.put(self.name, Arrival(message, now))
            if displaced:
                self.statistics.displaced(displaced)

        return store

    def memory_for(self, stamp: Any) -> StreamMemory:
        """The memory, for a frame of this stamp: empty where time has gone back, as a bag that
        starts over is to give what it gave the first time."""
        before, self._remembered_stamp = self._remembered_stamp, (stamp.sec, stamp.nanosec)
        if self._remembered_stamp < before:
            self.memory.reset()
        return self.memory

    def _notice_stamp(self, stamp: Any) -> None:
        """Stamps that go back are a bag that starts over, or a driver that has; they are used."""
        before, self._stamp = self._stamp, (stamp.sec, stamp.nanosec)
        if self._stamp < before:
            self.statistics.noticed("stamp_went_back")

    def _store_info(self, message: CameraInfo) -> None:
        self._infos[(message.header.stamp.sec, message.header.stamp.nanosec)] = message
        while len(self._infos) > _INFOS_KEPT:
            self._infos.popitem(last=False)

    def _info_for(self, stamp: Any) -> CameraInfo | None:
        """The camera_info of this stamp, else the latest: drivers publish at different rates."""
        infos = self._infos.copy()  # the executor's thread may be adding one
        exact = infos.get((stamp.sec, stamp.nanosec))
        if exact is not None or not infos:
            return exact
        return infos[next(reversed(infos))]

    def _sibling(self, image_topic: str, info_name: str) -> str:
        """camera_info lies beside the image, also when only the image was remapped."""
        resolved = self.node.resolve_topic_name(info_name)
        if resolved != self.node.resolve_topic_name(info_name, only_expand=True):
            return resolved
        return image_topic.rsplit("/", 1)[0] + "/camera_info"

    def _compressed_topic(self, image_name: str) -> str:
        """The transport's topic lies below the image's, also when only that was remapped."""
        name = image_name + "/compressed"
        resolved = self.node.resolve_topic_name(name)
        if resolved != self.node.resolve_topic_name(name, only_expand=True):
            return resolved
        return self.node.resolve_topic_name(image_name) + "/compressed"
