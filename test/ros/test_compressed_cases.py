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

"""Every case of a compressed image, decided once: the node and the bag reader agree on each."""

from __future__ import annotations

import struct
import zlib
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from sensor_msgs.msg import CompressedImage

pytest.importorskip("rosbags", reason="bags need rosbags: pip install rosbags")

from rosbags.typesys import Stores, get_typestore

from difiisr_ros.core.camera_profile import CameraProfile
from difiisr_ros.errors import FrameError
from difiisr_ros.io.bags import COMPRESSED_IMAGE, BagReader, BagWriter
from difiisr_ros.ros.upscaling import Upscaler

TYPES = get_typestore(Stores.ROS2_JAZZY).types
RANDOM = np.random.default_rng(0)
MAX_PIXELS = 10_000
EIGHT = RANDOM.integers(0, 256, (24, 32), np.uint8)
SIXTEEN = RANDOM.integers(29237, 30262, (24, 32)).astype(np.uint16)
KELVIN = (273 + 30 * RANDOM.random((24, 32))).astype(np.float32)
COLOUR = RANDOM.integers(0, 256, (24, 32, 3), np.uint8)  # blue, green, red
COLOUR16 = COLOUR.astype(np.uint16) * 257
SMOOTH = np.add.outer(np.arange(24), np.arange(32)).astype(np.uint8) + np.uint8(60)
A, B = 10100.0, -1009.0  # of a depth_quantization of 100 and a depth_max of 10


def coded(image, suffix, *options):
    return cv2.imencode(suffix, image, list(options))[1].tobytes()


def luma(bgr):
    """BT.601, in 15 bits, as OpenCV has it."""
    blue, green, red = (bgr[..., i].astype(np.uint64) for i in range(3))
    return (3735 * blue + 19235 * green + 9798 * red + (1 << 14) >> 15).astype(bgr.dtype)


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png_of(bits, colour, rows, palette=b""):
    """A png by hand, for kinds that OpenCV does not write."""
    head = struct.pack(">IIBBBBB", 8 * len(rows[0]) // bits, len(rows), bits, colour, 0, 0, 0)
    pixels = zlib.compress(b"".join(b"\0" + row for row in rows))
    extra = chunk(b"PLTE", palette) if palette else b""
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + extra + chunk(b"IDAT", pixels) + chunk(
        b"IEND", b""
    )  # fmt: skip


def depth_header(a=A, b=B, codec=0):
    return struct.pack("<iff", codec, a, b)


def inverse(depths):
    """The codes of depths, rounded down; 0 for what is missing."""
    with np.errstate(invalid="ignore", divide="ignore"):
        codes = np.floor(A / depths + B)
    return np.where(np.isfinite(codes) & (codes > 0), codes, 0).astype(np.uint16)


DEPTH = np.array([[0.5, 2.5, 9.0], [np.nan, 1.25, 5.0]], np.float32)
CODES = inverse(DEPTH)
with np.errstate(divide="ignore"):
    QUANTISED = np.where(CODES > 0, A / (CODES - B), np.nan).astype(np.float32)
PALETTE = bytes([255, 0, 0, 0, 0, 255])


def tagged(data, code, value):
    """A little-endian tiff with another value in a tag of its first page."""
    changed = bytearray(data)
    (at,) = struct.unpack_from("<I", changed, 4)
    (count,) = struct.unpack_from("<H", changed, at)
    for place in range(at + 2, at + 2 + 12 * count, 12):
        if struct.unpack_from("<H", changed, place)[0] == code:
            struct.pack_into("<I", changed, place + 8, value)
            return bytes(changed)
    raise AssertionError(code)


def huge_jpeg():
    data = coded(EIGHT, ".jpg")
    at = data.index(b"\xff\xc0") + 5
    return data[:at] + struct.pack(">HH", 5000, 6000) + data[at + 4 :]


def radiometric_jpeg():
    data = coded(EIGHT, ".jpg")
    segment = b"FLIR\0\1\0\0" + b"FFF\0" * 9
    return data[:2] + b"\xff\xe1" + struct.pack(">H", len(segment) + 2) + segment + data[2:]


PNG8, PNG16 = coded(EIGHT, ".png"), coded(SIXTEEN, ".png")
TIFF8, TIFF16, TIFF32 = (coded(image, ".tiff") for image in (EIGHT, SIXTEEN, KELVIN))
JPEG = coded(SMOOTH, ".jpg")
LOST = r"temperatures were lost; set the publisher's compressed format to"

#: format, data -> frame, encoding, causes of notices
READ = {
    "png 8, mono8": ("mono8; png compressed mono8", PNG8, EIGHT, "mono8", []),
    "png 8, 8UC1": ("8UC1; png compressed ", PNG8, EIGHT, "8UC1", []),
    "png 8, nothing said": ("png", PNG8, EIGHT, "mono8", []),
    "png 8, no format at all": ("", PNG8, EIGHT, "mono8", []),
    "png 16, mono16": ("mono16; png compressed mono16", PNG16, SIXTEEN, "mono16", []),
    "png 16, 16UC1": ("16UC1; png compressed ", PNG16, SIXTEEN, "16UC1", []),
    "png 16, nothing said": ("png", PNG16, SIXTEEN, "mono16", []),
    "png 16 called jpeg": ("16UC1; jpeg compressed ", PNG16, SIXTEEN, "16UC1", []),
    "png 16, Y16": ("Y16; png compressed", PNG16, SIXTEEN, "mono16", []),
    "png 16, mono8": ("mono8; png compressed ", PNG16, SIXTEEN, "mono16", ["format_mismatch"]),
    "png 16, bgr8": ("bgr8; png compressed bgr8", PNG16, SIXTEEN, "mono16", ["format_mismatch"]),
    "png of three equal channels": (
        "bgr8; png compressed bgr8", coded(np.dstack([EIGHT] * 3), ".png"), EIGHT, "mono8", []),
    "png 16 of three equal channels": (
        "rgb16; png compressed bgr16", coded(np.dstack([SIXTEEN] * 3), ".png"), SIXTEEN, "mono16",
        []),
    "png 16 of equal channels, mono16": (
        "mono16; png compressed", coded(np.dstack([SIXTEEN] * 3), ".png"), SIXTEEN, "mono16", []),
    "png with alpha": (
        "bgra8; png compressed", coded(np.dstack([EIGHT] * 4), ".png"), EIGHT, "mono8", []),
    "png in colour, bgr8": (
        "bgr8; png compressed bgr8", coded(COLOUR, ".png"), luma(COLOUR), "mono8",
        ["colour_input"]),
    "png in colour, nothing said": (
        "png", coded(COLOUR, ".png"), luma(COLOUR), "mono8", ["colour_input"]),
    "png in colour, mono8": (
        "mono8; png compressed", coded(COLOUR, ".png"), luma(COLOUR), "mono8", ["colour_input"]),
    "png in 16-bit colour": (
        "rgb16; png compressed bgr16", coded(COLOUR16, ".png"), luma(COLOUR16), "mono16",
        ["colour_input"]),
    "png in colour of a bayer image": (
        "bayer_rggb8; png compressed bgr8", coded(COLOUR, ".png"), luma(COLOUR), "mono8",
        ["colour_input"]),
    "png of 4 bits": (
        "png", png_of(4, 0, [b"\x01\x23", b"\x4f\xe0"]),
        np.array([[0, 1, 2, 3], [4, 15, 14, 0]], np.uint8), "mono8", []),
    "png with a palette": (
        "png", png_of(8, 3, [b"\0\1", b"\1\0"], PALETTE), np.array([[76, 29], [29, 76]], np.uint8),
        "mono8", ["colour_input"]),
    "jpeg, mono8": ("mono8; jpeg compressed ", JPEG, SMOOTH, "mono8", []),
    "jpeg, jpg": ("jpg", JPEG, SMOOTH, "mono8", []),
    "jpeg of three equal channels": (
        "bgr8; jpeg compressed bgr8", coded(np.dstack([SMOOTH] * 3), ".jpg"), SMOOTH, "mono8", []),
    "jpeg in colour": (
        "rgb8; jpeg compressed bgr8", coded(np.dstack([SMOOTH, SMOOTH, SMOOTH + 40]), ".jpg"),
        luma(np.dstack([SMOOTH, SMOOTH, SMOOTH + 40])), "mono8", ["colour_input"]),
    "tiff 8": ("mono8; tiff compressed ", TIFF8, EIGHT, "mono8", []),
    "tiff 16": ("16UC1; tiff compressed ", TIFF16, SIXTEEN, "16UC1", []),
    "tiff 16, mono8": ("mono8; tiff compressed", TIFF16, SIXTEEN, "mono16", ["format_mismatch"]),
    "tiff of floats": ("32FC1; tiff compressed ", TIFF32, KELVIN, "32FC1", []),
    "tiff of floats, nothing said": ("tiff", TIFF32, KELVIN, "32FC1", []),
    "tiff of floats, 16UC1": ("16UC1; tiff compressed", TIFF32, KELVIN, "32FC1",
                              ["format_mismatch"]),
    "compressedDepth, 16UC1": (
        "16UC1; compressedDepth png", depth_header(0, 0) + PNG16, SIXTEEN, "16UC1", []),
    "compressedDepth, mono16": (
        "mono16; compressedDepth png", depth_header() + PNG16, SIXTEEN, "mono16", []),
    "compressedDepth of older transports": (
        "16UC1; compressedDepth", depth_header() + PNG16, SIXTEEN, "16UC1", []),
    "compressedDepth without its header": (
        "16UC1; compressedDepth png", PNG16, SIXTEEN, "16UC1", []),
    "compressedDepth, 32FC1": (
        "32FC1; compressedDepth png", depth_header() + coded(CODES, ".png"), QUANTISED, "32FC1",
        ["quantised"]),
}  # fmt: skip

#: format, data -> cause, words
REFUSED = {
    "png 8, 16UC1": ("16UC1; png compressed ", PNG8, "lost_depth", LOST),
    "png 8, mono16": ("mono16; png compressed mono16", PNG8, "lost_depth", LOST),
    "png 8, mono14": ("mono14; png compressed", PNG8, "lost_depth", LOST),
    "png 8 of three equal channels, 16UC1": (
        "16UC1; png compressed", coded(np.dstack([EIGHT] * 3), ".png"), "lost_depth", LOST),
    "png 8, 32FC1": ("32FC1; png compressed ", PNG8, "lost_depth", "tiff, which holds floats"),
    "png 16, 32FC1": ("32FC1; png compressed ", PNG16, "lost_depth", "tiff, which holds floats"),
    "png 16, 16SC1": ("16SC1; png compressed ", PNG16, "lost_depth", "another sign"),
    "png in 16-bit colour, mono16": (
        "mono16; png compressed", coded(COLOUR16, ".png"), "lost_depth", "luma is no temperature"),
    "png of a mosaic": (
        "bayer_rggb8; png compressed ", PNG8, "unsupported_compression", "colour mosaic"),
    "jpeg, mono16": ("mono16; jpeg compressed ", JPEG, "jpeg_of_16_bits", "jpeg keeps 8.*" + LOST),
    "jpeg, 16UC1": ("16UC1; jpeg compressed mono8", JPEG, "jpeg_of_16_bits", LOST),
    "jpeg, 32FC1": ("32FC1; jpeg compressed ", JPEG, "jpeg_of_16_bits", "tiff, which holds floats"),
    "jpeg in colour, rgb16": (
        "rgb16; jpeg compressed bgr8", coded(COLOUR, ".jpg"), "jpeg_of_16_bits", LOST),
    "radiometric jpeg": (
        "jpeg", radiometric_jpeg(), "unsupported_compression", "radiometric jpeg .a FLIR"),
    "tiff 8, 16UC1": ("16UC1; tiff compressed ", TIFF8, "lost_depth", LOST),
    "tiff 16, 32FC1": ("32FC1; tiff compressed ", TIFF16, "lost_depth", "tiff, which holds floats"),
    "tiff, MinIsWhite": (
        "tiff", tagged(TIFF8, 262, 0), "unsupported_compression", "1 samples, photometric 0"),
    "tiff of 4 samples": (
        "tiff", coded(np.dstack([EIGHT] * 4), ".tiff"), "unsupported_compression", "4 samples"),
    "compressedDepth, rvl": (
        "16UC1; compressedDepth rvl", depth_header() + b"\1\2\3\4" * 9, "unsupported_compression",
        r"run-length coded \(rvl\)"),
    "compressedDepth, 8 bits": (
        "16UC1; compressedDepth png", depth_header() + PNG8, "lost_depth", "the png holds mono8"),
    "compressedDepth, nothing said": (
        "compressedDepth", depth_header() + PNG16, "unsupported_compression", "16UC1, mono16 or"),
    "compressedDepth, 32FC1 without its header": (
        "32FC1; compressedDepth png", coded(CODES, ".png"), "undecodable_data", "no quantisation"),
    "compressedDepth, 32FC1 with a header of zeros": (
        "32FC1; compressedDepth png", depth_header(0, 0) + coded(CODES, ".png"),
        "undecodable_data", "no quantisation of 32-bit depths .A 0, B 0"),
    "compressedDepth, cut in its header": (
        "32FC1; compressedDepth png", depth_header()[:9], "undecodable_data", "no png after"),
    "compressedDepth, cut in its png": (
        "16UC1; compressedDepth png", (depth_header() + PNG16)[:-20], "undecodable_data",
        "they end early"),
    "a compressedDepth header where none belongs": (
        "16UC1; png compressed", depth_header() + PNG16, "unsupported_compression",
        "no known picture"),
    "empty": ("mono16; png compressed", b"", "unsupported_compression", "empty .0 bytes"),
    "png, cut off": ("mono16; png compressed", PNG16[:-30], "undecodable_data", "they end early"),
    "jpeg, cut off": ("mono8; jpeg compressed", JPEG[:-30], "undecodable_data", "they end early"),
    "tiff, cut off": ("16UC1; tiff compressed", TIFF16[: len(TIFF16) // 2], "undecodable_data",
                      "they end early"),
    "png, overwritten": (
        "png", PNG16[:60] + b"\xff" * 40 + PNG16[100:], "undecodable_data", "do not decode as png"),
    "webp": (
        "mono8; webp compressed", coded(EIGHT, ".webp"), "unsupported_compression", "are webp"),
    "bmp": ("bmp", coded(EIGHT, ".bmp"), "unsupported_compression", "are bmp"),
    "text": ("png", b"hello world, no image", "unsupported_compression", "no known picture"),
    "png too large": (
        "png", coded(np.zeros((100, 101), np.uint16), ".png"), "unusable_frame",
        "101x100 pixels, max_input_pixels is 10000"),
    "jpeg that claims too much": ("jpeg", huge_jpeg(), "unusable_frame", "6000x5000 pixels"),
    "tiff that claims too much": (
        "tiff", tagged(TIFF16, 257, 60000), "unusable_frame", "32x60000 pixels"),
    "compressedDepth too large": (
        "16UC1; compressedDepth png",
        depth_header() + coded(np.zeros((100, 101), np.uint16), ".png"), "unusable_frame",
        "101x100 pixels"),
}  # fmt: skip


def by_the_node(format, data):
    """Frame, encoding and notices' causes, as the node's worker gets them."""
    message = CompressedImage(format=format)
    message.data.frombytes(data)
    causes = []
    worker = SimpleNamespace(
        _settings=SimpleNamespace(max_input_pixels=MAX_PIXELS),
        engine=SimpleNamespace(camera=CameraProfile()),
        _notice=lambda camera, cause, words: causes.append(cause),
    )
    frame, found = Upscaler._decode(worker, None, message)
    return np.array(frame), found.encoding.name, causes


def by_the_bag(format, data, folder):
    """The same from a recorded message."""
    stamp = TYPES["builtin_interfaces/msg/Time"](1, 2)
    header = TYPES["std_msgs/msg/Header"](stamp=stamp, frame_id="")
    message = TYPES[COMPRESSED_IMAGE](header, format, np.frombuffer(data, np.uint8))
    with BagWriter(folder / "bag") as writer:
        writer.write("/c", COMPRESSED_IMAGE, 1, message)
    with BagReader(folder / "bag", max_pixels=MAX_PIXELS) as reader:
        (record,) = reader.read_images("/c")
        causes = [notice.cause for notice in record.format.notices]
        assert len(reader.notices) == len(causes)
        assert all("/c: " in notice for notice in reader.notices)
    return np.array(record.frame), record.format.encoding.name, causes


@pytest.mark.parametrize("case", READ)
def test_read_alike(case, tmp_path):
    format, data, expected, encoding, causes = READ[case]
    node, bag = by_the_node(format, data), by_the_bag(format, data, tmp_path)
    for frame, found, noticed in (node, bag):
        assert (frame.dtype, found, noticed) == (expected.dtype, encoding, causes)
        lossy = "jpeg" in case and "called" not in case
        difference = np.abs(frame.astype(np.float64) - expected)
        if lossy:
            assert difference.max() < 12
        else:
            np.testing.assert_array_equal(frame, expected)
    np.testing.assert_array_equal(node[0], bag[0])


@pytest.mark.parametrize("case", REFUSED)
def test_refused_alike(case, tmp_path):
    format, data, cause, words = REFUSED[case]
    with pytest.raises(FrameError, match=words) as by_node:
        by_the_node(format, data)
    assert by_node.value.cause == cause
    with pytest.raises(FrameError, match=words) as by_bag:
        by_the_bag(format, data, tmp_path)
    assert str(by_bag.value) == f"/c: {by_node.value}"
    assert len(str(by_node.value)) < 400


def test_inverse_depth_comes_back_within_its_step():
    depths = np.linspace(0.3, 9.9, 4096, dtype=np.float32).reshape(64, 64)
    frame, _, _ = by_the_node(
        "32FC1; compressedDepth png", depth_header() + coded(inverse(depths), ".png")
    )
    assert (np.abs(frame - depths) <= 1.01 * depths**2 / A).all()
