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

"""What the fields of an image message mean."""

from __future__ import annotations

import array
from types import SimpleNamespace

import numpy as np
import pytest

from difiisr_ros.errors import FrameError
from difiisr_ros.messages import read
from difiisr_ros.messages.encoding_conversion import convert
from difiisr_ros.messages.image_encoding import (
    ACCEPTED_ENCODINGS,
    ImageError,
    encoding_for,
    parse_encoding,
)
from difiisr_ros.messages.read import ImageFormat, Notice, image_to_gray

COUNTS = np.array([[29000, 30000, 1], [30500, 31000, 65535]], np.uint16)


def decode(name, *fields):
    return read.decode(parse_encoding(name), *fields)


def to_gray(pixels, name):
    return read.to_gray(pixels, parse_encoding(name))


def test_decode_looks_into_the_buffer():
    data = array.array("B", COUNTS.tobytes())
    view = decode("mono16", 2, 3, 6, 0, data)
    np.testing.assert_array_equal(view, COUNTS)
    data[0], data[1] = 7, 0
    assert view[0, 0] == 7


@pytest.mark.parametrize("padding", [0, 1, 2, 3, 64])
def test_padded_rows(padding):
    data = b"".join(row.tobytes() + b"\xee" * padding for row in COUNTS)
    np.testing.assert_array_equal(decode("16UC1", 2, 3, 6 + padding, 0, data), COUNTS)


def test_big_endian_becomes_native():
    got = decode("mono16", 2, 3, 6, 1, COUNTS.astype(">u2").tobytes())
    np.testing.assert_array_equal(got, COUNTS)
    assert got.dtype == np.uint16
    assert got.dtype.isnative


def test_byte_order_means_nothing_to_bytes():
    data = bytes(range(6))
    np.testing.assert_array_equal(
        decode("mono8", 2, 3, 3, 1, data), decode("mono8", 2, 3, 3, 0, data)
    )


def test_channels_come_last():
    data = np.arange(24, dtype=np.uint8)
    got = decode("bgra8", 2, 3, 12, 0, data)
    np.testing.assert_array_equal(got, data.reshape(2, 3, 4))


@pytest.mark.parametrize(
    ("fields", "cause", "names"),
    [
        (("MONO16", 2, 3, 6, 0, b"\0" * 12), "unknown_encoding", "mono16"),
        (("8UC5", 2, 3, 15, 0, b"\0" * 30), "unknown_encoding", "8UC5"),
        (("mono16", 0, 3, 6, 0, b""), "zero_size", "3x0"),
        (("mono16", 2, 3, 5, 0, b"\0" * 12), "wrong_step", "at least 6"),
        (("mono16", 2, 3, 6, 0, b"\0" * 11), "short_data", "11 bytes"),
        (("mono16", 2, 3, 8, 0, b"\0" * 14), "short_data", "16"),
    ],
)
def test_malformed_messages_are_named(fields, cause, names):
    with pytest.raises(ImageError, match=names) as caught:
        decode(*fields)
    assert caught.value.cause == cause
    assert isinstance(caught.value, FrameError)


def test_every_accepted_encoding_gives_a_gray_frame():
    for name in ACCEPTED_ENCODINGS:
        layout = parse_encoding(name)
        data = np.zeros(6 * layout.pixel_bytes, np.uint8)
        gray, _ = to_gray(decode(name, 2, 3, 3 * layout.pixel_bytes, 0, data), name)
        assert gray.shape == (2, 3), name
        assert gray.dtype in (np.uint8, np.uint16, np.float32), name


@pytest.mark.parametrize("name", ["16SC1", "64FC1", "8UC2", "32FC3"])
def test_what_is_not_accepted_is_refused_with_what_is(name):
    layout = parse_encoding(name)
    data = np.zeros(6 * layout.pixel_bytes, np.uint8)
    words = f"encoding '{name}' is not accepted; accepted are mono8, mono16, "
    with pytest.raises(ImageError, match=words):
        to_gray(decode(name, 2, 3, 3 * layout.pixel_bytes, 0, data), name)


def test_equal_channels_are_exact_and_colours_are_weighted():
    equal = np.repeat(np.arange(6, dtype=np.uint16).reshape(2, 3, 1) * 9999, 3, axis=2)
    gray, is_luma = to_gray(equal, "rgb16")
    np.testing.assert_array_equal(gray, equal[..., 0])
    assert not is_luma
    red = np.zeros((1, 1, 3), np.uint8)
    red[..., 0] = 255
    assert to_gray(red, "rgb8") == (76, True)  # 0.299 x 255
    assert to_gray(red, "bgr8") == (29, True)  # 0.114 x 255
    with pytest.raises(ImageError, match="rgb8"):
        to_gray(red, "8UC3")


def test_alpha_is_no_colour():
    pixels = np.full((2, 2, 4), 8, np.uint8)
    pixels[..., 3] = 255
    np.testing.assert_array_equal(to_gray(pixels, "rgba8")[0], np.full((2, 2), 8))


def message(pixels, encoding, surplus=0, big_endian=0):
    height, width = pixels.shape[:2]
    return SimpleNamespace(
        encoding=encoding, height=height, width=width, step=pixels.nbytes // height,
        is_bigendian=big_endian, data=pixels.tobytes() + b"\0" * surplus,
    )  # fmt: skip


def test_what_a_message_holds_is_found_when_it_is_read():
    gray, found = image_to_gray(message(COUNTS.astype(">u2"), "mono16", big_endian=1))
    np.testing.assert_array_equal(gray, COUNTS)
    assert found == ImageFormat(parse_encoding("mono16"), big_endian=True, notices=())
    assert (found.encoding.dtype, found.encoding.channels) == (np.uint16, 1)
    red = np.zeros((1, 1, 3), np.uint8)
    red[..., 0] = 255
    gray, found = image_to_gray(message(red, "rgb8", surplus=11))
    assert gray == 76
    surplus, colour = found.notices
    words = "data has 11 bytes more than step x height; they are ignored"
    assert surplus == Notice("surplus_data", words)
    assert colour.cause == "colour_input" and "the rgb8 image has colour" in colour.words
    assert image_to_gray(message(red * 0, "rgb8"))[1].notices == ()


@pytest.mark.parametrize("name", ["bayer_rggb8", "bayer_gbrg16"])
def test_a_bayer_image_is_interpolated_and_noticed(name):
    dtype = np.uint16 if name.endswith("16") else np.uint8
    gray, found = image_to_gray(message(np.full((4, 6), 99, dtype), name))
    assert gray.dtype == dtype and (gray == 99).all()
    assert [notice.cause for notice in found.notices] == ["luma_input"]


LUMA = np.arange(24, dtype=np.uint8).reshape(4, 6)
CHROMA = np.full_like(LUMA, 200)


@pytest.mark.parametrize(
    ("name", "pixels"),
    [
        ("yuv422", np.dstack([CHROMA, LUMA])),
        ("uyvy", np.dstack([CHROMA, LUMA])),
        ("yuv422_yuy2", np.dstack([LUMA, CHROMA])),
        ("yuyv", np.dstack([LUMA, CHROMA])),
    ],
)
def test_luma_of_yuv_is_its_own_bytes(name, pixels):
    gray, found = image_to_gray(message(pixels, name))
    np.testing.assert_array_equal(gray, LUMA)
    (notice,) = found.notices
    assert notice.cause == "luma_input" and f"of the {name} image the luma" in notice.words


@pytest.mark.parametrize(("name", "rows"), [("nv12", 2), ("nv21", 2), ("nv24", 8)])
def test_luma_of_planes_is_the_first_one(name, rows):
    planes = np.vstack([LUMA, np.full((rows, 6), 200, np.uint8)])
    whole = message(LUMA, name)
    whole.data = planes.tobytes()
    gray, found = image_to_gray(whole)
    np.testing.assert_array_equal(gray, LUMA)
    assert [notice.cause for notice in found.notices] == ["luma_input"]
    whole.data = planes.tobytes()[:-1]
    with pytest.raises(ImageError, match=r"data has .* rows of colour") as caught:
        image_to_gray(whole)
    assert caught.value.cause == "short_data"


def test_an_encoding_is_parsed_once():
    assert parse_encoding("mono16") is parse_encoding("mono16")


def test_encoding_for():
    assert [encoding_for(t) for t in ("uint8", np.uint16, np.dtype("f4"))] == [
        "mono8",
        "mono16",
        "32FC1",
    ]
    with pytest.raises(FrameError, match="int32"):
        encoding_for(np.int32)


def test_depths_scale_between_mono_encodings():
    eight = np.array([[0, 1, 255]], np.uint8)
    wide = convert(eight, "mono8", "mono16")
    np.testing.assert_array_equal(wide, [[0, 257, 65535]])
    np.testing.assert_array_equal(convert(wide, "mono16", "mono8"), eight)


def test_floats_round_half_to_even_and_saturate():
    values = np.array([[0.5, 1.5, -3.0, 300.0, np.nan, np.inf]], np.float32)
    np.testing.assert_array_equal(convert(values, "32FC1", "8UC1"), [[0, 2, 0, 255, 0, 0]])


def test_numbers_without_meaning_do_not_become_colours():
    with pytest.raises(FrameError, match="16UC1"):
        convert(COUNTS, "16UC1", "mono8")


@pytest.mark.parametrize(
    ("spelt", "meant", "dtype"),
    [
        ("MONO16", "mono16", np.uint16),
        ("Y16", "mono16", np.uint16),
        ("Y16 ", "mono16", np.uint16),
        ("mono14", "mono16", np.uint16),
        ("y12", "mono16", np.uint16),
        ("GRAY8", "mono8", np.uint8),
        ("Mono8", "mono8", np.uint8),
        ("16uc1", "16UC1", np.uint16),
        ("32fc1", "32FC1", np.float32),
    ],
)
def test_encodings_as_drivers_spell_them(spelt, meant, dtype):
    pixels = np.arange(12).reshape(3, 4).astype(dtype) * 9
    gray, found = image_to_gray(message(pixels, spelt))
    np.testing.assert_array_equal(gray, pixels)
    assert found.encoding.name == meant
    (notice,) = found.notices
    assert notice.cause == "spelling" and f"is taken for {meant}" in notice.words
    assert image_to_gray(message(pixels, meant))[1].notices == ()


@pytest.mark.parametrize("name", ["", "mono", "mono17", "Y17", "17UC1"])
def test_names_that_mean_nothing_stay_refused(name):
    with pytest.raises(FrameError, match="unknown image encoding"):
        image_to_gray(message(np.zeros((2, 2), np.uint16), name))
