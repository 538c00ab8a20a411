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

"""What is published: the result as it is, or converted for those downstream. Numpy only.

Thermal counts fill a small part of 16 bits, so that plain depth scaling gives an almost black
picture. Where a conversion loses depth, the scene's range is therefore spread over the full scale.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from difiisr_ros.messages.encoding_conversion import rescale_depth
from difiisr_ros.messages.image_encoding import Encoding, encoding_for, parse_encoding


@dataclass(frozen=True)
class OutputFormat:
    """How the results of one encoding are published."""

    name: str
    """Encoding that is published."""
    dtype: np.dtype
    """Of its pixels."""
    channels: int
    has_alpha: bool
    """Whether the fourth channel is opacity, which is full."""
    needs_range: bool
    """Whether the scene's range is mapped to all of ``dtype``."""


@lru_cache(maxsize=64)
def output_format(encoding: Encoding, output_encoding: str) -> OutputFormat:
    """How frames that came as ``encoding`` are published.

    Args:
        encoding: of the message that the frame came from.
        output_encoding: ``same``, ``mono8``, ``mono16``, ``32FC1`` or ``bgr8``. ``same`` repeats
            the intensity in every channel of a colour encoding; mosaics (bayer, yuv) become mono.
    """
    dtype = encoding.dtype
    if output_encoding != "same":
        target = parse_encoding(output_encoding)
        loses_depth = target.dtype.kind != "f" and (
            dtype.kind == "f" or dtype.itemsize > target.dtype.itemsize
        )
        return OutputFormat(output_encoding, target.dtype, target.channels, False, loses_depth)
    if encoding.is_mosaic:
        return OutputFormat(encoding_for(dtype), dtype, 1, False, False)
    has_alpha = encoding.channels == 4 and encoding.family == "color"
    return OutputFormat(encoding.name, dtype, encoding.channels, has_alpha, False)


def to_output(
    frame: np.ndarray, output: OutputFormat, value_range: tuple[float, float] | None = None
) -> np.ndarray:
    """Convert a result for publishing: ``(H, W)`` or ``(H, W, C)``.

    Args:
        frame: ``(H, W)`` uint8, uint16 or float32.
        output: see :func:`output_format`.
        value_range: counts that become black and white, where ``output.needs_range``.
    """
    if output.needs_range:
        assert value_range is not None, "the caller knows the range where needs_range says so"
        frame = spread(frame, value_range, output.dtype)
    elif frame.dtype != output.dtype:
        frame = rescale_depth(frame, output.dtype)
    if output.channels == 1:
        return frame
    channels = np.repeat(frame[..., None], output.channels, axis=2)
    if output.has_alpha:
        channels[..., 3] = np.iinfo(frame.dtype).max
    return channels


def spread(frame: np.ndarray, value_range: tuple[float, float], dtype: np.dtype) -> np.ndarray:
    """Map ``value_range`` linearly to all of an unsigned dtype; what lies outside saturates.

    NaN becomes 0. A range without extent maps everything at or below it to 0.
    """
    low, high = value_range
    full = float(np.iinfo(dtype).max)
    gain = full / (high - low) if high > low else full
    if frame.dtype == np.uint16:
        # One table look-up a pixel: a third of the time of the arithmetic on every pixel.
        counts = np.arange(65536, dtype=np.float32)
        return np.clip(np.rint((counts - low) * gain), 0, full).astype(dtype)[frame]
    scaled = np.clip(np.rint((frame - np.float32(low)) * np.float32(gain)), 0, full)
    return np.nan_to_num(scaled, nan=0.0).astype(dtype)
