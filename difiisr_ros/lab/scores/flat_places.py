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

"""Noise where the scene is flat: its size, its part beyond the LR Nyquist frequency, its lattice.

Flat places are chosen from the camera's frame alone, so that they are the same for every method:
blocks whose low-pass gradient is no more than the frame's noise makes of it. What is left of a
block without a smooth surface (a polynomial of second order) is its noise.
"""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np

from difiisr_ros.core.scale import SCALE
from difiisr_ros.lab.scores.spectrum import lr_nyquist

#: Side of a block, LR pixels, and of the border that is left out; even, for lattices of 2 pixels.
BLOCK = 8
_BORDER = 2
#: At least this share of the blocks is taken, the flattest ones: a camera without noise has a
#: gradient everywhere, and what a smooth surface leaves of it is small.
_LEAST_SHARE = 0.1
_LEAST = 8
_MOST = 2000  # enough to measure by; memory does not grow with the frame
_LOW_PASS = 1.5  # LR pixels, Gaussian sigma
#: Gradient of low-passed white noise of standard deviation 1, root mean square of both directions.
_NOISE_GRADIENT = (4 * np.pi) ** -0.5 / _LOW_PASS**2
#: A flat block's gradient is at most this many times as large, and its noise this many times that
#: of the frame: texture has a small gradient, too.
_MOST_GRADIENT = 1.5
_MOST_NOISE = 1.5
#: Of the blocks' noise: textured ones only add.
_NOISE_PERCENTILE = 20
#: Camera pixels: 1 is the camera's own, 2 that of a network which works at half its resolution.
LATTICE = 2
#: What the six numbers of a surface take of the noise of a camera's block.
_OF_SURFACE = (1 - 6 / BLOCK**2) ** -0.5
_LEAST_IN_GROUP = 2  # blocks, for a mean over the phases of a lattice


class FlatPlaces:
    """The flat places of one camera frame.

    Args:
        lr: H x W, any real dtype.
        scale: s, of the results.
    """

    def __init__(self, lr: np.ndarray, scale: int = SCALE) -> None:
        self._scale = scale
        corners = [np.arange(_BORDER, side - BLOCK - _BORDER + 1, BLOCK) for side in lr.shape]
        grid = np.stack(np.meshgrid(*corners, indexing="ij"), axis=-1).reshape(-1, 2)
        self._corners = grid[:0]
        self.noise = float("nan")
        """Standard deviation of the camera's noise in them, in the frame's unit; NaN: none."""
        if not len(grid):
            return
        blocks = _blocks(lr, grid, BLOCK)
        noise = _rms(_without_surface(blocks)) * _OF_SURFACE
        # Where the camera has reached its limit nothing is left of its noise.
        noise[np.ptp(blocks, axis=(1, 2)) == 0] = np.nan
        if np.isfinite(noise).sum() < _LEAST:
            return
        frame_noise = float(np.nanpercentile(noise, _NOISE_PERCENTILE))
        gradient = _rms(_blocks(_gradient(lr), grid, BLOCK))
        gradient[~(noise <= _MOST_NOISE * frame_noise)] = np.inf
        most = max(
            _MOST_GRADIENT * _NOISE_GRADIENT * frame_noise,
            np.sort(gradient)[max(_LEAST, int(_LEAST_SHARE * len(grid))) - 1],
        )
        chosen = np.flatnonzero(gradient <= most if np.isfinite(most) else np.isfinite(gradient))
        if len(chosen) > _MOST:  # by chance: every n-th would leave out phases of a lattice
            chosen = np.sort(np.random.default_rng(0).choice(chosen, _MOST, replace=False))
        self._corners = grid[chosen]
        self.noise = float(np.median(noise[chosen]))

    def __len__(self) -> int:
        """How many blocks of 8x8 camera pixels are flat."""
        return len(self._corners)

    def residual(self, sr: np.ndarray) -> np.ndarray:
        """What is no smooth surface in the flat places of a result.

        Args:
            sr: sH x sW.

        Returns:
            n x 8s x 8s, float64.
        """
        return _without_surface(_blocks(sr, self._scale * self._corners, self._scale * BLOCK))

    def lattice(self, residual: np.ndarray) -> float:
        """Pattern that repeats every two camera pixels, or every one: peak to peak, of the noise.

        Blocks that have neither a row nor a column in common are set against each other: one half
        says at which phases the mean is highest and lowest, the other one how far it is from one
        to the other. Without a pattern that is 0 on average, above or below by chance, whatever
        the noise of pixels, rows and columns is.

        Args:
            residual: Of :meth:`residual`.

        Returns:
            Share of the camera's :attr:`noise`; NaN where there are too few flat places, and at
            x1, where the pixels of a result are the camera's.
        """
        if self._scale == 1:
            return float("nan")
        row, column = (self._corners // BLOCK % 2).T
        found = []
        for one, other in (((0, 0), (1, 1)), ((0, 1), (1, 0))):
            groups = [residual[(row == r) & (column == c)] for r, c in (one, other)]
            if min(map(len, groups)) >= _LEAST_IN_GROUP:
                a, b = (_phase_means(group, LATTICE * self._scale) for group in groups)
                found += [b[a.argmax()] - b[a.argmin()], a[b.argmax()] - a[b.argmin()]]
        return float(np.mean(found)) / self.noise if found and self.noise > 0 else float("nan")


def noise(residual: np.ndarray) -> float:
    """Standard deviation of the noise: median over n blocks (n x side x side); NaN for none."""
    return float(np.median(_rms(residual))) if len(residual) else float("nan")


def noise_above_nyquist(residual: np.ndarray, scale: int = SCALE) -> float:
    """The same of its part beyond the LR Nyquist frequency in either direction.

    That is what a method adds: a camera's frame has nothing there. At x1 a result has nothing there
    either, and the value is NaN.
    """
    if not len(residual) or scale == 1:
        return float("nan")
    side = residual.shape[-1]
    window = np.hanning(side + 1)[:side]
    frequency = np.abs(np.fft.fftfreq(side))
    beyond = np.maximum.outer(frequency, frequency) > lr_nyquist(scale)
    spectrum = np.fft.fft2(residual * np.outer(window, window))
    power = (np.abs(spectrum) ** 2)[:, beyond].sum(axis=1) / (side * (window**2).sum()) ** 2
    return float(np.median(np.sqrt(power)))


def _gradient(lr: np.ndarray) -> np.ndarray:
    smooth = cv2.GaussianBlur(lr.astype(np.float64), (0, 0), _LOW_PASS)
    return np.hypot(*np.gradient(smooth))


def _blocks(frame: np.ndarray, corners: np.ndarray, side: int) -> np.ndarray:
    """n x side x side, float64, from n corners (row, column)."""
    if not len(corners):
        return np.empty((0, side, side))
    windows = np.lib.stride_tricks.sliding_window_view(frame, (side, side))
    return windows[corners[:, 0], corners[:, 1]].astype(np.float64)


@lru_cache(maxsize=4)
def _surface(side: int) -> np.ndarray:
    """Orthonormal polynomials to the second order on side x side pixels: pixels x 6."""
    y, x = np.mgrid[-1 : 1 : side * 1j, -1 : 1 : side * 1j].reshape(2, -1)
    return np.linalg.qr(np.stack([np.ones_like(x), x, y, x * y, x * x, y * y], axis=1))[0]


def _without_surface(blocks: np.ndarray) -> np.ndarray:
    basis = _surface(blocks.shape[-1])
    flat = blocks.reshape(len(blocks), len(basis))
    return (flat - (flat @ basis) @ basis.T).reshape(blocks.shape)


def _rms(blocks: np.ndarray) -> np.ndarray:
    return np.sqrt((blocks**2).mean(axis=(1, 2)))


def _phase_means(residual: np.ndarray, period: int) -> np.ndarray:
    """Mean at each of the phases of a lattice, flat."""
    count = residual.shape[-1] // period
    tiles = residual.reshape(-1, count, period, count, period)
    return tiles.mean(axis=(0, 1, 3)).ravel()
