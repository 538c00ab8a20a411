"""What is published: the result as it is, or converted for those downstream. Numpy only.

Thermal counts fill a small part of 16 bits, so that plain depth scaling gives an almost black
picture. Where a conversion loses depth, the scene's range is therefore spread over the full scale.
"""

from __future__ import annotations

import numpy as np

from difiisr_ros.messages.encoding_conversion import convert
from difiisr_ros.messages.image_encoding import encoding_for, parse_encoding


def needs_range(dtype: np.dtype, output_encoding: str) -> bool:
    """Whether publishing frames of this dtype as ``output_encoding`` maps the scene's range."""
    if output_encoding in ("mono8", "bgr8"):
        return dtype != np.uint8
    return output_encoding == "mono16" and dtype == np.float32


def to_output(
    frame: np.ndarray,
    input_encoding: str,
    output_encoding: str,
    value_range: tuple[float, float] | None,
) -> tuple[np.ndarray, str]:
    """Convert a result for publishing.

    Args:
        frame: ``(H, W)`` uint8, uint16 or float32.
        input_encoding: of the message that the frame came from.
        output_encoding: ``same``, ``mono8``, ``mono16``, ``32FC1`` or ``bgr8``.
        value_range: counts that become black and white where :func:`needs_range` says so.

    Returns:
        The array, ``(H, W)`` or ``(H, W, C)``, and its encoding. ``same`` repeats the intensity in
        every channel of a colour encoding; mosaics (bayer, yuv) become mono.
    """
    plain = encoding_for(frame.dtype)
    if output_encoding == "same":
        layout = parse_encoding(input_encoding)
        if layout.channels == 1 and layout.family != "bayer":
            return frame, input_encoding
        if layout.channels >= 3:
            channels = np.repeat(frame[..., None], layout.channels, axis=2)
            if layout.channels == 4 and layout.family == "color":
                channels[..., 3] = np.iinfo(frame.dtype).max
            return channels, input_encoding
        return frame, plain
    if output_encoding == "32FC1":
        return frame.astype(np.float32, copy=False), "32FC1"
    if needs_range(frame.dtype, output_encoding):
        assert value_range is not None, "the caller measures the range where needs_range says so"
        depth = np.dtype(np.uint16 if output_encoding == "mono16" else np.uint8)
        frame = spread(frame, value_range, depth)
        plain = encoding_for(frame.dtype)
    return convert(frame, plain, output_encoding), output_encoding


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
