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

"""Whatever an image message holds: it comes through unchanged, or it is refused with a reason."""

from __future__ import annotations

import copy
import struct
import tracemalloc
import zlib

import cv2
import numpy as np
import pytest

pytest.importorskip("hypothesis", reason="install python3-hypothesis, or use `make test`")

from hypothesis import example, given, settings
from hypothesis import strategies as st
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from difiisr_ros.errors import FrameError
from difiisr_ros.messages import read
from difiisr_ros.messages.camera_info import CONVENTIONS, scale_camera_info
from difiisr_ros.messages.compressed import compressed_to_gray
from difiisr_ros.messages.image_encoding import ACCEPTED_ENCODINGS, parse_encoding
from difiisr_ros.ros.compressed import array_to_compressed
from difiisr_ros.ros.conversions import array_to_image, image_to_array

# The same examples in every run, and no limit on the time of one: the machine may be busy.
repeatable = settings(derandomize=True, deadline=None, max_examples=120)

GENERIC = [
    f"{depth}C{n}"
    for depth in ("8U", "8S", "16U", "16S", "32S", "32F", "64F")
    for n in (1, 2, 3, 4)
]
COLOUR = ["mono8", "mono16", "rgb8", "bgr8", "rgba8", "bgra8", "rgb16", "bgr16", "rgba16", "bgra16"]
MOSAICS = ["bayer_rggb8", "bayer_gbrg16", "yuv422", "yuyv"]
ENCODINGS = [*COLOUR, *GENERIC, *MOSAICS]


def image_to_gray(message):
    """As the node reads it."""
    return read.image_to_gray(message)[0]


small = st.integers(1, 9)
bytes_of_any_kind = st.integers(0, 2**32 - 1)  # the seed of as many bytes as are needed


def pixels(encoding: str, height: int, width: int, seed: int) -> np.ndarray:
    """Random bits, NaN and infinity among the floats."""
    layout = parse_encoding(encoding)
    raw = np.random.default_rng(seed).bytes(height * width * layout.pixel_bytes)
    shape = (height, width) if layout.channels == 1 else (height, width, layout.channels)
    return np.frombuffer(raw, layout.dtype).reshape(shape)


def same_bits(got: np.ndarray, want: np.ndarray) -> None:
    """Equal, NaN included, and in native byte order."""
    assert got.shape == want.shape
    assert got.dtype == want.dtype.newbyteorder("=")
    assert got.dtype.isnative
    assert np.ascontiguousarray(got).tobytes() == want.astype(got.dtype).tobytes()


def random_view(array: np.ndarray, flips: int, transposed: bool) -> np.ndarray:
    """The same kind of frame, but not as it lies in memory."""
    array = array[:: -1 if flips & 1 else 1, :: -1 if flips & 2 else 1]
    if transposed:
        array = array.swapaxes(0, 1)
    return array[:, ::2] if flips & 4 else array


@given(st.sampled_from(ENCODINGS), small, small, bytes_of_any_kind)
@repeatable
def test_an_array_comes_back_as_it_was(encoding, height, width, seed):
    array = pixels(encoding, height, width, seed)
    message = array_to_image(array, encoding)
    assert (message.height, message.width, message.encoding) == (height, width, encoding)
    assert message.step * height == len(message.data)
    same_bits(image_to_array(message), array)


@given(
    st.sampled_from([*COLOUR, *GENERIC]),
    small,
    small,
    bytes_of_any_kind,
    st.integers(0, 7),
    st.booleans(),
    st.booleans(),
)
@repeatable
def test_layout_and_byte_order_of_the_array_do_not_matter(
    encoding, height, width, seed, flips, transposed, swapped
):
    array = random_view(pixels(encoding, height, width, seed), flips, transposed)
    if swapped:
        array = array.astype(array.dtype.newbyteorder("S"))
    same_bits(image_to_array(array_to_image(array, encoding)), array)


@given(
    st.sampled_from(ENCODINGS),
    small,
    small,
    bytes_of_any_kind,
    st.integers(0, 21),
    st.integers(0, 5),
    st.sampled_from([0, 1, 255]),
)
@repeatable
def test_padding_surplus_and_byte_order_of_the_message_do_not_matter(
    encoding, height, width, seed, padding, surplus, big
):
    array = pixels(encoding, height, width, seed)
    stored = array.astype(array.dtype.newbyteorder(">" if big else "<"))
    rows = [row.tobytes() + b"\xee" * padding for row in stored]
    message = Image(height=height, width=width, encoding=encoding, is_bigendian=big)
    message.step = len(rows[0])
    message.data.frombytes(b"".join(rows) + b"\xdd" * surplus)
    same_bits(image_to_array(message), array)
    if encoding in ("mono8", "mono16", "8UC1", "16UC1", "32FC1"):
        same_bits(image_to_gray(message), array)


@given(st.sampled_from([*COLOUR, "8UC3", "16UC4"]), small, small, bytes_of_any_kind)
@repeatable
def test_equal_channels_give_the_channel(encoding, height, width, seed):
    layout = parse_encoding(encoding)
    gray = pixels(f"{8 * layout.dtype.itemsize}UC1", height, width, seed)
    array = gray if layout.channels == 1 else np.repeat(gray[..., None], layout.channels, axis=2)
    same_bits(image_to_gray(array_to_image(array, encoding)), gray)


@given(
    st.sampled_from(["mono8", "mono16", "16UC1", "8UC1", "rgb8", "bgra8", "rgb16", "bgra16"]),
    small,
    small,
    bytes_of_any_kind,
)
@repeatable
def test_png_keeps_every_bit(encoding, height, width, seed):
    array = pixels(encoding, height, width, seed)
    message = array_to_compressed(array, encoding)
    decoded = cv2.imdecode(np.frombuffer(message.data, np.uint8), cv2.IMREAD_UNCHANGED)
    if encoding.startswith("rgb"):
        decoded = decoded[..., ::-1]
    same_bits(decoded, array)
    gray, found = compressed_to_gray(message)
    assert gray.shape == (height, width)
    if array.ndim == 2:
        same_bits(gray, array)
        assert found.encoding.name == encoding


any_size = st.one_of(st.integers(0, 9), st.integers(0, 2**32 - 1), st.just(2**32 - 1))
names = st.one_of(st.sampled_from(ENCODINGS), st.text(max_size=12), st.just("x" * 10_000))


@given(names, any_size, any_size, any_size, st.integers(0, 255), st.binary(max_size=400))
@example("mono8", 2**32 - 1, 2**32 - 1, 2**32 - 1, 0, b"")
@example("rgba16", 2**31, 2**31, 0, 1, b"\0" * 400)
@settings(repeatable, max_examples=200)
def test_a_message_of_any_content_is_a_frame_or_an_error(encoding, height, width, step, big, data):
    message = Image(encoding=encoding, height=height, width=width, step=step, is_bigendian=big)
    message.data.frombytes(data)
    for reads in (image_to_array, image_to_gray):
        tracemalloc.start()
        try:
            array = reads(message)
        except FrameError as error:
            assert 15 < len(str(error)) < 400
            assert str(error).isprintable()
        else:
            assert array.shape[:2] == (height, width)
            assert step * height <= len(data)
        finally:
            _, peak = tracemalloc.get_traced_memory()
            tracemalloc.stop()
        assert peak < 200_000, "memory for pixels that are only claimed"


@st.composite
def compressed_bytes(draw):
    """A png or jpeg, cut off, overwritten or with another's beginning; or any bytes at all."""
    if draw(st.integers(0, 9)) == 0:
        head = draw(st.sampled_from([b"", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff"]))
        return head + draw(st.binary(max_size=300))
    gray = pixels(draw(st.sampled_from(["mono8", "mono16", "rgb8"])), draw(small), draw(small), 1)
    codec = ".jpg" if gray.dtype == np.uint8 and draw(st.booleans()) else ".png"
    data = bytearray(cv2.imencode(codec, gray)[1].tobytes())
    for _ in range(draw(st.integers(0, 3))):
        at = draw(st.integers(0, len(data) - 1))
        data[at] = draw(st.integers(0, 255))
    return bytes(data[: draw(st.integers(0, len(data)))] if draw(st.booleans()) else data)


formats = st.one_of(
    st.sampled_from(
        [
            "png",
            "jpeg",
            "mono16; png compressed mono16",
            "mono16; jpeg compressed",
            "16UC1; compressedDepth png",
            "32FC1; compressedDepth png",
            "tiff",
            "32FC1; tiff compressed",
        ]
    ),
    st.text(max_size=8),
    st.just("x" * 10_000),
)


@given(formats, compressed_bytes())
@settings(repeatable, max_examples=160)
def test_compressed_data_of_any_content_is_a_frame_or_an_error(format, data):
    message = CompressedImage(format=format)
    message.data.frombytes(data)
    try:
        gray, found = compressed_to_gray(message, max_pixels=10_000)
    except FrameError as error:
        assert error.cause
        assert 15 < len(str(error)) < 400
    else:
        assert gray.ndim == 2
        assert gray.dtype in (np.uint8, np.uint16, np.float32)
        assert 0 < gray.size <= 10_000
        assert found.encoding.dtype == gray.dtype


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def equal_png(width: int, height: int) -> bytes:
    """A valid 16-bit png of zeros: a kilobyte for a million pixels."""
    header = struct.pack(">IIBBBBB", width, height, 16, 0, 0, 0, 0)
    rows = zlib.compress(bytes((1 + 2 * width) * height), 1)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")
    )


def huge_jpeg(width: int, height: int) -> bytes:
    """A small jpeg whose header says otherwise."""
    data = cv2.imencode(".jpg", np.zeros((8, 8), np.uint8))[1].tobytes()
    at = data.index(b"\xff\xc0") + 5
    return data[:at] + struct.pack(">HH", height, width) + data[at + 4 :]


def lengthened_png() -> bytes:
    """A small png, one chunk of which claims 3 GB: OpenCV would take the memory."""
    data = equal_png(2, 2)
    at = data.index(b"IDAT") - 4
    return data[:at] + struct.pack(">I", 3_000_000_000) + data[at + 4 :]


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (equal_png(4000, 3000), "4000x3000 pixels, max_input_pixels is 1000000"),
        (huge_jpeg(65_000, 64_000), "65000x64000 pixels, max_input_pixels is 1000000"),
        (lengthened_png(), "bytes do not decode"),
        (equal_png(4, 4)[:-1], "bytes do not decode"),
    ],
)
def test_what_would_cost_much_memory_is_refused_before_it_is_decoded(data, why, monkeypatch):
    message = CompressedImage(format="png")
    message.data.frombytes(data)
    decoded = []
    monkeypatch.setattr(cv2, "imdecode", lambda *args: decoded.append(args))
    with pytest.raises(FrameError, match=why):
        compressed_to_gray(message, max_pixels=1_000_000)
    assert not decoded


numbers = st.one_of(st.floats(), st.integers(-1000, 1000).map(float))


@given(
    st.lists(any_size, min_size=8, max_size=8),
    st.lists(numbers, min_size=21, max_size=21),
    st.lists(numbers, max_size=9),
    st.sampled_from(CONVENTIONS),
)
@pytest.mark.filterwarnings("ignore:overflow encountered:RuntimeWarning")
@repeatable
def test_camera_info_of_any_content_is_scaled_or_refused(sizes, values, distortion, convention):
    info = CameraInfo(d=distortion, k=values[:9], p=values[9:])
    info.height, info.width, info.binning_x, info.binning_y = sizes[:4]
    info.roi.x_offset, info.roi.y_offset, info.roi.height, info.roi.width = sizes[4:]
    before = copy.deepcopy(info)
    try:
        scaled = scale_camera_info(info, 4, convention)
    except FrameError as error:
        assert max(sizes[:2] + sizes[4:]) >= 2**30
        assert "32 bits" in str(error)
    else:
        assert (scaled.width, scaled.roi.width) == (4 * info.width, 4 * info.roi.width)
        np.testing.assert_array_equal(scaled.d, distortion)
    np.testing.assert_array_equal(info.k, before.k)


def test_the_encodings_tried_are_those_accepted_and_more():
    assert set(ACCEPTED_ENCODINGS) < set(ENCODINGS)
