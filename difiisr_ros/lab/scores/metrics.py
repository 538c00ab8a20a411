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

"""What a super-resolved frame is measured by, on the full frame.

PSNR, SSIM and GMSD come from OpenCV (``cv2.quality``, of its contrib modules), which is several
times as fast as scikit-image and agrees with it; where OpenCV lacks that module, SSIM is
computed from blurs. All need the data range, the distance between the darkest and the brightest
possible value: 255 for 8-bit frames. For 16-bit and float frames the type's range says nothing
about the scene (a thermal scene fills a few percent of 16 bits, which would add 20 dB and more to
any PSNR), so there it is the distance between the lowest and the highest value of the HR frame,
unless one is given.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import cv2
import numpy as np

from difiisr_ros.core.keys_kernel import keys_cubic
from difiisr_ros.core.scale import SCALE

#: PSNR given to a frame without any error, so that means stay finite.
MAX_PSNR_DB = 100.0

#: SSIM as Wang et al. (IEEE TIP 13(4), 2004) define it: 11x11 Gaussian window, sigma 1.5, without
#: the 5 pixels at the border, where the window does not fit.
SSIM_SIGMA = 1.5
SSIM_MIN_SIDE = 11
_SSIM_BORDER = SSIM_MIN_SIDE // 2
_SSIM_STRIP = 96  # rows

#: OpenCV's SSIM and GMSD have their constants for this range.
_OPENCV_RANGE = 255.0
_BLUR_CROP = 512
_BLUR_LENGTH = 11


def has_opencv_quality() -> bool:
    """Whether this OpenCV has ``cv2.quality``."""
    return hasattr(cv2, "quality")


def data_range(hr: np.ndarray) -> float:
    """Return the data range of an HR frame (see above); 1 for a flat 16-bit or float frame."""
    if hr.dtype == np.uint8:
        return 255.0
    return float(hr.max()) - float(hr.min()) or 1.0


def psnr(hr: np.ndarray, sr: np.ndarray, value_range: float) -> float:
    """Peak signal-to-noise ratio in dB, at most :data:`MAX_PSNR_DB`. Both H x W, same dtype."""
    return min(float(cv2.PSNR(hr, sr, value_range)), MAX_PSNR_DB)


class Ssim:
    """Mean structural similarity to one truth, as Wang et al. define it (see above).

    Args:
        hr: The truth, H x W, at least 11 a side.
        value_range: The data range.
    """

    def __init__(self, hr: np.ndarray, value_range: float) -> None:
        self._hr = hr
        self._range = value_range
        # In strips whose dozen buffers fit a processor's cache: 14 instead of 24 ms for 1280x1024.
        # A strip has the border that its windows reach into, so nothing is lost between two.
        inside = range(_SSIM_BORDER, hr.shape[0] - _SSIM_BORDER, _SSIM_STRIP)
        self._strips = [
            slice(top - _SSIM_BORDER, min(top + _SSIM_STRIP + _SSIM_BORDER, hr.shape[0]))
            for top in inside
        ]
        self._opencv: list[Any] = []
        if has_opencv_quality():
            create = cv2.quality.QualitySSIM_create  # type: ignore[attr-defined]
            self._opencv = [create(self._scaled(hr[rows])) for rows in self._strips]

    def _scaled(self, frame: np.ndarray) -> np.ndarray:
        if frame.dtype == np.uint8 and self._range == _OPENCV_RANGE:
            return frame
        # Not shifted to the darkest value: SSIM's luminance term is about absolute levels.
        return frame.astype(np.float64) * (_OPENCV_RANGE / self._range)

    def __call__(self, sr: np.ndarray) -> float:
        """SSIM of a result of the truth's shape and dtype; 1 at best."""
        if not self._opencv:
            return ssim_by_blurring(self._hr, sr, self._range)
        inside = slice(_SSIM_BORDER, -_SSIM_BORDER)
        total, count = 0.0, 0
        for rows, opencv in zip(self._strips, self._opencv):
            opencv.compute(self._scaled(sr[rows]))
            quality = opencv.getQualityMap()[inside, inside]
            total += float(quality.sum(dtype=np.float64))
            count += quality.size
        return total / count


def ssim_by_blurring(hr: np.ndarray, sr: np.ndarray, value_range: float) -> float:
    """The same by Gaussian blurs in double precision."""
    a, b = hr.astype(np.float64), sr.astype(np.float64)

    def mean(frame: np.ndarray) -> np.ndarray:
        found = cv2.GaussianBlur(frame, (SSIM_MIN_SIDE, SSIM_MIN_SIDE), SSIM_SIGMA)
        return found[_SSIM_BORDER:-_SSIM_BORDER, _SSIM_BORDER:-_SSIM_BORDER]

    level_a, level_b = mean(a), mean(b)
    power_a, power_b = mean(a * a) - level_a**2, mean(b * b) - level_b**2
    shared = mean(a * b) - level_a * level_b
    c1, c2 = (0.01 * value_range) ** 2, (0.03 * value_range) ** 2
    luminance = (2 * level_a * level_b + c1) / (level_a**2 + level_b**2 + c1)
    structure = (2 * shared + c2) / (power_a + power_b + c2)
    return float((luminance * structure).mean())


class Gmsd:
    """Gradient magnitude similarity deviation from one truth.

    Xue et al., IEEE TIP 23(2), 2014: the spread of how similar edges are, 0 at best. It punishes
    local damage, such as ringing at a hot target, that a mean hides.

    Args:
        hr: The truth, H x W.
        value_range: The data range.

    Raises:
        AttributeError: Where OpenCV has no ``cv2.quality``.
    """

    def __init__(self, hr: np.ndarray, value_range: float) -> None:
        self._range = value_range
        self._low = float(hr.min())
        self._opencv = cv2.quality.QualityGMSD_create(self._scaled(hr))  # type: ignore[attr-defined]

    def _scaled(self, frame: np.ndarray) -> np.ndarray:
        if frame.dtype == np.uint8 and self._range == _OPENCV_RANGE:
            return frame
        # Gradients are of differences, so levels may be shifted to where float32 has digits.
        return (frame.astype(np.float32) - np.float32(self._low)) * np.float32(
            _OPENCV_RANGE / self._range
        )

    def __call__(self, sr: np.ndarray) -> float:
        """GMSD of a result of the truth's shape and dtype."""
        return float(self._opencv.compute(self._scaled(sr))[0])


def radiometric_error(hr: np.ndarray, sr: np.ndarray) -> tuple[float, float]:
    """Mean absolute error and mean error (result minus truth), in the frames' units."""
    mae = cv2.norm(hr, sr, cv2.NORM_L1) / hr.size
    return float(mae), float(cv2.mean(sr)[0] - cv2.mean(hr)[0])


def downsampling_error(lr: np.ndarray, sr: np.ndarray, scale: int = SCALE) -> tuple[float, float]:
    """How far the result is from what the camera measured: downsample(SR) - LR.

    Args:
        lr: H x W, the frame that was upscaled.
        sr: sH x sW, the result, as it would be published.
        scale: s; at x1 the difference is that of the frames.

    Returns:
        Mean absolute difference and mean difference in the frame's units (counts for integers).
        The downsampling is Pillow's antialiased bicubic in floating point, so that it adds no
        rounding of its own.
    """
    # Single precision has digits enough for differences to the frame's level, not for the level.
    level = np.float32(lr.min())
    difference = downsample(sr.astype(np.float32) - level, scale) - (lr.astype(np.float32) - level)
    return float(np.abs(difference).mean(dtype=np.float64)), float(
        difference.mean(dtype=np.float64)
    )


def downsample(frame: np.ndarray, scale: int = SCALE) -> np.ndarray:
    """Antialiased bicubic x1/s in floating point, as Pillow's: sH x sW to H x W, float32.

    Along columns, then along rows; at x1 the frame's own values.
    """
    return _reduced(_reduced(frame.astype(np.float32), scale).T, scale).T


def _reduced(frame: np.ndarray, scale: int) -> np.ndarray:
    """Every s-th row, of the weighted rows around it."""
    places, weights = _downsampling(len(frame), scale)
    found = np.zeros((len(weights), frame.shape[1]), np.float32)
    for place, weight in zip(places.T, weights.T):
        found += weight[:, None] * frame[place]
    return found


@lru_cache(maxsize=16)
def _downsampling(length: int, scale: int) -> tuple[np.ndarray, np.ndarray]:
    """Places and weights of the samples that each s-th of ``length`` samples is made of."""
    centres = (np.arange(length // scale) + 0.5) * scale - 0.5
    places = np.floor(centres).astype(int)[:, None] + np.arange(1 - 2 * scale, 2 * scale + 1)
    weights = keys_cubic((places - centres[:, None]) / scale)
    weights[(places < 0) | (places >= length)] = 0
    shares = (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)
    return places.clip(0, length - 1), shares


def consistency(lr: np.ndarray, sr: np.ndarray, scale: int = SCALE) -> float:
    """Mean absolute value of :func:`downsampling_error`."""
    return downsampling_error(lr, sr, scale)[0]


def blur_effect(sr: np.ndarray) -> float:
    """No-reference blur of a frame's central 512x512 pixels: 0 sharp, 1 blurred.

    Crete et al., Proc. SPIE 6492, 2007: how little a frame changes when it is blurred once more.
    Noise counts as sharpness.
    """
    top, left = (max(0, (side - _BLUR_CROP) // 2) for side in sr.shape)
    crop = sr[top : top + _BLUR_CROP, left : left + _BLUR_CROP].astype(np.float64)
    if crop.max() == crop.min():
        return float("nan")  # nothing there that could be blurred
    crop -= crop.min()
    lost = []
    for along in ((1, 0), (0, 1)):
        window = (_BLUR_LENGTH, 1) if along[0] else (1, _BLUR_LENGTH)
        again = cv2.blur(crop, window, borderType=cv2.BORDER_REFLECT)
        sharp, blurred = (
            np.abs(cv2.Sobel(frame, cv2.CV_64F, *along, borderType=cv2.BORDER_REFLECT))
            for frame in (crop, again)
        )
        inside = (slice(2, -1), slice(2, -1))
        change, whole = np.maximum(0, sharp - blurred)[inside].sum(), sharp[inside].sum()
        lost.append(1 - change / whole if whole else 0.0)
    return float(max(lost))
