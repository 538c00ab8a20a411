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

"""What the node must do, seen from its topics and services, however it was started.

Shared by the tests in test/launch, which start it with launch, and test/process, which start it
themselves. All of them run it with ``backend: bicubic``, so that results can be foreseen exactly.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from sensor_msgs.msg import CameraInfo, Image

from difiisr_ros import SuperResolver
from difiisr_ros.io.bag_writer import BagWriter
from difiisr_ros.ros.conversions import image_to_array
from difiisr_ros.scene.street import SyntheticScene
from support.ros_peer import Peer, Stream
from support.waiting import wait_for

#: Small, and not square: a swap of width and height shows.
WIDTH, HEIGHT = 48, 32


def frames(count: int, seed: int = 0) -> list[np.ndarray]:
    """Different uint16 frames of a thermal scene."""
    scene = SyntheticScene(width=WIDTH, height=HEIGHT, seed=seed)
    return [scene.frame(10 * i)[0] for i in range(count)]


def expected(frame: np.ndarray) -> np.ndarray:
    """What the node with ``backend: bicubic`` makes of a frame."""
    return SuperResolver.load(backend="bicubic").upscale(frame)


def same(what: str, value: Any, wanted: Any) -> None:
    """Fail with both values: launch_test, unlike pytest, does not show them."""
    if value != wanted:
        raise AssertionError(f"{what} is {value!r}, not {wanted!r}")


def check_result(sent: Image, image: Image, info: CameraInfo | None = None) -> None:
    """A result: four times the size, the same header and encoding, the pixels that it must have."""
    same("header", image.header, sent.header)
    same("size", (image.height, image.width), (4 * sent.height, 4 * sent.width))
    same("encoding", image.encoding, sent.encoding)
    np.testing.assert_array_equal(image_to_array(image), expected(image_to_array(sent)))
    if info is not None:
        same("header of camera_info", info.header, sent.header)
        same("size in camera_info", (info.height, info.width), (image.height, image.width))
        same("fx", info.k[0], 4 * sent.width)  # as Stream.send calibrates its cameras


def check_upscales(stream: Stream, count: int = 3) -> None:
    """Every frame comes out as it must."""
    for frame in frames(count):
        sent, image, info = stream.roundtrip(frame)
        same("dtype", image_to_array(sent).dtype, np.dtype(np.uint16))
        check_result(sent, image, info)


def check_parameters(peer: Peer, wanted: dict[str, Any], node: str = "/super_resolution") -> None:
    """The node has these values."""
    same("parameters", peer.parameters(list(wanted), node), wanted)


def check_output_encoding(stream: Stream, encoding: str) -> None:
    """``output_encoding`` has reached the images."""
    _, image, _ = stream.roundtrip(frames(1)[0])
    same("encoding", image.encoding, encoding)
    assert image_to_array(image).std() > 0, "the image is even"


def check_topics(peer: Peer, stream: Stream, info: str, node: str) -> None:
    """The node uses these topics, says so in diagnostics, and none of the default names."""
    check_upscales(stream, 1)
    values = peer.values(f"{node.lstrip('/')}: input")
    same("topic", values["topic"], stream.image)
    same("camera_info topic", values["camera_info topic"], info)
    values = peer.values(f"{node.lstrip('/')}: inference")
    same("output topic", values["topic"], stream.output)
    names = {name for name, _ in peer.node.get_topic_names_and_types()}
    defaults = {"/image_raw", "/camera_info", "/sr/image_raw", "/sr/camera_info"}
    same("default topics in use", names & defaults, set())


def check_silent(peer: Peer, stream: Stream, node: str = "/super_resolution") -> None:
    """The node is up, does not listen, and has not been published by an earlier activation."""
    wait_for(
        lambda: stream.publisher.get_subscription_count() == 0, f"{node} does not subscribe images"
    )
    before = len(stream.images)
    stream.send(stream.message(frames(1)[0]))
    peer.values(f"{node.lstrip('/')}: backend")  # a second later it still works
    same("number of results", len(stream.images), before)


#: What is broken, by the cause that diagnostics count it under.
MALFORMED = {
    "unknown_encoding": {"encoding": "thermal14"},
    "zero_size": {"width": 0},
    "wrong_step": {"step": 3},
    "short_data": {"data": b"\0" * 9},
}


def broken(stream: Stream, cause: str) -> Image:
    """A message with one fault."""
    message = stream.message(frames(1)[0])
    for name, value in MALFORMED[cause].items():
        setattr(message, name, value)
    return message


def check_malformed_frames(peer: Peer, stream: Stream, node: str = "/super_resolution") -> None:
    """Broken frames are dropped, counted by cause and reported; the next good one is upscaled."""
    check_upscales(stream, 1)
    published = len(stream.images)

    def all_counted(values: dict[str, str]) -> bool:
        missing = [c for c in MALFORMED if int(values.get(f"rejected: {c}", "0")) == 0]
        for cause in missing:  # again with every report, until they have arrived
            stream.publisher.publish(broken(stream, cause))
        return not missing

    values = peer.values(f"{node.lstrip('/')}: input", all_counted, "count every fault")
    assert int(values["frames rejected"]) >= len(MALFORMED), values
    assert values["last error"], values
    same("number of results", len(stream.images), published)
    check_upscales(stream, 1)


def check_two_cameras(peer: Peer, first: Stream, second: Stream, broken_one: str) -> None:
    """Each camera gets its own results, also while the other sends only broken frames."""
    pairs = list(zip(frames(2, seed=1), frames(2, seed=2)))
    for one, other in pairs:
        assert not np.array_equal(one, other), "the test's own frames"
        check_result(*first.roundtrip(one))
        check_result(*second.roundtrip(other))

    def counted(values: dict[str, str]) -> bool:
        for cause in MALFORMED:
            first.publisher.publish(broken(first, cause))
        check_result(*second.roundtrip(pairs[0][1]))
        return int(values["frames rejected"]) > 0

    peer.values(broken_one, counted, "count rejected frames")
    check_result(*first.roundtrip(pairs[0][0]))


def write_bag(path: Path, count: int, topic: str = "/thermal/image_raw") -> list[np.ndarray]:
    """A bag of different frames at 10 Hz; returns them."""
    pictures = frames(count)
    with BagWriter(path) as bag:
        for i, frame in enumerate(pictures):
            bag.write_image(topic, i * 100_000_000, frame)
    return pictures


def check_replayed(results: Sequence[np.ndarray], pictures: Sequence[np.ndarray]) -> None:
    """All frames of the bag came out, each once, in order, with the right pixels."""
    same("number of results", len(results), len(pictures))
    for result, frame in zip(results, pictures):
        np.testing.assert_array_equal(result, expected(frame))
