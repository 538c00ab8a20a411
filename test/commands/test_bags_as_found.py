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

"""Bags as people have them: what one command makes of such a bag, all make of it.

The player and the demo read by ``open_source``, the others by their own ways.
"""

from __future__ import annotations

import logging
import shutil

import numpy as np
import pytest

pytest.importorskip("rosbags", reason="bags need rosbags: pip install rosbags")

import zstandard
from rosbags.convert import convert
from rosbags.rosbag1 import Writer as Writer1
from rosbags.typesys import Stores, get_typestore

from difiisr_ros.cli import main
from difiisr_ros.io.bags import CAMERA_INFO, IMAGE, BagReader, BagWriter
from difiisr_ros.io.frames import open_source

TOPIC = "/cam/image_raw"
T0 = 1_700_000_000_000_000_000
COUNT = 6
K = [20.0, 0, 8, 0, 21, 6, 0, 0, 1]


def frame(index):
    rng = np.random.default_rng(index)
    ramp = np.add.outer(40 * np.arange(24), 60 * np.arange(32))
    return (29000 + ramp + rng.integers(0, 9, ramp.shape)).astype(np.uint16)


def write(path, indices=range(COUNT), storage="mcap"):
    with BagWriter(path, storage) as writer:
        for i in indices:
            writer.write_image(TOPIC, T0 + i * 10**8, frame(i))
    return path


def write_ros1(path):
    """As rosbag record leaves it, with the calibration's D, K, R and P in capitals."""
    store = get_typestore(Stores.ROS1_NOETIC)
    types = store.types
    with Writer1(path) as writer:
        images = writer.add_connection(TOPIC, IMAGE, typestore=store)
        infos = writer.add_connection("/cam/camera_info", CAMERA_INFO, typestore=store)
        for i in range(COUNT):
            stamp = types["builtin_interfaces/msg/Time"](T0 // 10**9 + i, 0)
            header = types["std_msgs/msg/Header"](seq=i, stamp=stamp, frame_id="flir")
            pixels = frame(i)
            image = types[IMAGE](
                header=header, height=24, width=32, encoding="mono16", is_bigendian=0, step=64,
                data=pixels.view(np.uint8).ravel(),
            )  # fmt: skip
            info = types[CAMERA_INFO](
                header=header, height=24, width=32, distortion_model="plumb_bob", D=np.zeros(5),
                K=np.array(K), R=np.eye(3).ravel(), P=np.eye(3, 4).ravel(), binning_x=0,
                binning_y=0, roi=types["sensor_msgs/msg/RegionOfInterest"](0, 0, 0, 0, False),
            )  # fmt: skip
            writer.write(images, T0 + i * 10**8, store.serialize_ros1(image, IMAGE))
            writer.write(infos, T0 + i * 10**8, store.serialize_ros1(info, CAMERA_INFO))
    return path


def converted(folder):
    """What rosbags-convert makes of it: its definitions keep ROS 1's names of fields."""
    source, target = write_ros1(folder / "old.bag"), folder / "bag"
    convert(
        srcs=[source], dst=target, dst_storage="mcap", dst_version=9, compress=None,
        compress_mode="none", default_typestore=None, typestore=None, exclude_topics=[],
        include_topics=[], exclude_msgtypes=[], include_msgtypes=[],
    )  # fmt: skip
    return target


def renamed(folder):
    bag = write(folder / "bag")
    (bag / "bag.mcap").rename(bag / "drive.mcap")
    return bag


def no_files(folder):
    bag = write(folder / "bag")
    (bag / "bag.mcap").unlink()
    return bag


def with_metadata(text):
    def made(folder):
        bag = write(folder / "bag")
        (bag / "metadata.yaml").write_text(text)
        return bag

    return made


def without_metadata(folder):
    bag = write(folder / "bag")
    (bag / "metadata.yaml").unlink()
    return bag


def split(folder):
    """Two parts, of which metadata.yaml names the first alone."""
    bag = write(folder / "bag", range(3))
    write(folder / "rest", range(3, COUNT))
    (bag / "bag.mcap").rename(bag / "bag_0.mcap")
    metadata = bag / "metadata.yaml"
    metadata.write_text(metadata.read_text().replace("bag.mcap", "bag_0.mcap"))
    (folder / "rest" / "rest.mcap").rename(bag / "bag_1.mcap")
    shutil.rmtree(folder / "rest")
    return bag


def packed(storage, alone):
    def made(folder):
        bag = write(folder / "bag", storage=storage)
        (file,) = (p for p in bag.iterdir() if p.name != "metadata.yaml")
        target = file.with_name(file.name + ".zstd")
        target.write_bytes(zstandard.ZstdCompressor().compress(file.read_bytes()))
        file.unlink()
        return target if alone else bag

    return made


#: bag -> words of a notice, or none
READ = {
    "ros1": (lambda folder: write_ros1(folder / "old.bag"), ""),
    "ros1, converted": (converted, ""),
    "metadata names another file": (renamed, "read is drive.mcap instead"),
    "metadata empty": (with_metadata(""), "metadata.yaml is empty"),
    "metadata broken": (with_metadata("rosbag2_bagfile_information: [1,\n  x: }"), "is damaged"),
    "metadata of something else": (with_metadata("frames: 7\n"), "does not name the bag's files"),
    "metadata that is a list": (with_metadata("- 1\n"), "does not name the bag's files"),
    "metadata without files": (
        with_metadata("rosbag2_bagfile_information:\n  relative_file_paths: []\n"),
        "names no file",
    ),
    "no metadata": (without_metadata, ""),
    "a part that metadata does not name": (split, "does not name bag_1.mcap, read all the same"),
    "mcap.zstd": (packed("mcap", alone=True), ""),
    "db3.zstd": (packed("sqlite3", alone=True), ""),
    "a folder with mcap.zstd": (packed("mcap", alone=False), ""),
}  # fmt: skip

REFUSED = {
    "metadata without its file": (no_files, "names bag.mcap, not in the folder, and there is no"),
}


def played(bag, folder, log):
    """As the player and the demo read: the frames' numbers, and what was said."""
    source = open_source(bag)
    found = [int(np.argmin([np.abs(frame(i) - f.image.astype(int)).sum() for i in range(COUNT)]))
             for f in source.frames()]  # fmt: skip
    return len(found), found == list(range(COUNT)), log.text


def upscaled(bag, folder, capsys):
    assert main(["upscale", str(bag), str(folder / "out"), "--backend", "bicubic"]) == 0
    with BagReader(folder / "out") as reader:
        shapes = [record.frame.shape for record in reader.read_images("/cam/sr/image_raw")]
    assert set(shapes) == {(96, 128)}
    return len(shapes), capsys.readouterr()


@pytest.mark.parametrize("case", READ)
def test_every_way_reads_it_whole_and_says_what_is_odd(case, tmp_path, caplog, capsys):
    make, words = READ[case]
    bag = make(tmp_path)
    caplog.set_level(logging.WARNING)

    count, in_order, said = played(bag, tmp_path, caplog)
    assert (count, in_order) == (COUNT, True)
    assert words in said
    caplog.clear()
    count, said = upscaled(bag, tmp_path, capsys)
    assert count == COUNT
    assert words in said.err + said.out + caplog.text
    caplog.clear()
    arguments = ["evaluate", str(bag), "--no-reference", "--backend", "bicubic"]
    assert main(arguments) == 0
    said = capsys.readouterr()
    assert words in said.err + said.out + caplog.text
    assert f" {COUNT} " in said.out


@pytest.mark.parametrize("case", REFUSED)
def test_every_way_refuses_it_by_the_same_words(case, tmp_path, capsys):
    make, words = REFUSED[case]
    bag = make(tmp_path)
    with pytest.raises(ValueError, match=words):
        open_source(bag)
    for arguments in (
        ["upscale", bag, tmp_path / "out", "--backend", "bicubic"],
        ["evaluate", bag, "--backend", "bicubic"],
        ["calibrate", bag, "--out", tmp_path / "camera.yaml"],
        ["demo", "--input", bag, "--out", tmp_path / "demo"],
    ):
        assert main(list(map(str, arguments))) == 2
        assert words in capsys.readouterr().err


@pytest.mark.parametrize("case", ["ros1", "ros1, converted"])
def test_a_ros1_calibration_is_one_of_ros2(case, tmp_path, capsys):
    bag = READ[case][0](tmp_path)
    info = open_source(bag).camera_info()
    np.testing.assert_array_equal(info.k, K)
    upscaled(bag, tmp_path, capsys)
    with BagReader(tmp_path / "out") as reader:
        scaled = reader.first_camera_info("/cam/sr/camera_info")
    assert (scaled.width, scaled.height, scaled.k[0]) == (128, 96, 80.0)


def test_calibrate_reads_a_ros1_bag(tmp_path, capsys):
    bag = write_ros1(tmp_path / "old.bag")
    assert main(["calibrate", str(bag)]) in (0, 1)  # 1: too small to measure
    said = capsys.readouterr()
    assert f"{COUNT} of {COUNT}, 32x24 uint16" in said.out and str(bag) in said.out
