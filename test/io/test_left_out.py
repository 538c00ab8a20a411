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

"""A file that cannot be used is left out and named, once, or ends the work."""

from __future__ import annotations

import logging

import cv2
import numpy as np
import pytest

from difiisr_ros.errors import DataError, FrameError
from difiisr_ros.io.frame_files import FramePlace, FrameReader
from difiisr_ros.io.left_out import LeftOut


def read(place):
    return FrameReader().read(place).image


@pytest.fixture
def bad(tmp_path):
    path = tmp_path / "hole.tiff"
    cv2.imwrite(str(path), np.full((8, 8), np.nan, np.float32))
    return FramePlace(path)


@pytest.mark.needs("tifffile")
def test_a_frame_with_pixels_that_are_no_numbers_is_left_out_and_named(bad, caplog):
    left_out = LeftOut()
    with caplog.at_level(logging.WARNING):
        assert left_out.read(bad, read) is None
    assert caplog.messages == [f"left out: {bad}: has NaN or infinite pixels"]
    assert left_out.sentences() == [f"{bad}: has NaN or infinite pixels"]
    assert str(bad) in left_out and left_out.summary() == ", 1 files left out"


@pytest.mark.needs("tifffile")
def test_strict_raises_the_first(bad):
    with pytest.raises(DataError, match=r"hole\.tiff: has NaN"):
        LeftOut(strict=True).read(bad, read)


def test_a_reason_without_the_name_is_given_it():
    said = []
    left_out = LeftOut(log=said.append)
    left_out.add("/image_raw at 5", FrameError("step is too small"))
    assert said == ["left out: /image_raw at 5: step is too small"]
    assert LeftOut().summary() == ""


@pytest.mark.needs("tifffile")
def test_a_usable_frame_is_read(bad):
    cv2.imwrite(str(bad.path), np.full((8, 8), 2.5, np.float32))
    left_out = LeftOut()
    assert left_out.read(bad, read).max() == 2.5 and left_out.items == []
