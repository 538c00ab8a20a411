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

"""Results averaged along a camera's motion: what that gains, and that nothing else is touched."""

import cv2
import numpy as np
import pytest

from difiisr_ros.core.moving_scene import MovingScene, within_reach
from support.frames import smooth_frame

SIZE, SCALE, NOISE = (60, 80), 4, 3.0
WIDE = smooth_frame(np.uint16, (500, 600), 11).astype(np.float32)
WIDE = cv2.GaussianBlur(WIDE, (0, 0), 2.0)
WIDE *= np.float32(200.0 / np.ptp(WIDE))
SPAN = 200.0


def shown(x, y, zoom=1.0, turn=0.0):
    """4H x 4W of the scene, from a place in it."""
    matrix = zoom * np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    middle = np.array([300.0 + x, 250.0 + y])
    shift = np.array([SCALE * SIZE[1], SCALE * SIZE[0]]) / 2 - matrix @ middle
    how = np.column_stack([matrix, shift]).astype(np.float32)
    return cv2.warpAffine(WIDE, how, (SCALE * SIZE[1], SCALE * SIZE[0]), flags=cv2.INTER_CUBIC)


def pair(truth, number, noise=NOISE):
    """What a camera sees of a truth, and a result as noisy as bicubic's."""
    rng = np.random.default_rng([3, number])
    scene = cv2.resize(truth, SIZE[::-1], interpolation=cv2.INTER_AREA)
    scene = (scene + noise * rng.standard_normal(SIZE)).astype(np.float32)
    size = (SCALE * SIZE[1], SCALE * SIZE[0])
    return cv2.resize(scene, size, interpolation=cv2.INTER_CUBIC), scene


def run(truths, noise=NOISE):
    moving = MovingScene()
    for number, truth in enumerate(truths):
        result, scene = pair(truth, number, noise)
        mean = moving.take(result, scene, noise, SPAN)
    return moving, result, mean


PATHS = {
    "across": lambda t: shown(2.9 * t, 1.3 * t),
    "fast": lambda t: shown(9.0 * t, -4.0 * t),
    "towards": lambda t: shown(0, 0, 1.0 + 0.01 * t),
    "rolling": lambda t: shown(0, 0, 1.0, 0.01 * t),
    "still": lambda t: shown(0, 0),
}


@pytest.mark.parametrize("path", PATHS)
def test_a_moving_camera_sees_the_scene_with_less_noise(path):
    truths = [PATHS[path](t) for t in range(10)]
    moving, result, mean = run(truths)
    inner = np.s_[40:-40, 40:-40]
    errors = [(image - truths[-1])[inner].std() for image in (result, mean)]
    assert errors[1] < 0.75 * errors[0]
    assert moving.followed > 0.7


@pytest.mark.parametrize("contrast", [30.0, 150.0])
@pytest.mark.parametrize("speed", [1, 4, 12])
def test_what_moves_otherwise_is_not_smeared(contrast, speed):
    """In pixels of results, against a camera that goes another way."""
    truths = []
    for t in range(12):
        truth = shown(2.9 * t, 1.3 * t)
        x = 60 + speed * t
        truth[100:140, x : x + 24] += contrast
        truths.append(truth)
    _, result, mean = run(truths)
    around = np.s_[92:148, x - 24 : x + 40]
    errors = [(image - truths[-1])[around] for image in (result, mean)]
    assert errors[1].std() < 1.02 * errors[0].std()
    trail = errors[1][12:44, 12:20] if speed > 1 else errors[1][12:44]
    assert abs(trail.mean()) < 0.05 * contrast


def test_another_scene_is_the_result_itself():
    moving, _, _ = run([shown(2.0 * t, 0) for t in range(6)])
    result, scene = pair(shown(-150, 90), 50)
    mean = moving.take(result, scene, NOISE, SPAN)
    assert mean is result and moving.followed == 0.0


def test_another_gain_is_another_scene():
    moving, _, _ = run([shown(2.0 * t, 0) for t in range(6)])
    result, scene = pair(shown(12.0, 0), 50)
    assert moving.take(2 * result, 2 * scene, NOISE, 2 * SPAN) is not None
    assert moving.followed == 0.0


def test_a_mean_that_is_given_is_gone_on_from():
    truth = shown(0, 0)
    result, scene = pair(shown(2.0, 0), 1)
    started, alone = MovingScene(), MovingScene()
    started.begin(truth.copy(), np.full(SIZE, 8, np.float32))
    means = [moving.take(result, scene, NOISE, SPAN) for moving in (started, alone)]
    inner = np.s_[40:-40, 40:-40]
    errors = [(mean - shown(2.0, 0))[inner].std() for mean in means]
    assert errors[0] < 0.7 * errors[1]


def strange():
    flat = np.zeros(SIZE, np.float32)
    target = flat.copy()
    target[30, 40] = 60000
    checker = (np.indices(SIZE).sum(axis=0) % 2).astype(np.float32) * 1e4
    gone = checker.copy()
    gone[:, 10:70] = np.nan
    random = np.random.default_rng(0).normal(0, 1e3, SIZE).astype(np.float32)
    return {"flat": flat, "target": target, "checker": checker, "gone": gone, "random": random}


@pytest.mark.parametrize("name", strange())
@pytest.mark.parametrize("noise", [0.0, 1.0])
def test_scenes_it_never_saw(name, noise):
    scene = strange()[name]
    moving = MovingScene()
    size = (SCALE * SIZE[1], SCALE * SIZE[0])
    result = cv2.resize(np.nan_to_num(scene), size, interpolation=cv2.INTER_NEAREST)
    for _ in range(5):
        mean = moving.take(result.copy(), scene, noise, 8.0)
        assert np.isfinite(mean).all()
        most = 0.3 if name == "gone" else 0.01  # what is missing is filled by what is near
        assert abs(mean - result).max() <= most * max(np.ptp(result), 1.0)


@pytest.mark.parametrize("size", [(1, 1), (8, 200), (15, 15)])
def test_frames_too_small_for_a_motion_are_left(size):
    moving = MovingScene()
    scene = np.zeros(size, np.float32)
    result = np.zeros((4 * size[0], 4 * size[1]), np.float32)
    for _ in range(3):
        assert moving.take(result, scene, 1.0, 8.0) is result


def test_nothing_leaves_what_the_result_and_the_camera_show():
    result, scene = pair(shown(0, 0), 0)
    mean = result + np.random.default_rng(1).normal(0, 500, result.shape).astype(np.float32)
    bound = within_reach(mean, result, scene)
    around = np.ones((3, 3), np.uint8)
    low, high = (
        np.repeat(np.repeat(of(scene, around), 4, axis=0), 4, axis=1)
        for of in (cv2.erode, cv2.dilate)
    )
    assert (bound >= np.minimum(low, result)).all() and (bound <= np.maximum(high, result)).all()
    np.testing.assert_array_equal(within_reach(result, result, scene), result)


def test_it_is_the_same_twice():
    truths = [shown(2.9 * t, 1.3 * t) for t in range(5)]
    np.testing.assert_array_equal(run(truths)[2], run(truths)[2])
