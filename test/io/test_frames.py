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

"""Frame sources: the same frames whatever they come from, and clear words when there are none."""

from __future__ import annotations

import numpy as np
import pytest

from difiisr_ros.errors import DataError, OptionError
from difiisr_ros.io.frames import open_source
from difiisr_ros.io.images import write_image
from difiisr_ros.scene.street import SyntheticScene


@pytest.fixture
def frames():
    rng = np.random.default_rng(0)
    return [rng.integers(0, 65536, (5, 7), dtype=np.uint16) for _ in range(12)]


def write_bag(path, frames, topics=("/cam/image_raw",)):
    pytest.importorskip("rosbags", reason="bags need rosbags: pip install rosbags")
    from difiisr_ros.io.bags import BagWriter

    with BagWriter(path) as writer:
        for i, frame in enumerate(frames):
            for topic in topics:
                writer.write_image(topic, 10**18 + i, frame)


def test_a_folder_an_image_and_a_bag_yield_the_same_frames(tmp_path, frames):
    for i, frame in enumerate(frames):
        write_image(tmp_path / "folder" / f"f{i}.png", frame)
    write_bag(tmp_path / "bag", frames)
    for source in (open_source(tmp_path / "folder"), open_source(tmp_path / "bag")):
        for _ in range(2):  # a source starts over
            read = list(source.frames())
            assert [f.index for f in read] == list(range(12))
            for got, frame in zip(read, frames):
                np.testing.assert_array_equal(got.image, frame)
        assert source.camera_info() is None
    (single,) = open_source(tmp_path / "folder" / "f3.png").frames()
    assert single.name == "f3.png"
    np.testing.assert_array_equal(single.image, frames[3])


def test_every_page_of_a_file_is_a_frame(tmp_path, frames):
    tifffile = pytest.importorskip("tifffile")
    write_image(tmp_path / "a.png", frames[0])
    tifffile.imwrite(tmp_path / "b.tif", np.stack(frames[1:6]), photometric="minisblack")
    read = list(open_source(tmp_path).frames())
    assert [f.index for f in read] == list(range(6))
    assert [f.name for f in read[:3]] == ["a.png", "b.tif#1", "b.tif#2"]
    np.testing.assert_array_equal([f.image for f in read], frames[:6])
    np.save(tmp_path / "c.npy", np.stack(frames))
    assert len(list(open_source(tmp_path / "c.npy").frames())) == 12


def test_bad_files_are_left_out_once_with_a_warning(tmp_path, frames, caplog):
    for i, frame in enumerate(frames[:3]):
        write_image(tmp_path / f"f{i}.png", frame)
    (tmp_path / "f1.png").write_text("no picture")
    source = open_source(tmp_path)
    for _ in range(2):
        assert [f.name for f in source.frames()] == ["f0.png", "f2.png"]
    assert caplog.text.count("f1.png") == 1


def test_a_source_without_any_usable_frame_says_so(tmp_path):
    for name in ("a.png", "b.png"):
        (tmp_path / name).write_text("no picture")
    with pytest.raises(DataError, match="none of its 2 images"):
        list(open_source(tmp_path).frames())
    with pytest.raises(DataError, match=r"a\.png: is not an image"):
        list(open_source(tmp_path / "a.png").frames())


def test_topics_of_a_bag_must_be_clear(tmp_path, frames):
    write_bag(tmp_path / "two", frames[:2], ("/left/image_raw", "/right/image_raw"))
    with pytest.raises(DataError, match=r"several image topics.*/left/image_raw, /right/image_raw"):
        open_source(tmp_path / "two")
    with pytest.raises(DataError, match="no images on /up"):
        open_source(tmp_path / "two", topic="/up")
    assert len(list(open_source(tmp_path / "two", topic="/left/image_raw").frames())) == 2


def test_the_synthetic_source_is_the_scene(tmp_path):
    source = open_source("synthetic", width=32, height=24, seed=5, limit=4)
    scene = SyntheticScene(32, 24, seed=5, real_camera=True)
    assert source.profile == scene.profile and source.profile.blur > 0
    for _ in range(2):
        read = list(source.frames())
        assert len(read) == 4
        for i, frame in enumerate(read):
            lr, truth = scene.frame(i)
            np.testing.assert_array_equal(frame.image, lr)
            np.testing.assert_array_equal(source.truth(i), truth)


def test_what_cannot_be_opened_is_named(tmp_path):
    with pytest.raises(DataError, match=r"nowhere: no such file or folder.*synthetic"):
        open_source(tmp_path / "nowhere")
    (tmp_path / "notes.txt").write_text("hello")
    with pytest.raises(DataError, match=r"notes\.txt: is neither"):
        open_source(tmp_path / "notes.txt")
    with pytest.raises(DataError, match="no image in this folder"):
        open_source(tmp_path)
    with pytest.raises(OptionError, match="width is 0"):
        open_source("synthetic", width=0)
