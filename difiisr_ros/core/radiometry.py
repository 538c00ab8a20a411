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

"""Camera counts to normalised intensity and back, without losing what the camera measured.

Normalised intensity maps a chosen value range to 0..1 linearly. Values outside the range stay
outside: nothing is clipped before the result's own dtype limits, so that a target hotter than
every percentile comes out as hot as it went in.

Accepted dtypes are uint8, uint16 and float32, height x width. Non-finite float pixels are
missing measurements: they are filled from their neighbours for the network, and their 4x4 blocks
are given back as they were (NaN, +inf, -inf). A flat frame comes out flat.
"""

from __future__ import annotations

import math
from typing import Any

import cv2
import numpy as np

from difiisr_ros.core import lone_pixels
from difiisr_ros.core.missing import filled
from difiisr_ros.core.plain_numbers import plain_real
from difiisr_ros.errors import FrameError, OptionError

ValueRange = tuple[float, float]
"""(low, high) in the frame's own units (counts, kelvin, ...): what becomes 0 and 1."""

PERCENTILE = "percentile"
RANGE_MODES = (PERCENTILE, "fixed", "minmax")
DTYPES = (np.dtype(np.uint8), np.dtype(np.uint16), np.dtype(np.float32))
PERCENTILES = (1.0, 99.0)
_ALL = (PERCENTILES[0], 5.0, 50.0, 95.0, PERCENTILES[1])  # a few hot pixels do not move the inner
_TAIL = 3.0  # times as far from the median as the inner ones: most scenes' ends are nearer
_LEAST_OF_ALL = 0.125  # of the range of all percentiles: half of a scene may have one value

LONE = 0.1
"""Of the range: how far a pixel may be outside its neighbours, beside as much as these span."""

_BESIDE = 0.1  # of the narrower range: two that have less in common are beside each other
_SAMPLED_PIXELS = 1 << 16  # percentiles of larger frames are taken from a regular grid of pixels
_DEPTHS = {np.dtype(np.uint8): cv2.CV_8U, np.dtype(np.uint16): cv2.CV_16U}
_INTEGER_SPAN = 8.0  # counts: a range narrower than this would only amplify sensor noise
_FLOAT_SPAN = 1e-5  # of the largest magnitude: below that float32 has no digits left


def check_frame(frame: np.ndarray) -> np.ndarray:
    """The frame as a plain array, without a copy: of np.matrix, np.memmap and others, too.

    Raises:
        FrameError: it is not H x W (both > 0), uint8, uint16 or float32, or its mask hides pixels.
    """
    if type(frame) is not np.ndarray:
        frame = _plain(frame)
    if frame.ndim != 2:
        raise FrameError(
            f"a frame has two dimensions (height, width), got shape {frame.shape}; "
            "convert a colour image to gray first"
        )
    if frame.size == 0:
        raise FrameError(f"the frame is empty: shape {frame.shape}")
    if frame.dtype not in DTYPES:
        raise FrameError(f"a frame is uint8, uint16 or float32, got {frame.dtype}")
    return frame


def _plain(frame: np.ndarray) -> np.ndarray:
    """An array of a class of its own, some of which compute in other ways, as a plain one."""
    if not isinstance(frame, np.ndarray):
        raise FrameError(f"a frame is a numpy array, got {type(frame).__name__}")
    if isinstance(frame, np.ma.MaskedArray) and (hidden := np.count_nonzero(frame.mask)):
        raise FrameError(
            f"the frame is a masked array that hides {hidden} of its pixels; give its data as the "
            "frame, and the mask as missing: upscale(frame.data, missing=np.ma.getmaskarray(frame))"
        )
    return np.asarray(frame)


def measure_range(
    frame: np.ndarray,
    mode: str = PERCENTILE,
    range_min: float | None = None,
    range_max: float | None = None,
    *,
    is_integer: bool | None = None,
    least: float = 0.0,
) -> ValueRange:
    """Value range of one frame.

    Args:
        frame: H x W, uint8, uint16 or float32.
        mode: ``percentile`` (the 1st and 99th), ``minmax``, or ``fixed`` (``range_min``,
            ``range_max``, in the frame's units).
        is_integer: whether its values are whole counts; None: if its type says so.
        least: span that it has at least, in the frame's unit; not with ``fixed``. Of a wall in
            front of the camera the percentiles are the noise's.

    Lone pixels (stuck ones, :mod:`difiisr_ros.core.lone_pixels`) do not count for ``percentile``.
    A range is never narrower than 8 counts (integers) or 1e-5 of the magnitude (float): a flat
    frame gets a defined range around its value.

    Raises:
        OptionError: unknown mode, or fixed without range_min < range_max.
        FrameError: a float frame without one finite value.
    """
    if mode == "fixed":
        return check_fixed_range(range_min, range_max)
    if mode not in RANGE_MODES:
        raise OptionError(f"range_mode is one of {', '.join(RANGE_MODES)}, got {mode!r}")
    if mode == "minmax":
        values = _finite(frame)
        low, high = float(values.min()), float(values.max())
    else:
        low, *_, high = _percentiles(frame, PERCENTILES)
    return _wide_enough(frame, low, high, is_integer, least)


def shown_and_scene_range(
    frame: np.ndarray,
    mode: str = PERCENTILE,
    range_min: float | None = None,
    range_max: float | None = None,
    *,
    is_integer: bool | None = None,
    least: float = 0.0,
) -> tuple[ValueRange, ValueRange]:
    """:func:`measure_range` of a frame, and the range of most of its scene, by one look at it.

    The second is what networks see as 0 to 1: the 1st to 99th percentile, but neither end more
    than three times as far from the median as the 5th and 95th. A flame or an engine on 3 % of
    the pixels would make a small part of the range of all the rest; so it lies outside.

    Arguments and errors are those of :func:`measure_range`.
    """
    of_frame: Any = {"is_integer": is_integer, "least": least}
    found = _percentiles(frame, _ALL)
    if mode == PERCENTILE:
        shown = _wide_enough(frame, found[0], found[-1], **of_frame)
    else:
        shown = measure_range(frame, mode, range_min, range_max, **of_frame)
    return shown, _wide_enough(frame, *_of_scene(found), **of_frame)


def _of_scene(percentiles: list[float]) -> ValueRange:
    low, cold, median, hot, high = percentiles
    part = _LEAST_OF_ALL * (high - low)
    return (
        max(low, median - max(_TAIL * (median - cold), part)),
        min(high, median + max(_TAIL * (hot - median), part)),
    )


def _wide_enough(
    frame: np.ndarray, low: float, high: float, is_integer: bool | None, least: float
) -> ValueRange:
    integer = frame.dtype != np.float32 if is_integer is None else is_integer
    span = _INTEGER_SPAN if integer else max(_FLOAT_SPAN * max(abs(low), abs(high)), 1e-12)
    return _widen(low, high, max(span, least))


def check_fixed_range(range_min: float | None, range_max: float | None) -> ValueRange:
    """The pair as floats, or :class:`OptionError` unless both are finite and min < max."""
    if range_min is None or range_max is None or not np.isfinite([range_min, range_max]).all():
        raise OptionError("range_mode fixed needs finite range_min and range_max")
    if not range_min < range_max:
        raise OptionError(f"range_min must be below range_max, got {range_min} and {range_max}")
    return float(range_min), float(range_max)


def check_value_range(value_range: Any) -> ValueRange:
    """A range as floats, or :class:`OptionError` unless it is two finite numbers, low < high."""
    pair = value_range.tolist() if isinstance(value_range, np.ndarray) else value_range
    ends = [plain_real(end) for end in pair] if isinstance(pair, (tuple, list)) else []
    finite = [float(end) for end in ends if end is not None and math.isfinite(end)]
    if len(ends) != 2 or len(finite) != 2:
        raise OptionError(
            "value_range must be two finite numbers, low and high in the frame's unit, got "
            f"{value_range!r}"
        )
    return check_fixed_range(*finite)


def _finite(frame: np.ndarray) -> np.ndarray:
    values = frame[np.isfinite(frame)] if frame.dtype == np.float32 else frame
    if values.size == 0:
        raise FrameError("the float frame holds no finite value")
    return values


def _percentiles(frame: np.ndarray, percentiles: tuple[float, ...]) -> list[float]:
    """Of the frame without lone pixels: a stuck one is not to move the range by one rank."""
    stride = int(np.ceil(np.sqrt(frame.size / _SAMPLED_PIXELS)))
    # A regular grid keeps the estimate identical from run to run and free of any generator.
    sampled = frame[::stride, ::stride]
    if frame.dtype == np.float32 and not np.isfinite(sampled).any():
        sampled, stride = frame, 1
    ends = _ranked(_finite(sampled), percentiles)
    low, high = ends[0], ends[-1]
    with np.errstate(invalid="ignore"):
        pixels = np.argwhere((sampled < low) | (sampled > high))
    lone, means = lone_pixels.at(frame, stride * pixels, LONE * (high - low))
    if not lone.any():
        return ends
    calm = sampled.copy()
    calm[pixels[lone, 0], pixels[lone, 1]] = means[lone]
    return _ranked(_finite(calm), percentiles)


def _ranked(values: np.ndarray, percentiles: tuple[float, ...]) -> list[float]:
    flat = values.ravel()
    ranks = [min(int(p / 100 * flat.size), flat.size - 1) for p in percentiles]
    part = np.partition(flat, ranks)
    return [float(part[rank]) for rank in ranks]


def _widen(low: float, high: float, least: float) -> ValueRange:
    if high - low >= least:
        return low, high
    middle = (low + high) / 2
    return middle - least / 2, middle + least / 2


def normalize(frame: np.ndarray, value_range: ValueRange) -> np.ndarray:
    """H x W counts to H x W float32, ``low`` to 0 and ``high`` to 1; nothing is clipped.

    Non-finite float pixels are filled from what is near (:func:`difiisr_ros.core.missing.filled`),
    so that one dead pixel does not blacken the network's field of view.
    """
    low, high = value_range
    if frame.dtype == np.float32:
        # Differences first, in float64: 300 K +- 0.01 K has few float32 digits left.
        frame = filled(frame)
        return ((frame.astype(np.float64) - low) / (high - low)).astype(np.float32)
    out = frame.astype(np.float32)
    out -= np.float32(low)
    out *= np.float32(1.0 / (high - low))
    return out


def restore(
    normalized: np.ndarray,
    value_range: ValueRange,
    dtype: np.dtype,
    out: np.ndarray | None = None,
) -> np.ndarray:
    """Normalised intensity back to counts: integers are rounded and cut at the dtype's limits.

    Args:
        normalized: float32, H x W; it may be overwritten.
        out: array of ``dtype`` and the same shape to write to, with contiguous rows.
    """
    low, high = value_range
    dtype = np.dtype(dtype)
    if dtype == np.float32:
        counts = np.multiply(normalized, np.float32(high - low), out=normalized)
        counts += np.float32(low)
        if out is None:
            return counts
        out[...] = counts
        return out
    # Scale, offset, rounding to even and saturation in one pass: a frame of 5 million pixels
    # leaves the cache with every pass that is made over it.
    return cv2.addWeighted(
        normalized, high - low, normalized, 0.0, low, dst=out, dtype=_DEPTHS[dtype]
    )


def _common(a: ValueRange, b: ValueRange) -> float:
    """What two ranges have in common, as a share of the narrower one."""
    common = min(a[1], b[1]) - max(a[0], b[0])
    return max(0.0, common) / min(a[1] - a[0], b[1] - b[0])


class RangeSmoother:
    """First-order low-pass on value ranges, so that a hot object entering does not make the
    picture pump.

    A range beside the smoothed one is no object that has entered, but another gain, unit or offset,
    under which the picture would be black or white until it is reached: the second such range in a
    row is taken as it is. The first changes nothing, as it may be one broken frame's. A range that
    holds the smoothed one, or is held by it, is followed slowly: it shows what both have.

    Args:
        time_constant_s: seconds until a step is followed to 63 %; 0 follows at once.
    """

    def __init__(self, time_constant_s: float) -> None:
        if not time_constant_s >= 0:
            raise OptionError(f"range_time_constant must be 0 or more, got {time_constant_s}")
        self.time_constant_s = float(time_constant_s)
        self.reset()

    def reset(self) -> None:
        """Forget the past; the next range is taken as it is."""
        self._range: ValueRange | None = None
        self._stamp_s = 0.0
        self._beside = False

    @property
    def current(self) -> ValueRange | None:
        """What :meth:`update` has returned last; None before the first."""
        return self._range

    def update(self, value_range: ValueRange, stamp_s: float) -> ValueRange:
        """The smoothed range at ``stamp_s`` (seconds). A clock that jumps back resets."""
        elapsed = stamp_s - self._stamp_s
        beside_before, self._beside = self._beside, False
        if self._range is None or self.time_constant_s == 0 or elapsed < 0:
            self._range = value_range
        elif _common(value_range, self._range) < _BESIDE:
            if beside_before:
                self._range = value_range
            else:
                self._beside = True
                return self._range  # nor is its time counted: the smoothing goes on from before
        else:
            gain = 1.0 - float(np.exp(-elapsed / self.time_constant_s))
            low, high = self._range
            self._range = (
                low + gain * (value_range[0] - low),
                high + gain * (value_range[1] - high),
            )
        self._stamp_s = stamp_s
        return self._range
