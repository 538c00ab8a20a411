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

"""Frames of files of every kind by their places: names, values, and what cannot be read."""

from __future__ import annotations

import pickle

import cv2
import numpy as np
import pytest

from difiisr_ros.errors import DataError
from difiisr_ros.io.frame_files import FramePlace, FrameReader, find_frames, places_in
from difiisr_ros.io.frames import open_source
from difiisr_ros.io.images import write_image
from support.flir_files import COUNTS, container, radiometric_jpeg
from support.frames import smooth_frame

STACK = np.stack([smooth_frame(np.uint16, (24, 32), seed) for seed in range(3)])


def write_tiff(path, pages, **tags):
    tifffile = pytest.importorskip("tifffile")
    with tifffile.TiffWriter(path) as writer:
        for page in pages:
            writer.write(page, **tags)


@pytest.fixture
def folder(tmp_path):
    """A file of each kind -> its frames, in the order of names."""
    expected = {}
    np.save(tmp_path / "a.npy", STACK)
    np.savez(tmp_path / "b.npz", one=STACK[:2], two=STACK[2])
    expected |= {"a.npy": STACK, "b.npz": STACK}
    np.savetxt(tmp_path / "c.csv", STACK[1], fmt="%d", delimiter=",")
    expected["c.csv"] = STACK[1:2].astype(np.float32)
    write_tiff(tmp_path / "d.tiff", STACK)
    expected["d.tiff"] = STACK
    write_image(tmp_path / "e.png", STACK[2])
    expected["e.png"] = STACK[2:]
    recorded = [COUNTS, COUNTS + 7]
    (tmp_path / "f.seq").write_bytes(b"".join(map(container, recorded)))
    (tmp_path / "g.fff").write_bytes(container())
    (tmp_path / "h.jpg").write_bytes(radiometric_jpeg(container()))
    expected |= {"f.seq": np.stack(recorded), "g.fff": COUNTS[None], "h.jpg": COUNTS[None]}
    return tmp_path, expected


def test_each_frame_of_each_kind_of_file_has_its_name_and_its_values(folder):
    path, expected = folder
    found = find_frames(path).places
    names = [
        file if len(frames) == 1 else f"{file}#{number}"
        for file, frames in expected.items()
        for number in range(1, len(frames) + 1)
    ]
    assert [place.name for place in found] == names
    frames = [frame for frames in expected.values() for frame in frames]
    with FrameReader() as reader:
        for place, frame in [*zip(found, frames), *reversed([*zip(found, frames)])]:
            image = reader.read(place).image
            assert image.dtype == frame.dtype, place
            np.testing.assert_array_equal(image, frame, err_msg=str(place))


def test_the_player_has_the_same_frames(folder):
    path, expected = folder
    played = list(open_source(path).frames())
    assert [frame.name for frame in played] == [place.name for place in find_frames(path).places]
    frames = [frame for frames in expected.values() for frame in frames]
    for frame, image in zip(played, frames, strict=True):
        np.testing.assert_array_equal(frame.image, image)


def test_a_video_is_read_forwards_and_backwards(tmp_path):
    frames = [smooth_frame(np.uint8, (48, 64), seed) for seed in range(3)]
    writer = cv2.VideoWriter(
        str(tmp_path / "a.avi"), cv2.CAP_FFMPEG, cv2.VideoWriter_fourcc(*"FFV1"), 10, (64, 48),
        [cv2.VIDEOWRITER_PROP_IS_COLOR, 0],
    )  # fmt: skip
    if not writer.isOpened():
        pytest.skip("this OpenCV does not write FFV1")
    for frame in frames:
        writer.write(frame)
    writer.release()
    places = find_frames(tmp_path / "a.avi").places
    assert [place.name for place in places] == ["a.avi#1", "a.avi#2", "a.avi#3"]
    with FrameReader() as reader:
        for index in (0, 1, 2, 0, 2):
            np.testing.assert_array_equal(reader.read(places[index]).image, frames[index])
    assert "a video's times, and sound" in dict(reader.unused)[str(tmp_path / "a.avi")]


def test_what_is_no_frame_is_named(tmp_path):
    write_image(tmp_path / "a.png", STACK[0])
    (tmp_path / "notes.txt").write_text("x")
    (tmp_path / "more").mkdir()
    found = find_frames(tmp_path)
    assert sorted(found.not_used) == [("more", "sub-folders"), ("notes.txt", ".txt files")]
    np.savez(tmp_path / "b.npz", frames=STACK, gains=np.ones(3))
    with FrameReader() as reader:
        for place in places_in(tmp_path / "b.npz"):
            reader.read(place)
    assert reader.unused == [(str(tmp_path / "b.npz"), "array gains")]


def test_a_file_that_cannot_be_opened_says_so_when_it_is_read(tmp_path):
    (tmp_path / "a.npy").write_bytes(b"\x93NUMPY and no more")
    write_image(tmp_path / "b.png", STACK[0])
    bad, good = find_frames(tmp_path).places
    reader = FrameReader()
    with pytest.raises(DataError, match=r"a\.npy: cannot be read as a NumPy array"):
        reader.read(bad)
    np.testing.assert_array_equal(reader.read(good).image, STACK[0])
    with pytest.raises(DataError, match=r"b\.png#5: the file has 1 frames"):
        reader.read(FramePlace(good.path, 4, 9))


def test_the_nodata_value_of_a_file_is_no_measurement(tmp_path):
    page = STACK[0].astype(np.float32)
    page[3, 4] = -9999
    write_tiff(tmp_path / "a.tiff", [page], extratags=[(42113, "s", 0, "-9999", True)])
    stored = FrameReader().read(FramePlace(tmp_path / "a.tiff"))
    assert np.argwhere(stored.missing).tolist() == [[3, 4]]
    assert stored.image.min() == STACK[0].min()


def test_a_declared_value_need_not_be_one_that_can_be_computed_with(tmp_path):
    page = STACK[0].astype(np.float64)
    page[3, 4] = -1.7e308
    np.save(tmp_path / "a.npy", page)
    place = FramePlace(tmp_path / "a.npy")
    with pytest.raises(DataError, match="beyond float32"):
        FrameReader().read(place)
    stored = FrameReader(missing=((-1.8e308, -1e300),)).read(place)
    assert stored.image.dtype == np.float32 and stored.missing[3, 4]
    np.save(tmp_path / "a.npy", np.full((24, 32), np.nan))
    with pytest.raises(DataError, match=r"a\.npy: has NaN or infinite pixels"):
        FrameReader().read(place)
    np.save(tmp_path / "a.npy", np.zeros((24, 32)))
    with pytest.raises(DataError, match=r"a\.npy: no pixel of the frame is a measurement"):
        FrameReader(missing=((0, 0),)).read(place)


def test_another_process_opens_its_files_itself(folder):
    path, _ = folder
    reader = FrameReader()
    places = find_frames(path / "a.npy").places
    reader.read(places[0])
    other = pickle.loads(pickle.dumps(reader))
    np.testing.assert_array_equal(other.read(places[2]).image, STACK[2])
