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

"""How the picture has moved since a frame was kept: the motion of a plane before a camera.

To a few hundredths of a pixel. Iterative registration by gradients (Lucas and Kanade, 1981) in its
inverse compositional form (Baker and Matthews, Int. J. Computer Vision 2004), with six parameters
for shift, rotation, zoom and shear, and two for gain and level. What does not move with the rest
weighs little.
"""

from __future__ import annotations

import cv2
import numpy as np

from difiisr_ros.core.robust import MAD_TO_SIGMA

_MOST_STEPS = 10
_ARRIVED = 0.02  # pixels of the images
_LEAST_COMMON = 0.5  # of the pixels
_STIFF = 0.002  # of a shift's information: what holds the other four where the scene says little
IDENTITY = np.eye(3)


class KeptFrame:
    """A smoothed image that later ones are registered to.

    Args:
        image: H x W, float32, finite.
    """

    def __init__(self, image: np.ndarray) -> None:
        height, width = image.shape
        self.image = image
        across, down = np.zeros_like(image), np.zeros_like(image)
        across[:, 1:-1] = 0.5 * (image[:, 2:] - image[:, :-2])
        down[1:-1] = 0.5 * (image[2:] - image[:-2])
        scale = 2.0 / max(height, width)
        middle = np.array([(width - 1) / 2.0, (height - 1) / 2.0])
        u = ((np.arange(width) - middle[0]) * scale).astype(np.float32)[None, :]
        v = ((np.arange(height) - middle[1]) * scale).astype(np.float32)[:, None]
        parts = [across, down, across * u, across * v, down * u, down * v]
        parts += [image - image.mean(), np.ones_like(image)]
        self._parts = np.stack([part.ravel() for part in parts])
        self._scale, self._middle = scale, middle

    def motion_to(
        self, image: np.ndarray, start: np.ndarray, noise: float
    ) -> tuple[np.ndarray, float] | None:
        """Where the kept frame's pixels lie in another image, and how its gain has changed.

        Args:
            image: as large as the kept one, float32, finite.
            start: 3 x 3, a first guess of the result.
            noise: standard deviation of the noise in the images.

        Returns:
            3 x 3: takes (x, y, 1) of the kept frame to the image; and the factor that its contrast
            has changed by. None where there is no answer.
        """
        motion = start
        height, width = self.image.shape
        gain = 1.0
        for _ in range(_MOST_STEPS):
            there = moved(image, motion, np.nan)
            left = (there - self.image).ravel()
            known = np.isfinite(left)
            if known.mean() < _LEAST_COMMON:
                return None
            some = left[known][::4]
            middle = middle_of(some)
            spread = 2.0 * max(MAD_TO_SIGMA * middle_of(np.abs(some - middle)), noise, 1e-9)
            left -= middle
            weights = np.where(known, 1.0 / (1.0 + (left / spread) ** 2), 0.0).astype(np.float32)
            left[~known] = 0.0
            weighted = self._parts * weights
            square = (weighted @ self._parts.T).astype(np.float64)
            shift = 0.5 * (square[0, 0] + square[1, 1])
            square[np.arange(8), np.arange(8)] += (
                shift * np.array([1e-6, 1e-6, _STIFF, _STIFF, _STIFF, _STIFF, 0, 0])
                + 1e-3 * square[6, 6] * (np.arange(8) == 6)
                + 1e-12
            )
            try:
                step = np.linalg.solve(square, (weighted @ left).astype(np.float64))
            except np.linalg.LinAlgError:
                return None
            if not np.isfinite(step).all() or np.abs(step[:6]).max() > max(width, height):
                return None
            motion = motion @ np.linalg.inv(self._matrix(step))
            gain = 1.0 + step[6]
            if np.abs(step[:6]).max() < _ARRIVED:
                break
        return (motion, float(gain)) if np.isfinite(motion).all() else None

    def _matrix(self, step: np.ndarray) -> np.ndarray:
        """A step as 3 x 3, about the middle of the frame."""
        linear = np.eye(2) + self._scale * step[2:6].reshape(2, 2)
        matrix = np.eye(3)
        matrix[:2, :2] = linear
        matrix[:2, 2] = self._middle + step[:2] - linear @ self._middle
        return matrix


def reduction(shape: tuple[int, ...], most: int) -> int:
    """By how much a frame is made smaller to have that many pixels at most, 1 or more."""
    return max(1, int(np.ceil((shape[0] * shape[1] / most) ** 0.5)))


def reduced(image: np.ndarray, factor: int, smooth: float) -> np.ndarray:
    """Small and smooth, for registration; what does not fill a pixel at right and bottom is left.

    Args:
        image: H x W, float32.
        factor: see :func:`reduction`.
        smooth: Gaussian sigma, pixels of the small image.
    """
    height, width = image.shape[0] // factor, image.shape[1] // factor
    small = image[: height * factor, : width * factor]
    if factor > 1:
        small = cv2.resize(small, (width, height), interpolation=cv2.INTER_AREA)
    return cv2.GaussianBlur(small, (0, 0), smooth)


def moved(
    image: np.ndarray,
    motion: np.ndarray,
    outside: float = 0.0,
    size: tuple[int, int] | None = None,
) -> np.ndarray:
    """An image seen after a motion: pixel p of the result is the image's at ``motion`` p.

    Args:
        image: H x W, float32 or uint8.
        motion: 3 x 3, see :meth:`KeptFrame.motion_to`.
        outside: what stands where the image does not reach.
        size: width and height of the result; None: the image's.
    """
    return cv2.warpAffine(
        image,
        motion[:2],
        size or (image.shape[1], image.shape[0]),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_CONSTANT,
        borderValue=outside,
    )


def enlarged(motion: np.ndarray, factor: int) -> np.ndarray:
    """A motion of images that were reduced by a whole number, as one of the whole images."""
    to = np.array([[factor, 0, (factor - 1) / 2], [0, factor, (factor - 1) / 2], [0, 0, 1.0]])
    return to @ motion @ np.linalg.inv(to)


def middle_of(values: np.ndarray) -> float:
    """The upper median, without the checks that take numpy longer than small images do."""
    flat = values.ravel()
    return float(np.partition(flat, flat.size // 2)[flat.size // 2])


def distance(motion: np.ndarray, shape: tuple[int, ...]) -> float:
    """How far a frame moves, pixels: the median of its four corners and its middle."""
    return middle_of(distances(motion, shape))


def distances(motion: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """How far the four corners and the middle of a frame move, pixels."""
    right, bottom = shape[1] - 1.0, shape[0] - 1.0
    x = np.array([0, right, 0, right, right / 2])
    y = np.array([0, 0, bottom, bottom, bottom / 2])
    there = motion[:2] @ np.stack([x, y, np.ones(5)])
    return np.hypot(there[0] - x, there[1] - y)
