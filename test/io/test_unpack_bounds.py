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

"""What unpacks to more than it may is refused before memory or disk is full."""

from __future__ import annotations

import bz2
import shutil
import tracemalloc
import zlib

import lz4.frame
import numpy as np
import pytest
import zstandard

pytest.importorskip("rosbags", reason="bags need rosbags: pip install rosbags")

from rosbags.rosbag1 import Writer as Writer1
from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin, Writer
from rosbags.typesys import Stores, get_typestore

from difiisr_ros.errors import DataError
from difiisr_ros.io import storage_scan, unpack
from difiisr_ros.io.bags import COMPRESSED_IMAGE, IMAGE, BagReader, BagWriter

STORE = get_typestore(Stores.ROS2_JAZZY)
T0 = 1_700_000_000_000_000_000
MB = 1 << 20
BLOCKS = 64


def zeros_by_zstd(megabytes, known):
    """A few kB that unpack to zeros, with or without their size in the header."""
    packer = zstandard.ZstdCompressor().compressobj(size=megabytes * MB if known else -1)
    return b"".join(packer.compress(bytes(MB)) for _ in range(megabytes)) + packer.flush()


PACKED = {
    "zstd, size known": (unpack.unzstd, lambda: zeros_by_zstd(BLOCKS, True)),
    "zstd, size unknown": (unpack.unzstd, lambda: zeros_by_zstd(BLOCKS, False)),
    "lz4": (unpack.unlz4, lambda: lz4.frame.compress(bytes(BLOCKS * MB))),
    "bz2": (unpack.unbz2, lambda: bz2.compress(bytes(BLOCKS * MB))),
}


@pytest.mark.parametrize("how", PACKED)
def test_the_bound_holds_and_little_memory_is_taken(how):
    unpacker, pack = PACKED[how]
    data = pack()
    assert len(data) < MB
    assert len(unpacker(data, BLOCKS * MB)) == BLOCKS * MB
    tracemalloc.start()
    try:
        with pytest.raises(unpack.TooLargeError, match="more than 4 MB"):
            unpacker(data, 4 * MB)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 14 * MB


@pytest.mark.parametrize("how", ["lz4", "bz2"])
def test_cut_off_is_an_error(how):
    unpacker, pack = PACKED[how]
    data = pack()
    with pytest.raises(ValueError, match="ends early"):
        unpacker(data[: len(data) // 2], BLOCKS * MB)


def image(pixels):
    types = STORE.types
    stamp = types["builtin_interfaces/msg/Time"](1, 0)
    height, width = pixels.shape
    return types[IMAGE](
        header=types["std_msgs/msg/Header"](stamp=stamp, frame_id=""),
        height=height, width=width, encoding="mono8", is_bigendian=0, step=width,
        data=pixels.reshape(-1),
    )  # fmt: skip


@pytest.mark.parametrize("named", [True, False])
def test_a_message_that_unpacks_to_too_much_is_left_out_and_named(tmp_path, named):
    writer = Writer(tmp_path / "bag", version=8, storage_plugin=StoragePlugin.MCAP)
    writer.set_compression(CompressionMode.MESSAGE, CompressionFormat.ZSTD)
    with writer:
        connection = writer.add_connection("/a", IMAGE, typestore=STORE)
        for i, side in enumerate((10, 5000, 10)):
            data = STORE.serialize_cdr(image(np.full((side, side), i, np.uint8)), IMAGE)
            writer.write(connection, T0 + i, data)
    if not named:
        (tmp_path / "bag" / "metadata.yaml").unlink()
    with BagReader(tmp_path / "bag", max_pixels=1000) as reader:
        assert [record.frame[0, 0] for record in reader.read_images("/a")] == [0, 2]
        (notice,) = reader.notices
    assert "/a: left out is what unpacks to more than" in notice


def test_a_compressed_picture_is_measured_before_it_is_decoded(tmp_path):
    import cv2

    data = cv2.imencode(".png", np.zeros((4000, 3000), np.uint8))[1].reshape(-1)
    stamp = STORE.types["builtin_interfaces/msg/Time"](1, 0)
    header = STORE.types["std_msgs/msg/Header"](stamp=stamp, frame_id="")
    with BagWriter(tmp_path / "bag") as writer:
        message = STORE.types[COMPRESSED_IMAGE](header, "png", data)
        writer.write("/a", COMPRESSED_IMAGE, T0, message)
    with (
        BagReader(tmp_path / "bag", max_pixels=1_000_000) as reader,
        pytest.raises(ValueError, match="3000x4000 pixels, max_input_pixels is 1000000"),
    ):
        next(reader.read_images("/a"))


def test_a_chunk_of_rosbags_is_bound_by_what_it_claims():
    """The pinned rosbags looks its unpackers up where ours are put."""
    from rosbags.rosbag2 import storage_mcap

    unpack.bound_rosbags()
    packed = zeros_by_zstd(BLOCKS, True)
    with pytest.raises(unpack.TooLargeError, match="more than 1 MB"):
        storage_mcap.decompress(packed, "zstd", MB, 0)
    with pytest.raises(unpack.TooLargeError, match="more than 1 MB"):
        storage_mcap.decompress(PACKED["lz4"][1](), "lz4", MB, 0)
    assert storage_mcap.decompress(packed, "zstd", BLOCKS * MB, zlib.crc32(bytes(BLOCKS * MB)))


@pytest.mark.parametrize(("codec", "how"), [("zstd", "zstd, size known"), ("lz4", "lz4")])
def test_a_chunk_that_is_read_without_its_index_is_bound(codec, how):
    from mcap.records import Chunk

    def unpacked(claimed):
        return storage_scan._unpacked(Chunk(codec, PACKED[how][1](), 0, 0, 0, claimed))

    assert len(unpacked(BLOCKS * MB).data) == BLOCKS * MB
    with pytest.raises(unpack.TooLargeError, match="more than 1 MB"):
        unpacked(MB)
    with pytest.raises(unpack.TooLargeError):
        storage_scan._unpacked(
            Chunk("zstd", zeros_by_zstd(unpack.LARGEST // MB + 1, True), 0, 0, 0, 1 << 50)
        )


@pytest.mark.parametrize("how", ["BZ2", "LZ4"])
def test_a_chunk_of_a_ros1_bag_is_bound(tmp_path, monkeypatch, how):
    store = get_typestore(Stores.ROS1_NOETIC)
    writer = Writer1(tmp_path / "old.bag")
    writer.set_compression(Writer1.CompressionFormat[how])
    with writer:
        connection = writer.add_connection("/text", "std_msgs/msg/String", typestore=store)
        text = store.types["std_msgs/msg/String"]("0" * 8 * MB)
        writer.write(connection, T0, store.serialize_ros1(text, "std_msgs/msg/String"))
    with BagReader(tmp_path / "old.bag") as reader:
        assert len(list(reader.read_raw())) == 1
    monkeypatch.setattr(unpack.unbz2, "__defaults__", (4 * MB,))
    monkeypatch.setattr(unpack.unlz4, "__defaults__", (4 * MB,))
    with (
        BagReader(tmp_path / "old.bag") as reader,
        pytest.raises(DataError, match="more than 4 MB"),
    ):
        list(reader.read_raw())


def test_a_file_that_has_no_room_is_refused(tmp_path):
    file = tmp_path / "a.mcap.zstd"
    file.write_bytes(zeros_by_zstd(BLOCKS, False))
    folder = tmp_path / "out"
    folder.mkdir()
    with pytest.raises(unpack.TooLargeError, match=r"more than the 8 MB .* TMPDIR"):
        unpack.unpack_file(file, folder, 8 * MB)
    assert (folder / "a.mcap").stat().st_size <= 8 * MB
    assert unpack.unpack_file(file, folder) == ""
    assert (folder / "a.mcap").stat().st_size == BLOCKS * MB


def test_the_room_is_what_is_free(tmp_path, monkeypatch):
    file = tmp_path / "a.mcap.zstd"
    file.write_bytes(zeros_by_zstd(BLOCKS, True))
    free = unpack.LEFT_FREE + 3 * MB
    monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(0, 0, free))
    with pytest.raises(DataError, match="more than the 3 MB"):
        BagReader(file, salvage=True)
