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

"""How much true detail is there: the log-amplitude spectrum beyond what the camera resolved.

PSNR rewards blur. Whether a result has the fine structure of a real frame shows in its spectrum
above the LR Nyquist frequency, where a bicubic result is almost empty.
"""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np

from difiisr_ros.core.scale import SCALE
from difiisr_ros.errors import DataError

#: Cycles per pixel of a result or its truth.
HR_NYQUIST = 0.5
#: White noise of this fraction of the data range is the floor: below it an amplitude is no detail
#: but rounding, and its logarithm would go to minus infinity. 0.03 counts of 8 bits.
FLOOR = 1e-4
MIN_SIDE = 16


def lr_nyquist(scale: int) -> float:
    """Half the LR sampling rate in cycles per pixel of a result: 1 / (2 s)."""
    return HR_NYQUIST / scale


@lru_cache(maxsize=8)
def _window(shape: tuple[int, int]) -> np.ndarray:
    """Hann window, against the cross that a frame's unequal opposite borders draw otherwise."""
    return np.outer(np.hanning(shape[0]), np.hanning(shape[1])).astype(np.float32)


@lru_cache(maxsize=8)
def _window_energy(shape: tuple[int, int]) -> float:
    return float((np.hanning(shape[0]) ** 2).sum() * (np.hanning(shape[1]) ** 2).sum())


@lru_cache(maxsize=8)
def _rings(shape: tuple[int, int]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The ring of each rfft2 coefficient, its share in the ring's average, and the rings'
    frequencies in cycles per pixel."""
    width = 1.0 / min(shape)
    radius = np.hypot(np.fft.fftfreq(shape[0])[:, None], np.fft.rfftfreq(shape[1])[None, :])
    index = np.rint(radius / width).astype(np.int32).ravel()
    share = (1.0 / np.bincount(index))[index]
    return index, share, np.arange(index.max() + 1) * width


def radial_log_amplitude(frame: np.ndarray, value_range: float) -> tuple[np.ndarray, np.ndarray]:
    """Radially averaged log-amplitude spectrum of a frame.

    The frame's mean is taken off, a Hann window applied, and the amplitude of the 2-D Fourier
    transform, in dB (20 log10), averaged over rings as wide as one frequency step of the shorter
    side. Amplitudes are relative to white noise of standard deviation ``value_range``, and never
    below :data:`FLOOR` of that.

    Args:
        frame: H x W, any real dtype, both sides at least 16.
        value_range: the data range, in the frame's units.

    Returns:
        Frequencies in cycles per pixel, and the average dB at each; 1-D, the same length.

    Raises:
        DataError: the frame is too small for a spectrum.
    """
    if min(frame.shape) < MIN_SIDE:
        raise DataError(
            f"a spectrum needs frames of at least {MIN_SIDE}x{MIN_SIDE}, got "
            f"{frame.shape[1]}x{frame.shape[0]}"
        )
    # float32: its rounding is a thousandth of the floor.
    values = frame.astype(np.float32)
    values -= cv2.mean(frame)[0]
    values *= _window(frame.shape)
    amplitude = np.abs(np.fft.rfft2(values)).astype(np.float32)
    amplitude /= value_range * _window_energy(frame.shape) ** 0.5
    decibel = np.log10(np.maximum(amplitude, FLOOR, out=amplitude), out=amplitude)
    rings, share, frequencies = _rings(frame.shape)
    return frequencies, 20 * np.bincount(rings, share * decibel.ravel())


def spectrum_distance(
    hr: np.ndarray, sr: np.ndarray, value_range: float, scale: int = SCALE
) -> float:
    """Distance of two frames' spectra above the LR Nyquist frequency, in dB; 0 is a perfect match.

    The mean over rings between :func:`lr_nyquist` (not included) and 0.5 cycles per pixel of the
    absolute difference of :func:`radial_log_amplitude`. Both directions count: missing detail and
    invented texture. Phase does not: read it together with PSNR.

    Args:
        hr, sr: sH x sW, the same shape.
        value_range: the data range, in the frames' units.
        scale: s, above 1: at x1 nothing lies above the LR Nyquist frequency.
    """
    truth, result = (radial_log_amplitude(frame, value_range) for frame in (hr, sr))
    return distance(truth, result, scale)


#: A frame's frequencies and levels, as :func:`radial_log_amplitude` returns them.
Curve = tuple[np.ndarray, np.ndarray]


def distance(truth: Curve, result: Curve, scale: int = SCALE) -> float:
    """:func:`spectrum_distance` of two frames of one shape whose curves are known."""
    frequencies, levels = truth
    return float(np.abs(levels - result[1])[_beyond(frequencies, scale)].mean())


def detail_level(curve: Curve, scale: int = SCALE) -> float:
    """Mean level in dB above the LR Nyquist frequency: how much fine structure there is at all."""
    frequencies, levels = curve
    return float(levels[_beyond(frequencies, scale)].mean())


def _beyond(frequencies: np.ndarray, scale: int) -> np.ndarray:
    return (frequencies > lr_nyquist(scale)) & (frequencies <= HR_NYQUIST)


#: Where reports show spectra, so that those of frames of different sizes can be averaged.
COMMON_FREQUENCIES = np.linspace(0.0, HR_NYQUIST, 65)[1:]


def on_common_frequencies(curve: Curve, scale: int = 1) -> np.ndarray:
    """A curve at :data:`COMMON_FREQUENCIES`, by linear interpolation.

    Args:
        curve: Of a frame.
        scale: How many HR pixels one pixel of the frame is wide. The same scene, sampled that much
            more coarsely, has its levels 20 log10(scale) dB lower, which is made up for; above the
            frame's own Nyquist frequency there is NaN.
    """
    frequencies, levels = curve
    levels = np.interp(COMMON_FREQUENCIES * scale, frequencies, levels) + 20 * np.log10(scale)
    levels[COMMON_FREQUENCIES * scale > HR_NYQUIST] = np.nan
    return levels
