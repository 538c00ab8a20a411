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

"""Files and recorded messages whose bytes are in another order than they say."""

from __future__ import annotations

from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from difiisr_ros.io.images import read_image
from difiisr_ros.io.open_stack import open_stack
from difiisr_ros.io.stack import ReadOptions
from difiisr_ros.messages.any_image import message_to_gray

FRAME = (29_237 + np.add.outer(np.arange(12) * 20, np.arange(16) * 40)).astype(np.uint16)
SWAPPED = FRAME.byteswap()


def written(path, image):
    """The path, with the image in it."""
    if path.suffix == ".npy":
        np.save(path, image)
    elif path.suffix == ".npz":
        np.savez(path, image)
    elif path.suffix == ".tif":
        tifffile = pytest.importorskip("tifffile")
        tifffile.imwrite(path, image, byteorder=">" if path.stem == "big" else "<")
    else:
        cv2.imwrite(str(path), image)
    return path


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("a.png", "big"),
        ("a.pgm", "big"),
        ("big.tif", "big"),
        ("little.tif", "little"),
        ("a.npy", "little"),
        ("a.npz", "little"),
    ],
)
def test_the_order_asked_for_decides(tmp_path, name, said):
    path = written(tmp_path / name, SWAPPED)
    other = {"big": "little", "little": "big"}[said]
    np.testing.assert_array_equal(read_image(path), SWAPPED)
    np.testing.assert_array_equal(read_image(path, said), SWAPPED)
    np.testing.assert_array_equal(read_image(path, other), FRAME)
    with open_stack(path, ReadOptions()) as stack:
        assert stack.order == said
    with open_stack(path, ReadOptions(byte_order=other)) as stack:
        assert stack.order == other


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.bmp", "little.tif"])
def test_one_byte_has_no_order(tmp_path, name):
    path = written(tmp_path / name, (FRAME >> 8).astype(np.uint8))
    np.testing.assert_array_equal(read_image(path, "big"), read_image(path, "little"))


def image(pixels, is_bigendian):
    height, width = pixels.shape
    return SimpleNamespace(
        encoding="mono16", height=height, width=width, step=2 * width,
        is_bigendian=is_bigendian, data=pixels.tobytes(),
    )  # fmt: skip


@pytest.mark.parametrize(("lie", "truth"), [(1, "little"), (0, "big")])
def test_a_message_that_lies_is_read_in_the_order_asked_for(lie, truth):
    message = image(FRAME if truth == "little" else SWAPPED, lie)
    for order, expected in (("auto", SWAPPED), (truth, FRAME)):
        found, layout = message_to_gray(message, byte_order=order)
        np.testing.assert_array_equal(found, expected)
        assert layout.order == (truth if order == truth else {0: "little", 1: "big"}[lie])


@pytest.mark.parametrize("kind", ["png", "little.tif", "big.tif", "compressedDepth"])
def test_so_is_a_picture_of_swapped_pixels(tmp_path, kind):
    if kind.endswith(".tif"):
        data, said = written(tmp_path / kind, SWAPPED).read_bytes(), kind.removesuffix(".tif")
    else:
        data, said = cv2.imencode(".png", SWAPPED)[1].tobytes(), "big"
    message = SimpleNamespace(format=f"mono16; {kind} compressed mono16", data=data)
    if kind == "compressedDepth":
        message = SimpleNamespace(format="16UC1; compressedDepth png", data=bytes(12) + data)
    for order in ("auto", "big", "little"):
        found, layout = message_to_gray(message, byte_order=order)
        np.testing.assert_array_equal(found, SWAPPED if order in ("auto", said) else FRAME)
        assert layout.order == (said if order == "auto" else order)
