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

"""Straight edges in camera frames, and how wide each is: what a slanted-edge measurement does.

An edge that is not along the pixel grid passes pixel centres at all distances, so that pixels of
a small window sample its profile far finer than the grid (ISO 12233). Here the model of such a
window is fitted to its pixels: two levels with a slope each side, a line, and a Gaussian spread
integrated over the pixel's area.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

RADIUS = 4  # pixels: of the round window
_LEAST_CONTRAST = 10.0  # times the noise
_MOST_PER_FRAME = 60
_ROUNDS = 8  # of the fit
_NARROWEST = 0.01  # variance, square pixels: a narrower spread looks the same
_WIDEST = 4.0
_REACH = 3.0  # pixels from the edge that count; beyond, the scene has other things
_SLOPE_COST = 1e-3  # slopes must not stand in for a wide spread
_MOST_MISFIT = 0.03  # of the contrast, beside the noise


@dataclass(frozen=True)
class Edges:
    """Fitted edges, one element of each array per edge."""

    row: np.ndarray
    column: np.ndarray
    frame: np.ndarray
    """Number of the frame."""
    variance: np.ndarray
    """Of the Gaussian spread without the pixel's area, square pixels."""
    error: np.ndarray
    """Standard deviation of the error of ``variance``."""
    contrast: np.ndarray
    """Difference of the levels, in the unit of the frames."""
    misfit: np.ndarray
    """Root mean square of what the model leaves, share of the contrast."""
    angle: np.ndarray
    """Direction across the edge, radians."""
    profile: np.ndarray
    """N x pixels x 2: distance from the edge in pixels, level from 0 to 1."""

    def __len__(self) -> int:
        return len(self.row)

    def take(self, index: np.ndarray) -> Edges:
        """Some of the edges, by index or mask."""
        return Edges(**{name: values[index] for name, values in vars(self).items()})


def join(parts: list[Edges]) -> Edges:
    """Edges of several frames together."""
    return Edges(**{k: np.concatenate([vars(p)[k] for p in parts]) for k in vars(parts[0])})


def window() -> tuple[np.ndarray, np.ndarray]:
    """Rows and columns of the window's pixels from its centre."""
    rows, columns = np.mgrid[-RADIUS : RADIUS + 1, -RADIUS : RADIUS + 1]
    inside = np.hypot(rows, columns) <= RADIUS + 0.5
    return rows[inside], columns[inside]


def find_edges(frame: np.ndarray, noise: float, number: int = 0) -> Edges | None:
    """Find straight edges of one frame and fit them.

    Args:
        frame: H x W, float32; NaN is a missing pixel.
        noise: its white noise, rounding included, in its unit.
        number: of the frame, kept with the edges.

    Returns:
        The edges, or None where there is none.
    """
    rows, columns = _candidates(frame, noise)
    if rows.size == 0:
        return None
    down, right = window()
    pixels = frame[rows[:, None] + down, columns[:, None] + right].astype(np.float64)
    limits = frame[np.isfinite(frame)]
    low, high = limits.min(), limits.max()
    usable = np.isfinite(pixels).all(axis=1)
    usable &= ((pixels == low) | (pixels == high)).sum(axis=1) <= 1
    if not usable.any():
        return None
    rows, columns, pixels = rows[usable], columns[usable], pixels[usable]
    return _fit(pixels, rows, columns, noise, number)


def _candidates(frame: np.ndarray, noise: float) -> tuple[np.ndarray, np.ndarray]:
    """Pixels on the crest of straight gradients, strongest first."""
    import cv2

    known = np.isfinite(frame)
    if min(frame.shape) <= 2 * RADIUS + 2 or not known.any():
        return np.empty(0, int), np.empty(0, int)
    filled = np.where(known, frame, np.median(frame[known])).astype(np.float32)
    smooth = cv2.GaussianBlur(filled, (0, 0), 1.0)
    gx = cv2.Sobel(smooth, cv2.CV_32F, 1, 0, scale=1 / 8)
    gy = cv2.Sobel(smooth, cv2.CV_32F, 0, 1, scale=1 / 8)
    strength = np.hypot(gx, gy)
    xx, xy, yy = (cv2.GaussianBlur(p, (0, 0), 2.0) for p in (gx * gx, gx * gy, gy * gy))
    straight = np.hypot(xx - yy, 2 * xy) / np.maximum(xx + yy, 1e-30)
    # A step of contrast c through this smoothing has a gradient of about 0.3 c.
    good = (strength > 0.25 * _LEAST_CONTRAST * noise) & (straight > 0.85)
    good &= strength >= cv2.dilate(strength, np.ones((3, 3), np.uint8))
    edge = RADIUS + 1
    good[:edge] = good[-edge:] = False
    good[:, :edge] = good[:, -edge:] = False
    rows, columns = np.nonzero(good)
    order = np.argsort(-strength[rows, columns], kind="stable")[:_MOST_PER_FRAME]
    return rows[order], columns[order]


def _fit(
    pixels: np.ndarray, rows: np.ndarray, columns: np.ndarray, noise: float, number: int
) -> Edges | None:
    """Fit all windows at once by damped Gauss-Newton steps in angle, place and variance."""
    down, right = window()
    gy, gx = (pixels * down).sum(axis=1), (pixels * right).sum(axis=1)
    angle = np.arctan2(gy, gx)
    place = np.zeros_like(angle)
    variance = np.full_like(angle, 0.4)
    state = np.stack([angle, place, variance], axis=1)
    damping = np.full(len(state), 1e-2)
    found, left, cost = _residual(state, pixels)
    for _ in range(_ROUNDS):
        jacobian = np.empty((*left.shape, 3))
        for i, step in enumerate((1e-3, 1e-3, 1e-3)):
            moved = state.copy()
            moved[:, i] += step
            jacobian[:, :, i] = (_residual(moved, pixels)[1] - left) / step
        normal = np.einsum("npi,npj->nij", jacobian, jacobian)
        slope = np.einsum("npi,np->ni", jacobian, left)
        eye = np.eye(3) * np.trace(normal, axis1=1, axis2=2)[:, None, None] / 3
        damped = normal + damping[:, None, None] * eye + 1e-12 * np.eye(3)
        change = -np.linalg.solve(damped, slope[:, :, None])[:, :, 0]
        trial = state + np.clip(change, -0.5, 0.5)
        trial[:, 2] = np.clip(trial[:, 2], _NARROWEST, _WIDEST)
        new_found, new_left, new_cost = _residual(trial, pixels)
        better = new_cost <= cost
        state[better], left[better], cost[better] = (
            trial[better],
            new_left[better],
            new_cost[better],
        )
        found[better] = new_found[better]
        damping = np.where(better, damping / 5, damping * 5)
    contrast = np.abs(found[:, 1])
    size = np.maximum(contrast, 1e-30)
    misfit = np.sqrt(cost / (len(down) - 7))
    covariance = np.linalg.inv(
        normal + (1e-9 * np.trace(normal, axis1=1, axis2=2) + 1e-12)[:, None, None] * np.eye(3)
    )
    error = np.maximum(misfit, noise) * np.sqrt(np.maximum(covariance[:, 2, 2], 0.0))
    profile = (pixels - found[:, :1]) / (np.sign(found[:, 1:2]) * size[:, None])
    edges = Edges(
        row=rows,
        column=columns,
        frame=np.full(len(rows), number),
        variance=state[:, 2],
        error=error,
        contrast=contrast,
        misfit=misfit / size,
        angle=state[:, 0],
        profile=np.stack([_distance(state, down, right), profile], axis=2).astype(np.float32),
    )
    good = (contrast > _LEAST_CONTRAST * noise) & (np.abs(state[:, 1]) < 1.5)
    good &= edges.misfit < _MOST_MISFIT + 1.3 * noise / size
    good &= (state[:, 2] < 0.9 * _WIDEST) & np.isfinite(error)
    return edges.take(good) if good.any() else None


#: Two points a side stand for the pixel's width: the same variance, a quarter of a pixel apart.
_POINTS = (-(12.0**-0.5), 12.0**-0.5)


def _distance(state: np.ndarray, down: np.ndarray, right: np.ndarray) -> np.ndarray:
    cosine, sine = np.cos(state[:, 0, None]), np.sin(state[:, 0, None])
    return cosine * right + sine * down - state[:, 1, None]


def edge_profile(distance: np.ndarray, angle: np.ndarray, variance: np.ndarray) -> np.ndarray:
    """The model's edge from 0 to 1: Gaussian spread, integrated over the pixel's area.

    Args:
        distance: N x pixels, from the edge, pixels.
        angle, variance: N; the variance without the pixel.
    """
    width = np.sqrt(variance)[:, None]
    across, along = np.cos(angle)[:, None], np.sin(angle)[:, None]
    total = np.zeros_like(distance)
    for y in _POINTS:
        for x in _POINTS:
            total += normal_integral((distance + across * x + along * y) / width)
    return total / 4.0


#: The normal distribution's integral; SciPy's would be a dependency for this alone.
_AT = np.linspace(-6.0, 6.0, 12001)
_INTEGRAL = np.array([0.5 * (1.0 + math.erf(x / 2.0**0.5)) for x in _AT])


def normal_integral(values: np.ndarray) -> np.ndarray:
    """The standard normal distribution, integrated up to each value."""
    return np.interp(values, _AT, _INTEGRAL)


def _residual(state: np.ndarray, pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Levels (dark, contrast, slopes of both sides) that fit best, what is left, its square sum."""
    down, right = window()
    distance = _distance(state, down, right)
    weight = np.exp(-((distance / _REACH) ** 4))[:, :, None]
    step = edge_profile(distance, state[:, 0], state[:, 2])
    basis = np.stack([np.ones_like(step), step, distance * (1 - step), distance * step], axis=2)
    heavy = (basis * weight).swapaxes(1, 2)
    normal = heavy @ (basis * weight) + np.diag([1e-9, 1e-9, _SLOPE_COST, _SLOPE_COST])
    found = np.linalg.solve(normal, heavy @ (pixels[:, :, None] * weight))
    left = ((pixels[:, :, None] - basis @ found) * weight)[:, :, 0]
    return found[:, :, 0], left, (left**2).sum(axis=1)
