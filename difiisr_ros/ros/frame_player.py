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

"""``frame_player``: publishes a folder, a bag, or the synthetic scene as a camera would.

Topics: ``image_raw`` and ``camera_info``, with equal headers; with ``publish_truth`` also
``truth/image_raw``, with ``publish_clock`` also ``clock``. With ``max_pending`` it listens to
``frames_done``. Parameters: :mod:`difiisr_ros.stream.frame_player_parameters`.
"""

from __future__ import annotations

import json
import sys
import threading
import time
import traceback
from collections.abc import Iterator
from typing import Any

import numpy as np
from rclpy.node import Node
from rclpy.qos import HistoryPolicy, QoSProfile, ReliabilityPolicy
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import CameraInfo, Image
from std_msgs.msg import Header, UInt64

from difiisr_ros.atomic_write import write_atomically
from difiisr_ros.core.radiometry import measure_range
from difiisr_ros.errors import DataError, DifiisrError, OptionError
from difiisr_ros.io.frames import BagSource, FrameSource, Intrinsics, SourceFrame, open_source
from difiisr_ros.messages.image_encoding import encoding_for, parse_encoding
from difiisr_ros.messages.write import output_format, to_output
from difiisr_ros.ros.conversions import array_to_image
from difiisr_ros.ros.executable import run_executable
from difiisr_ros.ros.qos import latched_qos
from difiisr_ros.ros.start_parameters import declare_table
from difiisr_ros.stream.frame_player_parameters import TABLE
from difiisr_ros.stream.frames_done import DoneGate
from difiisr_ros.stream.pacing import Pacer

#: Seconds between the last subscriber's discovery and the first frame: a publisher may know of a
#: subscription before that one knows of the publisher, and best effort does not send again.
SETTLE = 0.5


class FramePlayer(Node):
    """A camera that shows what a frame source holds.

    Raises:
        DataError, OptionError: A source or a parameter that cannot be used.
    """

    def __init__(self, node_name: str = "frame_player", **kwargs: Any) -> None:
        super().__init__(node_name, **kwargs)
        #: What the process should return: 1 when playing failed.
        self.exit_code = 0
        try:
            self.values = declare_table(self, TABLE)
            v = self.values
            self._source: FrameSource = open_source(
                v["source"],
                width=v["width"],
                height=v["height"],
                seed=v["seed"],
                topic=v["topic"] or None,
                limit=v["frame_limit"] or None,
                byte_order=v["byte_order"],
            )
            needs_bag = [n for n in ("stamps", "publish_clock") if v[n] in ("recorded", True)]
            if needs_bag and not isinstance(self._source, BagSource):
                raise OptionError(
                    f"{' and '.join(needs_bag)} take recorded times, which only a bag has, not "
                    f"{self._source.name}"
                )
        except DifiisrError:
            self.destroy_node()
            raise
        reliable = v["reliability"] == "reliable"
        qos = QoSProfile(
            history=HistoryPolicy.KEEP_LAST,
            depth=max(5, v["max_pending"]),
            reliability=ReliabilityPolicy.RELIABLE if reliable else ReliabilityPolicy.BEST_EFFORT,
        )
        self._images = self.create_publisher(Image, "image_raw", qos)
        self._infos = self.create_publisher(CameraInfo, "camera_info", qos)
        self._truth_of = getattr(self._source, "truth", None) if v["publish_truth"] else None
        self._truths = (
            self.create_publisher(Image, "truth/image_raw", qos) if self._truth_of else None
        )
        if v["publish_truth"] and self._truths is None:
            self.get_logger().warning(f"no truth is known of {self._source.name}")
        self._clock_times = self.create_publisher(Clock, "clock", 1) if v["publish_clock"] else None
        self._gate = DoneGate()
        if v["max_pending"]:
            self.create_subscription(UInt64, "frames_done", self._on_done, latched_qos())
        self._published: list[tuple[int, int, str]] = []
        self._pacer = Pacer(v["rate"])
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="player", daemon=True)

    def _on_done(self, count: UInt64) -> None:
        self._gate.update(count.data)

    @property
    def published(self) -> int:
        """Frames published so far."""
        return len(self._published)

    def start(self) -> None:
        """Begin to play, in a thread of its own."""
        self._thread.start()

    def stop(self) -> None:
        """Stop playing and write the report."""
        self._stop.set()
        self._gate.stop()
        if self._thread.ident is not None:
            self._thread.join()
        if self.values["report_file"]:
            self._write_report(self.values["report_file"])

    def _run(self) -> None:
        try:
            self._play()
        except DifiisrError as error:
            self.exit_code = 2
            self.get_logger().error(str(error))
        except Exception:  # noqa: BLE001 - a thread's error must not vanish
            # A signal invalidates the context before this thread is told to stop.
            if self.context.ok():
                self.exit_code = 1
                self.get_logger().error(f"playing failed:\n{traceback.format_exc()}")
        if not self._stop.is_set() and (self.exit_code or self.values["exit_when_done"]):
            self._stop.wait(SETTLE)  # what is still in shared memory goes with the process
            self.context.try_shutdown()

    def _play(self) -> None:
        if self._source.slow:
            for _ in self._source.frames():
                if self._stop.is_set():
                    return
        frames = self._frames()
        first = next(frames)
        if not (self._wait_for_subscribers() and self._wait_for_results(0)):
            return
        height, width = first.image.shape
        self.get_logger().info(
            f"playing {self._source.name}: {width}x{height} {first.image.dtype} at "
            f"{self.values['rate']:g} Hz on {self._images.topic_name}"
        )
        began = time.monotonic()
        frame: SourceFrame | None = first
        room = self.values["max_pending"]
        while frame is not None and self._pacer.wait(self._stop):
            self._publish(frame)
            frame = next(frames, None)
            # After the last frame all must be done: who listens may be ended when the player ends.
            if not self._wait_for_results(self.published - (room - 1 if frame else 0)):
                return
        seconds = time.monotonic() - began
        if not self.context.ok():  # interrupted: /rosout is closed already
            return
        self.get_logger().info(
            f"published {self.published} frames in {seconds:.2f} s, "
            f"{self._pacer.skipped} deadlines missed"
        )

    def _frames(self) -> Iterator[SourceFrame]:
        """The frames to play: the source, over and over where wanted, up to the limit."""
        left = self.values["frame_limit"] or sys.maxsize
        while True:
            for frame in self._source.frames():
                yield frame
                left -= 1
                if left == 0:
                    return
            if not self.values["loop"]:
                return

    def _wait_for_subscribers(self) -> bool:
        wanted, timeout = self.values["wait_for_subscribers"], self.values["wait_timeout"]
        if not wanted:
            return True
        end = time.monotonic() + timeout
        while self._images.get_subscription_count() < wanted:
            if time.monotonic() > end:
                self.exit_code = 1
                self.get_logger().error(
                    f"waited {timeout:g} s for {wanted} subscribers of {self._images.topic_name}, "
                    f"found {self._images.get_subscription_count()}"
                )
                return False
            if self._stop.wait(0.02):
                return False
        return not self._stop.wait(SETTLE)

    def _wait_for_results(self, wanted: int) -> bool:
        """Wait until so many frames are done, if max_pending asks for it; 0: for the recorder."""
        timeout = self.values["wait_timeout"]
        if not self.values["max_pending"] or self._gate.wait(wanted, timeout):
            return True
        if not self._stop.is_set():
            self.exit_code = 1
            done = self._gate.count
            self.get_logger().error(
                f"waited {timeout:g} s for frames_done, which sr_monitor_node with reliability "
                "reliable publishes once it is sure to receive the node's results"
                if done is None
                else f"{self.published - done} of {self.published} frames are not done, and none "
                f"was in {timeout:g} s"
            )
        return False

    def _publish(self, frame: SourceFrame) -> None:
        if self._clock_times is not None:
            clock = Clock()
            clock.clock.sec, clock.clock.nanosec = divmod(frame.log_time_ns or 0, 10**9)
            self._clock_times.publish(clock)
        header = Header(
            frame_id=self.values["frame_id"] or frame.frame_id or "thermal_optical_frame"
        )
        if self.values["stamps"] == "recorded":
            header.stamp.sec, header.stamp.nanosec = divmod(frame.stamp_ns or 0, 10**9)
        else:
            header.stamp = self.get_clock().now().to_msg()
        pixels, encoding = self._encoded(frame.image)
        # The calibration first: who needs both then has it when the image comes.
        self._infos.publish(self._camera_info(header, *frame.image.shape))
        self._images.publish(array_to_image(pixels, encoding, header))
        if self._truths is not None and self._truth_of is not None:
            truth = self._truth_of(frame.index)
            self._truths.publish(array_to_image(truth, encoding_for(truth.dtype), header))
        stamp = header.stamp.sec * 10**9 + header.stamp.nanosec
        self._published.append((stamp, frame.index, frame.name))

    def _encoded(self, image: np.ndarray) -> tuple[np.ndarray, str]:
        encoding = self.values["encoding"]
        if encoding == "auto":
            return image, encoding_for(image.dtype)
        output = output_format(parse_encoding(encoding_for(image.dtype)), encoding)
        value_range = measure_range(image) if output.needs_range else None
        return to_output(image, output, value_range), output.name

    def _camera_info(self, header: Header, height: int, width: int) -> CameraInfo:
        known = self._source.camera_info()
        info = CameraInfo(header=header, height=height, width=width)
        if known is not None:
            for name in ("height", "width", "distortion_model", "binning_x", "binning_y"):
                setattr(info, name, getattr(known, name))
            info.d = [float(value) for value in known.d]
            for name in ("k", "r", "p"):
                setattr(info, name, [float(value) for value in getattr(known, name)])
            for name in ("x_offset", "y_offset", "height", "width", "do_rectify"):
                setattr(info.roi, name, getattr(known.roi, name))
            return info
        lens: Intrinsics = self._source.intrinsics(width, height)
        info.distortion_model = "plumb_bob"
        info.d = [0.0] * 5
        info.k = [lens.fx, 0.0, lens.cx, 0.0, lens.fy, lens.cy, 0.0, 0.0, 1.0]
        info.r = [1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0]
        info.p = [lens.fx, 0.0, lens.cx, 0.0, 0.0, lens.fy, lens.cy, 0.0, 0.0, 0.0, 1.0, 0.0]
        return info

    def _write_report(self, path: str) -> None:
        report = {
            "source": self._source.name,
            "rate": self.values["rate"],
            "frames": self.published,
            "deadlines_missed": self._pacer.skipped,
            "stamps_ns": [stamp for stamp, _, _ in self._published],
            "indices": [index for _, index, _ in self._published],
            "names": [name for _, _, name in self._published],
            "left_out": self._source.left_out,
        }
        try:
            write_atomically(path, json.dumps(report).encode())
        except DataError as error:
            self.exit_code = self.exit_code or 2
            self.get_logger().error(str(error))


if __name__ == "__main__":
    sys.exit(run_executable("frame_player_node", FramePlayer))
