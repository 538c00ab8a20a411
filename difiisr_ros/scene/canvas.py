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

"""Camera and paint for the synthetic thermal scene: metres and degrees Celsius in, pixels out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

_SHIFT = 4  # OpenCV's fixed-point drawing coordinates: 1/16 of a drawn pixel

Point = tuple[float, float]

_ANGLES = np.linspace(0.0, 2.0 * np.pi, 40, endpoint=False)
_CIRCLE = np.stack([np.cos(_ANGLES), np.sin(_ANGLES)], axis=1)
_HALF = np.linspace(0.5 * np.pi, 1.5 * np.pi, 9)
_HALF_CIRCLE = np.stack([np.cos(_HALF), np.sin(_HALF)], axis=1)


@dataclass(frozen=True)
class Camera:
    """A pinhole camera looking down a street, its optical axis level.

    World axes: X to the right, Y up from the ground, Z ahead, in metres.
    """

    width: int
    height: int
    eye_height: float = 1.75

    @property
    def focal(self) -> float:
        """Focal length, px; a vertical field of view of 47 degrees, as a Lepton 3.5 has."""
        return 1.15 * self.height

    @property
    def horizon(self) -> float:
        """Row of the horizon, px."""
        return 0.44 * self.height

    @property
    def centre(self) -> float:
        """Column of the optical axis, px."""
        return 0.5 * self.width

    @property
    def supersampling(self) -> int:
        """How much finer than the picture patches are drawn, for edges without steps.

        In a large picture an edge spans several pixels of the camera that sees it reduced, so
        fewer are enough.
        """
        return 4 if self.height <= 768 else 2

    def project(self, x: float, y: float, z: float) -> Point:
        """Pixel (column, row) of a point of the world; z must be positive."""
        k = self.focal / z
        return self.centre + k * x, self.horizon + k * (self.eye_height - y)


@dataclass(frozen=True)
class Patch:
    """A part of the picture: its place, its temperature, and how much it covers.

    ``value`` is premultiplied by ``alpha`` (0..1); both are float32, rows x columns.
    """

    left: int
    top: int
    value: np.ndarray
    alpha: np.ndarray
    depth: float

    def composite(self, picture: np.ndarray) -> None:
        """Lay the patch over a picture of the size it was drawn for, in place."""
        rows, columns = self.alpha.shape
        part = picture[self.top : self.top + rows, self.left : self.left + columns]
        part *= 1.0 - self.alpha
        part += self.value


class Canvas:
    """Draws shapes, in metres around a foot point, into a :class:`Patch`.

    Local axes: u to the right, v up, both in metres; (0, 0) is projected from ``(x, 0, z)``.
    Later shapes cover earlier ones.
    """

    def __init__(
        self, camera: Camera, x: float, z: float, box: tuple[float, float, float, float]
    ) -> None:
        """``box`` is the patch's extent (u0, v0, u1, v1), metres; what leaves it is cut off."""
        self._depth = z
        self._fine = camera.supersampling
        self._scale = camera.focal / z
        self._foot = camera.project(x, 0.0, z)
        u0, v0, u1, v1 = box
        left, top = self._pixel(u0, v1)
        right, bottom = self._pixel(u1, v0)
        self._left = int(np.clip(np.floor(left), 0, camera.width))
        self._top = int(np.clip(np.floor(top), 0, camera.height))
        columns = int(np.clip(np.ceil(right), 0, camera.width)) - self._left
        rows = int(np.clip(np.ceil(bottom), 0, camera.height)) - self._top
        self.visible = rows > 0 and columns > 0
        shape = (max(rows, 1) * self._fine, max(columns, 1) * self._fine)
        self.value = np.zeros(shape, np.float32)
        self.alpha = np.zeros(shape, np.float32)

    def _pixel(self, u: float, v: float) -> Point:
        return self._foot[0] + self._scale * u, self._foot[1] - self._scale * v

    def _fixed(self, points: Sequence[Point] | np.ndarray) -> np.ndarray:
        metres = np.asarray(points, np.float64)
        origin = (self._foot[0] - self._left, self._foot[1] - self._top)
        drawn = (metres * (self._scale, -self._scale) + origin) * self._fine - 0.5
        return np.rint(np.clip(drawn, -1e6, 1e6) * (1 << _SHIFT)).astype(np.int32)

    def polygon(
        self, points: Sequence[Point] | np.ndarray, celsius: float, opacity: float = 1.0
    ) -> None:
        """Fill a polygon; an opacity under 1 lets what is below through."""
        fixed = [self._fixed(points)]
        if opacity >= 1.0:
            cv2.fillPoly(self.value, fixed, celsius, shift=_SHIFT)
            cv2.fillPoly(self.alpha, fixed, 1.0, shift=_SHIFT)
            return
        mask = np.zeros_like(self.alpha)
        cv2.fillPoly(mask, fixed, opacity, shift=_SHIFT)
        self.blend(np.float32(celsius), mask)

    def ellipse(self, u: float, v: float, ru: float, rv: float, celsius: float) -> None:
        """Fill an ellipse with half axes ru and rv, metres."""
        self.polygon(_CIRCLE * (ru, rv) + (u, v), celsius)

    def limb(self, a: Point, b: Point, ra: float, rb: float, celsius: float) -> None:
        """Fill a tapered capsule from a to b: warm core, rim a little cooler, as round limbs look.

        A surface seen at a grazing angle emits less towards the camera, so round warm bodies
        have a cooler outline.
        """
        for shrink, rim in ((1.0, -0.9), (0.72, -0.3), (0.45, 0.0)):
            self.polygon(_capsule(a, b, ra * shrink, rb * shrink), celsius + rim)

    @property
    def pixel(self) -> float:
        """The size of one drawn pixel, metres."""
        return 1.0 / (self._scale * self._fine)

    def coordinates(self) -> tuple[np.ndarray, np.ndarray]:
        """Local (u, v) of every drawn pixel, metres: a row and a column that broadcast."""
        rows, columns = self.alpha.shape
        u = (self._left - self._foot[0]) / self._scale + (np.arange(columns) + 0.5) * self.pixel
        v = (self._foot[1] - self._top) / self._scale - (np.arange(rows) + 0.5) * self.pixel
        return u[None, :].astype(np.float32), v[:, None].astype(np.float32)

    def blend(self, celsius: np.ndarray | np.float32, cover: np.ndarray) -> None:
        """Lay a whole picture (drawn pixels) over what is there, opaque where ``cover`` is 1."""
        alpha = self.alpha + cover * (1 - self.alpha)
        share = cover / np.maximum(alpha, 1e-6)
        self.value = (self.value + share * (celsius - self.value)).astype(np.float32)
        self.alpha = alpha.astype(np.float32)

    def shade(self, degrees: np.ndarray) -> None:
        """Add a picture of temperature differences (drawn pixels) to what has been drawn."""
        self.value = self.value + degrees.astype(np.float32)

    def patch(self) -> Patch:
        """What has been drawn, at the picture's resolution."""
        size = (self.alpha.shape[1] // self._fine, self.alpha.shape[0] // self._fine)
        return Patch(
            self._left,
            self._top,
            cv2.resize(self.value * self.alpha, size, interpolation=cv2.INTER_AREA),
            cv2.resize(self.alpha, size, interpolation=cv2.INTER_AREA),
            self._depth,
        )


def _capsule(a: Point, b: Point, ra: float, rb: float) -> np.ndarray:
    """Outline of a tapered capsule from a to b, points x 2."""
    along = np.array([b[0] - a[0], b[1] - a[1]])
    length = np.hypot(*along)
    x, y = along / length if length else (1.0, 0.0)
    turned = _HALF_CIRCLE @ np.array([[x, y], [-y, x]])
    return np.concatenate([ra * turned + a, b - rb * turned])


def fractal_noise(rng: np.random.Generator, size: int = 512, octaves: int = 7) -> np.ndarray:
    """A tileable noise texture, size x size, float32, mean 0, standard deviation 1."""
    total = np.zeros((size, size), np.float32)
    for octave in range(octaves):
        cells = 2 ** (octave + 2)
        grid = rng.standard_normal((cells, cells)).astype(np.float32)
        wrapped = np.pad(grid, 2, mode="wrap")
        scale = size // cells
        big = cv2.resize(wrapped, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC)
        middle = slice(2 * scale, 2 * scale + size)
        total += big[middle, middle].astype(np.float32) * np.float32(1.75**-octave)
    return (total - total.mean()) / total.std()
