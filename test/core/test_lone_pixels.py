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

"""A stuck pixel moves neither a frame's range nor the estimate of its noise."""

from __future__ import annotations

import numpy as np
import pytest

from difiisr_ros.core import lone_pixels
from difiisr_ros.core.noise_level import estimate_noise
from difiisr_ros.core.radiometry import measure_range


def _scene(shape=(60, 80), seed=0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[: shape[0], : shape[1]]
    slopes = 200 * np.sin(x / 9) + 150 * np.cos(y / 7) + (x > 40) * 300
    return (30_000 + slopes + 4 * rng.standard_normal(shape)).astype(np.uint16)


@pytest.mark.parametrize("value", [0, 65_535])
@pytest.mark.parametrize("place", [(30, 20), (30, 60), (0, 0), (59, 40)])
@pytest.mark.parametrize("dtype", [np.uint16, np.float32])
def test_one_stuck_pixel_moves_neither_range_nor_noise(value, place, dtype):
    frame = _scene().astype(dtype)
    stuck = frame.copy()
    stuck[place] = value
    span = np.subtract(*measure_range(frame)[::-1])
    np.testing.assert_allclose(measure_range(stuck), measure_range(frame), atol=0.002 * span)
    assert estimate_noise(stuck) == pytest.approx(estimate_noise(frame), rel=0.03)


def test_many_scattered_ones_do_not_either():
    frame = _scene((120, 160))
    stuck, rng = frame.copy(), np.random.default_rng(1)
    places = rng.choice(120 * 160, 60, replace=False)
    stuck.flat[places] = rng.choice([0, 65_535], 60)
    span = np.subtract(*measure_range(frame)[::-1])
    np.testing.assert_allclose(measure_range(stuck), measure_range(frame), atol=0.01 * span)
    assert estimate_noise(stuck) == pytest.approx(estimate_noise(frame), rel=0.1)


def test_larger_targets_count_for_the_range():
    frame = _scene()
    frame[20:27, 20:30] = 40_000  # 1.5 % of the pixels
    assert measure_range(frame)[1] == 40_000


def test_lone_pixels_get_the_mean_of_their_neighbours():
    image = np.zeros((5, 6), np.float32)
    image[1, 1:3] = 8.0
    image[2, 2] = 1e30
    image[4, 0] = -50.0
    calm = lone_pixels.without(image, 0.5)
    assert calm[2, 2] == 2.0  # 16 / 8: neither of the two neighbours is lone
    assert calm[4, 0] == 0.0
    assert image[2, 2] == np.float32(1e30)
    assert lone_pixels.without(calm[:3], 1.0) is not image
    flat = np.ones((4, 4), np.float32)
    assert lone_pixels.without(flat, 0.0) is flat


def test_missing_pixels_are_no_lone_ones():
    image = np.zeros((5, 5), np.float32)
    image[2, 2], image[0, 4] = np.nan, np.inf
    np.testing.assert_array_equal(lone_pixels.without(image, 0.1), image)
