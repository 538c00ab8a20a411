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

"""PSNR, SSIM, consistency and the spectrum distance, against values known from theory."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from difiisr_ros.errors import DataError
from difiisr_ros.lab.evaluation.methods import bicubic_upscale
from difiisr_ros.lab.frames.degrade import degrade_bicubic
from difiisr_ros.lab.scores import metrics
from difiisr_ros.lab.scores.spectrum import (
    COMMON_FREQUENCIES,
    FLOOR,
    lr_nyquist,
    on_common_frequencies,
    radial_log_amplitude,
    spectrum_distance,
)


@pytest.fixture
def scene() -> np.ndarray:
    """A frame with structure at every scale, uint8, 160x128."""
    rng = np.random.default_rng(0)
    frame = np.zeros((128, 160))
    for size in (4, 8, 16, 32, 64):
        coarse = rng.normal(size=(128 // size + 2, 160 // size + 2)).astype(np.float32)
        frame += size * 0.5 * cv2.resize(coarse, (160, 128), interpolation=cv2.INTER_CUBIC)
    frame += rng.normal(scale=2, size=frame.shape)
    return np.clip(128 + frame, 0, 255).astype(np.uint8)


def test_psnr_is_that_of_the_definition(scene):
    off_by_two = np.where(scene > 100, scene - 2, scene + 2).astype(np.uint8)
    assert metrics.psnr(scene, off_by_two, 255.0) == pytest.approx(20 * np.log10(255 / 2))


def test_psnr_of_unsigned_differences_does_not_wrap():
    a, b = np.zeros((16, 16), np.uint16), np.ones((16, 16), np.uint16)
    assert metrics.psnr(a, b, 100.0) == metrics.psnr(b, a, 100.0) == pytest.approx(40.0)


def test_a_perfect_frame_has_a_finite_psnr(scene):
    assert metrics.psnr(scene, scene.copy(), 255.0) == metrics.MAX_PSNR_DB
    assert metrics.Ssim(scene, 255.0)(scene.copy()) == pytest.approx(1.0)


SSIM_SETTINGS = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False}
KINDS = [(np.uint8, 1, 0), (np.uint16, 4, 29000), (np.float32, 0.05, 290.0)]


@pytest.mark.needs("skimage")
@pytest.mark.parametrize(("dtype", "gain", "offset"), KINDS)
def test_psnr_and_ssim_agree_with_scikit_image(scene, dtype, gain, offset):
    """An independent library, on 8 bits, on radiometric counts and on kelvin."""
    from skimage.metrics import peak_signal_noise_ratio, structural_similarity

    other = cv2.GaussianBlur(scene, (0, 0), 1.2)
    hr, sr = ((frame * float(gain) + offset).astype(dtype) for frame in (scene, other))
    peak = metrics.data_range(hr)
    a, b = hr.astype(np.float64), sr.astype(np.float64)
    psnr = peak_signal_noise_ratio(a, b, data_range=peak)
    assert metrics.psnr(hr, sr, peak) == pytest.approx(psnr, abs=1e-4)
    ssim = structural_similarity(a, b, data_range=peak, **SSIM_SETTINGS)
    assert metrics.Ssim(hr, peak)(sr) == pytest.approx(ssim, abs=1e-5)
    assert metrics.ssim_by_blurring(hr, sr, peak) == pytest.approx(ssim, abs=1e-9)


def test_ssim_without_opencvs_contrib_modules_is_the_same(scene, monkeypatch):
    other = cv2.GaussianBlur(scene, (0, 0), 1.2)
    with_opencv = metrics.Ssim(scene, 255.0)(other)
    monkeypatch.setattr(metrics, "has_opencv_quality", lambda: False)
    assert metrics.Ssim(scene, 255.0)(other) == pytest.approx(with_opencv, abs=1e-5)


@pytest.mark.parametrize(("dtype", "gain", "offset"), KINDS)
@pytest.mark.skipif(not metrics.has_opencv_quality(), reason="OpenCV without contrib modules")
def test_gmsd_is_xues(scene, dtype, gain, offset):
    """The published definition, written out: Prewitt gradients at half the resolution, T = 170."""
    other = cv2.GaussianBlur(scene, (0, 0), 1.2)
    hr, sr = ((frame * float(gain) + offset).astype(dtype) for frame in (scene, other))
    peak = metrics.data_range(hr)
    found = metrics.Gmsd(hr, peak)(sr)

    def magnitude(frame):
        small = cv2.resize(
            (frame.astype(float) - hr.min()) * 255 / peak,
            None,
            fx=0.5,
            fy=0.5,
            interpolation=cv2.INTER_AREA,
        )
        line = np.array([[1, 0, -1]] * 3) / 3
        gx, gy = (
            cv2.filter2D(small, -1, k, borderType=cv2.BORDER_CONSTANT) for k in (line, line.T)
        )
        return np.hypot(gx, gy)

    m1, m2 = magnitude(hr), magnitude(sr)
    similarity = (2 * m1 * m2 + 170) / (m1**2 + m2**2 + 170)
    assert found == pytest.approx(similarity.std(), rel=0.03)
    assert metrics.Gmsd(hr, peak)(hr) == 0


def test_radiometric_error(scene):
    sr = scene.astype(np.uint16) + 29000
    hr = sr.copy()
    sr[::2] += 4
    sr[1::2] -= 2
    assert metrics.radiometric_error(hr, sr) == (pytest.approx(3.0), pytest.approx(1.0))


def test_blur_effect_orders_frames_by_blur(scene):
    values = [
        metrics.blur_effect(cv2.GaussianBlur(scene, (0, 0), sigma)) for sigma in (0.5, 1.0, 2.0)
    ]
    assert values == sorted(values) and values[0] < values[2] - 0.1
    counts = (scene.astype(np.uint16) * 4 + 29000).astype(np.uint16)
    assert metrics.blur_effect(counts) == pytest.approx(metrics.blur_effect(scene), abs=1e-3)
    assert np.isnan(metrics.blur_effect(np.full((64, 64), 7, np.uint8)))


@pytest.mark.parametrize("sigma", [0.5, 2.0])
def test_blur_effect_is_scikit_images(scene, sigma):
    measure = pytest.importorskip("skimage.measure")
    if not hasattr(measure, "blur_effect"):
        pytest.skip("scikit-image before 0.19")
    frame = cv2.GaussianBlur(scene, (0, 0), sigma)
    expected = measure.blur_effect((frame - frame.min()).astype(np.float64)[:512, :512])
    assert metrics.blur_effect(frame[:512, :512]) == pytest.approx(expected, abs=1e-9)


def test_ssim_is_wangs(scene):
    """The published definition, written out with OpenCV's Gaussian window."""
    other = cv2.GaussianBlur(scene, (0, 0), 1.0)

    def blur(x):
        line = np.exp(-0.5 * (np.arange(-5, 6) / 1.5) ** 2)
        return cv2.sepFilter2D(x, -1, line / line.sum(), line / line.sum())

    x, y = scene.astype(np.float64), other.astype(np.float64)
    mx, my = blur(x), blur(y)
    vx, vy, cov = blur(x * x) - mx * mx, blur(y * y) - my * my, blur(x * y) - mx * my
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    each = (2 * mx * my + c1) * (2 * cov + c2) / ((mx**2 + my**2 + c1) * (vx + vy + c2))
    expected = each[5:-5, 5:-5].mean()
    assert metrics.Ssim(scene, 255.0)(other) == pytest.approx(expected, abs=1e-5)


def test_data_range():
    assert metrics.data_range(np.array([[3, 9]], np.uint8)) == 255
    assert metrics.data_range(np.array([[30000, 30900]], np.uint16)) == 900
    assert metrics.data_range(np.array([[290.5, 300.0]], np.float32)) == 9.5
    assert metrics.data_range(np.full((2, 2), 7, np.uint16)) == 1


def test_consistency_sees_an_offset_and_ignores_what_the_camera_cannot_see(scene):
    lr = degrade_bicubic(scene.astype(np.float32))
    assert metrics.consistency(lr, scene.astype(np.float32)) == pytest.approx(0, abs=1e-4)
    assert metrics.consistency(lr, scene.astype(np.float32) + 3) == pytest.approx(3, abs=1e-3)
    checker = np.indices(scene.shape).sum(0) % 2 * 2.0 - 1  # the finest pattern there is
    finer = scene + 20 * checker
    inside = np.s_[2:-2, 2:-2]
    assert np.abs(degrade_bicubic(finer.astype(np.float32)) - lr)[inside].max() < 0.5
    assert metrics.consistency(lr, finer) < 1.0


@pytest.mark.parametrize("shape", [(128, 160), (16, 20), (4, 8), (480, 640)])
def test_downsampling_is_pillows(shape):
    from PIL import Image

    frame = np.random.default_rng(0).uniform(29000, 30000, shape).astype(np.float32)
    size = (shape[1] // 4, shape[0] // 4)
    expected = np.asarray(Image.fromarray(frame).resize(size, Image.BICUBIC))
    np.testing.assert_allclose(metrics.downsample(frame), expected, atol=0.02)
    small = metrics.downsample(frame - 29000)  # what single precision leaves near 0
    expected = np.asarray(Image.fromarray(frame - 29000).resize(size, Image.BICUBIC))
    np.testing.assert_allclose(small, expected, atol=1e-3)


def test_consistency_of_16_bit_counts():
    lr = np.full((8, 8), 30000, np.uint16)
    assert metrics.consistency(lr, np.full((32, 32), 30005, np.uint16)) == pytest.approx(5)


@pytest.mark.parametrize("cycles", [0.05, 0.2, 0.4])
def test_a_wave_peaks_at_its_own_frequency(cycles):
    x = np.arange(256)
    wave = np.tile(100 * np.sin(2 * np.pi * cycles * x), (128, 1))
    frequencies, decibel = radial_log_amplitude(wave, 255.0)
    decibel[frequencies < 0.03] = -np.inf  # what the window makes of the frame's mean
    assert frequencies[np.argmax(decibel)] == pytest.approx(cycles, abs=1 / 128)


def test_white_noise_has_a_flat_spectrum_at_its_own_level():
    noise = np.random.default_rng(1).normal(scale=10.0, size=(256, 320))
    frequencies, decibel = radial_log_amplitude(noise, 100.0)
    band = decibel[(frequencies > 0.02) & (frequencies < 0.5)]
    # The mean of 20 log10 of a Rayleigh amplitude lies 2.51 dB below its root mean square.
    assert band.mean() == pytest.approx(20 * np.log10(10 / 100) - 2.51, abs=0.25)
    assert band[len(band) // 4 :].std() < 0.5  # the inner rings average few coefficients


def test_amplitudes_end_at_the_floor():
    _, decibel = radial_log_amplitude(np.full((64, 64), 7.0), 255.0)
    np.testing.assert_allclose(decibel, 20 * np.log10(FLOOR))


def test_distance_of_a_gain_above_lr_nyquist_is_that_gain():
    rng = np.random.default_rng(2)
    a = rng.normal(scale=20, size=(128, 128))
    spectrum = np.fft.fft2(a)
    radius = np.hypot(*np.meshgrid(np.fft.fftfreq(128), np.fft.fftfreq(128)))
    low = np.fft.ifft2(np.where(radius <= lr_nyquist(4) - 0.02, 2 * spectrum, spectrum)).real
    high = np.fft.ifft2(np.where(radius > lr_nyquist(4), spectrum / 2, spectrum)).real
    assert spectrum_distance(a, a, 255.0) == 0
    assert spectrum_distance(a, low, 255.0) < 0.2  # what the camera resolved does not count
    assert spectrum_distance(a, high, 255.0) == pytest.approx(20 * np.log10(2), abs=0.3)


def test_bicubic_is_farther_in_spectrum_than_a_sharper_frame(scene):
    blurred = bicubic_upscale(degrade_bicubic(scene))
    sharper = np.clip(blurred + 0.5 * (scene.astype(float) - blurred), 0, 255).astype(np.uint8)
    assert spectrum_distance(scene, sharper, 255.0) < 0.7 * spectrum_distance(scene, blurred, 255.0)


def test_spectrum_does_not_depend_on_the_unit(scene):
    kelvin = scene.astype(np.float32) * np.float32(0.01) + np.float32(290)
    counts = spectrum_distance(scene, np.roll(scene, 1) // 2, 255.0)
    other = (np.roll(scene, 1) // 2).astype(np.float32) * np.float32(0.01) + np.float32(290)
    assert spectrum_distance(kelvin, other, 2.55) == pytest.approx(counts, abs=0.02)


def test_a_frame_too_small_for_a_spectrum_is_refused():
    with pytest.raises(DataError, match="16x16, got 12x20"):
        radial_log_amplitude(np.zeros((20, 12)), 255.0)


def test_unequal_opposite_borders_do_not_count_as_detail():
    """A shading across the frame jumps where the Fourier transform wraps it around."""
    noise = np.random.default_rng(3).normal(scale=2, size=(128, 160))
    shaded = noise + np.linspace(0, 200, 160) + np.linspace(0, 100, 128)[:, None]
    assert spectrum_distance(noise, shaded, 255.0) < 0.1


def test_spectra_of_one_scene_in_two_resolutions_lie_on_each_other():
    """A common axis, and levels that do not depend on how finely a scene was sampled."""
    rng = np.random.default_rng(4)
    smooth = cv2.GaussianBlur(rng.normal(size=(512, 512)), (0, 0), 8.0)
    smooth *= 50 / smooth.std()
    fine = on_common_frequencies(radial_log_amplitude(smooth, 255.0))
    coarse = on_common_frequencies(radial_log_amplitude(smooth[::4, ::4], 255.0), scale=4)
    shared = COMMON_FREQUENCIES < 0.04  # below, the blur leaves something
    np.testing.assert_allclose(coarse[shared], fine[shared], atol=1.0)
    above = COMMON_FREQUENCIES > 0.125 + 0.01  # the LR Nyquist frequency
    assert np.isnan(coarse[above]).all()
    assert np.isfinite(fine).all()


def test_single_precision_does_not_show(scene):
    """The same spectrum by NumPy in double precision, also where a result is all but empty."""
    empty = cv2.GaussianBlur(scene.astype(np.float64), (0, 0), 6.0)
    window = np.outer(np.hanning(128), np.hanning(160))
    amplitude = np.abs(np.fft.rfft2((empty - empty.mean()) * window))
    amplitude = np.maximum(amplitude / (255 * np.sqrt((window**2).sum())), FLOOR)
    radius = np.hypot(np.fft.fftfreq(128)[:, None], np.fft.rfftfreq(160)[None, :])
    ring = np.rint(radius * 128).astype(int).ravel()
    expected = np.bincount(ring, 20 * np.log10(amplitude).ravel()) / np.bincount(ring)
    _, found = radial_log_amplitude(empty.astype(np.float32), 255.0)
    np.testing.assert_allclose(found, expected, atol=0.02)
