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

"""Targets far above their scene: how far they may be overshot, and that they keep their energy."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
import torch

from difiisr_ros import CameraProfile, SuperResolver
from difiisr_ros.core.bound import bound, limits, neighbours, outstanding, without_lone_pixels
from difiisr_ros.core.camera_simulation import simulate_camera
from difiisr_ros.lab.evaluation.methods import bicubic_upscale

LEVEL, RANGE = 20_000.0, 400.0
HALF = torch.tensor([0.5])


def frame_of(contrast: float) -> torch.Tensor:
    lr = torch.zeros(1, 1, 5, 5)
    lr[..., 2:4, 2:4] = contrast
    return lr


def room(lr: torch.Tensor) -> tuple[float, float]:
    """How far a result may go below all pixels, and above."""
    least, most = limits(lr, *neighbours(lr), HALF)
    return float(lr.min() - least.min()), float(most.max() - lr.max())


@pytest.mark.parametrize(
    ("contrast", "margin"), [(0.2, 0.1), (0.32, 0.16), (0.4, 0.16), (1, 0.38), (5, 1.9)]
)
def test_a_line_may_be_hotter_than_a_pixel_sees_it(contrast, margin):
    lr = torch.zeros(1, 1, 7, 7)
    lr[..., 3] = contrast
    assert room(lr)[1] == pytest.approx(margin)
    assert room(-lr)[0] == pytest.approx(margin)


@pytest.mark.parametrize(
    ("contrast", "margin"), [(0.05, 0.025), (0.2, 0.05), (0.4, 0.05), (1, 0.125), (5, 0.625)]
)
def test_a_plateau_that_the_camera_resolves_is_hardly_overshot(contrast, margin):
    for lr in (frame_of(contrast), -frame_of(contrast)):
        assert room(lr) == pytest.approx((margin, margin))


@pytest.mark.parametrize(("more", "margin"), [(0.01, 0.15125), (0.1, 0.3875), (1.0, 0.76)])
def test_what_stands_out_of_a_plateau_has_room_of_its_own(more, margin):
    lr = frame_of(1.0)
    lr[0, 0, 2, 2] += more
    assert room(lr)[1] == pytest.approx(margin)


def test_a_plateau_at_the_border_is_one():
    lr = torch.zeros(1, 1, 6, 6)
    lr[..., 0] = 1.0
    assert room(lr)[1] == pytest.approx(0.125)


@pytest.mark.parametrize(("contrast", "kept"), [(0.1, False), (0.31, True), (2.0, True)])
def test_what_is_cut_off_a_target_goes_to_the_rest_of_its_block(contrast, kept):
    lr = frame_of(contrast)
    folded = lr.expand(-1, 16, -1, -1).clone()
    folded[:, 0, 2, 2] += contrast
    around = neighbours(lr)
    least, most = limits(lr, *around, HALF)
    result = bound(folded, lr, *around, HALF)
    assert (result <= most + 1e-6).all() and (result >= least - 1e-6).all()
    asked, got = (float(x[:, :, 2, 2].mean()) for x in (folded, result))
    assert (abs(got - asked) < 1e-5 * contrast) is kept
    assert torch.equal(result[..., 0, 0], folded[..., 0, 0])


def test_outstanding_is_what_scenes_seldom_have():
    def at(contrast):
        lr = frame_of(contrast)
        return float(outstanding(lr, *neighbours(lr))[0, 0, 2, 2])

    assert [at(c) for c in (0.1, 0.3, 0.6, 50.0)] == pytest.approx([0, 0, 1, 1], abs=1e-5)
    assert at(0.45) == pytest.approx(0.5)


def test_a_stuck_pixel_beside_an_edge_is_seen_and_filled_along_it():
    lr = torch.zeros(1, 1, 7, 7)
    lr[..., 3:] = 1.0
    clean = lr.clone()
    lr[0, 0, 3, 3] = 2.0
    calm = without_lone_pixels(lr, *neighbours(lr))
    assert float((calm - clean).abs().max()) < 0.02


@pytest.mark.parametrize("model", ["lite", "nano"])
@pytest.mark.parametrize("blur", [None, 0.4])
def test_a_hot_target_keeps_its_energy(model, blur):
    """Of half a camera pixel, one and two, wherever they lie on the pixels."""
    profile = CameraProfile(noise=RANGE / 100, blur=blur)
    resolver = SuperResolver.load(model, backend="torch")
    value_range = LEVEL, LEVEL + RANGE

    def whole(scene: np.ndarray) -> float:
        return resolver.upscale(_seen(scene), value_range, profile).sum(dtype=np.float64)

    y, x = np.mgrid[:192, :256]
    plain = LEVEL + RANGE * (0.5 + 0.3 * np.sin(y / 17) * np.cos(x / 23))
    without = whole(plain)
    for side, height in product((2, 4, 8), (0.5, 1.0, 5.0)):
        shares = []
        for phase in range(4):
            hot = plain.copy()
            hot[96 : 96 + side, 128 + phase : 128 + phase + side] += height * RANGE
            shares.append((whole(hot) - without) / (side**2 * height * RANGE))
        assert 0.96 < np.mean(shares) < 1.04, (side, height)
    resolver.close()


@pytest.mark.parametrize("model", ["lite", "nano"])
def test_targets_are_overshot_little_more_than_by_bicubic(model):
    """In a frame of a camera, told of it or not; drawn as no lens can, by 0.4 at most."""
    resolver = SuperResolver.load(model, backend="torch")
    told = CameraProfile(noise=RANGE / 500, blur=0.4)  # little: it would count as overshoot
    x = np.linspace(0, 1, 256)[None, :] + np.zeros((192, 1))
    scene = LEVEL + RANGE * np.interp(x, (0, 0.25, 0.75, 1), (0, 0.5, 0.5, 1))
    for (high, wide), height in product(((4, 96), (16, 16), (32, 32)), (0.5, -1.0, 20.0)):
        target = np.zeros((192, 256))
        target[96 : 96 + high, 80 : 80 + wide] = height * RANGE

        def beyond(result, height=height):
            """Share of the target's contrast."""
            inside = result[48:-48, 64:-64].astype(np.float64) - LEVEL - RANGE / 2
            return max((inside / (height * RANGE)).max() - 1, 0.0)

        seen = _seen(scene + target, noise=RANGE / 500)
        hard = (scene + target)[2::4, 2::4].astype(np.float32)
        for camera in (told, CameraProfile()):
            ours = beyond(resolver.upscale(seen, camera=camera))
            assert ours < beyond(bicubic_upscale(seen)) + 0.15, (high, height, camera)
            assert beyond(resolver.upscale(hard, camera=camera)) < 0.4, (high, height, camera)
    resolver.close()


def _seen(frame: np.ndarray, noise: float = RANGE / 100) -> np.ndarray:
    rng = np.random.default_rng(0)
    return simulate_camera(frame, blur=0.4, noise=noise, pattern=0, rng=rng)
