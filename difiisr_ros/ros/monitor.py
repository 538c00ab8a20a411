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

"""``sr_monitor``: measures a super-resolved stream from outside, as its consumers see it.

Subscribes ``image_raw`` and ``sr/image_raw`` (and their ``camera_info``), and ``/diagnostics``.
Prints a line a second: rates, latency, frames dropped. Messages are taken in serialised form and
only their stamp is read, so that measuring costs little; they can be recorded into a bag as they
are.

Latency compares the stamp with this machine's clock: it means what it says where the camera's
driver stamps by the same clock. For recorded stamps there is ``latency_from: publication``.

With ``reliability: reliable`` nothing is lost, and ``frames_done``
(:mod:`difiisr_ros.stream.frames_done`) tells a player when it may go on.
"""

from __future__ import annotations

import json
import math
import sys
import time
from collections.abc import Callable
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray
from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from rclpy.qos import HistoryPolicy, QoSProfile, ReliabilityPolicy
from rclpy.subscription import Subscription
from sensor_msgs.msg import CameraInfo, Image
from std_msgs.msg import UInt64

from difiisr_ros.atomic_write import write_atomically
from difiisr_ros.errors import DataError, DifiisrError, FrameError
from difiisr_ros.io.bag_recorder import BagRecorder
from difiisr_ros.messages.cdr import stamp_of
from difiisr_ros.ros.executable import run_executable
from difiisr_ros.ros.qos import latched_qos, replay_qos
from difiisr_ros.ros.start_parameters import declare_table
from difiisr_ros.stream import diagnostic_keys as keys
from difiisr_ros.stream.frames_done import without_result
from difiisr_ros.stream.matching import StreamMatcher, percentiles
from difiisr_ros.stream.monitor_parameters import TABLE

INPUT, OUTPUT = "image_raw", "sr/image_raw"
#: Topic to (message class, type name, whether the publisher is usually reliable).
TOPICS = {
    INPUT: (Image, "sensor_msgs/msg/Image", False),
    "camera_info": (CameraInfo, "sensor_msgs/msg/CameraInfo", False),
    OUTPUT: (Image, "sensor_msgs/msg/Image", True),
    "sr/camera_info": (CameraInfo, "sensor_msgs/msg/CameraInfo", True),
}


class Monitor(Node):
    """Listens to a stream and its super-resolved twin.

    Raises:
        DataError, OptionError: A bag that cannot be begun, or a wrong parameter.
    """

    def __init__(self, node_name: str = "sr_monitor", **kwargs: Any) -> None:
        super().__init__(node_name, **kwargs)
        self.exit_code = 0
        #: Last values of each diagnostics task: ``{"inference": {"latency p50 (ms)": "8.1"}}``.
        self.diagnostics: dict[str, dict[str, str]] = {}
        self._recorder: BagRecorder | None = None
        self._recording_since: int | None = None
        self._lines = 0
        self._idle = False
        try:
            self.values = declare_table(self, TABLE)
            self._names = names = {topic: self.resolve_topic_name(topic) for topic in TOPICS}
            if self.values["bag"]:
                self._recorder = BagRecorder(
                    self.values["bag"], {names[t]: (k, r) for t, (_, k, r) in TOPICS.items()}
                )
        except DifiisrError:
            self.destroy_node()
            raise
        self.matcher = StreamMatcher(from_stamp=self.values["latency_from"] == "stamp")
        self._reliable = self.values["reliability"] == "reliable"
        qos = (
            replay_qos()
            if self._reliable
            else QoSProfile(
                history=HistoryPolicy.KEEP_LAST,
                depth=30,  # a second of frames, for when this process does not get the processor
                reliability=ReliabilityPolicy.BEST_EFFORT,
            )
        )
        self._done_publisher: Any = None
        if self._reliable:
            self._done_publisher = self.create_publisher(UInt64, "frames_done", latched_qos())
        self._done: int | None = None  # as last published
        for topic, (kind, _, _) in TOPICS.items():
            callback = self._taker(topic, names[topic])
            self.create_subscription(kind, topic, callback, qos, raw=True)
        self.create_subscription(DiagnosticArray, "/diagnostics", self._on_diagnostics, 10)
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        self.create_timer(self.values["period"], self._print_line, clock=steady)

    def stop(self) -> None:
        """Finish the bag and write the result."""
        self.matcher.finish()
        if self._recorder is not None:
            try:
                self._recorder.close()
            except DataError as error:
                self._recorder.error = str(error)
        if self.values["result_file"]:
            try:
                write_atomically(self.values["result_file"], json.dumps(self.result()).encode())
            except DataError as error:
                self.exit_code = 2
                print(f"sr_monitor: {error}", file=sys.stderr)

    def result(self) -> dict[str, Any]:
        """What was measured, for JSON. Latencies are in milliseconds, stamps in nanoseconds."""
        m, recorder = self.matcher, self._recorder
        return {
            "frames_in": m.frames_in,
            "frames_out": m.frames_out,
            "dropped": m.dropped(time.time_ns()),
            "unmatched_outputs": m.unmatched,
            "duplicate_outputs": m.duplicates,
            "latency_ms": percentiles(m.latencies_ms),
            "output_stamps_ns": m.output_stamps.tolist(),
            "latencies_ms": [
                None if math.isnan(value) else round(value, 3) for value in m.latencies_ms
            ],
            "diagnostics": self.diagnostics,
            "bag": None
            if recorder is None
            else {
                "messages": recorder.written,
                "dropped": recorder.dropped,
                "error": recorder.error,
            },
        }

    def _taker(self, topic: str, full_name: str) -> Callable[..., None]:
        count = {INPUT: self.matcher.input, OUTPUT: self.matcher.output}.get(topic)

        def take(data: bytes, info: Any = None) -> None:
            arrival = _time_of(info, "received_timestamp")
            published = _time_of(info, "source_timestamp")
            if count is not None:
                try:
                    count(stamp_of(data), arrival, published)
                except FrameError as error:
                    self.get_logger().error(f"{full_name}: {error}", throttle_duration_sec=10.0)
            from_stamp = self.values["latency_from"] == "stamp"
            self._record(full_name, arrival if from_stamp else published, data)
            if topic == OUTPUT:
                self._say_done()

        if hasattr(Subscription, "CallbackType"):
            return take
        return lambda data: take(data)  # Humble passes no message info

    def _record(self, topic: str, arrival: int, data: bytes) -> None:
        if self._recorder is None:
            return
        if self._recording_since is None:
            self._recording_since = arrival
        limit = self.values["bag_seconds"]
        if not limit or arrival - self._recording_since <= limit * 1e9:
            self._recorder.put(topic, arrival, data, wait=self._reliable)

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        found = {s.name: {v.key: v.value for v in s.values} for s in message.status}
        mine = {self._names[INPUT], self._names[OUTPUT]}
        mine |= {f"{topic}/compressed" for topic in mine}
        # Other cameras' nodes publish here too, and another camera of the same node.
        tasks = {name for name, values in found.items() if values.get(keys.TOPIC) in mine}
        nodes = {name.partition(": ")[0] for name in tasks}
        for name in tasks | {keys.status_name(node, keys.BACKEND) for node in nodes}:
            if name in found:
                self.diagnostics[name.rpartition(" ")[2]] = found[name]
        if tasks:
            self._say_done()

    @property
    def _inference(self) -> dict[str, str]:
        return self.diagnostics.get(keys.INFERENCE, {})

    def _say_done(self) -> None:
        """Publish how many frames are done, once the node's results are sure to arrive here."""
        if self._done_publisher is None:
            return
        if self._done is None:
            # Only the publisher knows whom it sends to: it must have met all that there are.
            met = int(self._inference.get(keys.SUBSCRIBERS, 0))
            if met < self.count_subscribers(self._names[OUTPUT]):
                return
        m = self.matcher
        done = m.frames_out + m.duplicates + without_result(self.diagnostics)
        if done != self._done:
            self._done = done
            self._done_publisher.publish(UInt64(data=done))

    def _print_line(self) -> None:
        now = time.time_ns()
        m = self.matcher
        if m.frames_in == 0 and m.frames_out == 0:
            m.look(now)
            return
        interval = m.look(now)
        self._lines += 1
        if interval.inputs_per_second == interval.outputs_per_second == 0:
            if not self._idle:  # once: the camera has stopped, or begins a pause
                print(f"{self._lines * self.values['period']:5.0f} s   no frames", flush=True)
            self._idle = True
            return
        self._idle = False
        p = percentiles(interval.latencies_ms)
        latency = "no output"
        if p["p50"] is not None:
            latency = f"latency p50 {p['p50']:.1f} p95 {p['p95']:.1f} p99 {p['p99']:.1f} ms"
        node = self._inference.get(keys.duration("latency", "p50"))
        print(
            f"{self._lines * self.values['period']:5.0f} s   in {interval.inputs_per_second:5.1f} "
            f"out {interval.outputs_per_second:5.1f} fps   {latency}"
            f"{f'   (node p50 {float(node):.1f})' if node else ''}   dropped {m.dropped(now)}",
            flush=True,
        )


def _time_of(info: Any, key: str) -> int:
    """When a message was sent or came, ns: as the middleware noted, else now.

    The middleware's time does not grow when this process waits for a processor.
    """
    noted = info.get(key, 0) if isinstance(info, dict) else 0
    return noted or time.time_ns()


if __name__ == "__main__":
    sys.exit(run_executable("sr_monitor_node", Monitor))
