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

"""How an evaluation makes the LR frame where only HR frames exist."""

from __future__ import annotations

from typing import Any

import numpy as np
from PIL import Image

from difiisr_ros.core.camera_simulation import SimulatedCamera
from difiisr_ros.core.scale import SCALE
from difiisr_ros.errors import OptionError

CAMERA, REDUCED = "camera", "reduced"
DEGRADATIONS = (CAMERA, REDUCED)
#: White noise of the simulated camera where nothing is said, % of the frame's range.
NOISE_PERCENT = 1.0
#: More than that is no picture.
MOST_NOISE_PERCENT = 50.0
_CAMERA, _FRAME = 0, 1  # draws of one seed that have nothing in common
_FORMER_NAME = "bicubic"  # of REDUCED in 0.1.0


def crop_to_scale(hr: np.ndarray) -> np.ndarray:
    """Cut right and bottom so that both sides are multiples of 4."""
    height, width = (side - side % SCALE for side in hr.shape)
    return hr[:height, :width]


def truth_at(hr: np.ndarray, scale: int) -> np.ndarray:
    """The truth of a result at a scale: what a camera of that many times the pixels would see.

    Args:
        hr: 4H x 4W.
        scale: s, one of :data:`difiisr_ros.core.scale.SCALES`.

    Returns:
        sH x sW of the same dtype: means of 4/s x 4/s pixels, rounded for integers; at x4 ``hr``
        itself.
    """
    if scale == SCALE:
        return hr
    factor = SCALE // scale
    height, width = (side // factor for side in hr.shape)
    # In double precision: sums of counts and of temperatures keep their digits.
    blocks = hr.reshape(height, factor, width, factor).sum(axis=(1, 3), dtype=np.float64)
    return to_dtype(blocks / factor**2, hr.dtype)


def check_degradation(degradation: str, noise_percent: float) -> None:
    """Raise :class:`OptionError` for a degradation or a noise that cannot be."""
    if degradation == _FORMER_NAME:
        raise OptionError(
            f"the degradation {_FORMER_NAME!r} is called {REDUCED!r} now, and {CAMERA!r} is the "
            "default"
        )
    if degradation not in DEGRADATIONS:
        raise OptionError(f"degradation is one of {', '.join(DEGRADATIONS)}, got {degradation!r}")
    if not 0 <= noise_percent <= MOST_NOISE_PERCENT:
        raise OptionError(
            f"noise must be in 0..{MOST_NOISE_PERCENT:g} % of the range, got {noise_percent}"
        )
    if degradation == REDUCED and noise_percent != NOISE_PERCENT:
        raise OptionError(f"noise belongs to the degradation {CAMERA!r}, not to {REDUCED!r}")


def known_camera(camera: str | None, degradation: str | None) -> str:
    """What a model is told of the camera (``SuperResolver.load``'s ``camera``).

    Args:
        camera: What was asked for; None: nothing.
        degradation: How the frames came about, where that is known: frames that were reduced by
            bicubic are no camera's, and no calibration is needed to know it.
    """
    return camera or (REDUCED if degradation == REDUCED else "auto")


def degrade(
    hr: np.ndarray,
    degradation: str,
    seed: int,
    noise_percent: float = NOISE_PERCENT,
    camera_seed: int | None = None,
) -> np.ndarray:
    """Reduce x4 by one of :data:`DEGRADATIONS`: 4H x 4W to H x W, the same dtype.

    The other arguments are those of :func:`camera_frame`.
    """
    if degradation == CAMERA:
        return camera_frame(hr, seed, noise_percent, camera_seed)[0]
    return degrade_bicubic(hr)


def degrade_bicubic(hr: np.ndarray) -> np.ndarray:
    """Reduce x4 by Pillow's antialiased bicubic: 4H x 4W to H x W, the same dtype.

    8-bit frames are reduced in Pillow's own 8-bit arithmetic, as published LR images are; 16-bit
    ones in floating point, rounded.
    """
    size = (hr.shape[1] // SCALE, hr.shape[0] // SCALE)
    source = hr if hr.dtype == np.uint8 else hr.astype(np.float32)
    image = Image.fromarray(np.ascontiguousarray(source))
    return to_dtype(np.asarray(image.resize(size, Image.BICUBIC)), hr.dtype)  # type: ignore[attr-defined]


def camera_frame(
    hr: np.ndarray,
    seed: int,
    noise_percent: float = NOISE_PERCENT,
    camera_seed: int | None = None,
) -> tuple[np.ndarray, SimulatedCamera]:
    """What a simulated camera makes of a frame, and that camera.

    Args:
        hr: 4H x 4W.
        seed: Decides the white noise.
        noise_percent: Its standard deviation, % of the frame's 1st to 99th percentile range.
        camera_seed: Decides the camera's blur, and the pattern of its rows and columns; None:
            ``seed``, as for frames that have no camera in common.

    Returns:
        H x W of the frame's dtype, in whole counts where that is an integer; and the camera.
    """
    camera_seed = seed if camera_seed is None else camera_seed
    fixed = np.random.default_rng((_CAMERA, _positive(camera_seed)))
    camera = SimulatedCamera.draw(hr, noise_percent / 100, fixed)
    lr = camera.look(hr, np.random.default_rng((_FRAME, _positive(seed))), fixed)
    return to_dtype(lr, hr.dtype), camera


def _positive(seed: int) -> int:
    return seed & 0x7FFF_FFFF


def to_dtype(values: np.ndarray, dtype: np.dtype[Any]) -> np.ndarray:
    """Round and limit computed counts to an integer dtype; float32 stays as it is."""
    if dtype == np.float32:
        return values.astype(np.float32)
    limits = np.iinfo(dtype)
    return np.clip(np.rint(values), limits.min, limits.max).astype(dtype)
