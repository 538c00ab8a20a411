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

"""Noise depends on seed and shape alone, and any window of it can be drawn by itself."""

from __future__ import annotations

import numpy as np

from difiisr_ros.core.noise import noise_field


def test_same_seed_and_shape_give_the_same_field():
    a = noise_field(7, (300, 500), 2)
    noise_field(8, (64, 64), 1)
    np.testing.assert_array_equal(a, noise_field(7, (300, 500), 2))
    assert a.dtype == np.float32
    assert a.shape == (2, 300, 500)


def test_seed_shape_and_index_all_matter():
    base = noise_field(7, (300, 500), 2)
    assert abs(np.corrcoef(base[0].ravel(), base[1].ravel())[0, 1]) < 0.02
    for other in (noise_field(8, (300, 500), 1), noise_field(7, (300, 501), 1)[:, :, :500]):
        assert abs(np.corrcoef(base[0].ravel(), other.ravel())[0, 1]) < 0.02


def test_field_is_standard_normal():
    field = noise_field(0, (512, 640), 1)
    assert abs(field.mean()) < 0.01
    assert abs(field.std() - 1) < 0.01
    assert 4 < np.abs(field).max() < 7


def test_a_window_is_a_cut_of_the_field():
    whole = noise_field(3, (400, 300), 2)
    for rows, columns in ((slice(0, 10), slice(0, 300)), (slice(100, 390), slice(127, 129))):
        part = noise_field(3, (400, 300), 2, (rows, columns))
        np.testing.assert_array_equal(part, whole[:, rows, columns])
