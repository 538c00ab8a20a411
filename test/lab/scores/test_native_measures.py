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

"""Noise, lattice and edge width of frames without a truth, on images of known answer."""

from __future__ import annotations

import json

import cv2
import numpy as np
import pytest

from difiisr_ros import cli
from difiisr_ros.core.camera_simulation import simulate_camera
from difiisr_ros.io.images import write_image
from difiisr_ros.lab.evaluation.methods import bicubic_upscale
from difiisr_ros.lab.scores.edge_width import Edges
from difiisr_ros.lab.scores.flat_places import FlatPlaces, noise, noise_above_nyquist
from difiisr_ros.lab.scores.native_measures import NATIVE, NativeMeasures

NOISE = 20.0
QUIET = {"blur": 0.4, "noise": 0, "pattern": 0, "rng": np.random.default_rng(0)}


def _white(seed: int = 0, height: int = 120, width: int = 160, rows: float = 0.0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    frame = 30000 + NOISE * rng.standard_normal((height, width))
    frame += rows * (rng.standard_normal((1, width)) + rng.standard_normal((height, 1)))
    return frame.astype(np.float32)


def _steps(slant: int = 0, height: int = 480, width: int = 800) -> np.ndarray:
    """Upright steps, as far from each other as isolated edges are, at all phases of a pixel."""
    x = np.arange(width)[None, :] + (slant * np.arange(height) // 16)[:, None]
    return np.where(x // 50 % 2, 30500.0, 30000.0).astype(np.float32)


def _residual(lr: np.ndarray, sr: np.ndarray) -> tuple[FlatPlaces, np.ndarray]:
    flat = FlatPlaces(lr)
    return flat, flat.residual(sr)


def test_bicubic_is_the_unit_and_others_are_measured_against_it():
    lr = _white()
    bicubic = bicubic_upscale(lr)
    measures = NativeMeasures(lr, bicubic)
    own = measures.measure(bicubic)
    assert own["noise_gain"] == own["noise_above_nyquist"] == 1
    twice = measures.measure(2 * bicubic - 30000)
    assert twice["noise_gain"] == pytest.approx(2, rel=1e-3)
    assert twice["noise_above_nyquist"] == pytest.approx(2, rel=1e-3)
    smooth = measures.measure(cv2.GaussianBlur(bicubic, (0, 0), 3))
    assert smooth["noise_gain"] < 0.75 and smooth["noise_above_nyquist"] < 0.3


def test_the_cameras_noise_is_measured():
    flat = FlatPlaces(_white())
    assert flat.noise == pytest.approx(NOISE, rel=0.03)
    assert len(flat) > 0.9 * 19 * 14


def test_noise_is_where_the_scene_is_flat_and_a_gradient_is_none():
    lr = _white(1)
    scene = np.zeros_like(lr)
    # Texture on the right: too fine for a gradient, in the upper half.
    scene[:60, 80:] += 60 * (np.indices((60, 80)).sum(axis=0) % 2)
    scene[60:, 80:] += 3000 * (np.indices((60, 80)).sum(axis=0) % 7 < 3)
    scene += np.linspace(0, 10, 120)[:, None]  # a slope over the whole frame
    textured = FlatPlaces(lr + scene)
    assert 40 < len(textured) <= 10 * 14
    assert textured.noise == pytest.approx(NOISE, rel=0.1)
    residual = textured.residual(bicubic_upscale(lr + scene))
    alone = textured.residual(bicubic_upscale(lr))
    assert noise(residual) == pytest.approx(noise(alone), rel=0.05)


def test_of_a_large_frame_enough_places_are_taken():
    lr = _white(2, 640, 640)
    flat, residual = _residual(lr, bicubic_upscale(lr))
    assert len(flat) == len(residual) == 2000
    assert flat.noise == pytest.approx(NOISE, rel=0.02)
    assert abs(flat.lattice(residual)) < 0.05


def test_a_camera_without_noise_has_flat_places_too():
    y, x = np.mgrid[:120, :160]
    scene = (30000 + 500 * np.sin(y / 20) * np.cos(x / 25)).astype(np.uint16)
    assert len(FlatPlaces(scene)) >= 20


@pytest.mark.parametrize("frame", [np.full((64, 64), 7, np.uint8), np.zeros((6, 7), np.float32)])
def test_where_there_is_nothing_to_measure_it_is_not_a_number(frame):
    found = NativeMeasures(frame, bicubic_upscale(frame)).measure(bicubic_upscale(frame))
    assert set(found) == set(NATIVE) and np.isnan(list(found.values())).all()


def test_noise_above_nyquist_is_what_a_camera_cannot_have():
    lr = _white()
    y, x = np.mgrid[: 4 * lr.shape[0], : 4 * lr.shape[1]]
    flat, below = _residual(lr, 30000 + 100 * np.cos(2 * np.pi * 0.0625 * x))
    above = flat.residual(30000 + 100 * np.cos(2 * np.pi * 0.25 * y))
    assert noise(below) == pytest.approx(noise(above), rel=0.05)
    assert noise_above_nyquist(above) == pytest.approx(100 / 2**0.5, rel=0.05)
    assert noise_above_nyquist(below) < 3


@pytest.mark.parametrize("period", [4, 8])
@pytest.mark.parametrize("height", [0.0, 0.1, 0.5])
def test_lattice_is_the_patterns_height(period, height):
    found = []
    for seed in range(20):
        lr = _white(seed)
        sr = bicubic_upscale(lr)
        sr[1::period, 2::period] += height * NOISE
        flat, residual = _residual(lr, sr)
        found.append(flat.lattice(residual))
    assert np.mean(found) == pytest.approx(height, abs=0.03)


def test_rows_and_columns_of_the_camera_are_no_lattice():
    found = []
    for seed in range(60):
        lr = _white(seed, rows=NOISE / 3)
        flat, residual = _residual(lr, bicubic_upscale(lr))
        found.append(flat.lattice(residual))
    assert abs(np.mean(found)) < 0.06


@pytest.mark.parametrize("transposed", [False, True])
def test_edges_are_as_wide_as_they_are(transposed):
    lr = simulate_camera(_steps(), blur=0.4, noise=0, pattern=0, rng=np.random.default_rng(0))
    if transposed:
        lr = np.ascontiguousarray(lr.T)
    sr = bicubic_upscale(lr)
    edges = Edges(lr, 0.0, sr)
    assert len(edges) > 1000
    for width in (1.0, 2.0, 3.0):
        # A ramp from 0 to 100 % over a width has 80 % of it between 10 and 90 %.
        kernel = np.ones(round(4 * width / 0.8)) / round(4 * width / 0.8)
        ramp = cv2.filter2D(_steps(), -1, kernel[None, :], borderType=cv2.BORDER_REPLICATE)
        ramp = ramp.T if transposed else ramp
        assert edges.width(np.ascontiguousarray(ramp)) == pytest.approx(width, abs=0.06)


def test_edge_width_follows_the_blur_and_not_the_noise():
    widths = {}
    for blur in (0.4, 0.6, 1.0):
        for size in (0.0, 10.0):
            rng = np.random.default_rng(0)
            lr = simulate_camera(_steps(1), blur=blur, noise=size, pattern=0, rng=rng)
            sr = bicubic_upscale(lr)
            widths[blur, size] = Edges(lr, size, sr).width(sr)
        assert widths[blur, 10.0] == pytest.approx(widths[blur, 0.0], rel=0.07)
    assert widths[0.4, 0.0] < widths[0.6, 0.0] - 0.2 < widths[1.0, 0.0] - 0.8


def test_lines_and_soft_slopes_are_no_edges():
    lines = np.full((120, 200), 30000, np.float32)
    lines[:, ::20] += 500
    slope = np.broadcast_to(30000 + 5 * np.arange(200, dtype=np.float32), (120, 200)).copy()
    steps = simulate_camera(_steps(), **QUIET)
    steps[np.abs(np.diff(steps, prepend=steps[:, :1])) > 200] += 1000  # a bright rim on each
    for frame in (lines, slope, steps):
        edges = Edges(frame, 0.0, bicubic_upscale(frame))
        assert len(edges) == 0 and np.isnan(edges.width(bicubic_upscale(frame)))


def test_the_command_shows_a_method_that_sharpens_noise(tmp_path, capsys):
    still = simulate_camera(_steps(1), blur=0.6, noise=0, pattern=0, rng=np.random.default_rng(0))
    for seed in range(6):
        noisy = still + 8 * np.random.default_rng(seed).standard_normal(still.shape)
        write_image(tmp_path / "d" / f"{seed}.png", np.rint(noisy).astype(np.uint16))
    out = tmp_path / "r.json"
    command = ["evaluate", str(tmp_path / "d"), "--no-reference", "--backend", "bicubic"]
    assert cli.main([*command, "--json", str(out), "--fail-above", "lanczos:noise_gain=1"]) == 1
    captured = capsys.readouterr()
    assert "noise_gain of lanczos is 1.0" in captured.err
    report = json.loads(out.read_text())
    assert set(NATIVE) <= set(report["methods"]["bicubic"])
    assert report["methods"]["bicubic"]["noise_gain"] == 1
    assert report["methods"]["lanczos"]["noise_gain"] > 1.03
    assert report["differences"]["lanczos"]["noise_gain"]["verdict"] == "worse"
    assert 1 < report["methods"]["bicubic"]["edge_width"] < 2.5
    for title in ("noise gain", "noise beyond Nyquist", "lattice", "edge width [px]"):
        assert f"\n{title}" in captured.out
