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

"""Sizes of results, and where a frame's pixels lie in them."""

from __future__ import annotations

import numpy as np
import pytest

from difiisr_ros.core.output_geometry import MOST_PIXELS, check_output_size, plan
from difiisr_ros.errors import FrameError, OptionError


@pytest.mark.parametrize("scale", [4, 2, 1])
def test_a_scale_is_whole_blocks(scale):
    geometry = plan((5, 3), scale)
    assert geometry.size == (5 * scale, 3 * scale)
    assert (geometry.x_scale, geometry.y_scale, geometry.left, geometry.top) == (scale, scale, 0, 0)
    image = np.random.default_rng(0).random((3 * scale, 5 * scale), np.float32)
    assert geometry.place(image) is image


@pytest.mark.parametrize(
    ("asked", "fit", "scale", "size", "inner", "corner"),
    [
        ((640, 512), "stretch", 1, (640, 512), (640, 512), (0, 0)),
        ((1280, 0), "stretch", 2, (1280, 1024), (1280, 1024), (0, 0)),
        ((0, 256), "stretch", 1, (320, 256), (320, 256), (0, 0)),
        ((640, 640), "stretch", 2, (640, 640), (640, 640), (0, 0)),
        ((640, 640), "letterbox", 1, (640, 640), (640, 512), (0, 64)),
        ((1280, 1280), "letterbox", 2, (1280, 1280), (1280, 1024), (0, 128)),
        ((640, 640), "crop", 2, (640, 640), (800, 640), (-80, 0)),
        ((641, 640), "letterbox", 2, (641, 640), (641, 513), (0, 63)),
        ((5000, 4000), "stretch", 4, (5000, 4000), (5000, 4000), (0, 0)),
    ],
)
def test_a_free_size_takes_the_next_larger_scale(asked, fit, scale, size, inner, corner):
    geometry = plan((640, 512), 4, asked, fit)
    found = geometry.scale, geometry.size, geometry.inner, (geometry.left, geometry.top)
    assert found == (scale, size, inner, corner)


@pytest.mark.parametrize("fit", ["stretch", "letterbox", "crop"])
@pytest.mark.parametrize("size", [(64, 64), (100, 37), (40, 90)])
def test_a_pixel_lies_where_the_numbers_say(fit, size):
    """A bright blob's centre of mass, found again by the geometry that camera_info is made of."""
    height, width = 24, 40
    geometry = plan((width, height), 4, size, fit)
    y, x = np.mgrid[: geometry.scale * height, : geometry.scale * width]
    place = np.array([19.0, 12.0])
    (cx, cy) = geometry.scale * (place + 0.5) - 0.5
    blob = np.exp(-((x - cx) ** 2 + (y - cy) ** 2) / (2 * (1.5 * geometry.scale) ** 2))
    result = geometry.place(blob.astype(np.float32))
    assert result.shape == size[::-1]
    mass = np.where(result == 0.5, 0, result).astype(np.float64)
    rows, columns = np.mgrid[: size[1], : size[0]]
    found = (columns * mass).sum() / mass.sum(), (rows * mass).sum() / mass.sum()
    expected = (
        geometry.x_scale * (place[0] + 0.5) - 0.5 + geometry.left,
        geometry.y_scale * (place[1] + 0.5) - 0.5 + geometry.top,
    )
    assert found == pytest.approx(expected, abs=0.1 * max(geometry.x_scale, geometry.y_scale))


def test_smaller_sizes_keep_the_mean_and_bars_are_in_the_middle_of_the_range():
    image = np.random.default_rng(0).random((48, 80), np.float32)
    small = plan((80, 48), 4, (30, 20)).place(image)
    assert small.mean() == pytest.approx(image.mean(), abs=1e-3)
    boxed = plan((80, 48), 4, (80, 80), "letterbox").place(image)
    np.testing.assert_array_equal(boxed[16:64], image)
    assert (boxed[:16] == 0.5).all() and (boxed[64:] == 0.5).all()


def test_marks_and_values_lie_where_the_picture_does():
    geometry = plan((4, 3), 4, (8, 8), "letterbox")
    mask = np.zeros((3, 4), bool)
    mask[1, 2] = True
    marks = geometry.place_mask(mask)
    assert np.argwhere(marks).tolist() == [[3, 4], [3, 5], [4, 4], [4, 5]]
    values = geometry.place_values(np.arange(12, dtype=np.uint16).reshape(3, 4))
    assert (values[marks] == 6).all()


@pytest.mark.parametrize(
    "size", [(-1, 4), (4,), (4.0, 4), "640", (True, 4), [4, 4], (20_000, 20_000)]
)
def test_what_is_no_size_is_named(size):
    with pytest.raises(OptionError, match="output_size"):
        check_output_size(size)


def test_a_side_that_follows_may_not_grow_beyond_all_bounds():
    with pytest.raises(FrameError, match=f"at most {MOST_PIXELS}"):
        plan((2, 4000), 4, (5000, 0))
    with pytest.raises(FrameError, match="output_fit crop makes"):
        plan((2, 4000), 4, (5000, 5000), "crop")
