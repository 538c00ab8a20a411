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

"""Every measure at x4, x2 and x1, on images of known answer."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from PIL import Image

from difiisr_ros.core.camera_simulation import simulate_camera
from difiisr_ros.core.scale import SCALES
from difiisr_ros.errors import DataError
from difiisr_ros.lab.evaluation.methods import bicubic_upscale
from difiisr_ros.lab.evaluation.scoring import FrameScorer, ScoreOptions, choose_metrics
from difiisr_ros.lab.frames.degrade import truth_at
from difiisr_ros.lab.frames.streams import NO_REFERENCE, SELF_REFERENCED, Sample
from difiisr_ros.lab.scores import metrics
from difiisr_ros.lab.scores.edge_width import Edges
from difiisr_ros.lab.scores.flat_places import FlatPlaces, noise, noise_above_nyquist
from difiisr_ros.lab.scores.hot_spots import HotSpots
from difiisr_ros.lab.scores.native_measures import NATIVE, NativeMeasures
from difiisr_ros.lab.scores.spectrum import (
    COMMON_FREQUENCIES,
    detail_level,
    lr_nyquist,
    on_common_frequencies,
    radial_log_amplitude,
    spectrum_distance,
)
from difiisr_ros.lab.scores.temporal import enlarge

NOISE = 20.0
FINER = ("spectrum_distance", "detail", "noise_above_nyquist", "lattice")


def _white(seed: int = 0, height: int = 120, width: int = 160) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return (30000 + NOISE * rng.standard_normal((height, width))).astype(np.float32)


def _scene(height: int = 128, width: int = 160, dtype=np.uint16) -> np.ndarray:
    coarse = np.random.default_rng(3).random((24, 30)).astype(np.float32)
    frame = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    return (frame.clip(0, 1) * 200 + 20).astype(dtype)


def test_the_truth_of_a_scale_is_means_of_its_pixels():
    hr = np.arange(64, dtype=np.uint8).reshape(8, 8)
    assert truth_at(hr, 4) is hr
    # 0, 1, 8, 9 have the mean 4.5, which is rounded to the even count.
    assert truth_at(hr, 2)[0, 0] == 4 and truth_at(hr, 2).shape == (4, 4)
    assert truth_at(hr, 1).tolist() == [[14, 18], [46, 50]]  # 13.5, 17.5, 45.5, 49.5
    kelvin = hr.astype(np.float32) / 10
    assert truth_at(kelvin, 1)[0, 0] == pytest.approx(1.35) and truth_at(kelvin, 1).dtype == "f4"
    bright = np.full((4, 8), 65535, np.uint16)
    assert (truth_at(bright, 1) == 65535).all() and truth_at(bright, 1).dtype == np.uint16


@pytest.mark.parametrize("scale", SCALES)
def test_a_result_that_is_the_truth_has_no_error(scale):
    hr = _scene()
    sample = Sample("a", 0, truth_at(hr, 1), hr).at_scale(scale)
    assert sample.hr.shape == (32 * scale, 40 * scale)
    chosen, missing = choose_metrics(SELF_REFERENCED, False, (), scale)
    with FrameScorer(ScoreOptions(chosen, scale=scale)) as scorer:
        found = scorer.score(sample, {"same": sample.hr, "half": sample.hr // 2}).values
    same = found["same"]
    assert same["psnr"] == metrics.MAX_PSNR_DB and same["ssim"] == 1
    assert same["gmsd"] == same["mae"] == same["bias"] == 0
    assert found["half"]["psnr"] < 30 and found["half"]["mae"] > 20
    assert {"detail", "spectrum_distance"} <= set(missing if scale == 1 else same)
    if scale == 1:
        assert same["consistency"] == 0  # the camera's frame itself
    else:
        assert same["spectrum_distance"] == 0 < found["half"]["spectrum_distance"]


def test_a_truth_too_small_to_compare_with_is_named():
    sample = Sample("tiny.png", 0, np.zeros((8, 10), np.uint8), np.zeros((32, 40), np.uint8))
    assert sample.at_scale(2).hr.shape == (16, 20)
    with pytest.raises(DataError, match=r"tiny.png: its truth at x1 is 10x8, too small.*16x16"):
        sample.at_scale(1)


@pytest.mark.parametrize("scale", SCALES)
def test_consistency_is_the_distance_to_what_the_camera_measured(scale):
    sr = _scene(32 * scale, 40 * scale).astype(np.float32)
    lr = metrics.downsample(sr, scale)
    pillow = Image.fromarray(sr).resize((40, 32), Image.BICUBIC)
    np.testing.assert_allclose(lr, np.asarray(pillow), atol=1e-3)
    assert metrics.consistency(lr, sr, scale) == pytest.approx(0, abs=1e-3)
    error, bias = metrics.downsampling_error(lr, sr + 3, scale)
    assert error == pytest.approx(3, abs=1e-4) and bias == pytest.approx(3, abs=1e-4)


@pytest.mark.parametrize("scale", SCALES)
def test_a_scene_of_area_means_is_consistent(scale):
    """Slopes: the mean over a camera's pixel is what any symmetric kernel makes of its middle."""
    y, x = np.mgrid[: 32 * scale, : 40 * scale] / scale
    sr = (30000 + 20 * y + 10 * x).astype(np.float32)
    lr = sr.reshape(32, scale, 40, scale).mean(axis=(1, 3))
    inside = slice(2, -2)
    np.testing.assert_allclose(
        metrics.downsample(sr, scale)[inside, inside], lr[inside, inside], atol=0.01
    )


@pytest.mark.parametrize(("scale", "nyquist"), [(4, 0.125), (2, 0.25), (1, 0.5)])
def test_the_cameras_nyquist_frequency_in_pixels_of_a_result(scale, nyquist):
    assert lr_nyquist(scale) == nyquist
    lr = _scene(64, 80)
    curve = on_common_frequencies(radial_log_amplitude(lr, 255.0), scale)
    known = COMMON_FREQUENCIES[np.isfinite(curve)]
    assert known.max() == nyquist and len(known) == 64 * nyquist / 0.5


@pytest.mark.parametrize("scale", [4, 2])
def test_only_what_is_above_the_lr_nyquist_frequency_is_detail(scale):
    rng = np.random.default_rng(1)
    a = rng.normal(scale=20, size=(128, 128))
    spectrum = np.fft.fft2(a)
    radius = np.hypot(*np.meshgrid(np.fft.fftfreq(128), np.fft.fftfreq(128)))
    nyquist = lr_nyquist(scale)
    low = np.fft.ifft2(np.where(radius <= nyquist - 0.02, 2 * spectrum, spectrum)).real
    high = np.fft.ifft2(np.where(radius > nyquist, spectrum / 2, spectrum)).real
    half = 20 * np.log10(2)
    assert spectrum_distance(a, low, 255.0, scale) < 0.2
    assert spectrum_distance(a, high, 255.0, scale) == pytest.approx(half, abs=0.3)
    levels = [detail_level(radial_log_amplitude(f, 255.0), scale) for f in (a, high)]
    assert levels[0] - levels[1] == pytest.approx(half, abs=0.3)


@pytest.mark.parametrize("scale", [4, 2])
def test_noise_above_nyquist_is_what_a_camera_of_that_scale_cannot_have(scale):
    lr = _white()
    y, x = np.mgrid[: scale * lr.shape[0], : scale * lr.shape[1]]
    flat = FlatPlaces(lr, scale)
    below = flat.residual(30000 + 100 * np.cos(2 * np.pi * lr_nyquist(scale) / 2 * x))
    above = flat.residual(30000 + 100 * np.cos(2 * np.pi * 1.5 * lr_nyquist(scale) * y))
    assert below.shape[1:] == (8 * scale, 8 * scale)
    assert noise(below) == pytest.approx(noise(above), rel=0.05)
    assert noise_above_nyquist(above, scale) == pytest.approx(100 / 2**0.5, rel=0.05)
    assert noise_above_nyquist(below, scale) < 3


@pytest.mark.parametrize("scale", [4, 2])
@pytest.mark.parametrize(
    ("camera_pixels", "height", "expected"),
    # One that is coarser than a lattice is a quarter of its height in the means over phases.
    [(1, 0.0, 0.0), (1, 0.5, 0.5), (2, 0.5, 0.5), (4, 0.8, 0.2)],
)
def test_a_lattice_is_found_at_each_scale(scale, camera_pixels, height, expected):
    found, period = [], scale * camera_pixels
    for seed in range(20):
        lr = _white(seed)
        sr = bicubic_upscale(lr, scale)
        sr[1::period, ::period] += height * NOISE
        flat = FlatPlaces(lr, scale)
        found.append(flat.lattice(flat.residual(sr)))
    assert np.mean(found) == pytest.approx(expected, abs=0.04)


@pytest.mark.parametrize("scale", SCALES)
def test_bicubic_of_the_same_scale_is_the_unit(scale):
    lr = _white()
    bicubic = bicubic_upscale(lr, scale)
    measures = NativeMeasures(lr, bicubic, scale)
    own, twice = measures.measure(bicubic), measures.measure(2 * bicubic - 30000)
    assert own["noise_gain"] == 1 and twice["noise_gain"] == pytest.approx(2, rel=1e-3)
    unknown = {key for key in ("noise_above_nyquist", "lattice") if np.isnan(own[key])}
    assert len(unknown) == (2 if scale == 1 else 0)


def test_at_x1_bicubic_is_the_frame():
    lr = _scene(20, 30)
    np.testing.assert_array_equal(bicubic_upscale(lr, 1), lr)


@pytest.mark.parametrize("scale", SCALES)
def test_edges_are_as_wide_at_each_scale(scale):
    x = np.arange(800)[None, :] + np.zeros((480, 1), int)
    steps = np.where(x // 50 % 2, 30500.0, 30000.0).astype(np.float32)
    rng = np.random.default_rng(0)
    lr = simulate_camera(steps, blur=0.4, noise=0, pattern=0, rng=rng)
    edges = Edges(lr, 0.0, bicubic_upscale(lr, scale), scale)
    assert len(edges) > 1000
    for width in (2.0, 3.0):
        kernel = np.ones(round(4 * width / 0.8)) / round(4 * width / 0.8)
        ramp = cv2.filter2D(steps, -1, kernel[None, :], borderType=cv2.BORDER_REPLICATE)
        # Of camera pixels, whatever a result's are; at x1 these are wider than the ramp's ends.
        tolerance = {4: 0.06, 2: 0.1, 1: 0.3}[scale]
        assert edges.width(truth_at(ramp, scale)) == pytest.approx(width, abs=tolerance)


@pytest.mark.parametrize("scale", SCALES)
def test_a_pixel_of_the_camera_is_so_many_of_the_result(scale):
    mask = np.zeros((3, 3), np.uint8)
    mask[1, 2] = 255
    large = enlarge(mask, scale)
    assert large.shape == (3 * scale, 3 * scale) and np.count_nonzero(large) == scale**2
    assert large[scale : 2 * scale, 2 * scale :].all()


@pytest.mark.parametrize("scale", SCALES)
def test_hot_spots_are_compared_on_the_cameras_grid(scale):
    frame = np.full((48, 64), 30000, np.uint16)
    for row, column in ((12, 20), (30, 40)):
        frame[row : row + 3, column : column + 3] += 300
    result = np.repeat(np.repeat(frame, scale, 0), scale, 1)
    one_more = result.copy()
    one_more[4 * scale : 7 * scale, 4 * scale : 7 * scale] += 300
    one_less = result.copy()
    one_less[12 * scale : 15 * scale, 20 * scale : 23 * scale] -= 300
    spots = HotSpots(frame, scale)
    for sr, counts in ((result, (0, 0)), (one_more, (1, 0)), (one_less, (0, 1))):
        heat = spots.compare(sr)
        assert (heat.created, heat.removed) == counts


@pytest.mark.parametrize("scale", SCALES)
def test_flicker_is_of_the_results_pixels(scale):
    rng = np.random.default_rng(0)
    lr = rng.integers(100, 140, (32, 40)).astype(np.uint16)
    hr = np.repeat(np.repeat(lr, 4, 0), 4, 1)
    with FrameScorer(ScoreOptions(("flicker",), scale=scale)) as scorer:
        for added in (0, 1):
            sample = Sample("a", added, lr, hr + np.uint16(added)).at_scale(scale)
            found = scorer.score(sample, {"ours": sample.hr + np.uint16(2 * added)}).values
    assert found["truth"]["flicker"] == 1 and found["ours"]["flicker"] == 3


@pytest.mark.parametrize("mode", [SELF_REFERENCED, NO_REFERENCE])
def test_at_x1_nothing_finer_than_the_camera_is_measured(mode):
    chosen, missing = choose_metrics(mode, True, ("all",), 1)
    assert not set(FINER) & set(chosen)
    finer = [key for key in FINER if key in missing]
    assert finer and all("finer than the camera's pixels" in missing[key] for key in finer)
    assert {"noise_gain", "edge_width", "consistency"} <= set(chosen)
    at_2, _ = choose_metrics(mode, True, ("all",), 2)
    assert set(NATIVE) <= set(at_2) and "detail" in at_2
