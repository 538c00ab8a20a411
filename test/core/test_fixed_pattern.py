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

"""Files of a fixed pattern: written and read again, and what else lies there named."""

from __future__ import annotations

import numpy as np
import pytest

from difiisr_ros.core.fixed_pattern import FixedPattern, without_smooth
from difiisr_ros.errors import DataError, OptionError


def lines(height=60, width=80, seed=3):
    random = np.random.default_rng(seed)
    white = 2.0 * random.standard_normal((height, width))
    return (white + 3.0 * random.standard_normal((1, width))).astype(np.float32)


def test_a_pattern_is_written_and_read_again(tmp_path):
    offsets = lines()
    FixedPattern(offsets, 300, "2026-01-31T12:00:00", "a bag").write(tmp_path / "pattern.npz")
    found = FixedPattern.read(tmp_path / "pattern.npz")
    np.testing.assert_array_equal(found.offsets, offsets)
    assert (found.frames, found.date, found.source) == (300, "2026-01-31T12:00:00", "a bag")
    assert found.shape == (60, 80) and found.size == pytest.approx(offsets.std(), rel=0.1)
    assert (
        found.describe()
        == f"pattern of {found.size:.2g} counts from 300 frames (2026-01-31T12:00:00)"
    )
    assert [file.name for file in tmp_path.iterdir()] == ["pattern.npz"]


def test_one_pixel_far_off_is_not_the_size_of_a_pattern():
    offsets = lines()
    size = FixedPattern(offsets, 1).size
    offsets[3, 4] = 1e5
    assert FixedPattern(offsets, 1).size == pytest.approx(size, rel=0.01)


@pytest.mark.parametrize(
    "keys, words",
    [
        ({"frames": 3}, "has no offsets; accepted is an .npz with offsets"),
        ({"offsets": np.zeros((4, 5), np.float32)}, "has no frames"),
        ({"offsets": np.zeros((4, 5)), "frames": 3}, "float32, got float64"),
        ({"offsets": np.zeros(5, np.float32), "frames": 3}, r"height x width, got \(5,\)"),
        ({"offsets": np.full((4, 5), np.nan, np.float32), "frames": 3}, "finite, got NaN"),
        ({"offsets": np.zeros((4, 5), np.float32), "frames": 0}, "1 frame or more, got 0"),
        ({"offsets": np.zeros((4, 5), np.float32), "frames": 2.5}, "no whole number"),
        ({"offsets": np.array([[None]]), "frames": 3}, "is no .npz"),  # would need pickle
    ],
)
def test_a_file_that_is_no_pattern_is_named(tmp_path, keys, words):
    path = tmp_path / "pattern.npz"
    np.savez(path, **keys)
    with pytest.raises(DataError, match=words) as error:
        FixedPattern.read(path)
    assert str(path) in str(error.value)


@pytest.mark.parametrize("data", [b"", b"no such file", b"PK\x03\x04 cut off"])
def test_a_file_that_is_no_npz_is_named(tmp_path, data):
    (tmp_path / "pattern.npz").write_bytes(data)
    with pytest.raises(DataError, match=r"pattern.npz: the pattern is no .npz; accepted"):
        FixedPattern.read(tmp_path / "pattern.npz")
    np.save(tmp_path / "array.npy", np.zeros((4, 5), np.float32))
    with pytest.raises(DataError, match=r"array.npy: the pattern is no .npz"):
        FixedPattern.read(tmp_path / "array.npy")
    with pytest.raises(DataError, match=r"nowhere.npz: the pattern cannot be read: No such file"):
        FixedPattern.read(tmp_path / "nowhere.npz")


@pytest.mark.parametrize("frames", [0, True, 1.5])
def test_a_pattern_rests_on_frames(frames):
    with pytest.raises(OptionError, match="1 frame or more"):
        FixedPattern(np.zeros((4, 5), np.float32), frames)


def test_a_flat_frame_gives_pixels_and_lines_but_not_the_warmth_of_the_housing():
    truth = lines()
    y, x = np.mgrid[:60, :80]
    warm = 40.0 * np.exp(-((y - 30) ** 2 + (x - 40) ** 2) / 3600.0)
    found = without_smooth((5000 + warm + truth).astype(np.float32))
    left = found - truth
    # Where columns differ over many pixels they are as smooth as the housing.
    assert left.var() < 0.08 * truth.var()
    assert abs(float(found.mean())) < 1e-3
    assert np.abs(without_smooth((5000 + warm).astype(np.float32))).mean() < 0.3


def test_missing_pixels_of_a_flat_frame_have_no_offset():
    flat = 5000 + lines()
    flat[10:14, 20:30] = np.nan
    flat[40] = np.nan
    found = FixedPattern.of_flat(flat, 8).offsets
    assert np.isfinite(found).all()
    assert not found[10:14, 20:30].any() and not found[40].any()
    assert not without_smooth(np.full((30, 40), np.nan, np.float32)).any()
