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

"""Frames whose noise is more of their range than any network was trained with: walls, cold nights.

A range that was measured is widened until the noise is a twentieth of it.
"""

from __future__ import annotations

import numpy as np
import pytest

from difiisr_ros import CameraProfile, SuperResolver
from difiisr_ros.core.camera_simulation import simulate_camera
from difiisr_ros.core.radiometry import measure_range
from difiisr_ros.io.images import read_image
from difiisr_ros.lab.evaluation.methods import bicubic_upscale

WALL, NOISE = (96, 128), 40.0


def wall():
    noise = NOISE * np.random.default_rng(0).standard_normal(WALL)
    return (30_000 + noise).astype(np.uint16)


@pytest.fixture(params=["lite", "nano"])
def resolver(request):
    return SuperResolver.load(request.param)


@pytest.mark.parametrize("camera", [CameraProfile(), CameraProfile(noise=NOISE, blur=0.5)])
def test_a_walls_level_is_kept(resolver, camera):
    frame = wall()
    resolver.configure(consistency=0)  # the network alone
    result = resolver.upscale(frame, camera=camera).astype(float)
    difference = result.reshape(96, 4, 128, 4).mean(axis=(1, 3)) - frame
    wide = difference.reshape(4, 24, 4, 32).mean(axis=(1, 3))
    assert np.abs(wide).max() < 1.4  # counts: the noise of such a mean
    assert result.std() < 0.3 * NOISE
    low, high = resolver.measurements[0].value_range
    assert NOISE / (high - low) == pytest.approx(0.05, rel=0.1)


@pytest.mark.parametrize(("percent", "gain"), [(8, 2.0), (20, 4.5)])
def test_a_scene_below_much_noise_is_nearer_to_the_truth_than_by_bicubic(
    resolver, drone_frames, percent, gain
):
    gains = []
    for i, path in enumerate(drone_frames[::5]):
        hr = read_image(path).astype(np.float32)
        low, high = np.percentile(hr, [1, 99])
        rng = np.random.default_rng(i)
        noise = percent / 100 * (high - low)
        lr = simulate_camera(hr, blur=0.4, noise=noise, pattern=0, rng=rng).astype(np.float32)
        results = bicubic_upscale(lr), resolver.upscale(lr)
        plain, ours = (float(np.square(result - hr).mean()) for result in results)
        gains.append(10 * np.log10(plain / ours))
    assert np.mean(gains) > gain


def test_a_range_that_was_asked_for_is_shown(resolver):
    resolver.configure(range_mode="fixed", range_min=29_900.0, range_max=30_100.0)
    resolver.upscale(wall())
    assert resolver.measurements[0].shown == (29_900.0, 30_100.0)
    resolver.upscale(wall(), value_range=(29_000.0, 30_500.0))
    measured = resolver.measurements[0]
    assert measured.value_range == measured.shown == (29_000.0, 30_500.0)


def test_only_a_range_within_the_noise_is_wider():
    frame = np.array([[10.0, 30.0]], np.float32)
    assert measure_range(frame, "minmax", least=1.0 / 0.05) == (10.0, 30.0)
    assert measure_range(frame, "minmax", least=2.0 / 0.05) == (0.0, 40.0)
    assert measure_range(frame, "minmax", least=0.0) == (10.0, 30.0)
    assert measure_range(frame, "fixed", 10.0, 30.0, least=2.0 / 0.05) == (10.0, 30.0)
