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

"""How strong the white noise of one thermal frame is, from the frame alone.

Scene and noise differ in how evenly they are spread: noise is in every block of pixels alike, the
scene's fine structure in some. So the quantiles over blocks of what two high-pass filters leave
are fed to a small fitted function. Both filters take differences along rows *and* columns, which
removes offsets of whole rows and columns exactly: pattern noise does not count as white.

The function has one hidden layer without biases: what it gives is proportional to its input, so
counts, kelvin and normalised intensity may be used alike. ``benchmarks/fit_noise_level.py`` fits
its numbers on simulated cameras and prints the errors.
"""

from __future__ import annotations

import numpy as np

from difiisr_ros.core import lone_pixels
from difiisr_ros.core.missing import filled

_QUANTILES = np.array([0.03, 0.1, 0.25, 0.5])  # of the blocks, from quiet to busy
BLOCKS = (8, 16)  # pixels a side
_MEAN_TO_SIGMA = (np.pi / 2) ** 0.5  # of the magnitude of Gaussian noise
_STRIP = BLOCKS[-1]
_SAMPLED_PIXELS = 40_000  # larger frames are measured on strips of rows, evenly spaced
_CLIPPED = 1 / 8  # of the pixels at the frame's limits, or missing: more, and a block says nothing
_LONE = 0.25  # of the standard deviation: what a pixel may always differ from its neighbours' span
_ENOUGH = 1 / 4  # of the blocks must be left for that; else they are the frame

#: Fitted; see the benchmark named above. Rows of _HIDDEN are hidden units, columns are inputs.
# fmt: off
_HIDDEN = np.array([
    [-0.273, -0.279, -0.061, -0.105, 0.206, 0.168, -0.077, -0.513, 0.078, -0.306, 0.085, 0.075,
     0.029, 0.3, 0.271, -0.06, -0.328],
    [-0.192, -0.419, -0.211, 0.077, -0.286, 0.139, 0.277, -0.079, 1.287, 0.393, 0.155, 0.11,
     0.043, -0.24, -0.191, 0.241, -0.262],
    [-0.086, 0.123, 0.171, 0.066, 0.109, 0.151, 0.095, 0.191, -0.02, -0.039, -0.234, 0.409,
     -0.411, -0.507, -0.355, 0.434, 0.231],
    [-0.405, -0.147, 0.276, -0.02, 0.22, -0.075, 0.127, -0.434, 0.626, 0.066, -1.347, 0.206,
     -0.68, -0.11, -0.179, 1.471, -0.051],
    [0.049, 0.24, -0.826, -0.118, -0.424, -0.621, -0.036, -0.284, -0.073, 0.363, 0.418, 0.714,
     0.415, 0.594, 0.594, -0.14, -0.025],
    [-0.097, 0.252, 0.087, -0.06, 0.558, -0.456, -0.012, -0.253, -0.232, 0.008, 0.172, 0.399,
     -0.33, 0.084, 0.126, -0.634, -0.411],
    [0.349, 0.184, 0.071, -0.09, -0.017, -0.114, -0.05, -0.332, -0.437, -0.532, -0.352, 0.374,
     -0.067, 0.36, 0.509, 0.852, -0.153],
    [-0.119, 0.148, -0.161, 0.046, -0.471, -0.122, 0.139, 0.571, 0.095, 0.05, 0.55, -0.21, -0.028,
     0.69, 0.41, -0.162, 0.09],
])
_OUTPUT = np.array([0.079, 0.474, -0.242, 0.534, 0.524, 0.361, -0.868, 0.149])
_LINEAR = np.array([-0.01, -0.03, -0.025, -0.02, 0.077, -0.008, -0.102, 0.009, -0.008, 0.109, 0.4,
     0.186, 0.085, 0.162, 0.229, -0.148, 0.059])
# fmt: on


def estimate_noise(image: np.ndarray) -> float:
    """Standard deviation of the white noise of one frame.

    Noise is what differs from pixel to pixel without regard to its neighbours; offsets of rows or
    columns, stuck pixels, targets of any height and clipped areas do not count. Rounding to whole
    counts does not either, as far as it can be told from noise.

    Args:
        image: H x W, any real dtype, any unit; NaN and infinity are missing measurements.

    Returns:
        In the unit of the image, 0 or more: the same for ``image + c``, k times as much for
        ``k * image``. 0 for a frame whose background is exactly constant, and for one of fewer
        than 3 x 3 pixels, which cannot tell.
    """
    levels = block_levels(image)
    if levels is None:
        return 0.0
    found = levels @ _LINEAR + np.maximum(_HIDDEN @ levels, 0.0) @ _OUTPUT
    # Noise is everywhere: the quieter half of the blocks has it too, whatever was fitted.
    return float(np.clip(found, 0.0, 1.1 * levels[len(_QUANTILES) - 1]))


def block_levels(image: np.ndarray) -> np.ndarray | None:
    """What the estimate is made of: levels of noise that blocks show, and the size of a count.

    Returns:
        Float64, in the unit of the image: for both filters and both sizes of blocks
        ``_QUANTILES`` of the level without rounding's part, then the smallest difference between
        neighbours, which is a count if the image has any. None where nothing can be measured.
    """
    if image.ndim != 2 or min(image.shape) < 3:
        return None
    values = _sample(image)
    count = _smallest_step(values)
    known = np.isfinite(values)
    missing: np.ndarray | None = None
    if not known.all():
        usable = known.any(axis=(1, 2))
        if not usable.any():
            return None
        missing = ~known[usable, 2:, 2:]
        values = np.stack([filled(strip) for strip in values[usable]])
    values = _without_lone_pixels(values)
    low, high = float(values.min()), float(values.max())
    with np.errstate(over="ignore"):
        down = values[:, 1:] - values[:, :-1]
        first = 0.5 * (down[:, 1:, 1:] - down[:, 1:, :-1])  # 2 x 2, the gain of white noise is 1
        # 3 x 3: second differences both ways
        second = (down[:, 1:] - down[:, :-1]) / 6.0
        second = second[:, :, 1:] - second[:, :, :-1]
        second = second[:, :, 1:] - second[:, :, :-1]
        inner = values[:, 2:, 2:]
        idle = (inner == low) | (inner == high)
        if missing is not None:
            idle |= missing
        quiet = [block <= _CLIPPED for block in _block_means(idle)]
        found = [
            _quantiles(level, usable)
            for residual in (first[:, :, 1:], second)
            for level, usable in zip(_block_means(np.abs(residual)), quiet, strict=True)
        ]
    levels = np.concatenate(found).astype(np.float64)
    # Rounding is noise of 1/12 of a squared count where noise or scene span counts.
    levels = np.append(np.sqrt(np.maximum(levels**2 - count**2 / 12.0, 0.0)), count)
    return levels if np.isfinite(levels).all() else None


def _smallest_step(strips: np.ndarray) -> float:
    """Of the differences between neighbours in the frame as it came; 0 where there is none."""
    with np.errstate(invalid="ignore", over="ignore"):  # missing pixels differ by nothing
        steps = np.abs(strips[:, 1:] - strips[:, :-1])
        step = float(steps.min(where=steps > 0, initial=np.inf))
    return step if np.isfinite(step) else 0.0


def _sample(image: np.ndarray) -> np.ndarray:
    """N strips x rows x columns, float32: one strip is the whole frame unless that is large."""
    height, width = image.shape
    rows = _STRIP + 2  # the filters need two more
    count = max(4, _SAMPLED_PIXELS // (_STRIP * width))
    if count * rows >= height:
        return image[None].astype(np.float32)
    starts = np.linspace(0, height - rows, count).astype(int)
    return np.stack([image[start : start + rows] for start in starts]).astype(np.float32)


def _without_lone_pixels(strips: np.ndarray) -> np.ndarray:
    """A stuck pixel is none of the noise; one in the quietest block would move the estimate."""
    margin = _LONE * float(strips.std(dtype=np.float64))
    return np.stack([lone_pixels.without(strip, margin) for strip in strips])


def _block_means(values: np.ndarray) -> list[np.ndarray]:
    """Means over the blocks of each size of N x H x W; what does not fill a block is left out."""
    _, height, width = values.shape
    most = BLOCKS[-1]
    if height < most or width < most:
        grow = ((0, 0), (0, max(0, most - height)), (0, max(0, most - width)))
        values = np.pad(values, grow, mode="wrap")
    found: list[np.ndarray] = []
    side = 1
    for block in BLOCKS:  # larger blocks are made of smaller ones
        step, side = block // side, block
        rows, columns = values.shape[1] // step, values.shape[2] // step
        whole = values[:, : rows * step, : columns * step]
        # Rows first: numpy adds whole rows fast.
        sums = whole.reshape(-1, rows, step, columns * step).sum(axis=2, dtype=np.float32)
        values = sums.reshape(-1, rows, columns, step).sum(axis=3) / np.float32(step * step)
        found.append(values.ravel())
    return found


def _quantiles(level: np.ndarray, usable: np.ndarray) -> np.ndarray:
    """The level of noise at ``_QUANTILES`` of the usable blocks; NaN where there is none."""
    chosen = level[usable & np.isfinite(level)]
    if chosen.size < _ENOUGH * level.size:
        chosen = level[np.isfinite(level)]
    if chosen.size == 0:
        return np.array([np.nan])
    chosen.sort()
    at = _QUANTILES * (chosen.size - 1)
    before = at.astype(int)
    after = np.minimum(before + 1, chosen.size - 1)
    return _MEAN_TO_SIGMA * (chosen[before] + (at - before) * (chosen[after] - chosen[before]))
