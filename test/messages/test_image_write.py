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

"""What is published for each output_encoding."""

from __future__ import annotations

import numpy as np
import pytest

from difiisr_ros.messages import write
from difiisr_ros.messages.image_encoding import encoding_for, parse_encoding
from difiisr_ros.messages.write import output_format, spread

COUNTS = np.array([[29000, 30000], [30500, 31000]], np.uint16)


def to_output(frame, input_encoding, output_encoding, value_range):
    output = output_format(parse_encoding(input_encoding), output_encoding)
    return write.to_output(frame, output, value_range), output.name


def test_same_is_the_result_itself():
    for encoding in ("mono16", "16UC1"):
        frame, name = to_output(COUNTS, encoding, "same", None)
        assert frame is COUNTS
        assert name == encoding


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_colour_repeats_the_intensity_and_is_opaque(dtype):
    frame = np.array([[0, 7], [100, 200]], dtype)
    bits = 8 * frame.itemsize
    for encoding, channels in ((f"rgb{bits}", 3), (f"bgra{bits}", 4)):
        found, name = to_output(frame, encoding, "same", None)
        assert (found.shape, name) == ((2, 2, channels), encoding)
        np.testing.assert_array_equal(found[..., :3], np.dstack([frame] * 3))
        assert (found[..., 3:] == np.iinfo(dtype).max).all()


def test_a_mosaic_comes_back_as_mono():
    assert to_output(COUNTS, "bayer_rggb16", "same", None)[1] == "mono16"
    assert to_output(COUNTS.astype(np.uint8), "yuv422", "same", None)[1] == "mono8"


def test_thermal_counts_fill_the_eight_bits():
    frame, name = to_output(COUNTS, "mono16", "mono8", (29000.0, 31000.0))
    assert name == "mono8"
    np.testing.assert_array_equal(frame, [[0, 128], [191, 255]])


def test_values_outside_the_range_saturate():
    frame = spread(COUNTS, (30000.0, 30500.0), np.dtype(np.uint8))
    np.testing.assert_array_equal(frame, [[0, 0], [255, 255]])


def test_float_and_uint16_spread_alike():
    integers = spread(COUNTS, (29100.0, 30900.0), np.dtype(np.uint8))
    floats = spread(COUNTS.astype(np.float32), (29100.0, 30900.0), np.dtype(np.uint8))
    np.testing.assert_array_equal(integers, floats)


def test_nan_and_infinities_are_defined():
    frame = np.array([[np.nan, np.inf, -np.inf, 5.0]], np.float32)
    np.testing.assert_array_equal(
        spread(frame, (0.0, 10.0), np.dtype(np.uint8)), [[0, 255, 0, 128]]
    )


def test_bgr_is_three_times_mono():
    frame, name = to_output(COUNTS, "mono16", "bgr8", (29000.0, 31000.0))
    assert (frame.shape, name) == ((2, 2, 3), "bgr8")
    assert (frame[..., 0] == frame[..., 2]).all()
    assert frame[1, 1, 1] == 255


def test_eight_bits_are_scaled_to_sixteen_exactly():
    frame, name = to_output(np.array([[0, 1, 255]], np.uint8), "mono8", "mono16", None)
    np.testing.assert_array_equal(frame, [[0, 257, 65535]])
    assert name == "mono16"


def test_float_output_keeps_the_counts():
    frame, name = to_output(COUNTS, "mono16", "32FC1", None)
    assert (frame.dtype, name) == (np.float32, "32FC1")
    np.testing.assert_array_equal(frame, COUNTS)


@pytest.mark.parametrize(
    ("dtype", "encoding", "expected"),
    [
        (np.uint8, "mono8", False),
        (np.uint8, "bgr8", False),
        (np.uint16, "mono8", True),
        (np.float32, "bgr8", True),
        (np.uint16, "mono16", False),
        (np.float32, "mono16", True),
        (np.float32, "32FC1", False),
        (np.uint16, "same", False),
    ],
)
def test_needs_range(dtype, encoding, expected):
    came_as = parse_encoding(encoding_for(dtype))
    assert output_format(came_as, encoding).needs_range is expected


@pytest.mark.parametrize(
    ("name", "channels"), [("rgb8", 3), ("bgra16", 4), ("8UC3", 3), ("16UC4", 4)]
)
def test_same_repeats_the_intensity_in_every_channel_but_opacity(name, channels):
    dtype = parse_encoding(name).dtype
    result, encoding = to_output(COUNTS.astype(dtype), name, "same", None)
    assert (encoding, result.shape) == (name, (2, 2, channels))
    for channel in range(3):
        np.testing.assert_array_equal(result[..., channel], COUNTS.astype(dtype))
    if channels == 4:
        last = np.iinfo(dtype).max if name == "bgra16" else COUNTS.astype(dtype)
        assert (result[..., 3] == last).all()
