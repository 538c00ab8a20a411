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

"""5,000 random messages, valid and broken: none ends the node, every one is accounted for.

Broken ones are counted in diagnostics under the right cause, valid ones are published, in order.
What is right is decided here, from the message, without the code under test.
"""

from __future__ import annotations

import math
from collections import Counter
from pathlib import Path

import cv2
import numpy as np
import pytest

pytest.importorskip("hypothesis", reason="install python3-hypothesis, or use `make test`")

from hypothesis import given, settings
from hypothesis import strategies as st
from rclpy.qos import HistoryPolicy, QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from difiisr_ros.core.missing import BEYOND
from difiisr_ros.errors import FrameError
from difiisr_ros.messages.compressed import compressed_to_gray
from difiisr_ros.messages.mosaic import LEAST_BAYER
from support.node_harness import Graph
from support.waiting import wait_for

# Numbers near the largest of a float32 are no reason to drop a frame.
pytestmark = pytest.mark.filterwarnings("ignore:overflow encountered:RuntimeWarning")

KEEP_ALL = QoSProfile(history=HistoryPolicy.KEEP_ALL, reliability=ReliabilityPolicy.RELIABLE)
MAX_PIXELS = 300
BATCH = 20
HUGE = 2**32 - 1

# Depth and channels; those with a colour meaning may differ between channels.
LAYOUTS = {"mono8": ("u1", 1), "mono16": ("u2", 1)}
for _bits, _depth in ((8, "u1"), (16, "u2")):
    LAYOUTS.update(
        {f"{name}{_bits}": (_depth, len(name)) for name in ("rgb", "bgr", "rgba", "bgra")}
    )
COLOUR = set(LAYOUTS)
for _name, _depth in {
    "8U": "u1",
    "8S": "i1",
    "16U": "u2",
    "16S": "i2",
    "32S": "i4",
    "32F": "f4",
    "64F": "f8",
}.items():
    LAYOUTS.update({f"{_name}C{n}": (_depth, n) for n in (1, 2, 3, 4)})
MOSAICS = {"bayer_rggb8": ("u1", 1), "bayer_bggr16": ("u2", 1), "yuv422_yuy2": ("u1", 2)}
LAYOUTS.update(MOSAICS)


def verdict(message: Image) -> str | None:
    """The cause that a message must be rejected for; None if it must be upscaled."""
    if message.encoding not in LAYOUTS:
        return "unknown_encoding"
    depth, channels = LAYOUTS[message.encoding]
    if not (message.height and message.width):
        return "zero_size"
    row = message.width * channels * np.dtype(depth).itemsize
    if message.step < row:
        return "wrong_step"
    if len(message.data) < message.step * message.height:
        return "short_data"
    if message.height * message.width > MAX_PIXELS:
        return "unusable_frame"
    if message.encoding.startswith("bayer") and min(message.height, message.width) < LEAST_BAYER:
        return "unsupported_encoding"
    if message.encoding in MOSAICS:
        return None
    order = ">" if message.is_bigendian else "<"
    rows = [
        message.data[y * message.step :][:row].tobytes() for y in range(min(message.height, 99))
    ]
    pixels = np.frombuffer(b"".join(rows), order + depth).reshape(-1, channels)
    if channels == 2 or depth not in ("u1", "u2", "f4") or (depth == "f4" and channels > 1):
        return "unsupported_encoding"
    if channels >= 3 and message.encoding not in COLOUR:
        gray = (pixels[:, :1] == pixels[:, 1:3]).all()
        if not gray:
            return "unsupported_encoding"
    if depth == "f4" and not (np.abs(pixels) < BEYOND).any():
        return "unusable_frame"
    return None


number = st.one_of(st.integers(0, 40), st.sampled_from([0, 1, 65536, 2**31, HUGE]))
text = st.one_of(st.sampled_from(sorted(LAYOUTS)), st.text(max_size=6), st.just("y" * 5000))
special = st.sampled_from([None, None, None, math.nan, math.inf, -math.inf, 3e38, -3e38, 1e-40])


@st.composite
def image(draw) -> Image:
    """A right message, with none, one or two things wrong (or changed to no effect)."""
    encoding = draw(st.one_of(st.sampled_from(sorted(LAYOUTS)), st.sampled_from(sorted(COLOUR))))
    depth, channels = LAYOUTS[encoding]
    height, width = draw(st.integers(1, 18)), draw(st.integers(1, 18))
    random = np.random.default_rng(draw(st.integers(0, 2**32)))
    pixels = np.frombuffer(random.bytes(height * width * np.dtype(depth).itemsize), depth)
    value = draw(special)
    if depth == "f4" and value is not None:
        pixels = np.where(
            random.random(pixels.size) < draw(st.sampled_from([0.1, 1.1])),
            value,
            random.random(pixels.size),
        ).astype(depth)
    pixels = np.repeat(pixels[:, None], channels, axis=1)
    if channels > 1 and draw(st.booleans()):
        pixels = random.permuted(pixels)
    big, padding = draw(st.booleans()), draw(st.sampled_from([0, 0, 1, 7]))
    pixels = pixels.astype((">" if big else "<") + depth)
    rows = [row.tobytes() + b"\xaa" * padding for row in pixels.reshape(height, -1)]
    message = Image(encoding=encoding, height=height, width=width, step=len(rows[0]))
    message.is_bigendian = int(big)
    message.data.frombytes(b"".join(rows))
    for what in draw(st.lists(st.integers(0, 6), max_size=2)):
        if what < 3:
            setattr(message, ("height", "width", "step")[what], draw(number))
        elif what == 3:
            message.encoding = draw(text)
        elif what == 4:
            del message.data[draw(st.integers(0, len(message.data))) :]
        elif what == 5:
            message.data.frombytes(b"\xbb" * draw(st.integers(0, 99)))
        else:
            message.is_bigendian = draw(st.integers(0, 255))
    return message


@st.composite
def compressed(draw) -> CompressedImage:
    """A png or jpeg, perhaps cut off, overwritten, or called something else."""
    depth, channels = draw(st.sampled_from([("u1", 1), ("u2", 1), ("u1", 3), ("u2", 3), ("u1", 4)]))
    shape = (draw(st.integers(1, 20)), draw(st.integers(1, 20)), channels)
    random = np.random.default_rng(draw(st.integers(0, 2**32)))
    pixels = random.integers(0, np.iinfo(depth).max, shape).astype(depth)
    codec = draw(st.sampled_from([".png", ".png", ".jpg", ".bmp"] if depth == "u1" else [".png"]))
    data = bytearray(cv2.imencode(codec, pixels if codec != ".jpg" else pixels[..., :3])[1])
    for _ in range(draw(st.sampled_from([0, 0, 1, 3]))):
        data[draw(st.integers(0, len(data) - 1))] = draw(st.integers(0, 255))
    del data[draw(st.sampled_from([len(data), len(data), len(data) // 2, 9, 0])) :]
    message = CompressedImage()
    message.format = draw(
        st.sampled_from(
            [
                "png",
                "jpeg",
                "mono16; png compressed",
                "16UC1; jpeg compressed mono16",
                "16UC1; compressedDepth png",
                "",
                "z" * 5000,
            ]
        )
    )
    message.data.frombytes(data)
    return message


def compressed_verdict(message: CompressedImage) -> str | None:
    """What the conversion says by itself (its own tests say whether that is right)."""
    try:
        compressed_to_gray(message, MAX_PIXELS)
    except FrameError as error:
        return error.cause
    return None


@st.composite
def camera_info(draw) -> CameraInfo:
    """Any numbers at all."""
    info = CameraInfo(height=draw(number), width=draw(number), binning_x=draw(number))
    info.roi.x_offset, info.roi.height, info.roi.width = draw(number), draw(number), draw(number)
    info.k = [draw(st.floats()) for _ in range(3)] + [0.0] * 6
    info.d = draw(st.lists(st.floats(), max_size=3))
    info.distortion_model = draw(st.text(max_size=3))
    return info


class Account:
    """Sends messages to a node and compares what it says about them with what is so."""

    def __init__(self, graph: Graph, kind: type, topic: str) -> None:
        self._graph = graph
        self._statistics = graph.node.cameras[""].statistics
        self._publisher = graph.tester.create_publisher(kind, topic, KEEP_ALL)
        self._infos = graph.tester.create_publisher(CameraInfo, "camera_info", 10)
        graph.subscribe(Image, "sr/image_raw", graph.images)
        wait_for(self._publisher.get_subscription_count, "the node subscribes")
        wait_for(lambda: graph.node.cameras[""].output_subscribers(), "it publishes")
        self.sent = 0
        self.rejected: Counter[str] = Counter()

    def settle(self, messages, causes, infos=()) -> None:
        """Send, wait until all are accounted for, compare."""
        before = self._statistics.snapshot()
        self._graph.images.clear()
        expected = []
        for message, cause in zip(messages, causes):
            self.sent += 1
            message.header.stamp.sec = self.sent
            if cause is None:
                expected.append(self.sent)
            self._publisher.publish(message)
        for info in infos:
            self._infos.publish(info)
        rejected = Counter(cause for cause in causes if cause is not None)
        self.rejected += rejected

        def accounted() -> int:
            now = self._statistics.snapshot()
            gone = sum(now.rejected.values()) - sum(before.rejected.values())
            return now.published - before.published + gone >= len(messages)

        wait_for(accounted, f"{len(messages)} messages are accounted for")
        after = self._statistics.snapshot()
        assert Counter(after.rejected) - Counter(before.rejected) == rejected, after.last_error
        assert after.published - before.published == len(expected)
        images = self._graph.images
        wait_for(lambda: len(images) >= len(expected), f"{len(expected)} results")
        assert [image.header.stamp.sec for image in images] == expected

    def check_diagnostics(self) -> None:
        """What an operator sees adds up as well."""
        total = str(self.rejected.total())
        values, _ = self._graph.status("input", lambda v, s: v["frames rejected"] == total)
        assert values["frames received"] == str(self.sent)
        shown = {k.removeprefix("rejected: "): v for k, v in values.items() if "rejected: " in k}
        assert shown == {cause: str(count) for cause, count in self.rejected.items()}
        assert all(len(value) < 500 for value in values.values()), "a message's text, in full"
        values, _ = self._graph.status("inference")
        assert values["frames published"] == str(self.sent - self.rejected.total())


@pytest.fixture
def peak_megabytes():
    """A function that says by how much memory has grown, at most, since the test began."""

    def read(name: str) -> float:
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith(name):
                return int(line.split()[1]) / 1024
        raise AssertionError(name)

    Path("/proc/self/clear_refs").write_text("5")  # resets VmHWM: proc(5)
    before = read("VmRSS")
    return lambda: read("VmHWM") - before


def repeatable(batches: int) -> settings:
    """The same examples in every run; a failing batch is made smaller until it shows the fault."""
    return settings(derandomize=True, deadline=None, max_examples=batches, database=None)


def test_images(peak_megabytes, monkeypatch):
    """2,000 over DDS, garbage camera_info beside them."""
    with Graph(drop_policy="block", max_input_pixels=MAX_PIXELS) as graph:
        account = Account(graph, Image, "image_raw")

        @repeatable(2000 // BATCH)
        @given(
            st.lists(image(), min_size=BATCH, max_size=BATCH), st.lists(camera_info(), max_size=2)
        )
        def run(messages, infos):
            account.settle(messages, [verdict(m) for m in messages], infos)

        run()
        account.check_diagnostics()
        assert account.sent >= 2000
        assert account.sent - account.rejected.total() > 450
        assert len(account.rejected) == 6, "every cause was met"
        assert "internal_error" not in account.rejected
    assert peak_megabytes() < 250


def test_compressed_images(peak_megabytes):
    """500 over DDS."""
    options = {"image_transport": "compressed", "max_input_pixels": MAX_PIXELS}
    with Graph(drop_policy="block", **options) as graph:
        account = Account(graph, CompressedImage, "image_raw/compressed")

        @repeatable(500 // BATCH)
        @given(st.lists(compressed(), min_size=BATCH, max_size=BATCH))
        def run(messages):
            account.settle(messages, [compressed_verdict(m) for m in messages])

        run()
        account.check_diagnostics()
        assert account.sent >= 500
        assert account.sent - account.rejected.total() > 50  # as the draws fall
        assert len(account.rejected) == 5
    assert peak_megabytes() < 250
