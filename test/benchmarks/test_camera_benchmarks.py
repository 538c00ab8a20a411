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

"""The benchmarks of camera frames: what is told, what is averaged, what passes."""

from __future__ import annotations

import importlib.util
import sys

import numpy as np
import pytest

from difiisr_ros.core.camera_profile import CameraProfile
from difiisr_ros.io.images import write_image
from difiisr_ros.lab.evaluation.methods import bicubic_upscale, lanczos_upscale


@pytest.fixture
def load(repository, monkeypatch):
    folder = repository / "benchmarks"
    monkeypatch.syspath_prepend(str(folder))

    def load(name: str):
        spec = importlib.util.spec_from_file_location(name, folder / f"{name}.py")
        module = importlib.util.module_from_spec(spec)
        monkeypatch.setitem(sys.modules, name, module)  # dataclasses look their module up
        spec.loader.exec_module(module)
        return module

    return load


class Resolver:
    """Notes what it is told; lanczos when told something, bicubic when not."""

    def __init__(self, scale: int = 4) -> None:
        self.scale = scale
        self.told: list[CameraProfile] = []

    def upscale(self, lr: np.ndarray, camera: CameraProfile) -> np.ndarray:
        self.told.append(camera)
        upscale = bicubic_upscale if camera.source == "auto" else lanczos_upscale
        return upscale(lr, self.scale)


def _frames(folder, count: int = 3) -> list:
    rng = np.random.default_rng(0)
    paths = []
    for i in range(count):
        coarse = np.kron(rng.integers(20, 220, (16, 20)), np.ones((8, 8)))
        paths.append(folder / f"{i}.png")
        write_image(paths[-1], coarse.astype(np.uint8))
    return paths


def test_the_grid_tells_each_frames_own_camera(load, tmp_path):
    grid = load("camera_grid")
    resolver = Resolver()
    columns = [None, 0.0, 2.0]
    found = grid.measure_set(_frames(tmp_path), {"m": resolver}, columns, seed=0)
    assert list(found) == ["m, told", "m, auto"]
    np.testing.assert_allclose(found["m, auto"], 0)  # that is bicubic
    assert (np.abs(found["m, told"][:, 0]) > 0.01).all()
    told = [camera for camera in resolver.told if camera.source != "auto"]
    assert len(told) == 9 and [c.is_reduced for c in told[:3]] == [True, False, False]
    blurs = [c.blur for c in told if not c.is_reduced]
    assert blurs[0] == blurs[1] and len(set(blurs)) == 3
    assert all(0.2 <= blur <= 0.6 for blur in blurs)
    assert told[1].noise == 0.0  # that of rounding is known without being told
    assert 2 < told[2].noise < 5


@pytest.mark.parametrize("scale", [2, 1])
def test_the_grid_at_another_scale_is_against_bicubic_of_that_scale(load, tmp_path, scale):
    grid = load("camera_grid")
    paths, columns = _frames(tmp_path), [None, 2.0]
    found = grid.measure_set(paths, {"m": Resolver(scale)}, columns, 0, scale)
    np.testing.assert_allclose(found["m, auto"], 0)
    if scale == 1:  # no kernel changes a frame of its own size
        np.testing.assert_allclose(found["m, told"], 0)
    else:
        assert (np.abs(found["m, told"][:, 0]) > 0.01).all()
    hr = np.kron(np.arange(12, dtype=np.uint8).reshape(3, 4) * 20, np.ones((16, 16), np.uint8))
    truth = hr.reshape(12 * scale, 4 // scale, 16 * scale, 4 // scale).mean(axis=(1, 3))
    lr = hr[::4, ::4] + np.uint8(1)
    perfect, same = grid.score(hr, lr, [truth.astype(np.uint8), bicubic_upscale(lr, scale)], scale)
    assert perfect[0] > 10 and (same == 0).all()
    # What is aimed at is of x4.
    weak = {"lite, told": np.full((7, 2), 1.0)}
    lines = grid.verdicts({"a": weak}, weak, list(grid.COLUMNS), 1, scale)
    assert not any("aimed" in line for line in lines)


def test_the_grid_names_the_smallest_gains_and_what_is_missed(load):
    grid = load("camera_grid")
    columns = list(grid.COLUMNS)
    good = {"lite, told": np.full((7, 2), 3.3)}
    bad = {"lite, told": np.full((7, 2), 3.3)}
    bad["lite, told"][6] = (-0.25, -0.01)
    assert not any("FAIL" in line for line in grid.verdicts({"a": good}, good, columns, 1))
    mean = grid.mean_grid([good, bad])
    assert mean["lite, told"][6, 0] == pytest.approx((3.3 - 0.25) / 2)
    lines = grid.verdicts({"a": good, "b": bad}, mean, columns, 1)
    assert lines[0].startswith("smallest gain in PSNR: -0.2500 dB (b, lite, told, camera 5 %)")
    assert lines[0].endswith("FAIL") and lines[1].endswith("FAIL")
    weak = {"lite, told": np.full((7, 2), 2.5)}
    missed = [line for line in grid.verdicts({"a": weak}, weak, columns, 1) if "aimed" in line]
    assert len(missed) == 2 and "camera 0 %: +2.50 dB, aimed at +3.20" in missed[0]


def test_bicubic_passes_the_trials_and_what_they_are_for_fails(load):
    trials = load("native_trials")

    def bicubic(lr, _profile):
        return bicubic_upscale(lr)

    def lattice(lr, _profile):
        sr = bicubic_upscale(lr)
        sr[::4, ::4] += 0.005 * trials.RANGE
        return sr

    def hotter(lr, _profile):
        return 1.3 * bicubic_upscale(lr) + 0.001 * lr.max()  # everywhere, by what one pixel says

    assert abs(trials.lattice(bicubic, 1.0, frames=1)[0]) < 0.05
    assert trials.lattice(bicubic, 1.0, frames=1)[1] == 1
    assert trials.lattice(lattice, 1.0, frames=1)[0] == pytest.approx(0.5, abs=0.1)
    assert trials.texture(bicubic, trials.AUTO) < 0.01 < 0.05 < trials.texture(lattice, trials.AUTO)
    scene = np.random.default_rng(0).random((256, 320)).cumsum(axis=1)
    scenes = [trials.scaled(scene)]
    shares = trials.energy(bicubic, scenes, trials.AUTO)
    assert all(share == pytest.approx(1, abs=0.01) for share in shares.values())
    assert max(trials.energy(hotter, scenes, trials.AUTO).values()) > 1.2
    assert trials.stuck_pixel(bicubic, scenes, 50, trials.AUTO) == 0
    assert trials.stuck_pixel(hotter, scenes, 50, trials.AUTO) > 0.5


def test_the_trials_at_x2_have_the_same_definitions(load):
    trials = load("native_trials")

    def bicubic(lr, _profile):
        return bicubic_upscale(lr, 2)

    def lattice(lr, _profile):
        sr = bicubic_upscale(lr, 2)
        sr[::2, ::2] += 0.005 * trials.RANGE
        return sr

    assert trials.lattice(lattice, 1.0, 1, scale=2)[0] == pytest.approx(0.5, abs=0.1)
    share, gain = trials.lattice(bicubic, 1.0, 1, scale=2)
    assert abs(share) < 0.05 and gain == 1
    assert trials.texture(bicubic, trials.AUTO, 2) < 0.01
    assert trials.texture(lattice, trials.AUTO, 2) > 0.05
    scenes = [trials.scaled(np.random.default_rng(0).random((256, 320)).cumsum(axis=1))]
    shares = trials.energy(bicubic, scenes, trials.AUTO, 2)
    assert all(share == pytest.approx(1, abs=0.01) for share in shares.values())
    assert trials.stuck_pixel(bicubic, scenes, 50, trials.AUTO, 2) == 0
    patch = trials.Target("patch", 4, 1.0, "hard")
    lr = patch.frame()
    nearest = lr.repeat(2, 0).repeat(2, 1)
    assert 0 < patch.overshoot(nearest, 2) < 4 * trials.TARGET_NOISE / 100
    nearest[95, 125] = trials.LEVEL + trials.RANGE * (0.5 + 1.6)
    assert patch.overshoot(nearest, 2) == pytest.approx(0.6, abs=0.01)


@pytest.mark.parametrize("height", [1.0, -1.0, 500.0])
def test_overshoot_is_what_is_beyond_target_or_scene(load, height):
    trials = load("native_trials")
    patch = trials.Target("patch", 4, height, "hard")
    lr = patch.frame()
    nearest = lr.repeat(4, 0).repeat(4, 1)
    noise = 4 * trials.TARGET_NOISE / 100 / abs(height)
    assert 0 < patch.overshoot(nearest) < noise
    assert patch.mask(1).sum() == 16 and patch.mask(4).sum() == 256
    # Keys' kernel, a = -0.75, on a step of 4 pixels each way.
    assert patch.overshoot(bicubic_upscale(lr)) == pytest.approx(0.24, abs=0.03)
    beyond = nearest.copy()
    beyond[190, 250] = trials.LEVEL + trials.RANGE * (0.5 + 1.6 * height)
    assert patch.overshoot(beyond) == pytest.approx(0.6, abs=0.01)


def test_a_check_that_could_not_be_measured_fails(load):
    frames = load("native_frames")
    assert frames.Check("x", 0.9, 1.0).passes and not frames.Check("x", 1.1, 1.0).passes
    assert not frames.Check("x", float("nan"), 1.0).passes
    assert not frames.Check("x", 0.9, 1.03, 0.97).passes
    assert frames.Check("x", 0.9, 1.03, 0.97).line() == "FAIL  x: 0.900 (0.97 to 1.03)"
