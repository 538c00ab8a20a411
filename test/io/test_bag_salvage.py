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

"""What can still be read of bags that were cut off, damaged, or left without index or metadata."""

from __future__ import annotations

import shutil
import sqlite3

import numpy as np
import pytest

pytest.importorskip("rosbags", reason="bags need rosbags: pip install rosbags")

from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin, Writer

from difiisr_ros.errors import DataError
from difiisr_ros.io.bags import IMAGE, BagReader, BagWriter, is_bag
from support.bag_messages import STORE, header, image

T0 = 1_700_000_000_000_000_000
COUNT = 80
STEP = 33_333_333
TOPIC = "/cam/image_raw"


def frame(index: int) -> np.ndarray:
    """160x120, 16 bits: a chunk of the mcap writer holds about 27 of them."""
    return np.random.default_rng(index).integers(0, 65536, (120, 160), dtype=np.uint16)


@pytest.fixture(scope="module", params=["mcap", "sqlite3"])
def whole(request, tmp_path_factory):
    path = tmp_path_factory.mktemp("whole") / "bag"
    with BagWriter(path, request.param) as writer:
        for index in range(COUNT):
            writer.write_image(TOPIC, T0 + STEP * index, frame(index))
    return path


@pytest.fixture
def bag(whole, tmp_path):
    shutil.copytree(whole, tmp_path / "bag")
    return tmp_path / "bag"


def storage(bag):
    return next(p for p in bag.iterdir() if p.suffix in (".mcap", ".db3"))


def read(path, **options) -> tuple[list[int], list[str]]:
    """Numbers of the frames that were read, each checked, and the notices."""
    found = []
    with BagReader(path, salvage=True) as reader:
        for record in reader.read_images(TOPIC, **options):
            index = (record.log_time_ns - T0) // STEP
            np.testing.assert_array_equal(record.frame, frame(index))
            found.append(index)
        return found, reader.notices


def test_a_whole_bag_needs_no_notice(bag):
    assert read(bag) == (list(range(COUNT)), [])


def test_a_cut_off_file_gives_its_beginning_and_says_so(bag):
    file = storage(bag)
    size = file.stat().st_size
    with file.open("r+b") as handle:
        handle.truncate(int(size * 0.7))
    with pytest.raises(DataError, match="cut off"), BagReader(bag) as reader:
        list(reader.read_images(TOPIC))
    found, notices = read(bag)
    assert found == list(range(len(found)))
    assert 0.3 * COUNT < len(found) < 0.75 * COUNT
    assert f"its {len(found)} readable messages" in notices[0] and str(bag) in notices[0]
    assert any("ends" in notice for notice in notices[1:])
    assert read(file)[0] == found  # the file alone, too


def test_a_recording_without_metadata(bag):
    (bag / "metadata.yaml").unlink()
    assert is_bag(bag)
    assert read(bag) == (list(range(COUNT)), [])


def test_metadata_that_was_cut_off(bag):
    text = (bag / "metadata.yaml").read_text()
    (bag / "metadata.yaml").write_text(text[:150])
    with pytest.raises(DataError):
        BagReader(bag)
    found, notices = read(bag)
    assert found == list(range(COUNT))
    assert len(notices) == 1 and "metadata" in notices[0]


def test_several_parts_of_which_the_last_is_cut_off(bag, tmp_path):
    file = storage(bag)
    parts = tmp_path / "parts"
    parts.mkdir()
    shutil.copy(file, parts / f"drive_2{file.suffix}")
    shutil.copy(file, parts / f"drive_10{file.suffix}")
    with (parts / f"drive_10{file.suffix}").open("r+b") as handle:
        handle.truncate(file.stat().st_size // 2)
    found, notices = read(parts)
    assert found[:COUNT] == list(range(COUNT))
    assert found[COUNT:] == list(range(len(found) - COUNT)) and len(found) > COUNT + 10
    assert any(f"drive_10{file.suffix}" in notice for notice in notices)


def test_a_folder_of_several_recordings_is_not_one_bag(bag, tmp_path):
    file = storage(bag)
    for name in ("monday", "tuesday"):
        shutil.copy(file, tmp_path / f"{name}{file.suffix}")
    with pytest.raises(DataError, match=r"several recordings .monday, tuesday"):
        BagReader(tmp_path, salvage=True)


def test_nothing_readable_is_an_error(bag):
    file = storage(bag)
    with file.open("r+b") as handle:
        handle.truncate(60)
    with pytest.raises(DataError, match="no message can be read"):
        BagReader(bag, salvage=True)


@pytest.mark.parametrize("mode", ["MESSAGE", "FILE", "STORAGE"])
@pytest.mark.parametrize("plugin", ["MCAP", "SQLITE3"])
def test_compressed_bags_whole_and_without_their_metadata(tmp_path, plugin, mode):
    if (plugin, mode) == ("SQLITE3", "STORAGE"):
        pytest.skip("sqlite3 has no compression of its own")
    path = tmp_path / "bag"
    writer = Writer(path, version=8, storage_plugin=StoragePlugin[plugin])
    writer.set_compression(CompressionMode[mode], CompressionFormat.ZSTD)
    with writer:
        connection = writer.add_connection(TOPIC, IMAGE, typestore=STORE)
        for index in range(5):
            message = _message(index)
            writer.write(connection, T0 + STEP * index, STORE.serialize_cdr(message, IMAGE))
    assert read(path) == ([0, 1, 2, 3, 4], [])
    if mode == "FILE":
        assert any(p.suffix == ".zstd" for p in path.iterdir())
    (path / "metadata.yaml").unlink()
    assert read(path) == ([0, 1, 2, 3, 4], [])


def _message(index: int):
    return image(header(index * 10**9, ""), frame(index))


@pytest.mark.parametrize("whole", ["mcap"], indirect=True)
def test_a_damaged_chunk_hides_only_its_own_messages(bag):
    """The index still names the chunk, so the damage shows only while reading."""
    file = storage(bag)
    data = bytearray(file.read_bytes())
    at = data.index(frame(20).tobytes()) - 200  # a message's length, among other things
    data[at : at + 200] = b"\xff" * 200
    file.write_bytes(data)
    found, notices = read(bag)
    assert found[-1] == COUNT - 1
    assert COUNT / 2 < len(found) < COUNT
    assert any("damaged" in notice for notice in notices)


@pytest.mark.parametrize("whole", ["sqlite3"], indirect=True)
def test_a_damaged_page_hides_only_what_is_on_it(bag):
    file = storage(bag)
    data = bytearray(file.read_bytes())
    at = data.index(frame(20).tobytes()[8000:8032]) // 4096 * 4096
    data[at : at + 4096] = b"\xff" * 4096
    file.write_bytes(data)
    found, notices = read(bag)
    assert found[0] == 0 and found[-1] == COUNT - 1
    assert COUNT / 2 < len(found) < COUNT
    assert any("damaged" in notice for notice in notices)


@pytest.mark.parametrize("whole", ["sqlite3"], indirect=True)
def test_a_write_ahead_log_left_by_a_crash_is_read(bag, tmp_path):
    live = sqlite3.connect(storage(bag))
    live.execute("PRAGMA journal_mode=WAL")
    live.execute("PRAGMA wal_autocheckpoint=0")
    live.execute("DELETE FROM messages WHERE id > 70")
    live.commit()
    crashed = tmp_path / "crashed"
    shutil.copytree(bag, crashed)  # as it was at the moment of the crash
    live.close()
    (crashed / "metadata.yaml").unlink()
    assert storage(crashed).with_name(storage(crashed).name + "-wal").stat().st_size > 0
    found, notices = read(crashed)
    assert found == list(range(70))
    assert notices and "write-ahead log" in notices[0]


@pytest.mark.parametrize("whole", ["mcap"], indirect=True)
def test_an_mcap_without_index_whose_messages_are_out_of_order(tmp_path, whole):
    """What a recorder without chunks and summary writes; rosbags refuses it half-way."""
    from mcap.writer import CompressionType, IndexType
    from mcap.writer import Writer as McapWriter

    path = tmp_path / "plain.mcap"
    definition, _ = STORE.generate_msgdef(IMAGE, ros_version=2)
    with path.open("wb") as handle:
        writer = McapWriter(
            handle,
            use_chunking=False,
            compression=CompressionType.NONE,
            index_types=IndexType.NONE,
            repeat_channels=False,
            repeat_schemas=False,
            use_statistics=False,
            use_summary_offsets=False,
        )
        writer.start("ros2")
        schema = writer.register_schema(IMAGE, "ros2msg", definition.encode())
        channel = writer.register_channel(TOPIC, "cdr", schema)
        for index in (0, 2, 1, 3):
            data = bytes(STORE.serialize_cdr(_message(index), IMAGE))
            writer.add_message(channel, T0 + STEP * index, data, T0)
        writer.finish()
    found, notices = read(path)
    assert found == [0, 2, 1, 3]
    assert "has no index" in notices[0]


def test_a_window_of_time_and_every_nth_frame(bag):
    start, stop = T0 + STEP * 10, T0 + STEP * 20
    assert read(bag, start_ns=start, stop_ns=stop)[0] == list(range(10, 20))
    assert read(bag, start_ns=start, stop_ns=stop, every=4)[0] == [10, 14, 18]
    with storage(bag).open("r+b") as handle:
        handle.truncate(storage(bag).stat().st_size * 4 // 5)
    assert read(bag, start_ns=start, stop_ns=stop, every=4)[0] == [10, 14, 18]
