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

"""The white noise of a camera, from the quiet blocks of many frames; what of it changes in time.

White noise has the same energy at all spatial frequencies, a scene seen through optics and pixels
has less the higher they are. In blocks of 8 x 8 pixels, by their cosine transform: blocks are
ordered by their energy at low frequencies; from the quietest to busier ones the energy in the
highest band grows with that in the band below along a straight line, and where both are equal is
the noise. Coefficients without a change along rows or columns are left out, and with them whatever
offsets rows and columns have.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

BLOCK = 8  # pixels a side
_CLIPPED = 1  # pixels at the frame's limits or missing that a usable block may have
_QUIET = 0.05  # of the blocks: where the noise is read
_SLOPE_FROM = 0.3  # of the blocks: those that the line's slope is taken from
_BINS = 8
_STEEPEST = 0.5
_USUAL_SLOPE = 0.2  # of the line, where nothing but noise is there to tell
_LEAST_BLOCKS = 100
_STILL = 1.5  # blocks whose mean moved by less than this many times its noise show no motion


def _bands() -> tuple[np.ndarray, list[np.ndarray]]:
    frequency = np.arange(BLOCK)
    cosines = np.cos(np.pi * (2 * frequency[None] + 1) * frequency[:, None] / (2 * BLOCK))
    cosines *= np.sqrt(2.0 / BLOCK)
    cosines[0] *= 0.5**0.5
    total = np.add.outer(frequency, frequency)
    inside = np.minimum.outer(frequency, frequency) > 0
    bands = [inside & (total <= 7), inside & (total >= 8) & (total <= 10), total >= 11]
    return cosines, bands


_COSINES, _BANDS = _bands()


@dataclass(frozen=True)
class NoiseFit:
    """The level of noise and what it rests on."""

    sigma: float
    """Standard deviation, in the unit of the frames, rounding included."""
    error: float
    """Standard deviation of its error."""
    blocks: int
    """How many blocks it rests on."""
    excess: float
    """What share of the highest band's energy in these blocks the scene had: 0 is best."""


def block_energies(frame: np.ndarray) -> np.ndarray:
    """Energy per coefficient in three bands of the frame's usable blocks.

    Args:
        frame: H x W, float32; NaN is a missing pixel.

    Returns:
        N x 3 (low, middle, high), float64, squared units.
    """
    blocks = _blocks(frame)
    known = np.isfinite(blocks)
    if not known.any():
        return np.empty((0, 3))
    limits = blocks[known]
    bad = ~known | (blocks == limits.min()) | (blocks == limits.max())
    blocks = blocks[(bad.sum(axis=(1, 2)) <= _CLIPPED) & known.all(axis=(1, 2))]
    return _energies(blocks)


def fit_noise(energies: np.ndarray) -> NoiseFit | None:
    """The white noise in blocks with these energies; None where there are too few."""
    count = len(energies)
    if count < _LEAST_BLOCKS:
        return None
    ordered = energies[np.argsort(energies[:, 0], kind="stable")]
    quiet = ordered[: max(int(_QUIET * count), min(count, _LEAST_BLOCKS))]
    _, middle, high = quiet.mean(axis=0)
    slope = _slope(ordered[: max(int(_SLOPE_FROM * count), len(quiet))])
    square = (high - slope * middle) / (1.0 - slope)
    square = float(np.clip(square, 0.0, high))
    if high <= 0:
        return NoiseFit(0.0, 0.0, len(quiet), 0.0)
    excess = 1.0 - square / high
    counted = np.sqrt(2.0 / (_BANDS[2].sum() * len(quiet))) * high
    # The line's own uncertainty: a quarter of what it took away.
    spread = float(np.hypot(counted / (1.0 - slope), 0.25 * (high - square)))
    sigma = square**0.5
    error = spread / (2 * sigma) if sigma > 0 else spread**0.5
    return NoiseFit(sigma, float(error), len(quiet), float(excess))


def _slope(ordered: np.ndarray) -> float:
    """How the highest band's energy grows with the middle one's over ordered blocks."""
    bins = np.array([part[:, 1:].mean(axis=0) for part in np.array_split(ordered, _BINS)])
    middle, high = (bins - bins.mean(axis=0)).T
    # As uncertain as the bins' means are by chance, so much counts the usual slope.
    level = bins[:, 1].mean()
    chance = 8.0 * _BINS**2 * level**2 / (_BANDS[1].sum() * len(ordered))
    along = (middle**2).sum() + chance
    if along <= 0:
        return _USUAL_SLOPE
    return float(np.clip(((middle * high).sum() + chance * _USUAL_SLOPE) / along, 0.0, _STEEPEST))


def typical_noise(energies: np.ndarray) -> float | None:
    """The noise of blocks that hold nothing else; None where there are too few."""
    if len(energies) < _LEAST_BLOCKS:
        return None
    counts = [float(band.sum()) for band in _BANDS[1:]]
    both = (energies[:, 1] * counts[0] + energies[:, 2] * counts[1]) / sum(counts)
    # The median of such a mean square lies below its mean (Wilson and Hilferty).
    return float((np.median(both) / (1.0 - 2.0 / (9.0 * sum(counts))) ** 3) ** 0.5)


def changing_energies(before: np.ndarray, after: np.ndarray, sigma: float) -> np.ndarray:
    """Energies of what changed between two frames, where the scene stood still.

    Args:
        before, after: H x W, float32, NaN where missing.
        sigma: noise of one frame.

    Returns:
        N x 3, those of one frame's noise: half of the difference's.
    """
    change = _blocks(after) - _blocks(before)
    change = change[np.isfinite(change).all(axis=(1, 2))]
    if len(change) == 0:
        return np.empty((0, 3))
    means = change.mean(axis=(1, 2))
    means -= np.median(means)  # the camera's level drifts
    # Also slopes across the block: a soft edge that moved.
    tilt = np.abs(change @ np.linspace(-1, 1, BLOCK)).mean(axis=1)
    limit = _STILL * sigma * (2.0**0.5) / BLOCK
    still = (np.abs(means) <= max(limit, 1e-12) * 4) & (tilt <= 4 * _STILL * sigma)
    return _energies(change[still]) / 2.0


def _blocks(frame: np.ndarray) -> np.ndarray:
    rows, columns = (side // BLOCK for side in frame.shape)
    whole = frame[: rows * BLOCK, : columns * BLOCK].astype(np.float64)
    return whole.reshape(rows, BLOCK, columns, BLOCK).swapaxes(1, 2).reshape(-1, BLOCK, BLOCK)


def _energies(blocks: np.ndarray) -> np.ndarray:
    squares = (_COSINES @ blocks @ _COSINES.T) ** 2
    return np.stack([squares[:, band].mean(axis=1) for band in _BANDS], axis=1)
