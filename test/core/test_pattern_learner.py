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

"""A pattern learnt from a moving scene, and from nothing else."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from difiisr_ros.core.crop import Crop
from difiisr_ros.core.fixed_pattern import FixedPattern
from difiisr_ros.core.pattern_learner import PatternLearner

SIZE = HEIGHT, WIDTH = 60, 80
NOISE = 1.0


def scenery(seed=0, height=600, width=800):
    """Boxes, discs and slopes, 4 pixels for one of the camera."""
    random = np.random.default_rng(seed)
    image = np.full((height, width), 60, np.float32)
    for _ in range(160):
        x, y = (int(v) for v in random.uniform(0, (width, height)))
        w, h = (int(v) for v in random.uniform(8, 120, 2))
        level = float(random.uniform(0, 200))
        if random.random() < 0.5:
            cv2.rectangle(image, (x, y), (x + w, y + h), level, -1)
        else:
            cv2.circle(image, (x, y), w // 2, level, -1)
    return cv2.GaussianBlur(image, (0, 0), 1.6)


SCENERY = scenery()


def view(x, y, zoom=1.0):
    """What the camera sees from a place in its own pixels."""
    matrix = np.array([[zoom, 0, 4 * x], [0, zoom, 4 * y]])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    large = cv2.warpAffine(
        SCENERY, matrix, (4 * WIDTH, 4 * HEIGHT), flags=flags, borderMode=cv2.BORDER_REFLECT
    )
    return cv2.resize(large, (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA)


def moving(count):
    for t in range(count):
        yield view(50 + 40 * np.sin(t / 31), 40 + 30 * np.sin(t / 23 + 1))


def pattern(seed=1):
    random = np.random.default_rng(seed)
    found = 2.5 * random.standard_normal(SIZE) + 1.5 * random.standard_normal((1, WIDTH))
    return (found - found.mean()).astype(np.float32)


PATTERN = pattern()


def camera(scenes, fixed=PATTERN, noise=NOISE, seed=2):
    random = np.random.default_rng(seed)
    for scene in scenes:
        yield (scene + fixed + noise * random.standard_normal(SIZE)).astype(np.float32)


def teach(frames, learner=None, noise=2.7):
    learner = learner or PatternLearner()
    for frame in frames:
        learner.learn(frame, noise)
    return learner


def left(learner, truth=PATTERN):
    offsets = np.zeros(SIZE) if learner.offsets is None else learner.offsets
    return float(((truth - offsets) ** 2).mean() / (truth**2).mean())


def test_a_moving_camera_learns_most_of_the_pattern():
    learner = teach(camera(moving(60)))
    assert left(learner) < 0.15
    assert learner.frames > 40 and not learner.frozen and learner.trust > 0.8
    columns = (learner.offsets - PATTERN).mean(axis=0)
    assert (columns**2).mean() < 0.3 * (PATTERN.mean(axis=0) ** 2).mean()
    assert left(teach(camera(moving(300)))) < 0.06


def test_columns_are_known_before_single_pixels_are():
    learner = teach(camera(moving(16)))
    wrong = (learner._offsets - PATTERN).mean(axis=0)
    assert (wrong**2).mean() < 0.12 * (PATTERN.mean(axis=0) ** 2).mean()


def test_the_level_of_the_scene_stays():
    learner = teach(camera(moving(120)))
    scene = 200.0
    assert abs(float(learner.offsets.mean())) < 0.0005 * scene
    blocks = (learner.offsets - PATTERN)[:56].reshape(7, 8, 10, 8).mean(axis=(1, 3))
    before = PATTERN[:56].reshape(7, 8, 10, 8).mean(axis=(1, 3))
    assert np.abs(blocks).mean() < np.abs(before).mean() + 0.0005 * scene


def test_without_a_pattern_little_is_learnt():
    learner = teach(camera(moving(120), fixed=0.0), noise=NOISE)
    offsets = np.zeros(SIZE) if learner.offsets is None else learner.offsets
    assert offsets.std() < 0.35 * NOISE
    blocks = offsets[:56].reshape(7, 8, 10, 8).mean(axis=(1, 3))
    assert np.abs(blocks).mean() < 0.0005 * 200.0


def person(scene, x, y):
    scene = scene.copy()
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    body = ((rows - y) / 14) ** 2 + ((columns - x) / 5) ** 2 < 1
    scene[body] = (180 + 8 * np.sin(rows * 0.9) + 6 * np.cos(columns * 1.1))[body]
    return scene


def test_a_person_who_stands_for_a_minute_is_not_burnt_in():
    def scenes():
        for t in range(540):  # nine frames a second
            x = -10 + 1.0 * t if t < 50 else 40 + 2 * np.sin(t / 17) + np.sin(t / 5.3)
            yield person(view(50, 40), x if t < 490 else 40 + t - 490, 30 + np.sin(t / 9))

    learner = teach(camera(scenes()))
    assert learner.offsets is None and learner.frozen and learner.frames == 0


def test_a_camera_that_stops_is_frozen_with_what_it_knows():
    learner = teach(camera(moving(60)))
    known = learner.offsets.copy()
    still = [person(view(50, 40), 30 + np.sin(t / 9), 30) for t in range(60)]
    teach(camera(still, seed=5), learner)
    frames = learner.frames
    assert learner.frozen
    teach(camera(still, seed=6), learner)
    assert learner.frames == frames
    assert np.abs(learner.offsets - known).max() < 0.5


def test_what_moves_with_the_camera_is_not_learnt():
    learner = teach(camera(person(scene, 40, 30) for scene in moving(200)))
    error = learner.offsets - PATTERN
    assert np.sqrt((error[20:40, 37:43] ** 2).mean()) < 1.2 * PATTERN.std()
    assert error[:, :30].var() < 0.1 * PATTERN.var()


def test_the_same_frames_give_the_same_offsets_bit_for_bit():
    first, second = (teach(camera(moving(40))).offsets for _ in range(2))
    assert first.tobytes() == second.tobytes()


def test_memory_is_bounded_and_frames_are_not_changed():
    learner = PatternLearner()
    for frame in camera(moving(80)):
        before = frame.copy()
        learner.learn(frame, 2.7)
        np.testing.assert_array_equal(frame, before)
        assert len(learner._kept) <= 3


def test_another_size_begins_anew_and_a_reset_forgets():
    learner = teach(camera(moving(60)))
    learner.learn(np.zeros((48, 64), np.float32), 1.0)
    assert learner.offsets is None and learner.frames == 0
    learner = teach(camera(moving(60)))
    learner.reset()
    assert learner.offsets is None and learner.frames == 0 and learner.as_pattern() is None
    assert left(teach(camera(moving(60)), learner)) < 0.15


def test_another_pattern_takes_the_place_of_the_first():
    other = pattern(7)
    learner = teach(camera(moving(100)))
    teach(camera(moving(250), other), learner)
    assert left(learner, other) < 0.2


def test_what_is_known_from_a_file_is_where_learning_starts():
    start = FixedPattern(PATTERN, 200, "2026-01-31")
    learner = PatternLearner(start)
    assert left(learner) == 0.0 and learner.frames == 200
    assert left(teach(camera(moving(40)), learner)) < 0.03
    again = learner.as_pattern("2026-02-01", "stream")
    assert again.frames > 200 and again.date == "2026-02-01"


def flat(fixed, seed=11):
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    warmth = 30 * np.exp(-((rows - 30) ** 2 + (columns - 40) ** 2) / 1500)
    frames = camera([3000 + warmth] * 8, fixed, seed=seed)
    return np.mean(list(frames), axis=0)


def test_a_shutters_pattern_is_taken_where_it_makes_frames_smoother():
    learner = PatternLearner()
    assert learner.shutter(flat(PATTERN), 8)
    assert learner.offsets is None
    teach(camera([view(50, 40)] * 6), learner)  # the camera stands still
    assert left(learner) < 0.25 and learner.frames == 8


def test_a_shutters_pattern_is_dropped_where_the_camera_has_corrected_itself():
    learner = teach(camera(moving(60), pattern(5)))
    known = learner.offsets.copy()
    assert learner.shutter(flat(pattern(9)), 8)
    teach(camera([view(50, 40)] * 8, pattern(5)), learner)
    np.testing.assert_array_equal(learner.offsets, known)


def test_a_scene_is_no_shutter():
    learner = PatternLearner()
    assert not learner.shutter(view(50, 40) + PATTERN)
    teach(camera([view(50, 40)] * 8), learner)
    assert learner.offsets is None


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    "frames",
    [
        [np.full(SIZE, 7.0)] * 8,
        [np.full(SIZE, np.nan)] * 3,
        [np.full((10, 12), 5.0)] * 3,
        [np.tile([[0.0, 1.0], [1.0, 0.0]], (30, 40)) * 250] * 8,
        [255 * np.random.default_rng(t).random(SIZE) for t in range(20)],
    ],
    ids=["constant", "missing", "small", "checkerboard", "noise"],
)
def test_what_says_nothing_teaches_nothing(frames):
    learner = PatternLearner()
    for frame in frames:
        learner.learn(frame.astype(np.float32), 3.0)
    assert learner.offsets is None and learner.frozen


@pytest.mark.filterwarnings("error")
def test_stuck_missing_and_clipped_pixels_spoil_nothing():
    learner = PatternLearner()
    for frame in camera(moving(100)):
        frame = np.clip(frame, 20, 180)
        frame[30, 40], frame[10, 70] = 60_000, -60_000
        frame[40:44, 10:20] = np.nan
        learner.learn(frame, 2.7)
        assert np.isfinite(learner._offsets).all() and np.abs(learner._offsets).max() <= 27
    assert left(learner) < 0.25
    assert abs(learner.offsets[30, 40]) < 5


def test_a_gain_that_jumps_does_not_make_it_diverge():
    frames = [frame * (1 if i < 80 else 0.5) for i, frame in enumerate(camera(moving(200)))]
    assert left(teach(frames), 0.5 * PATTERN) < 0.2


def test_forward_motion_teaches_too():
    scenes = (view(60, 50, 1 + 0.3 * np.sin(t / 20)) for t in range(100))
    assert left(teach(camera(scenes))) < 0.35


def test_rows_of_telemetry_are_no_part_of_the_picture():
    random = np.random.default_rng(4)
    learner = PatternLearner(crop=Crop(top=2, right=3))
    frames = list(camera(moving(60)))
    plain = teach(frames)
    for frame in frames:
        words = random.integers(0, 65536, (HEIGHT + 2, WIDTH + 3)).astype(np.float32)
        words[2:, :WIDTH] = frame
        learner.learn(words, 2.7)
    assert learner.offsets.shape == (HEIGHT + 2, WIDTH + 3)
    assert not learner.offsets[:2].any() and not learner.offsets[:, WIDTH:].any()
    np.testing.assert_array_equal(learner.offsets[2:, :WIDTH], plain.offsets)
    again = PatternLearner(learner.as_pattern(), Crop(top=2, right=3))
    np.testing.assert_array_equal(again.offsets, learner.offsets)
