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

"""The blur of a camera from the widths of many edges in its frames.

Every edge is as wide as the camera makes it, or wider where the scene itself is soft; fits to what
is no single straight edge scatter to both sides. So the logarithm of the widths is taken for a
camera's value with a symmetric scatter and a tail to the wide side, and the likeliest value is
sought. That is the low end: on simulated cameras it lies a little below the truth, as narrow
objects do, and the median near it or (soft scenes) above. A value between both is given, and half
of their distance counts as error.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from difiisr_ros.lab.calibration.edges import Edges, normal_integral

PIXEL = 1.0 / 12.0  # variance of a pixel's area
LEAST_EDGES = 30
MOST_ERROR = 0.15  # pixels
_NARROW = 0.02  # square pixels, of optics and pixel: less is a misfit
_UNSURE = 1.0  # of the logarithm of the variance: such an edge says nothing
_OWN_ERROR = 0.03  # pixels: what the method gets wrong on simulated cameras of any kind
_OUTLIERS = 0.05
_MEDIAN_SHARE = 0.6  # of the median in the answer; chosen on simulated cameras


@dataclass(frozen=True)
class BlurFit:
    """The blur that edges have in common."""

    sigma: float
    """Gaussian sigma of the optics, pixels."""
    error: float
    """Standard deviation of its error, pixels."""
    likeliest: float
    median: float
    """The two values that ``sigma`` lies between."""
    edges: int
    """How many edges it rests on."""


def fit_blur(edges: Edges) -> BlurFit | None:
    """The camera's blur; None where fewer than :data:`LEAST_EDGES` edges can tell."""
    usable = sure_edges(edges)
    if usable.sum() < LEAST_EDGES:
        return None
    total = np.maximum(edges.variance[usable] + PIXEL, _NARROW)
    widths, spread = np.log(total), edges.error[usable] / total
    likeliest, error = _likeliest(widths, spread)
    low, high = _sigma(likeliest), _sigma(float(np.median(widths)))
    # d sigma / d log(total variance) = total / (2 sigma)
    slope = math.exp(likeliest) / (2.0 * max(low, 0.2))
    whole = math.hypot(error * slope, 0.5 * (high - low), _OWN_ERROR)
    return BlurFit(low + _MEDIAN_SHARE * (high - low), whole, low, high, int(usable.sum()))


def sure_edges(edges: Edges) -> np.ndarray:
    """Mask of the edges whose width is known at all."""
    total = np.maximum(edges.variance + PIXEL, _NARROW)
    return edges.error < _UNSURE * total


def _sigma(width: float) -> float:
    return max(math.exp(width) - PIXEL, 0.0) ** 0.5


def _likeliest(widths: np.ndarray, spread: np.ndarray) -> tuple[float, float]:
    """Where the camera's own width lies (logarithm of the variance), and its standard error."""
    places = np.arange(-2.6, 1.4, 0.02)
    best = (-np.inf, 0.0, 0.0)
    for scatter in (0.12, 0.17, 0.24, 0.32):
        deviation = np.hypot(spread, scatter)[None]
        away = (widths[None] - places[:, None]) / deviation
        core = np.exp(-0.5 * away**2) / (deviation * (2.0 * np.pi) ** 0.5)
        for tail in (0.2, 0.4, 0.8):
            ratio = deviation / tail
            inside = np.log(np.maximum(normal_integral(away - ratio), 1e-12))
            soft = np.exp(np.clip(0.5 * ratio**2 - away * ratio + inside, -60, 20)) / tail
            for share in (0.25, 0.5, 0.75, 0.95):
                mixed = share * core + (1.0 - share) * soft
                fit = np.log((1.0 - _OUTLIERS) * mixed + _OUTLIERS * 0.25).sum(axis=1)
                at = int(fit.argmax())
                if fit[at] > best[0]:
                    weight = np.exp(fit - fit[at])
                    around = (weight * (places - places[at]) ** 2).sum() / weight.sum()
                    best = (float(fit[at]), float(places[at]), float(around) ** 0.5)
    return best[1], best[2]
