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

"""A recursive mean of what stands still: what it gains, and that nothing leaves a trail."""

import numpy as np
import pytest

from difiisr_ros.core.still_scene import MOST_FRAMES, StillScene
from support.frames import smooth_frame

NOISE = 4.0


def scene(height=48, width=64):
    return smooth_frame(np.uint16, (height, width), 3).astype(np.float32) / 64.0


def noisy(frame, number, noise=NOISE):
    rng = np.random.default_rng([7, number])
    return (frame + noise * rng.standard_normal(frame.shape)).astype(np.float32)


def after(frames, noise=NOISE, **how):
    still = StillScene()
    for frame in frames:
        looks = still.take(frame, noise, **how)
    return looks


def test_the_first_frame_is_itself():
    frame = noisy(scene(), 0)
    looks = after([frame])
    np.testing.assert_array_equal(looks.mean, frame)
    assert (looks.frames == 1).all() and not looks.still.any()
    assert looks.noise_after(1) == pytest.approx(NOISE)


@pytest.mark.parametrize(("count", "left"), [(4, 0.5), (8, 0.36), (40, 0.19), (200, 0.18)])
def test_noise_falls_as_the_root_of_the_frames(count, left):
    clean = scene()
    looks = after([noisy(clean, t) for t in range(count)])
    assert (looks.mean - clean).std() < 1.1 * left * NOISE
    told = looks.noise_after(np.median(looks.frames))
    assert told == pytest.approx((looks.mean - clean).std(), rel=0.2)
    assert looks.frames.max() <= MOST_FRAMES + 0.01 and looks.still.mean() > 0.97


def test_the_part_of_the_noise_that_is_fixed_is_told_to_stay():
    clean = scene()
    fixed = noisy(np.zeros_like(clean), 99, 3.0)
    looks = after([noisy(clean + fixed, t, 1.0) for t in range(24)], noise=10**0.5)
    assert looks.changing == pytest.approx(1.0, rel=0.2)
    assert looks.noise_after(20) == pytest.approx(3.0, rel=0.05)


@pytest.mark.parametrize("contrast", [12.0, 40.0, 2000.0])
@pytest.mark.parametrize("side", [3, 6])
def test_a_target_that_leaves_leaves_no_trail(contrast, side):
    """Nor is it faint while it is there, or where it comes to stand."""
    clean = scene()
    frames, truths = [], []
    for t in range(24):
        truth = clean.copy()
        x = 10 + 2 * min(t, 18)
        truth[20 : 20 + side, x : x + side] += contrast
        truths.append(truth)
        frames.append(noisy(truth, t))
    still = StillScene()
    for t, (frame, truth) in enumerate(zip(frames, truths)):
        looks = still.take(frame, NOISE)
        error = looks.mean - truth
        passed = error[20 : 20 + side, 10 : 10 + 2 * 18]
        assert abs(passed.mean(axis=0)).max() < 4 * NOISE / side**0.5, t
        assert abs(error).max() < 6 * NOISE, t


def test_what_has_changed_is_the_frame_itself_at_once():
    clean = scene()
    still = StillScene()
    for t in range(12):
        still.take(noisy(clean, t), NOISE)
    moved = noisy(np.roll(clean, 3, axis=1) + 200 * (np.arange(64) > 40), 50)
    looks = still.take(moved, NOISE)
    np.testing.assert_array_equal(looks.mean[:, 44:60], moved[:, 44:60])
    assert (looks.frames[:, 44:60] == 1).all()


@pytest.mark.parametrize("speed", [0.05, 0.2, 1.0])
def test_a_slow_shift_blurs_nothing(speed):
    """Of a scene with structure: in pixels a frame."""
    y, x = np.mgrid[:48, :64].astype(np.float32)

    def shown(t):
        return 60 * np.sin((x - speed * t) / 1.6) * np.sin((y - 0.7 * speed * t) / 1.9)

    still = StillScene()
    for t in range(20):
        frame = noisy(shown(t), t, 1.0)
        looks = still.take(frame, 1.0)
        assert (looks.mean - shown(t)).std() < 1.05, t


def test_drift_of_the_level_is_no_motion():
    clean = scene()
    frames = [noisy(clean + 2.0 * t, t) for t in range(16)]
    looks = after(frames)
    assert looks.still.mean() > 0.95
    assert (looks.mean - clean).mean() == pytest.approx(30.0, abs=1.0)


def test_missing_pixels_stay_missing_and_hurt_no_other():
    clean = scene()
    frames = [noisy(clean, t) for t in range(8)]
    for frame in frames:
        frame[10:14, 30:34] = np.nan
    frames[5][40, 50] = np.inf
    looks = after(frames)
    gone = np.isnan(looks.mean)
    assert gone[10:14, 30:34].all() and gone.sum() == 16
    assert np.isfinite(looks.mean[40, 50]) and looks.frames[20, 20] > 5


@pytest.mark.parametrize(
    "frames",
    [
        [np.zeros((20, 30), np.float32)] * 4,
        [np.full((20, 30), 65535, np.uint16), np.zeros((20, 30), np.uint16)] * 2,
        [np.indices((20, 30)).sum(axis=0).astype(np.float32) % 2 * 1e30] * 4,
        [np.full((20, 30), np.nan, np.float32), np.zeros((20, 30), np.float32)] * 2,
        [np.zeros((1, 1), np.uint8)] * 3,
        [np.zeros((20, 30), np.uint8), np.zeros((30, 20), np.uint8)],
    ],
)
@pytest.mark.parametrize("noise", [0.0, 1.0])
def test_frames_it_never_saw(frames, noise):
    still = StillScene()
    for frame in frames:
        looks = still.take(frame, noise, min(noise, 0.29))
        np.testing.assert_array_equal(looks.mean, frame.astype(np.float32))


def test_it_is_the_same_twice():
    frames = [noisy(scene(), t) for t in range(6)]
    once, again = after(frames), after(frames)
    np.testing.assert_array_equal(once.mean, again.mean)
    np.testing.assert_array_equal(once.frames, again.frames)
