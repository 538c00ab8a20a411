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

"""The synthetic scene: deterministic, in radiometric counts, moving, with a truth that fits."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from difiisr_ros.core.camera_simulation import simulate_camera
from difiisr_ros.core.radiometry import measure_range
from difiisr_ros.errors import OptionError
from difiisr_ros.scene.street import SyntheticScene


@pytest.fixture(scope="module")
def scene():
    return SyntheticScene()


def bicubic_down(truth, width, height):
    picture = Image.fromarray(truth.astype(np.float32))
    return np.asarray(picture.resize((width, height), Image.BICUBIC))


def test_frames_have_the_asked_size_and_plausible_counts(scene):
    lr, truth = scene.frame(0)
    assert (lr.shape, lr.dtype) == ((120, 160), np.uint16)
    assert (truth.shape, truth.dtype) == ((480, 640), np.uint16)
    # sky at about 13 C, hottest part under 60 C, at 0.01 K a count
    assert 28000 < truth.min() < 29000
    assert 30500 < truth.max() < 33500


def test_the_camera_frame_is_the_reduced_truth_plus_sensor_noise(scene):
    residual = np.stack(
        [lr - bicubic_down(truth, 160, 120) for lr, truth in map(scene.frame, range(8))]
    )
    fixed = residual.mean(axis=0)
    temporal = residual - fixed
    assert temporal.std() * np.sqrt(8 / 7) == pytest.approx(3.0, rel=0.05)
    assert abs(residual.mean()) < 0.5
    # columns and rows share an offset, single pixels do not
    assert 0.4 < fixed.mean(axis=0).std() < 1.6


def test_the_same_seed_gives_the_same_bytes_in_any_order(scene):
    other = SyntheticScene()
    other.frame(7)
    for a, b in zip(scene.frame(3), other.frame(3)):
        np.testing.assert_array_equal(a, b)
    assert not np.array_equal(SyntheticScene(seed=1).frame(3)[0], scene.frame(3)[0])


def test_motion_loops_without_a_jump_and_noise_does_not_repeat(scene):
    np.testing.assert_array_equal(scene.truth(0), scene.truth(scene.period))
    assert not np.array_equal(scene.frame(0)[0], scene.frame(scene.period)[0])

    def change(a, b):
        return np.mean(np.abs(scene.truth(a).astype(float) - scene.truth(b)))

    assert change(scene.period - 1, scene.period) < 3 * change(150, 151) + 1


def test_warm_bodies_move_and_the_street_does_not(scene):
    stack = np.stack([scene.truth(i) for i in range(0, 300, 30)]).astype(float)
    moving = stack.std(axis=0) > 20
    assert 0.05 < moving.mean() < 0.6
    assert not moving[:100].any()  # sky and roofs
    hot = stack > 30500  # 32 C: skin, tyres, exhausts
    assert all(0.0005 < share < 0.03 for share in hot.mean(axis=(1, 2)))


@pytest.fixture(scope="module")
def real():
    return SyntheticScene(real_camera=True)


def test_the_real_camera_blurs_and_has_the_noise_and_pattern_that_its_profile_says(real, scene):
    low, high = measure_range(scene.truth(0))
    profile = real.profile
    assert profile.blur == 0.45
    assert profile.noise == pytest.approx(0.01 * (high - low))
    residual = []
    for index in range(8):
        lr, truth = real.frame(index)
        np.testing.assert_array_equal(truth, scene.truth(index))  # which stays clean
        assert lr.dtype == np.uint16
        blurred = simulate_camera(
            truth, blur=profile.blur, noise=0, pattern=0, rng=np.random.default_rng(0)
        )
        residual.append(lr - blurred)
    fixed = np.mean(residual, axis=0)
    temporal = np.std(residual - fixed) * np.sqrt(8 / 7)
    assert temporal == pytest.approx(profile.noise, rel=0.02)
    # What stays is offsets of rows and columns, and what eight frames leave of the noise.
    offsets = fixed.mean(axis=0) + (fixed.mean(axis=1) - fixed.mean())[:, None]
    assert offsets.std() == pytest.approx(0.5 * profile.noise, rel=0.15)
    assert (fixed - offsets).std() == pytest.approx(profile.noise / np.sqrt(8), rel=0.05)


def test_the_real_camera_is_the_same_for_a_seed_and_another_for_another(real):
    other = SyntheticScene(real_camera=True)
    other.frame(7)
    np.testing.assert_array_equal(real.frame(3)[0], other.frame(3)[0])
    assert not np.array_equal(
        SyntheticScene(seed=1, real_camera=True).frame(3)[0], real.frame(3)[0]
    )
    assert not np.array_equal(real.frame(0)[0], real.frame(real.period)[0])  # other noise


def test_the_simple_camera_has_no_profile_and_a_real_one_no_other_scale(scene):
    assert scene.profile is None
    with pytest.raises(OptionError, match="scale is 2, accepted with real_camera is 4"):
        SyntheticScene(48, 36, scale=2, real_camera=True)


@pytest.mark.parametrize("size", [(8, 8), (61, 47), (160, 64), (40, 120)])
def test_any_size(size):
    lr, truth = SyntheticScene(*size).frame(125)
    assert lr.shape == size[::-1]
    assert truth.shape == (4 * size[1], 4 * size[0])
    assert np.ptp(truth) > 500


def test_other_scales():
    scene = SyntheticScene(48, 36, scale=2)
    lr, truth = scene.frame(10)
    assert truth.shape == (72, 96)
    assert np.abs(lr - bicubic_down(truth, 48, 36)).max() < 25


@pytest.mark.parametrize(
    "bad", [{"width": 4}, {"height": 0}, {"scale": 0}, {"period": 0}, {"seed": -1}]
)
def test_impossible_scenes_are_refused(bad):
    with pytest.raises(OptionError, match=next(iter(bad))):
        SyntheticScene(**bad)
