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

"""Pixels that hold no measurement: which they are, and what networks are shown in their place.

A camera, a rectification or GDAL writes a value there that stands for nothing. To everything that
looks at a scene such a pixel is NaN in a float32 frame; NaN and infinity in float frames always
were that.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import cv2
import numpy as np

from difiisr_ros.core.output_geometry import OutputGeometry
from difiisr_ros.errors import OptionError

Ranges = tuple[tuple[float, float], ...]
"""Values that stand for no measurement: ranges, both ends included."""

#: Floats at or beyond this measure nothing: writers of nodata take the type's largest numbers.
BEYOND = 1e37
_TEXT = "0,65535,-2..-1"


def parse_missing(value: Any) -> Ranges:
    """Values that stand for no measurement, from what people write.

    Args:
        value: a number, a list or array of numbers and of [low, high], or these as text:
            ``0, 65535, -9999..-9000``.

    Raises:
        OptionError: anything else, named with what is accepted.
    """
    if isinstance(value, np.ndarray):
        value = value.tolist()
    if isinstance(value, str):
        items: Iterable[Any] = filter(None, value.replace(",", " ").split())
    else:
        items = value if isinstance(value, (list, tuple)) else [value]
    return tuple(_range(item, value) for item in items)


def _range(item: Any, value: Any) -> tuple[float, float]:
    if isinstance(item, str):
        ends = [_number(part, value) for part in item.split("..")]
        ends = ends if len(ends) == 2 else ends * 2
    elif isinstance(item, (list, tuple)):
        ends = [_number(part, value) for part in item]
    else:
        ends = [_number(item, value)] * 2
    if len(ends) != 2 or not ends[0] <= ends[1]:
        raise OptionError(f"missing must be {_accepted(value)}, got {value!r}")
    return ends[0], ends[1]


def _number(item: Any, value: Any) -> float:
    try:
        found = float(item) if not isinstance(item, (bool, np.bool_)) else math.nan
    except (TypeError, ValueError):
        found = math.nan
    if not math.isfinite(found):
        raise OptionError(
            f"missing must be {_accepted(value)}; NaN and infinity always are, got {value!r}"
        )
    return found


def _accepted(value: Any) -> str:
    """What works in the place where ``value`` was given: text, or what YAML and Python have."""
    how = _TEXT if isinstance(value, str) else f"[0, 65535, [-2, -1]] or '{_TEXT}'"
    return f"numbers, or ranges of two numbers with the lower one first, such as {how}"


def in_words(missing: Ranges) -> str:
    """As text that :func:`parse_missing` reads."""
    return ", ".join(f"{a:.9g}" if a == b else f"{a:.9g}..{b:.9g}" for a, b in missing)


def missing_mask(frame: np.ndarray, missing: Ranges) -> np.ndarray | None:
    """Where a frame (H x W, any real dtype) holds no measurement; None where it does everywhere."""
    mask: np.ndarray | None = None
    if frame.dtype.kind == "f":
        # Two passes that copy nothing; NaN is handed on by both.
        low, high = float(frame.min()), float(frame.max())
        if not (low > -BEYOND and high < BEYOND):
            with np.errstate(invalid="ignore"):
                mask = ~(np.abs(frame) < BEYOND)
    for low, high in missing:
        found = _between(frame, low, high)
        if found is not None:
            mask = found if mask is None else mask | found
    return None if mask is None or not mask.any() else mask


def _between(frame: np.ndarray, low: float, high: float) -> np.ndarray | None:
    """Compared in the frame's own type, which takes no copy of another."""
    if frame.dtype.kind == "f":
        if low == high:
            with np.errstate(over="ignore"):  # beyond a float32 it is infinite there, too
                return frame == frame.dtype.type(low)
        return (frame >= low) & (frame <= high)
    limits = np.iinfo(frame.dtype)
    first, last = max(math.ceil(low), limits.min), min(math.floor(high), limits.max)
    if first > last:
        return None
    return frame == first if first == last else (frame >= first) & (frame <= last)


def put_back(
    result: np.ndarray, frame: np.ndarray, mask: np.ndarray, geometry: OutputGeometry
) -> None:
    """Write the masked pixels of a frame (H x W) where they lie in its result."""
    if not geometry.is_plain:
        there = geometry.place_mask(mask)
        result[there] = geometry.place_values(frame)[there]
        return
    (height, width), scale = frame.shape, geometry.scale
    rows, columns = np.nonzero(mask)
    blocks = result.reshape(height, scale, width, scale)
    blocks[rows, :, columns, :] = frame[rows, columns][:, None, None]


def filled(frame: np.ndarray) -> np.ndarray:
    """A frame (H x W, float) with the mean of what is near in the place of NaN and infinity.

    Near are the 3x3 pixels around; where these are missing too 5x5, 9x9 and so on. Float32; the
    frame itself where nothing is missing. At least one pixel must be finite.
    """
    known = np.isfinite(frame)
    if known.all():
        return frame
    result = np.where(known, frame, 0).astype(np.float64)
    values, weights, open_ = result.copy(), known.astype(np.float64), ~known
    radius = 1
    while open_.any():
        total, count = _sums(values, radius), _sums(weights, radius)
        there = open_ & (count > 0.5)
        result[there] = total[there] / count[there]
        open_ &= ~there
        radius *= 2
    return result.astype(np.float32)


def _sums(image: np.ndarray, radius: int) -> np.ndarray:
    size = (2 * radius + 1, 2 * radius + 1)
    return cv2.boxFilter(image, -1, size, normalize=False, borderType=cv2.BORDER_CONSTANT)
