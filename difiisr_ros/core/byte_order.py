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

"""Order of the bytes of a pixel: what was declared, what was asked for, and what looks wrong."""

from __future__ import annotations

import numpy as np

from difiisr_ros.core.camera_profile import AUTO

LITTLE, BIG = "little", "big"
OTHER = {LITTLE: BIG, BIG: LITTLE}
_ROWS = 32  # of a frame that are compared with their bytes swapped
_ROUGHER = 1.5  # times: so much rougher than swapped, an order of bytes is wrong
_ABSURD = 1e20  # a float beyond it, or as near to 0, is no temperature
_ABSURD_SHARE = 0.2, 0.05  # of the pixels: more as it is, and less when swapped


def in_order(image: np.ndarray, declared: str, asked: str) -> np.ndarray:
    """An image whose file or message declares one order of its bytes, in the order asked for.

    ``auto`` is the declared one: bytes are never swapped because they look so.

    Args:
        image: as it was decoded; of one byte a pixel it stays as it is.
        declared: ``little``, ``big``, or "" where there is no order.
        asked: one of :data:`difiisr_ros.core.camera_profile.BYTE_ORDERS`.
    """
    if not declared or asked in (AUTO, declared) or image.dtype.itemsize == 1:
        return image
    return image.byteswap()


def wrong_byte_order(frame: np.ndarray) -> bool:
    """Whether a frame (H x W) clearly shows a scene only with the bytes of its pixels swapped.

    Neighbours differ little in a scene, compared with what the whole of it spans; with the wrong
    byte in front they do not. Of half floats nothing is said: their range has no absurd end.
    """
    if frame.dtype.itemsize == 1 or (frame.dtype.kind == "f" and frame.dtype.itemsize == 2):
        return False
    rows = np.ascontiguousarray(frame[:: -(-frame.shape[0] // _ROWS)])
    if frame.dtype.kind == "f":
        as_it_is, swapped = _absurd(rows), _absurd(rows.byteswap())
        return as_it_is > _ABSURD_SHARE[0] and swapped < _ABSURD_SHARE[1]
    return _roughness(rows) > _ROUGHER * _roughness(rows.byteswap()) > 0.0


def _absurd(values: np.ndarray) -> float:
    """Share of floats that no scene has."""
    with np.errstate(invalid="ignore"):
        size = np.abs(values)
        fine = (size < _ABSURD) & ((size > 1.0 / _ABSURD) | (size == 0.0))
    return 1.0 - float(fine.mean())


def _roughness(values: np.ndarray) -> float:
    pixels = values.astype(np.float32)
    spread = float(pixels.std())
    return float(mean_steps(pixels).mean()) / spread if spread > 0 else 0.0


def mean_steps(lines: np.ndarray) -> np.ndarray:
    """Mean |difference of neighbours| along each line of an image in float32."""
    if lines.shape[1] < 2:
        return np.zeros(len(lines), np.float32)
    steps = lines[:, 1:] - lines[:, :-1]
    return np.abs(steps, out=steps).mean(axis=1)
