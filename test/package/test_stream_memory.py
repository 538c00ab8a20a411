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

"""What is remembered of a stream, through the whole engine."""

import cv2
import numpy as np
import pytest

from difiisr_ros import CameraProfile, StreamMemory, SuperResolver
from difiisr_ros.core.fixed_pattern import FixedPattern
from difiisr_ros.core.region import Region
from difiisr_ros.errors import FrameError, OptionError
from difiisr_ros.stream_memory import NO_MEMORY, MemoryOptions
from support.frames import smooth_frame

SIZE = (48, 64)
CLEAN = smooth_frame(np.uint16, SIZE, 5).astype(np.float64) / 8.0
SPAN = float(np.ptp(CLEAN))
NOISE = 0.02 * SPAN
EVERYTHING = MemoryOptions("auto", "running", "learn", "on")


@pytest.fixture(scope="module")
def nano():
    resolver = SuperResolver.load("nano", num_threads=1)
    yield resolver
    resolver.close()


def frame(number, moved=0, dtype=np.uint16):
    rng = np.random.default_rng([1, number])
    shown = CLEAN + NOISE * rng.standard_normal(SIZE)
    if moved is not None:
        shown[10:16, 4 + moved : 10 + moved] += SPAN
    return np.clip(np.rint(shown), 0, 65535).astype(dtype)


def error(result, moved=0):
    """Root mean square difference of 4x4 means to the truth, where nothing moves."""
    means = result.astype(float).reshape(SIZE[0], 4, SIZE[1], 4).mean(axis=(1, 3))
    return (means - CLEAN)[24:, :].std()


def test_a_still_scene_is_less_noisy_and_that_is_told(nano):
    memory = StreamMemory(MemoryOptions("auto"))
    camera = CameraProfile(noise=NOISE, blur=0.4)
    for number in range(12):
        shown = frame(number)
        single = nano.upscale(shown, camera=camera)
        alone = nano.measurements[0]
        result = nano.upscale(shown, camera=camera, memory=memory)
    (measured,) = nano.measurements
    assert error(result) < 0.6 * error(single)
    assert measured.frames > 8 and measured.still > 0.9
    assert measured.noise < 0.4 * alone.noise and (alone.frames, alone.still) == (1.0, 0.0)
    assert result.dtype == np.uint16 and result.shape == (192, 256)


def test_where_something_moves_it_is_the_single_frame(nano):
    """And the rest is averaged on: the result is two runs, mixed."""
    memory = StreamMemory(MemoryOptions("auto"))
    camera = CameraProfile(noise=NOISE, blur=0.4)
    for number in range(12):
        shown = frame(number, moved=4 * number)
        result = nano.upscale(shown, camera=camera, memory=memory)
    single = nano.upscale(shown, camera=camera)
    x = 4 * (4 + 44)
    inside = np.s_[44:60, x + 4 : x + 20]
    assert abs(result[inside].astype(int) - single[inside]).max() < 0.02 * SPAN
    assert error(result) < 0.7 * error(single)


def test_a_camera_that_moves_gives_the_single_frame_bit_for_bit(nano):
    memory = StreamMemory(MemoryOptions("auto"))
    for number in range(6):
        nano.upscale(frame(number), memory=memory)
    turned = np.ascontiguousarray(np.roll(frame(7), (9, 17), axis=(0, 1)))
    np.testing.assert_array_equal(nano.upscale(turned, memory=memory), nano.upscale(turned))


def test_a_memory_that_is_off_changes_nothing(nano):
    memory = StreamMemory()
    assert memory.is_off and memory.options == NO_MEMORY
    for number in range(3):
        np.testing.assert_array_equal(
            nano.upscale(frame(number), memory=memory), nano.upscale(frame(number))
        )


@pytest.mark.parametrize("how", [{"tile_size": 32, "tile_overlap": 8}, {"scale": 2}, {}])
def test_a_region_and_tiles_are_part_of_the_whole(nano, how):
    """Also where a second run is mixed in."""
    memories = [StreamMemory(MemoryOptions("auto")) for _ in range(2)]
    region = Region(8, 4, 40, 24)
    before = nano.options
    try:
        for number in range(8):
            shown = frame(number, moved=3 * number)
            whole = nano.upscale(shown, memory=memories[0])
            if number == 7:
                nano.configure(**how)
                part = nano.upscale(shown, memory=memories[1], region=region)
                scale = nano.options.scale
            else:
                nano.remember(shown, memories[1])
    finally:
        nano.configure(scale=4, tile_size=before.tile_size, tile_overlap=before.tile_overlap)
    if scale == 4:
        expected = region.times(4).of(whole)
        tolerance = 1 if not how else 0.05 * SPAN
        assert abs(part.astype(int) - expected.astype(int)).max() <= tolerance
    assert part.shape == (24 * scale, 40 * scale)


def test_cameras_of_a_batch_have_their_own(nano):
    streams = [[frame(n, moved=k * n) for n in range(6)] for k in (0, 3)]
    alone = []
    for stream in streams:
        memory = StreamMemory(EVERYTHING)
        alone.append([nano.upscale(shown, memory=memory) for shown in stream][-1])
    memories = [StreamMemory(EVERYTHING), StreamMemory(EVERYTHING), None]
    for a, b in zip(*streams):
        *results, by_itself = nano.upscale_batch([a, b, a], memories=memories)
    for result, expected in zip(results, alone):
        assert abs(result.astype(int) - expected.astype(int)).max() <= 1
    assert abs(by_itself.astype(int) - nano.upscale(streams[0][-1])).max() <= 1


def test_the_same_frames_give_the_same_results_after_a_reset(nano):
    memory = StreamMemory(EVERYTHING)
    runs = []
    for _ in range(2):
        memory.reset()
        runs.append([nano.upscale(frame(n, moved=2 * n), memory=memory) for n in range(5)])
    for once, again in zip(*runs):
        np.testing.assert_array_equal(once, again)


def test_the_running_noise_is_told(nano):
    memory = StreamMemory(MemoryOptions(noise="running"))
    told = []
    for number in range(20):
        nano.upscale(frame(number), memory=memory)
        told.append(nano.measurements[0].noise)
    own = []
    for number in range(20):
        nano.upscale(frame(number))
        own.append(nano.measurements[0].noise)
    assert np.std(told[10:]) < 0.5 * np.std(own[10:])


def test_a_profile_says_the_noise_and_reduced_frames_have_none(nano):
    memory = StreamMemory(MemoryOptions("auto", "running"))
    nano.upscale(frame(0), camera=CameraProfile(noise=9.0), memory=memory)
    assert nano.measurements[0].noise == pytest.approx(9.0, rel=0.01)
    reduced = SuperResolver.load("nano", camera="reduced", num_threads=1)
    memory = StreamMemory(EVERYTHING)
    for number in range(3):
        result = reduced.upscale(frame(number), memory=memory)
        np.testing.assert_array_equal(result, reduced.upscale(frame(number)))


def profile_with_pattern(tmp_path, offsets):
    FixedPattern(offsets.astype(np.float32), 10).write(tmp_path / "pattern.npz")
    return CameraProfile(pattern=str(tmp_path / "pattern.npz"))


def test_the_profiles_pattern_is_subtracted_left_or_learnt_from(nano, tmp_path):
    offsets = np.where(np.indices(SIZE).sum(axis=0) % 2, 1, -1) * 0.05 * SPAN
    camera = profile_with_pattern(tmp_path, offsets)
    clean = frame(0)
    shown = np.rint(clean + offsets).astype(np.uint16)
    expected = nano.upscale(clean)
    for pattern, close in (("profile", True), ("learn", True), ("off", False)):
        memory = StreamMemory(MemoryOptions(pattern=pattern))
        result = nano.upscale(shown, camera=camera, memory=memory)
        difference = abs(result.astype(int) - expected.astype(int)).mean()
        assert (difference < 0.005 * SPAN) == close, pattern
        learnt = nano.measurements[0].pattern
        assert (learnt is not None) == (pattern == "learn")
        assert (memory.pattern is not None) == (pattern == "learn")
    assert memory.options.pattern == "off"


def test_a_pattern_of_another_size_is_named(nano, tmp_path):
    camera = profile_with_pattern(tmp_path, np.zeros((20, 30)))
    with pytest.raises(FrameError, match=r"30x20.*64x48"):
        nano.upscale(frame(0), camera=camera, memory=StreamMemory(EVERYTHING))


def test_a_shutter_ends_what_was_seen(nano):
    memory = StreamMemory(MemoryOptions("auto"))
    for number in range(5):
        nano.upscale(frame(number), memory=memory)
    memory.shutter(np.full(SIZE, 800, np.uint16), nano.camera)
    np.testing.assert_array_equal(nano.upscale(frame(6), memory=memory), nano.upscale(frame(6)))


def test_a_shutter_shows_the_pattern(nano):
    """Several of its frames, averaged; the scene that comes next proves it.

    A profile's noise counts until then: it is that of frames of which no pattern was subtracted.
    """
    memory, camera = StreamMemory(MemoryOptions(pattern="learn")), CameraProfile(noise=6 * NOISE)
    rng = np.random.default_rng(5)
    pattern = 0.06 * SPAN * rng.standard_normal(SIZE)

    def seen(scene):
        shown = scene + pattern + NOISE * rng.standard_normal(SIZE)
        return np.clip(np.rint(shown), 0, 65535).astype(np.uint16)

    nano.upscale(seen(CLEAN + 500), camera=camera, memory=memory)
    (first,) = nano.measurements
    assert first.noise == pytest.approx(6 * NOISE, rel=0.02) and not first.noise_is_estimated
    for _ in range(8):
        memory.shutter(seen(np.full(SIZE, 900.0)), camera)
    for _ in range(8):
        nano.upscale(seen(CLEAN + 500), camera=camera, memory=memory)
    (later,) = nano.measurements
    assert later.noise < 2.5 * NOISE and later.noise_is_estimated
    learnt = later.pattern
    assert learnt.offsets is not None and learnt.frames == 8
    left = (learnt.offsets - pattern) - (learnt.offsets - pattern).mean()
    assert left.std() < 0.35 * pattern.std()


def test_changing_an_option_forgets_what_it_used(nano):
    memory = StreamMemory(MemoryOptions("auto"))
    for number in range(4):
        nano.remember(frame(number), memory)
    memory.configure(MemoryOptions("auto", "running"))
    nano.upscale(frame(5), memory=memory)
    assert nano.measurements[0].frames > 2
    memory.configure(NO_MEMORY)
    memory.configure(MemoryOptions("auto"))
    nano.upscale(frame(6), memory=memory)
    assert nano.measurements[0].frames == 1


def panned(number, step=2):
    rng = np.random.default_rng([4, number])
    wide = smooth_frame(np.uint16, (48, 200), 9).astype(float) / 8.0
    noise = 0.02 * np.ptp(wide)
    part = wide[:, step * number : step * number + 64]
    return np.rint(part + noise * rng.standard_normal(part.shape)).astype(np.uint16), part, noise


@pytest.mark.parametrize("how", [{}, {"scale": 2}, {"tile_size": 48, "tile_overlap": 16}])
def test_results_follow_a_camera_that_pans(nano, how):
    memory = StreamMemory(MemoryOptions("auto", motion="on"))
    before = nano.options
    nano.configure(**how)
    try:
        for number in range(10):
            shown, truth, noise = panned(number)
            camera = CameraProfile(noise=noise, blur=0.4)
            single = nano.upscale(shown, camera=camera)
            result = nano.upscale(shown, camera=camera, memory=memory)
            followed = nano.measurements[0].followed
        part = nano.upscale(shown, camera=camera, memory=memory, region=Region(8, 8, 32, 32))
        assert nano.measurements[0].followed == 0.0
        scale = nano.options.scale
    finally:
        nano.configure(scale=4, tile_size=before.tile_size, tile_overlap=before.tile_overlap)
    errors = [
        (image.reshape(48, scale, 64, scale).mean(axis=(1, 3)) - truth)[6:-6, 6:-12].std()
        for image in (single.astype(float), result.astype(float))
    ]
    assert followed > 0.7 and errors[1] < 0.85 * errors[0]
    assert part.shape == (32 * scale, 32 * scale)


def test_a_result_that_follows_is_bounded_like_any(nano):
    """Between the camera's 3x3 pixels, or where the frame's own result is."""
    memory = StreamMemory(MemoryOptions(motion="on"))
    for number in range(8):
        shown, _, _ = panned(number)
        single = nano.upscale(shown).astype(int)
        result = nano.upscale(shown, memory=memory).astype(int)
    around = np.ones((3, 3), np.uint8)
    low, high = (
        np.kron(of(shown, around).astype(int), np.ones((4, 4), int))
        for of in (cv2.erode, cv2.dilate)
    )
    assert (result >= np.minimum(low, single) - 1).all()
    assert (result <= np.maximum(high, single) + 1).all()


@pytest.mark.parametrize(
    "wrong", [{"motion": "auto"}, {"still": "on"}, {"noise": ""}, {"pattern": True}]
)
def test_a_wrong_option_is_named(wrong):
    (name,) = wrong
    with pytest.raises(OptionError, match=f"{name} must be one of .*, got {wrong[name]!r}"):
        MemoryOptions(**wrong)
