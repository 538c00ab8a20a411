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

"""Bounds on what comes out, whatever the frame; what networks are shown of extreme frames."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from difiisr_ros import CameraProfile, SuperResolver
from difiisr_ros.core import bound as bounds
from difiisr_ros.core.bound import bound, compressed, neighbours, plateaus, without_lone_pixels
from difiisr_ros.errors import OptionError

CAMERAS = (
    CameraProfile(source="auto"),
    CameraProfile(source="reduced"),
    CameraProfile(noise=0.0, blur=0.8),
    CameraProfile(noise=5.0, blur=0.2),
)


@pytest.fixture(scope="module")
def resolver():
    with_weights = SuperResolver.load("nano", backend="torch", strict_backend=True)
    yield with_weights
    with_weights.close()


def limits(frame: np.ndarray, overshoot: float) -> tuple[np.ndarray, np.ndarray]:
    """Least and largest of each output pixel, float64."""
    values = frame.astype(np.float64)
    box = np.ones((3, 3), np.uint8)
    low = cv2.erode(values, box, borderType=cv2.BORDER_REPLICATE)
    high = cv2.dilate(values, box, borderType=cv2.BORDER_REPLICATE)
    margin = overshoot * (high - low)
    return tuple(np.kron(a, np.ones((4, 4))) for a in (low - margin, high + margin))


def check(resolver, frame, camera, **options):
    resolver.configure(**options)
    result = resolver.upscale(frame, camera=camera).astype(np.float64)
    low, high = limits(frame, resolver.options.overshoot)
    # Below 1e-37 a float32 is no longer a normal number, and may be taken for 0.
    largest = float(np.ptp(frame)) + float(np.abs(frame).max())
    slack = 0.51 if frame.dtype != np.float32 else 1e-5 * largest + 1e-37
    assert (result >= low - slack).all()
    assert (result <= high + slack).all()


FRAMES = st.one_of(
    arrays.arrays(np.uint8, st.tuples(st.integers(1, 12), st.integers(1, 12))),
    arrays.arrays(np.uint16, st.tuples(st.integers(1, 12), st.integers(1, 12))),
    arrays.arrays(
        np.float32,
        st.tuples(st.integers(1, 12), st.integers(1, 12)),
        elements=st.floats(-1e6, 1e6, width=32),
    ),
)


@settings(deadline=None, max_examples=60)
@given(
    frame=FRAMES,
    camera=st.sampled_from(CAMERAS),
    steps=st.sampled_from([1, 2, 4]),
    overshoot=st.sampled_from([0.0, 0.5, 1.0]),
)
def test_no_result_leaves_the_bound_whatever_the_frame(resolver, frame, camera, steps, overshoot):
    check(resolver, frame, camera, num_steps=steps, overshoot=overshoot)


@pytest.mark.parametrize("camera", CAMERAS, ids=lambda c: c.describe())
@pytest.mark.parametrize("steps", [1, 4])
def test_made_frames_stay_in_the_bound(resolver, camera, steps):
    rng = np.random.default_rng(0)
    flat = (20_000 + 10 * rng.standard_normal((40, 48))).astype(np.uint16)
    target, stuck = flat.copy(), flat.copy()
    target[16:18, 20:24], stuck[20, 20] = 60_000, 65_535
    checker = (np.indices((40, 48)).sum(axis=0) % 2 * 5000 + 20_000).astype(np.uint16)
    for frame in (flat, target, stuck, checker, np.full((40, 48), 7, np.uint8)):
        check(resolver, frame, camera, num_steps=steps, overshoot=0.5)


def test_the_bound_binds(resolver):
    """A hard target wants to overshoot: with none allowed the result is another."""
    frame = np.full((24, 24), 100, np.uint8)
    frame[8:16, 8:16] = 200
    camera = CameraProfile(noise=0.0, blur=0.6)
    resolver.configure(num_steps=1, overshoot=1.0)
    free = resolver.upscale(frame, camera=camera)
    resolver.configure(overshoot=0.0)
    held = resolver.upscale(frame, camera=camera)
    assert free.max() > 204
    assert held.max() == 200


def test_missing_pixels_do_not_upset_the_bound(resolver):
    frame = np.linspace(290, 310, 20 * 24, dtype=np.float32).reshape(20, 24)
    frame[5, 7], frame[0, 0] = np.nan, np.inf
    resolver.configure(num_steps=1, overshoot=0.5)
    result = resolver.upscale(frame)
    finite = np.isfinite(result)
    assert (~finite).sum() == 32
    assert 285 < result[finite].min() <= result[finite].max() < 315


@pytest.mark.parametrize("value", [-0.1, 1.1, float("nan"), True, "much"])
def test_an_overshoot_that_cannot_be_is_refused(value):
    with pytest.raises(OptionError, match=r"overshoot must be a number in 0\.\.1"):
        SuperResolver.load(backend="bicubic", overshoot=value)


@pytest.mark.parametrize("value", [0, 65_535])
def test_a_stuck_pixel_changes_nothing_beyond_four_pixels(resolver, value):
    rng = np.random.default_rng(1)
    frame = (30_000 + 200 * np.sin(np.arange(64) / 5) + 5 * rng.standard_normal((48, 64))).astype(
        np.uint16
    )
    broken = frame.copy()
    broken[24, 32] = value
    resolver.configure(num_steps=1, overshoot=0.5, consistency=0)
    camera = CameraProfile(noise=5.0)
    value_range = (29_700.0, 30_300.0)
    before, after = (
        resolver.upscale(f, value_range, camera).astype(np.int64) for f in (frame, broken)
    )
    change = np.abs(after - before)
    change[4 * 20 : 4 * 29, 4 * 28 : 4 * 37] = 0
    assert change.max() <= 1


def test_neighbours_are_the_eight_around():
    frame = torch.zeros(1, 1, 5, 5)
    frame[0, 0, 2, 2] = 9.0
    low, high = neighbours(frame)
    assert float(high[0, 0, 2, 2]) == 0.0
    ring = [(1, 1), (1, 2), (1, 3), (2, 1), (2, 3), (3, 1), (3, 2), (3, 3)]
    assert all(float(high[0, 0, y, x]) == 9.0 for y, x in ring)
    assert float(high[0, 0, 0].max()) == 0.0
    assert float(low.abs().max()) == 0.0


def test_networks_are_shown_nothing_far_outside():
    frame = torch.rand(1, 1, 12, 12)
    low, high = neighbours(frame)
    calm = without_lone_pixels(frame, low, high)
    inside = (frame >= low - 0.1) & (frame <= high + 0.1)
    assert torch.equal(compressed(calm)[inside], frame[inside])
    frame[0, 0, 4:7, 4:7] = 500.0
    frame[0, 0, 9, 9] = -300.0
    calm = without_lone_pixels(frame, *neighbours(frame))
    assert torch.equal(calm[0, 0, 4:7, 4:7], frame[0, 0, 4:7, 4:7])
    assert abs(float(calm[0, 0, 9, 9])) < 1.01
    assert 2 < float(compressed(calm).max()) < 9


@pytest.mark.parametrize("lone", [False, True])
def test_frames_without_anything_odd_are_left_as_they_are(lone, monkeypatch):
    """What is looked for first changes nothing of what is found."""
    torch.manual_seed(0)
    frame = torch.rand(2, 1, 12, 16) * 0.3
    frame[1, 0, 5, 5] = 4.0 if lone else 0.2
    calm = without_lone_pixels(frame, *neighbours(frame))
    known = calm, compressed(calm), compressed(frame)
    assert (known[0] is frame) is not lone
    monkeypatch.setattr("difiisr_ros.core.bound._can_be_looked_at", lambda _: False)
    calm = without_lone_pixels(frame, *neighbours(frame))
    for found, expected in zip(known, (calm, compressed(calm), compressed(frame)), strict=True):
        assert torch.equal(found, expected)


def test_a_bounded_result_may_be_written_into_what_it_is_of():
    torch.manual_seed(0)
    lr, wild = torch.rand(2, 1, 9, 11), 2 * torch.randn(2, 16, 9, 11)
    around, before = neighbours(lr), wild.clone()
    expected = bound(wild, lr, *around, torch.tensor([0.5]))
    assert torch.equal(wild, before) and not torch.equal(expected, before)
    found = bound(wild, lr, *around, torch.tensor([0.5]), overwrite=True)
    assert found.data_ptr() == wild.data_ptr() and torch.equal(found, expected)


def test_where_few_blocks_lose_anything_these_alone_are_mended(monkeypatch):
    torch.manual_seed(0)
    lr = torch.rand(2, 1, 40, 60)
    wild = lr + 0.1 * torch.randn(2, 16, 40, 60)
    wild[0, 3, 5:7, 9] += 3.0
    results = []
    for few in (-1, 1):
        monkeypatch.setattr(bounds, "_FEW", few)
        for layout in (torch.contiguous_format, torch.channels_last):
            x = wild.clone(memory_format=layout)
            results.append(bound(x, lr, *neighbours(lr), torch.tensor([0.5]), overwrite=True))
    for result in results[1:]:
        torch.testing.assert_close(result, results[0], atol=1e-6, rtol=0)


def test_bound_of_one_pixel():
    lr = torch.full((1, 1, 1, 1), 3.0)
    low, high = neighbours(lr)
    wild = torch.randn(1, 16, 1, 1) * 100
    assert torch.equal(
        bound(wild, lr, low, high, torch.tensor(0.5).view(1, 1, 1, 1)), torch.full_like(wild, 3.0)
    )


@pytest.mark.filterwarnings("ignore:.torch.jit.trace:DeprecationWarning")
def test_plateaus_are_the_same_in_a_trace():
    lr = torch.rand(2, 1, 7, 9)
    with torch.inference_mode():
        traced = torch.jit.trace(plateaus, (torch.zeros(2, 1, 7, 9),))
    for found, expected in zip(traced(lr), plateaus(lr), strict=True):
        assert torch.equal(found, expected)


def test_a_plateau_is_four_pixels_of_which_one_is_around():
    values = np.random.default_rng(0).random((9, 11), np.float32)
    cold, hot = (x[0, 0].numpy() for x in plateaus(torch.from_numpy(values)[None, None]))
    for y, x in ((2, 2), (4, 5), (6, 8)):
        corners = [(y + i, x + j) for i in range(-2, 2) for j in range(-2, 2)]
        squares = [values[a : a + 2, b : b + 2] for a, b in corners]
        assert hot[y, x] == max(square.min() for square in squares)
        assert cold[y, x] == min(square.max() for square in squares)
