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

"""Videos: gray ones as they are stored, colour ones by luma, said so; others refused."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from difiisr_ros.cli import main
from difiisr_ros.core.byte_order import LITTLE
from difiisr_ros.errors import DataError
from difiisr_ros.io.frame_files import find_frames
from difiisr_ros.io.frames import open_source
from difiisr_ros.io.images import read_image
from difiisr_ros.io.open_stack import open_stack
from difiisr_ros.io.stack import ReadOptions
from difiisr_ros.io.video import _lacks
from support.frames import smooth_frame

tifffile = pytest.importorskip("tifffile")


def video(path, frames, codec, depth=cv2.CV_8U):
    """Skips where this OpenCV cannot write it."""
    height, width = frames[0].shape[:2]
    how = [
        cv2.VIDEOWRITER_PROP_DEPTH,
        depth,
        cv2.VIDEOWRITER_PROP_IS_COLOR,
        int(frames[0].ndim == 3),
    ]
    fourcc = cv2.VideoWriter_fourcc(*codec)
    writer = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, fourcc, 10, (width, height), how)
    if not writer.isOpened():
        pytest.skip(f"this OpenCV does not write {codec}")
    for frame in frames:
        writer.write(frame)
    writer.release()
    return path


def gray(dtype, count=3):
    return [smooth_frame(dtype, (48, 64), seed) for seed in range(count)]


@pytest.mark.parametrize(("dtype", "depth"), [(np.uint8, cv2.CV_8U), (np.uint16, cv2.CV_16U)])
def test_gray_pixels_are_those_of_the_file(tmp_path, dtype, depth):
    frames = gray(dtype)
    with open_stack(video(tmp_path / "a.mkv", frames, "FFV1", depth), ReadOptions()) as stack:
        assert (stack.count, stack.order) == (3, "")
        for found, frame in zip(stack.frames(), frames, strict=True):
            assert found.dtype == dtype
            np.testing.assert_array_equal(found, frame)
        for index in (2, 0, 1):  # in any order
            np.testing.assert_array_equal(stack.read(index), frames[index])


@pytest.mark.parametrize(("name", "codec"), [("a.avi", "MJPG"), ("a.mp4", "mp4v")])
def test_colour_is_reduced_to_luma_and_said(tmp_path, name, codec):
    frames = [np.repeat(frame[..., None], 3, axis=2) for frame in gray(np.uint8)]
    for frame in frames:
        frame[..., 0] //= 2
    with open_stack(video(tmp_path / name, frames, codec), ReadOptions()) as stack:
        found = list(stack.frames())
        assert any("no temperatures" in what for what in stack.unused)
        assert any("luma" in what for what in stack.unused)
    assert len(found) == 3
    for luma, frame in zip(found, frames):
        expected = frame.astype(float) @ [0.114, 0.587, 0.299]
        assert luma.dtype == np.uint8 and abs(luma - expected).mean() < 5


def test_upscaled_it_is_a_tiff_of_all_frames(tmp_path):
    video(tmp_path / "in.mkv", gray(np.uint16), "FFV1", cv2.CV_16U)
    arguments = [str(tmp_path / "in.mkv"), str(tmp_path / "out"), "--backend", "bicubic"]
    assert main(["upscale", *arguments, "--json", str(tmp_path / "done.json")]) == 0
    result = tifffile.imread(tmp_path / "out" / "in.tiff")
    assert (result.shape, result.dtype) == ((3, 192, 256), np.uint16)
    (said,) = json.loads((tmp_path / "done.json").read_text())["not_used"]
    assert said["what"] == "a video's times, and sound if it has any"


def test_a_player_plays_it(tmp_path):
    frames = gray(np.uint8)
    source = open_source(video(tmp_path / "a.mkv", frames, "FFV1"), byte_order=LITTLE)
    found = [frame.image for frame in source.frames()]
    np.testing.assert_array_equal(found, frames)


@pytest.mark.parametrize("content", [b"", b"no video at all"])
def test_what_is_none_is_named(tmp_path, content):
    (tmp_path / "a.mp4").write_bytes(content)
    with pytest.raises(DataError, match=r"a\.mp4: .*accepted are videos of 8 bits"):
        read_image(tmp_path / "a.mp4")


def test_more_than_8_bits_in_colour_are_refused(tmp_path, monkeypatch):
    path = video(tmp_path / "a.mkv", gray(np.uint8), "FFV1")
    monkeypatch.setattr("difiisr_ros.io.video._GRAY", {})
    with pytest.raises(DataError, match=r"is a video of pixel format b'Y800'"):
        read_image(path)


@pytest.mark.parametrize(
    ("name", "codec", "how"),
    [
        ("a.avi", "MJPG", "says that it has 20 frames, and"),
        ("a.mkv", "FFV1", "says that it lasts as long as 20 frames, and"),
    ],
)
def test_a_video_that_ends_early_is_read_to_where_it_is_whole(tmp_path, name, codec, how, caplog):
    path = video(tmp_path / name, gray(np.uint8, 20), codec)
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    with open_stack(path, ReadOptions()) as stack:
        count = stack.count
        assert 0 < count < 20 and len(list(stack.frames())) == count
    words = f"{path}: {how} {count} can be read; it is truncated or damaged"
    command = ["upscale", str(path), "--overwrite", "--backend", "bicubic"]
    assert main([*command, str(tmp_path / "out"), "--json", str(tmp_path / "done.json")]) == 0
    assert json.loads((tmp_path / "done.json").read_text())["notices"] == [words]
    assert main([*command, str(tmp_path / "out"), "--strict"]) == 2
    assert caplog.text.count(words) == 2
    caplog.clear()
    source = open_source(path)
    assert len(list(source.frames())) == len(list(source.frames())) == count
    assert find_frames(path).places[-1].count == count
    assert caplog.text.count(words) == 2  # once by each


@pytest.mark.parametrize("count", [1, 2, 40])
@pytest.mark.parametrize(("name", "codec"), [("a.avi", "MJPG"), ("a.mkv", "FFV1")])
def test_a_whole_video_lacks_nothing(tmp_path, name, codec, count):
    with open_stack(video(tmp_path / name, gray(np.uint8, count), codec), ReadOptions()) as stack:
        assert (stack.count, stack.lacks) == (count, [])


@pytest.mark.parametrize(
    ("said", "rate", "count", "end", "lacks"),
    [
        (20, 10, 4, 0.3, True),
        (20, 10, 19, 1.8, False),  # one fewer
        (1000, 1000, 30, 0.99, False),  # a variable rate: the last one lies at the end
        (20, 10, 4, 1.9, False),  # frames in between were dropped by the recorder
        (-9.2e16, 10, 4, 0.3, False),  # no duration
        (20, 0, 4, 0.3, False),
        (0, 10, 4, 0.3, False),
    ],
)
def test_only_a_count_that_can_be_trusted_counts(said, rate, count, end, lacks):
    known = {cv2.CAP_PROP_FRAME_COUNT: said, cv2.CAP_PROP_FPS: rate}
    found = _lacks(Path("a.mkv"), SimpleNamespace(get=known.get), count, end)
    assert bool(found) == lacks


def test_a_bag_of_a_cut_video_says_so_too(tmp_path):
    pytest.importorskip("rosbags", reason="bags need rosbags: pip install rosbags")
    path = video(tmp_path / "a.avi", gray(np.uint8, 20), "MJPG")
    path.write_bytes(path.read_bytes()[:-8000])
    command = ["upscale", str(path), str(tmp_path / "a.mcap"), "--backend", "bicubic", "--strict"]
    assert main([*command, "--json", str(tmp_path / "done.json")]) == 2
    (said,) = json.loads((tmp_path / "done.json").read_text())["notices"]
    assert "says that it has 20 frames" in said
