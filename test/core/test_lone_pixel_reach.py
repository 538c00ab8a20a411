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

"""A stuck pixel changes nothing farther away than interpolation reaches, also at the border."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch

from difiisr_ros import SuperResolver
from difiisr_ros.core.bound import neighbours, without_lone_pixels

#: Corners, borders, beside borders, and somewhere inside.
PLACES = [(0, 0), (0, 19), (60, 0), (80, 159), (119, 159), (119, 40), (1, 1), (60, 80), (33, 41)]
REACH = 4  # camera pixels


@pytest.fixture(scope="module")
def lepton(data_dir):
    frame = cv2.imread(str(data_dir / "lepton" / "raw_im_11.tiff"), cv2.IMREAD_UNCHANGED)
    assert (frame.min(), frame.max()) == (29237, 30261)
    return frame


def far_from(place, shape):
    rows, columns = np.mgrid[: 4 * shape[0], : 4 * shape[1]] // 4
    return np.maximum(np.abs(rows - place[0]), np.abs(columns - place[1])) > REACH


@pytest.mark.parametrize("steps", [1, 2, 4])
@pytest.mark.parametrize("model", ["lite", "nano"])
def test_nothing_changes_beyond_four_pixels(lepton, model, steps):
    resolver = SuperResolver.load(model=model, num_steps=steps, backend="torch")
    whole = resolver.upscale(lepton).astype(int)
    for number, place in enumerate(PLACES):
        stuck = lepton.copy()
        stuck[place] = 65535 * (number % 2)
        change = np.abs(resolver.upscale(stuck).astype(int) - whole)
        # Of a range of 676 counts, with 6 counts of noise.
        assert change[far_from(place, lepton.shape)].max() <= 3, place


def test_a_pixel_at_the_border_is_none_of_its_own_neighbours():
    frame = torch.zeros(1, 1, 6, 7)
    frame[0, 0, 0, 3], frame[0, 0, 5, 6] = 90.0, -90.0
    low, high = neighbours(frame)
    assert float(high[0, 0, 0, 3]) == 0.0 and float(low[0, 0, 5, 6]) == 0.0
    assert float(high[0, 0, 1, 3]) == 90.0 and float(low[0, 0, 4, 5]) == -90.0
    calm = without_lone_pixels(frame, low, high)
    assert float(calm.abs().max()) < 1e-6


@pytest.mark.parametrize("shape", [(1, 1), (1, 5), (4, 1), (2, 2)])
def test_the_smallest_frames_have_neighbours(shape):
    frame = torch.arange(float(np.prod(shape))).reshape(1, 1, *shape)
    low, high = neighbours(frame)
    assert torch.isfinite(low).all() and torch.isfinite(high).all()
    assert (low <= high).all() and float(high.max()) < 1e3
