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

"""Image messages and arrays: no copy in, one copy out, and messages that say what is wrong."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from sensor_msgs.msg import Image

from difiisr_ros.errors import FrameError
from difiisr_ros.messages import read
from difiisr_ros.ros.conversions import array_to_image, image_to_array


def image_to_gray(message):
    """As the node reads it."""
    return read.image_to_gray(message)[0]


def test_reading_does_not_copy():
    message = array_to_image(np.arange(12, dtype=np.uint16).reshape(3, 4), "mono16")
    view = image_to_array(message)
    message.data[0] = 99
    assert view[0, 0] == 99


def test_writing_does_not_use_the_checked_setter(monkeypatch):
    checked = Image.data

    def refuse(self, value):
        assert len(value) == 0, "the setter checks element by element"
        checked.fset(self, value)

    monkeypatch.setattr(Image, "data", checked.setter(refuse))
    message = array_to_image(np.ones((2, 2), np.uint8))
    assert message.data.tobytes() == b"\x01" * 4


def test_a_large_frame_is_written_quickly():
    import time

    array = np.zeros((2048, 2560), np.uint16)
    begin = time.thread_time()
    array_to_image(array, "mono16")
    assert time.thread_time() - begin < 0.1  # the setter takes half a second


def test_padded_rows_of_an_odd_step():
    array = np.arange(15, dtype=np.uint16).reshape(3, 5)
    message = Image(height=3, width=5, encoding="16UC1", step=13)
    message.data.frombytes(b"".join(row.tobytes() + b"pad" for row in array))
    np.testing.assert_array_equal(image_to_array(message), array)
    np.testing.assert_array_equal(image_to_gray(message), array)


def test_layouts_of_memory_do_not_matter():
    array = np.arange(60, dtype=np.uint16).reshape(6, 10)
    for view in (array[1:4, 2:6], array.T, array[::-1], np.asfortranarray(array), array[:, ::2]):
        np.testing.assert_array_equal(image_to_array(array_to_image(view, "mono16")), view)


def test_big_endian():
    array = np.array([[1, 256], [513, 65535]], np.uint16)
    message = array_to_image(array.astype(">u2"), "mono16")
    assert message.is_bigendian == 1
    np.testing.assert_array_equal(image_to_gray(message), array)
    assert image_to_gray(message).dtype == np.uint16


def test_the_header_is_the_one_given():
    message = array_to_image(np.zeros((1, 1), np.uint8))
    message.header.frame_id = "optical"
    again = array_to_image(np.zeros((1, 1), np.uint8), header=message.header)
    assert again.header == message.header


def test_mosaics_become_intensity_without_cv_bridge(monkeypatch):
    monkeypatch.setitem(sys.modules, "cv_bridge", None)
    bayer = array_to_image(np.full((4, 4), 7, np.uint8), "bayer_rggb8")
    assert (image_to_array(bayer, "mono8") == 7).all()
    assert (image_to_array(bayer, "mono16") == 7 * 257).all()
    with pytest.raises(FrameError, match="become mono8 or mono16"):
        image_to_array(bayer, "rgb8")
