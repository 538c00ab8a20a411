"""Frames of a closed shutter are told from a scene, and a scene that is flat from them."""

from __future__ import annotations

import numpy as np
import pytest

from difiisr_ros.core.noise_level import estimate_noise
from difiisr_ros.core.radiometry import INTEGER_SPAN, measure_range
from difiisr_ros.io.images import read_image
from difiisr_ros.scene.street import SyntheticScene
from difiisr_ros.stream.shutter import LONGEST_S, ShutterWatch

HZ = 9.0


def shutter(like, noise=5.0, seed=0, level=None):
    """A shutter's frame: its middle a little warmer, and the camera's noise."""
    rng = np.random.default_rng(seed)
    height, width = like.shape
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    middle = float(like.mean()) if level is None else level
    frame = middle - 2 * noise * (x**2 + y**2) + noise * rng.normal(size=like.shape)
    return np.rint(frame).astype(like.dtype) if like.dtype != np.float32 else frame.astype("f4")


def looked_at(frames, hz=HZ):
    watch, found = ShutterWatch(), []
    for i, frame in enumerate(frames):
        low, high = measure_range(frame)
        least = 0.0 if frame.dtype == np.float32 else INTEGER_SPAN
        found.append(watch.is_shutter(high - low, estimate_noise(frame), least, i / hz))
    return found


@pytest.fixture(scope="module")
def stream():
    scene = SyntheticScene(96, 72, real_camera=True)
    return [scene.frame(i)[0] for i in range(20)]


@pytest.mark.parametrize("to", [np.uint16, np.float32])
def test_a_shutter_of_a_second_is_recognised_from_its_first_frame_to_its_last(stream, to):
    stream = [frame.astype(to) for frame in stream]
    closed = [shutter(stream[0], 13.0, i, level=31500.0) for i in range(9)]
    found = looked_at(stream[:10] + closed + stream[10:])
    assert found == [False] * 10 + [True] * 9 + [False] * 10


@pytest.mark.parametrize("value", [30000, 0, 65535])
def test_a_shutter_without_any_noise(stream, value):
    closed = [np.full_like(stream[0], value)] * 3
    assert looked_at(stream[:5] + closed + stream[5:8]) == [False] * 5 + [True] * 3 + [False] * 3


def test_a_wall_is_a_scene_after_three_seconds(stream):
    wall = [shutter(stream[0], 13.0, i) for i in range(60)]
    found = looked_at(stream[:5] + wall)
    held = int(LONGEST_S * HZ) + 1
    assert found == [False] * 5 + [True] * held + [False] * (60 - held)
    # and the scene that comes back is one, too
    assert not any(looked_at(stream[:5] + wall + stream[5:])[65:])


def test_a_stream_that_begins_flat_is_a_scene(stream):
    assert not any(looked_at([shutter(stream[0], 13.0, i) for i in range(20)] + stream[:5]))


def test_a_change_of_gain_is_no_shutter(stream):
    tenth = [np.rint(28000 + (f.astype(float) - 28000) / 10).astype(np.uint16) for f in stream]
    assert not any(looked_at(stream[:10] + tenth[10:]))


def test_a_low_contrast_scene_with_edges_is_no_shutter(stream):
    """A fifth of the contrast from one frame to the next, as behind thin fog."""
    fog = [np.rint(30000 + (f.astype(float) - 30000) / 5).astype(np.uint16) for f in stream]
    assert not any(looked_at(stream[:10] + fog[10:]))


def clips(data_dir):
    found = sorted((data_dir / "native" / "clips").glob("*.npz"))
    if not found:
        pytest.skip(f"no clips in {data_dir}")
    return found


def test_real_clips_have_none_and_one_that_is_put_in_is_found(data_dir):
    for path in clips(data_dir):
        frames = list(np.load(path)["frames"][:45])
        assert not any(looked_at(frames)), path.name
        low, high = measure_range(frames[29])
        if high - low < 60:
            continue  # hardly more than noise: a shutter's frame would look the same
        closed = [shutter(frames[0], 3.0, i) for i in range(9)]
        found = looked_at([*frames[:30], *closed, *frames[30:]])
        assert found == [False] * 30 + [True] * 9 + [False] * 15, path.name


def test_real_stills_that_follow_each_other(data_dir):
    """Other scenes, as if the camera had been turned away: none of them is a shutter."""
    for folder in ("lepton", "native/test"):
        stills = [read_image(p) for p in sorted((data_dir / folder).iterdir()) if p.suffix != ".md"]
        kinds = {}
        for still in stills:
            kinds.setdefault(still.dtype, []).append(still)
        for group in kinds.values():
            assert not any(looked_at([frame for frame in group for _ in range(2)])), folder
