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

"""png of 8 and 16 bits and jpeg of 8 in, png out."""

from __future__ import annotations

import math

import cv2
import numpy as np
import pytest
from sensor_msgs.msg import CompressedImage

from difiisr_ros.errors import FrameError
from difiisr_ros.messages.compressed import compressed_to_gray
from difiisr_ros.ros.compressed import array_to_compressed
from support.node_harness import Graph, scene
from support.waiting import wait_for

NAN = np.full((6, 8), math.nan, np.float32)
COLOUR = np.random.default_rng(0).integers(0, 255, (6, 8, 3), np.uint8)


def compressed(array, codec, name):
    _, data = cv2.imencode(f".{codec}", array)
    message = CompressedImage(format=name)
    message.data.frombytes(data.tobytes())
    return message


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_png_is_lossless(dtype):
    bits = 8 * np.dtype(dtype).itemsize
    pixels = scene(dtype=dtype)
    for name in ("png", f"mono{bits}; png compressed mono{bits}", f"{bits}UC1; png compressed"):
        gray, found = compressed_to_gray(compressed(pixels, "png", name))
        np.testing.assert_array_equal(gray, pixels)
        assert found.encoding.name == (f"{bits}UC1" if "UC1" in name else f"mono{bits}")


def test_jpeg_of_8_bits():
    pixels = scene(dtype=np.uint8)
    gray, found = compressed_to_gray(compressed(pixels, "jpg", "mono8; jpeg compressed"))
    assert found.encoding.name == "mono8"
    assert np.abs(gray.astype(int) - pixels).mean() < 6


@pytest.mark.parametrize(
    ("array", "codec", "name", "cause"),
    [
        (scene(dtype=np.uint8), "jpg", "mono16; jpeg compressed mono16", "jpeg_of_16_bits"),
        (scene(dtype=np.uint8), "jpg", "16UC1; jpeg compressed ", "jpeg_of_16_bits"),
        (scene(dtype=np.uint8), "png", "16UC1; png compressed ", "lost_depth"),
        (scene(), "webp", "mono8; webp compressed", "unsupported_compression"),
    ],
)
def test_refused_with_a_reason(array, codec, name, cause):
    with pytest.raises(FrameError, match="png") as caught:
        compressed_to_gray(compressed(array, codec, name))
    assert caught.value.cause == cause


def test_truncated_data():
    message = compressed(scene(), "png", "png")
    del message.data[60:]
    with pytest.raises(FrameError, match="do not decode") as caught:
        compressed_to_gray(message)
    assert caught.value.cause == "undecodable_data"


def test_float_cannot_be_written_as_png():
    with pytest.raises(FrameError, match="output_encoding") as caught:
        array_to_compressed(NAN, "32FC1")
    assert caught.value.cause == "not_compressible"


@pytest.mark.parametrize("encoding", ["rgb8", "bgra8"])
def test_colour_order_survives(encoding):
    pixels = np.dstack([COLOUR, COLOUR[..., :1]]) if encoding == "bgra8" else COLOUR
    data = np.frombuffer(array_to_compressed(pixels, encoding).data, np.uint8)
    decoded = cv2.imdecode(data, cv2.IMREAD_UNCHANGED)
    np.testing.assert_array_equal(decoded, pixels if encoding == "bgra8" else pixels[..., ::-1])


def test_compressed_in_and_out():
    with Graph(image_transport="compressed", output_transport="compressed") as graph:
        results: list[CompressedImage] = []
        publisher = graph.tester.create_publisher(CompressedImage, "image_raw/compressed", 1)
        graph.subscribe(CompressedImage, "sr/image_raw/compressed", results)
        wait_for(publisher.get_subscription_count, "the node subscribes")
        wait_for(lambda: graph.node.cameras[""].output_subscribers(), "it matches")
        assert not graph.tester.count_publishers("sr/image_raw")
        message = array_to_compressed(scene(), "mono16")
        message.header.stamp.sec = 5
        publisher.publish(message)
        got = wait_for(lambda: results, "a compressed result")[0]
        assert got.header == message.header
        gray, found = compressed_to_gray(got)
        assert (gray.shape, found.encoding.name) == ((96, 128), "mono16")
        publisher.publish(CompressedImage(format="jpeg"))
        graph.status("input", lambda v, s: "rejected: unsupported_compression" in v)
