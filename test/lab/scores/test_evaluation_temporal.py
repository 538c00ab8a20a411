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

"""Flicker: measured where the picture stands still, whatever the camera's noise, and only there;
wake: where it has just changed and does so again."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from difiisr_ros.lab.scores.temporal import (
    WAKE_FRAMES,
    WakeWatch,
    enlarge,
    flicker,
    still_mask,
    wake,
)

rng = np.random.default_rng(0)
SMOOTH = cv2.resize(rng.random((8, 10)).astype(np.float32), (160, 120)) * 800 + 29000
TEXTURE = (
    SMOOTH + cv2.GaussianBlur(rng.normal(size=(120, 160)), (0, 0), 1.0).astype(np.float32) * 150
)


def camera(scene: np.ndarray, noise: float) -> np.ndarray:
    return np.rint(scene + rng.normal(scale=noise, size=scene.shape)).astype(np.uint16)


@pytest.mark.parametrize("noise", [0.0, 2.0, 8.0])
def test_a_still_scene_is_still_under_noise(noise):
    mask = still_mask(camera(TEXTURE, noise), camera(TEXTURE, noise))
    assert np.count_nonzero(mask) > 0.9 * mask.size


def test_a_moving_camera_has_no_still_region():
    moved = np.roll(TEXTURE, 3, axis=1)
    assert not still_mask(camera(moved, 2.0), camera(TEXTURE, 2.0)).any()


def test_what_moves_is_left_out_and_the_rest_is_not():
    later = SMOOTH.copy()
    later[40:60, 50:80] += 200  # a target has come
    mask = still_mask(camera(later, 2.0), camera(SMOOTH, 2.0))
    assert not mask[42:58, 52:78].any()
    assert (mask[80:] > 0).mean() > 0.9


def test_the_threshold_can_be_given():
    later = SMOOTH + 5
    assert np.count_nonzero(still_mask(camera(later, 0), camera(SMOOTH, 0), 6)) == SMOOTH.size
    assert not still_mask(camera(later, 0), camera(SMOOTH, 0), 2).any()


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_other_types(dtype):
    scene = ((SMOOTH - 29000) / 4).astype(dtype)
    assert still_mask(scene, scene.copy()).all()
    assert not still_mask(scene, scene[:, ::-1].copy() + dtype(40)).all()


def test_flicker_is_the_mean_change_over_the_mask():
    before = np.full((8, 8), 1000, np.uint16)
    frame = before.copy()
    frame[:4] -= 3  # unsigned differences must not wrap
    frame[4:] += 5
    mask = np.zeros((8, 8), np.uint8)
    mask[:4] = 255
    assert flicker(frame, before, mask) == 3
    assert flicker(frame, before, np.full((8, 8), 255, np.uint8)) == 4
    assert np.isnan(flicker(frame, before, np.zeros((8, 8), np.uint8)))


def test_a_pixel_of_the_camera_is_4x4_of_the_result():
    mask = np.zeros((3, 3), np.uint8)
    mask[1, 2] = 255
    large = enlarge(mask)
    assert large.shape == (12, 12) and large[4:8, 8:].all()
    assert np.count_nonzero(large) == 16


TARGET = (slice(40, 60), slice(50, 60))


def passing(at: int) -> np.ndarray:
    """The scene with a target of 10x20 pixels that has come as far as this column."""
    scene = SMOOTH.copy()
    scene[40:60, at : at + 10] += 200
    return scene


def places(frames) -> list[np.ndarray]:
    watch = WakeWatch()
    return [watch.look(frame) > 0 for frame in frames]


@pytest.mark.parametrize("noise", [0.0, 4.0, 16.0])
def test_a_still_scene_has_no_wake_under_noise(noise):
    for mask in places(camera(SMOOTH, noise) for _ in range(12)):
        assert mask.mean() < 0.001


@pytest.mark.parametrize("noise", [0.0, 4.0])
def test_a_wake_is_where_a_target_was_and_is_not_any_more(noise):
    here, gone = camera(passing(50), noise), SMOOTH
    masks = places([here] * 4 + [camera(gone, noise) for _ in range(12)])
    assert not masks[3][TARGET].any()
    assert not masks[4][TARGET].any()  # it is changing
    for mask in masks[6 : 4 + WAKE_FRAMES]:
        assert mask[TARGET].all() and mask[70:].mean() < 0.001
    assert not masks[4 + WAKE_FRAMES][TARGET].any()  # a while ago


def test_the_wake_of_a_walker_is_behind_it():
    masks = places([camera(passing(2 * t), 2.0) for t in range(40)])
    behind, before = masks[-1][42:58, 66:70], masks[-1][42:58, 92:]
    assert behind.all() and before.mean() < 0.01


def test_the_threshold_of_a_wake_can_be_given():
    frames = [SMOOTH] * 2 + [SMOOTH + 20] * 4
    for threshold, share in ((10, 1), (30, 0)):
        watch = WakeWatch(threshold)
        assert [(watch.look(f) > 0).mean() for f in frames][-1] == share


def test_another_size_starts_a_wake_anew():
    watch = WakeWatch()
    watch.look(SMOOTH)
    assert not watch.look(SMOOTH[:50] + 500).any()


@pytest.mark.parametrize("scale", [4, 2, 1])
def test_wake_is_the_error_there_without_its_noise(scale):
    truth = np.full((60 * scale, 80 * scale), 1000, np.uint16)
    ghost = truth.copy()
    ghost[20 * scale : 40 * scale, 20 * scale : 40 * scale] -= 30  # unsigned: must not wrap
    noisy = (truth + rng.integers(-20, 21, truth.shape)).astype(np.uint16)
    where = np.zeros((60, 80), np.uint8)
    where[25:35, 25:35] = 255
    large = enlarge(where, scale)
    assert wake(ghost, truth, large, scale) == 30
    assert 0 < wake(noisy, truth, large, scale) < 3  # and 10 by itself
    assert wake(truth, truth, large, scale) == 0
    assert np.isnan(wake(ghost, truth, np.zeros_like(large), scale))
