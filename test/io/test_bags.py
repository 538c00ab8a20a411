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

"""Bags: frames out, frames in, copies that change nothing, and damaged files."""

from __future__ import annotations

import random

import numpy as np
import pytest

pytest.importorskip("rosbags", reason="bags need rosbags: pip install rosbags")

from rosbags.interfaces import QosReliability
from rosbags.typesys import Stores, get_typestore

from difiisr_ros.errors import DataError, DifiisrError, FrameError
from difiisr_ros.io.bags import (
    CAMERA_INFO,
    COMPRESSED_IMAGE,
    IMAGE,
    BagReader,
    BagWriter,
    camera_info_topic_for,
    is_bag,
)
from support.bag_messages import camera_info, compressed, header, image

T0 = 1_700_000_000_123_456_789


@pytest.fixture
def frames():
    rng = np.random.default_rng(0)
    return [
        rng.integers(0, 256, (6, 9), dtype=np.uint8),
        rng.integers(0, 65536, (6, 9), dtype=np.uint16),
        rng.normal(300, 5, (6, 9)).astype(np.float32),
    ]


@pytest.mark.parametrize("storage", ["mcap", "sqlite3"])
def test_frames_written_read_back_with_header_and_time(tmp_path, frames, storage):
    path = tmp_path / "made" / "bag"
    with BagWriter(path, storage) as writer:
        for i, frame in enumerate(frames):
            writer.write_image(
                "/cam/image_raw", T0 + i, frame, header(T0 - 5 + i, "thermal_optical")
            )
        assert not path.exists()  # appears whole, when closed
    with BagReader(path) as reader:
        assert reader.image_topics() == ["/cam/image_raw"]
        assert reader.count("/cam/image_raw") == 3
        records = list(reader.read_images())
    assert [p.name for p in path.parent.iterdir()] == ["bag"]
    for i, (record, frame) in enumerate(zip(records, frames)):
        topic, log_time, message, read, _ = record
        assert (topic, log_time) == ("/cam/image_raw", T0 + i)
        assert message.header.frame_id == "thermal_optical"
        stamp = message.header.stamp
        assert stamp.sec * 10**9 + stamp.nanosec == T0 - 5 + i
        assert read.dtype == frame.dtype
        np.testing.assert_array_equal(read, frame)
    assert [r.message.encoding for r in records] == ["mono8", "mono16", "32FC1"]


def test_a_single_storage_file_and_a_folder_without_metadata_are_bags(tmp_path, frames):
    with BagWriter(tmp_path / "bag") as writer:
        writer.write_image("/a", T0, frames[1])
    single = tmp_path / "bag" / "bag.mcap"
    (tmp_path / "bag" / "metadata.yaml").unlink()
    for path in (single, tmp_path / "bag"):
        assert is_bag(path)
        with BagReader(path) as reader:
            assert len(list(reader.read_images("/a"))) == 1
    assert not is_bag(tmp_path)
    assert not is_bag(tmp_path / "a.png")


def test_ros1_bags_can_be_read(tmp_path, frames):
    from rosbags.rosbag1 import Writer

    ros1 = get_typestore(Stores.ROS1_NOETIC)
    time = ros1.types["builtin_interfaces/msg/Time"](1, 2)
    image = ros1.types[IMAGE](
        header=ros1.types["std_msgs/msg/Header"](seq=0, stamp=time, frame_id="t"),
        height=6,
        width=9,
        encoding="mono16",
        is_bigendian=0,
        step=18,
        data=frames[1].view(np.uint8).ravel(),
    )
    with Writer(tmp_path / "old.bag") as writer:
        connection = writer.add_connection("/cam/image_raw", IMAGE, typestore=ros1)
        writer.write(connection, T0, ros1.serialize_ros1(image, IMAGE))
    with BagReader(tmp_path / "old.bag") as reader:
        assert reader.is_ros1
        (record,) = reader.read_images()
    np.testing.assert_array_equal(record.frame, frames[1])


def test_compressed_images(tmp_path, frames):
    with BagWriter(tmp_path / "bag") as writer:
        message = compressed(header(T0), frames[1], "mono16; png compressed mono16")
        writer.write("/cam/image_raw/compressed", COMPRESSED_IMAGE, T0, message)
        lossy = compressed(header(T0), frames[0], "mono8; jpeg compressed mono8", ".jpg")
        writer.write("/cam/image_raw/compressed", COMPRESSED_IMAGE, T0 + 1, lossy)
    with BagReader(tmp_path / "bag") as reader:
        png, jpeg = reader.read_images()
    np.testing.assert_array_equal(png.frame, frames[1])
    assert jpeg.frame.dtype == np.uint8


@pytest.mark.parametrize(
    ("layout", "suffix", "said"),
    [
        ("16UC1; jpeg compressed mono8", ".jpg", "jpeg keeps 8 bits.*temperatures were lost"),
        ("16UC1; png compressed ", ".png", "png keeps 8 bits.*temperatures were lost"),
    ],
)
def test_compression_that_lost_the_temperatures_is_refused(tmp_path, frames, layout, suffix, said):
    with BagWriter(tmp_path / "bag") as writer:
        writer.write("/c", COMPRESSED_IMAGE, T0, compressed(header(T0), frames[0], layout, suffix))
    with BagReader(tmp_path / "bag") as reader, pytest.raises(FrameError, match=f"/c: .*{said}"):
        list(reader.read_images())


def test_unusable_messages_are_reported_and_the_rest_is_read(tmp_path, frames):
    with BagWriter(tmp_path / "bag") as writer:
        writer.write_image("/a", T0, frames[1])
        broken = image(header(T0), frames[1], step=4)
        writer.write("/a", IMAGE, T0 + 1, broken)
        writer.write_image("/a", T0 + 2, frames[2])
    problems = []
    with BagReader(tmp_path / "bag") as reader:
        with pytest.raises(FrameError, match="/a: step"):
            list(reader.read_images())
        read = list(reader.read_images("/a", on_error=lambda *what: problems.append(what)))
    assert [r.log_time_ns for r in read] == [T0, T0 + 2]
    assert [(topic, time) for topic, time, _ in problems] == [("/a", T0 + 1)]


def test_unknown_and_missing_topics_are_named(tmp_path, frames):
    with BagWriter(tmp_path / "bag") as writer:
        writer.write_image("/here", T0, frames[1])
        writer.write("/here/camera_info", CAMERA_INFO, T0, camera_info(header(T0), 9, 6))
    with BagReader(tmp_path / "bag") as reader:
        with pytest.raises(DataError, match="no images on /there; it has /here"):
            list(reader.read_images("/there"))
        assert reader.camera_info_topics() == ["/here/camera_info"]
        assert reader.first_camera_info("/here/camera_info").width == 9
        assert reader.first_camera_info("/nowhere") is None
    with BagWriter(tmp_path / "empty") as writer:
        writer.write("/info", CAMERA_INFO, T0, camera_info(header(T0), 9, 6))
    with BagReader(tmp_path / "empty") as reader, pytest.raises(DataError, match="it has /info"):
        list(reader.read_images())


@pytest.mark.parametrize(
    ("image", "info"),
    [
        ("/cam/image_raw", "/cam/camera_info"),
        ("/cam/image_raw/compressed", "/cam/camera_info"),
        ("/image", "/camera_info"),
    ],
)
def test_sibling_camera_info(image, info):
    assert camera_info_topic_for(image) == info


def test_a_copied_bag_has_the_same_bytes_types_and_qos(tmp_path, frames):
    with BagWriter(tmp_path / "first") as writer:
        writer.add_topic("/a", IMAGE, reliable=False)
        for i in range(3):
            writer.write_image("/a", T0 + i, frames[1] + i)
        writer.write("/a/camera_info", CAMERA_INFO, T0, camera_info(header(T0), 9, 6))
    with BagReader(tmp_path / "first") as reader, BagWriter(tmp_path / "copy") as writer:
        made = {c.topic: writer.add_topic_like(c) for c in reader.connections}
        for connection, time, data in reader.read_raw():
            writer.write_raw(made[connection.topic], time, data)
    with BagReader(tmp_path / "first") as a, BagReader(tmp_path / "copy") as b:
        raw_a = [(c.topic, c.msgtype, c.digest, t, bytes(d)) for c, t, d in a.read_raw()]
        raw_b = [(c.topic, c.msgtype, c.digest, t, bytes(d)) for c, t, d in b.read_raw()]
        assert raw_a == raw_b and len(raw_a) == 4
        for x, y in zip(a.connections, b.connections):
            assert x.ext.offered_qos_profiles == y.ext.offered_qos_profiles
            assert x.msgdef == y.msgdef
        qos = next(c for c in b.connections if c.topic == "/a").ext.offered_qos_profiles[0]
    assert qos.reliability == QosReliability.BEST_EFFORT


def test_nothing_is_overwritten_and_failures_leave_nothing(tmp_path, frames):
    with BagWriter(tmp_path / "bag") as writer:
        writer.write_image("/a", T0, frames[0])
    with pytest.raises(DataError, match="exists already"):
        BagWriter(tmp_path / "bag")
    with pytest.raises(DataError, match="storage is 'tar'"):
        BagWriter(tmp_path / "x", "tar")
    with pytest.raises(RuntimeError), BagWriter(tmp_path / "half") as writer:
        writer.write_image("/a", T0, frames[0])
        raise RuntimeError
    assert [p.name for p in tmp_path.iterdir()] == ["bag"]


def test_what_is_not_a_bag_is_named(tmp_path):
    with pytest.raises(DataError, match="no such bag"):
        BagReader(tmp_path / "nowhere")
    with pytest.raises(DataError, match=r"not a bag.*accepted"):
        BagReader(tmp_path)
    (tmp_path / "text.mcap").write_text("hello")
    with pytest.raises(DataError, match=r"text\.mcap: cannot be read"):
        BagReader(tmp_path / "text.mcap")


def test_damaged_bags_raise_only_our_errors(tmp_path, frames):
    with BagWriter(tmp_path / "bag") as writer:
        for i in range(4):
            writer.write_image("/a", T0 + i, frames[1])
    whole = (tmp_path / "bag" / "bag.mcap").read_bytes()
    rng = random.Random(4)
    damaged = tmp_path / "damaged.mcap"
    refused = 0
    for trial in range(60):
        data = bytearray(whole)
        if trial % 3 == 0:
            del data[rng.randrange(len(data)) :]
        else:
            for _ in range(8):
                data[rng.randrange(len(data))] = rng.randrange(256)
        damaged.write_bytes(data)
        try:
            with BagReader(damaged) as reader:
                list(reader.read_images())
        except DifiisrError as error:
            assert "damaged.mcap" in str(error) or "/a" in str(error)
            refused += 1
    assert refused > 20
