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

"""Frames of a closed shutter are told from scenes, by synthetic streams and real clips."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from difiisr_ros.stream.shutter import MOST_SECONDS, ShutterWatch

RATE = 9.0


def scene(count, seed=0, contrast=800.0, speed=2):
    """A camera that pans over a scene, with its noise."""
    rng = np.random.default_rng(seed)
    field = cv2.GaussianBlur(rng.normal(size=(60, 80 + speed * count)), (0, 0), 4)
    field *= contrast / field.std()
    for i in range(count):
        noise = rng.normal(0, 4, (60, 80))
        yield np.rint(29500 + field[:, speed * i : speed * i + 80] + noise).astype(np.uint16)


def flat(seed=0, level=30500.0, slope=20.0):
    """A shutter: a gradient that the last correction has left, and noise."""
    rng = np.random.default_rng(seed)
    frame = level + slope * np.linspace(0, 1, 60)[:, None] + rng.normal(0, 4, (60, 80))
    return np.rint(frame).astype(np.uint16)


def seen(frames, rate=RATE):
    watch = ShutterWatch()
    return [i for i, frame in enumerate(frames) if watch.sees(frame, i / rate)]


@pytest.mark.parametrize("level", [29500.0, 30500.0, 20000.0])
@pytest.mark.parametrize("convert", [np.uint16, np.float32])
def test_a_closed_shutter_is_seen_while_it_is_closed(level, convert):
    frames = list(scene(30))
    frames[12:18] = [flat(i, level) for i in range(6)]
    frames[24:26] = [np.full((60, 80), level)] * 2
    assert seen([frame.astype(convert) for frame in frames]) == [*range(12, 18), 24, 25]


def test_a_flat_scene_is_not_held_for_ever():
    frames = [*scene(10), *(flat(i) for i in range(60)), *scene(10, seed=1)]
    found = seen(frames)
    assert found == list(range(10, 10 + round(MOST_SECONDS * RATE)))


def test_changes_of_the_scene_or_the_camera_are_no_shutter():
    still = [*scene(20, speed=0)]
    gain = [*still[:10], *(np.rint(2900 + (f - 29500.0) / 10).astype(np.uint16) for f in still)]
    assert seen(gain) == []
    # A person who leaves: what is behind stays.
    rng = np.random.default_rng(0)
    wall = [29000 + rng.normal(0, 4, (60, 80)) for _ in range(20)]
    for frame in wall[:10]:
        frame[10:40, 30:50] += 900
    assert seen(wall) == []
    assert seen(flat(i) for i in range(30)) == []  # a wall from the beginning
    fading = [29500 + (f - 29500.0) * 0.8**i for i, f in enumerate(scene(30))]
    assert seen(fading) == []


def test_another_size_and_frames_without_a_number_are_no_shutter():
    frames = [*scene(10), np.full((30, 40), 7, np.uint16), np.full((60, 80), np.nan, np.float32)]
    assert seen(frames) == []


@pytest.fixture
def clips(data_dir):
    found = sorted((data_dir / "native" / "clips").glob("*.npz"))
    if not found:
        pytest.skip(f"no clips of real cameras in {data_dir}")
    return found


def test_no_frame_of_a_real_clip_is_taken_for_one(clips):
    for path in clips:
        clip = np.load(path)["frames"]
        for step in (1, 3):
            assert seen(clip[::step]) == [], path.name


def test_a_shutter_in_a_real_clip_is_seen(clips):
    for path in clips:
        clip = list(np.load(path)["frames"])
        low, high = np.percentile(clip[19], (5, 95))
        rng = np.random.default_rng(0)
        for i in range(20, 25):
            noise = rng.normal(0, 0.02 * (high - low), clip[0].shape)
            clip[i] = np.rint(high + noise).astype(np.uint16)
        assert seen(clip) == [20, 21, 22, 23, 24], path.name
