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

"""DJI's radiometric JPEG, built here as its users describe it: words in APP3 segments."""

from __future__ import annotations

import struct

import cv2
import numpy as np
import pytest

from difiisr_ros.cli import main
from difiisr_ros.errors import DataError
from difiisr_ros.io.images import read_image
from difiisr_ros.io.open_stack import open_stack
from difiisr_ros.io.stack import ReadOptions

#: A word takes both bytes, so that a wrong byte order is seen.
WORDS = (17000 + np.add.outer(np.arange(64) * 30, np.arange(80) * 7)).astype(np.uint16)


def radiometric_jpeg(words=WORDS, *, picture=(64, 80), marker=0xE3, chunk=4000, extra=b""):
    plain = cv2.imencode(".jpg", np.full(picture, 90, np.uint8))[1].tobytes()
    data = words.astype("<u2").tobytes() + extra
    segments = b"".join(
        bytes([0xFF, marker]) + struct.pack(">H", len(part) + 2) + part
        for part in (data[i : i + chunk] for i in range(0, len(data), chunk))
    )
    return plain[:2] + segments + plain[2:]


@pytest.mark.parametrize("picture", [(64, 80), (128, 160)])
def test_the_words_are_the_frame(tmp_path, picture):
    (tmp_path / "a.JPG").write_bytes(radiometric_jpeg(picture=picture))
    frame = read_image(tmp_path / "a.JPG")
    assert frame.dtype == np.uint16
    np.testing.assert_array_equal(frame, WORDS)


def test_temperatures_are_refused_with_the_reason(tmp_path):
    (tmp_path / "a.jpg").write_bytes(radiometric_jpeg())
    with pytest.raises(DataError, match=r"a\.jpg: what makes celsius .* Thermal SDK"):
        open_stack(tmp_path / "a.jpg", ReadOptions(unit="celsius"))


def test_the_picture_is_taken_where_it_is_asked_for(tmp_path):
    (tmp_path / "a.jpg").write_bytes(radiometric_jpeg())
    with open_stack(tmp_path / "a.jpg", ReadOptions(allow_preview=True)) as stack:
        assert np.abs(stack.read(0).astype(int) - 90).max() <= 2
        assert "preview" in stack.unused[0]


@pytest.mark.parametrize(
    "wrong", [{"picture": (64, 64)}, {"extra": b"\0\0"}, {"extra": b"\0"}, {"marker": 0xE4}]
)
def test_segments_that_are_no_frame_of_the_picture_are_not_read_as_one(tmp_path, wrong):
    (tmp_path / "a.jpg").write_bytes(radiometric_jpeg(**wrong))
    with pytest.raises(DataError, match=r"a\.jpg: is a radiometric JPEG.*--allow-preview"):
        read_image(tmp_path / "a.jpg")


def test_too_many_pixels_are_refused(tmp_path):
    (tmp_path / "a.jpg").write_bytes(radiometric_jpeg())
    with pytest.raises(DataError, match=r"80x64 pixels are more than 5000"):
        open_stack(tmp_path / "a.jpg", ReadOptions(max_pixels=5000))


@pytest.mark.needs("tifffile")
def test_upscaled_counts_are_written_as_tiff(tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.jpg").write_bytes(radiometric_jpeg())
    arguments = ["upscale", str(tmp_path / "in"), str(tmp_path / "out"), "--backend", "bicubic"]
    assert main(arguments) == 0
    result = read_image(tmp_path / "out" / "a.tiff")
    assert result.shape == (256, 320) and result.dtype == np.uint16
    assert abs(float(result.mean()) - float(WORDS.mean())) < 2
