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

"""From one image encoding to another, with cv_bridge's rules but without cv_bridge.

The rules (checked count by count against the real one): between mono and RGB-like encodings,
8 to 16 bits is ``x * 257``, 16 to 8 bits ``rint(x * 255 / 65535)``, colour to mono is luma. Among
numbers without a colour meaning (``16UC1``, ``32FC1`` ...), 8 and 16 bits are scaled likewise,
floats are rounded half to even and saturated, not scaled. A generic encoding is never
turned into a colour one: nobody knows what its numbers mean.
"""

from __future__ import annotations

import numpy as np

from difiisr_ros.errors import FrameError
from difiisr_ros.messages.image_encoding import Encoding, luma, parse_encoding

# Larger magnitudes do not fit the int32 that OpenCV rounds through: they become 0, as NaN does.
_ROUNDS_TO_ZERO = float(2**31)


def convert(array: np.ndarray, source: str, target: str) -> np.ndarray:
    """Convert a decoded frame from encoding ``source`` to encoding ``target``.

    Args:
        array: ``(H, W)`` or ``(H, W, C)``, as :func:`~difiisr_ros.messages.read.decode`
            returns it.
        source, target: encoding names; ``target`` may be ``passthrough`` or empty for no change.

    Raises:
        FrameError: an unknown encoding, or a pair between which no conversion is defined.
    """
    if target in ("passthrough", "", source):
        return array
    have, want = parse_encoding(source), parse_encoding(target)
    if have.is_mosaic or want.is_mosaic:
        raise FrameError(
            f"no conversion from '{source}' to '{target}'; bayer and yuv become mono8 or mono16"
        )
    if have.family == "color" and want.family == "color":
        return _convert_colour(array, have, want)
    if want.family == "color":
        raise FrameError(
            f"no conversion from '{source}' to '{target}': '{source}' does not say what its "
            "numbers mean; publish mono8, mono16, rgb8 or bgr8"
        )
    if have.channels != want.channels:
        raise FrameError(
            f"no conversion from '{source}' to '{target}': "
            f"{have.channels} and {want.channels} channels"
        )
    return rescale_depth(array, want.dtype)


def rescale_depth(array: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """Change the dtype: 8 and 16 bits are scaled, everything else is rounded and saturates."""
    if array.dtype == dtype:
        return array
    if array.dtype == np.uint8 and dtype == np.uint16:
        return array.astype(np.uint16) * np.uint16(257)
    if array.dtype in (np.uint16, np.int16) and dtype == np.uint8:
        # 65535 / 255 is 257, so rounding to nearest is exact in integers.
        return ((np.clip(array, 0, None).astype(np.uint32) + 128) // 257).astype(np.uint8)
    if dtype.kind == "f":
        return array.astype(dtype)
    limits = np.iinfo(dtype)
    if array.dtype.kind == "f":
        usable = np.abs(array) < _ROUNDS_TO_ZERO
        array = np.rint(np.where(usable, array, 0))
    return np.clip(array, limits.min, limits.max).astype(dtype)


def _convert_colour(array: np.ndarray, have: Encoding, want: Encoding) -> np.ndarray:
    if want.channels == 1:
        gray = array if have.channels == 1 else luma(array, have.name)
        return rescale_depth(gray, want.dtype)
    array = rescale_depth(array, want.dtype)
    if have.channels == 1:
        planes = [array, array, array]
    else:
        planes = [array[..., i] for i in range(3)]
        if have.name.startswith("rgb") != want.name.startswith("rgb"):
            planes.reverse()
    if want.channels == 4:
        opaque = np.full(array.shape[:2], np.iinfo(want.dtype).max, want.dtype)
        planes.append(array[..., 3] if have.channels == 4 else opaque)
    return np.stack(planes, axis=-1)
