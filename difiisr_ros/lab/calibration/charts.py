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

"""Pictures of a calibration: edge spread, widths, noise and pattern, as 8-bit arrays."""

from __future__ import annotations

import numpy as np

from difiisr_ros.core.noise_level import estimate_noise
from difiisr_ros.lab.calibration.blur import PIXEL, sure_edges
from difiisr_ros.lab.calibration.edges import Edges, edge_profile

WIDTH, HEIGHT = 640, 360
_LEFT, _RIGHT, _TOP, _BOTTOM = 64, 16, 16, 48
INK, SOFT, FIRST, SECOND = (40, 44, 50), (150, 156, 164), (200, 66, 10), (0, 104, 168)
_DOTS = 6000


class Chart:
    """Axes with dots and lines, drawn by OpenCV at twice the size and reduced."""

    def __init__(
        self, x: tuple[float, float], y: tuple[float, float], x_name: str, y_name: str
    ) -> None:
        self._x, self._y = x, y
        self._canvas = np.full((2 * HEIGHT, 2 * WIDTH, 3), 255, np.uint8)
        self._axes(x_name, y_name)

    def dots(self, x: np.ndarray, y: np.ndarray, colour: tuple[int, int, int]) -> None:
        """One dot per pair of values; those outside are left out."""
        import cv2

        for px, py in self._places(x, y):
            cv2.circle(self._canvas, (int(px), int(py)), 2, colour, -1, cv2.LINE_AA)

    def line(
        self, x: np.ndarray, y: np.ndarray, colour: tuple[int, int, int], width: int = 4
    ) -> None:
        """Connected values."""
        import cv2

        points = self._places(x, y).astype(np.int32)
        cv2.polylines(self._canvas, [points], False, colour, width, cv2.LINE_AA)

    def bars(self, edges: np.ndarray, counts: np.ndarray, colour: tuple[int, int, int]) -> None:
        """A histogram."""
        import cv2

        for left, right, count in zip(edges[:-1], edges[1:], counts, strict=True):
            (x0, y0), (x1, y1) = self._places(np.array([left, right]), np.array([count, 0.0]))
            cv2.rectangle(self._canvas, (int(x0) + 1, int(y0)), (int(x1) - 1, int(y1)), colour, -1)

    def picture(self) -> np.ndarray:
        """HEIGHT x WIDTH x 3, uint8, RGB."""
        import cv2

        return cv2.resize(self._canvas, (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA)

    def _places(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        wide, high = WIDTH - _LEFT - _RIGHT, HEIGHT - _TOP - _BOTTOM
        across = _LEFT + wide * (np.asarray(x, float) - self._x[0]) / (self._x[1] - self._x[0])
        down = _TOP + high * (self._y[1] - np.asarray(y, float)) / (self._y[1] - self._y[0])
        inside = (across >= _LEFT) & (across <= WIDTH - _RIGHT)
        inside &= (down >= _TOP - 1) & (down <= HEIGHT - _BOTTOM + 1)
        return 2 * np.stack([across, down], axis=1)[inside]

    def _axes(self, x_name: str, y_name: str) -> None:
        import cv2

        right, bottom = WIDTH - _RIGHT, HEIGHT - _BOTTOM
        cv2.rectangle(self._canvas, (2 * _LEFT, 2 * _TOP), (2 * right, 2 * bottom), SOFT, 2)
        for i in range(5):
            x = self._x[0] + (self._x[1] - self._x[0]) * i / 4
            y = self._y[0] + (self._y[1] - self._y[0]) * i / 4
            px = _LEFT + (right - _LEFT) * i // 4
            py = bottom - (bottom - _TOP) * i // 4
            self._text(f"{x:.3g}", px - 12, bottom + 16)
            self._text(f"{y:.3g}", 22, py + 4)
        self._text(x_name, (_LEFT + right) // 2 - 4 * len(x_name), HEIGHT - 10)
        turned = np.full((2 * 20, 2 * (HEIGHT - _BOTTOM), 3), 255, np.uint8)
        cv2.putText(turned, y_name, (20, 28), cv2.FONT_HERSHEY_SIMPLEX, 0.8, INK, 1, cv2.LINE_AA)
        self._canvas[: turned.shape[1], : turned.shape[0]] = turned.swapaxes(0, 1)[::-1]

    def _text(self, text: str, x: int, y: int) -> None:
        import cv2

        cv2.putText(
            self._canvas, text, (2 * x, 2 * y), cv2.FONT_HERSHEY_SIMPLEX, 0.8, INK, 1, cv2.LINE_AA
        )


def edge_spread(edges: Edges, sigma: float) -> np.ndarray:
    """Pixels of the edges that are about as wide as the camera makes them, and its profile."""
    total = edges.variance + PIXEL
    mine = sigma**2 + PIXEL
    near = sure_edges(edges) & (np.abs(np.log(np.maximum(total, 1e-3) / mine)) < 0.3)
    chart = Chart((-4.0, 4.0), (-0.25, 1.25), "distance from the edge, camera pixels", "level")
    points = edges.profile[near].reshape(-1, 2)
    points = points[:: max(1, len(points) // _DOTS)]
    chart.dots(points[:, 0], points[:, 1], SOFT)
    distance = np.linspace(-4, 4, 161)[None]
    model = edge_profile(distance, np.array([0.3]), np.array([max(sigma**2, 1e-3)]))
    chart.line(distance[0], model[0], FIRST)
    return chart.picture()


def edge_widths(edges: Edges, sigma: float | None) -> np.ndarray:
    """How often each blur is found among the edges; the camera's marked."""
    known = sure_edges(edges)
    found = np.sqrt(np.maximum(edges.variance[known], 0.0))
    counts, sides = np.histogram(np.minimum(found, 1.999), bins=40, range=(0.0, 2.0))
    top = float(max(counts.max(), 1)) * 1.1
    chart = Chart((0.0, 2.0), (0.0, top), "Gaussian sigma of an edge, camera pixels", "edges")
    chart.bars(sides, counts, SOFT)
    if sigma is not None:
        chart.line(np.array([sigma, sigma]), np.array([0.0, top]), FIRST)
    return chart.picture()


def transfer(sigma: float) -> np.ndarray:
    """Modulation transfer of optics and pixel, up to the sampling frequency."""
    frequency = np.linspace(0.0, 1.0, 200)
    optics = np.exp(-2.0 * (np.pi * sigma * frequency) ** 2)
    chart = Chart((0.0, 1.0), (0.0, 1.0), "cycles per camera pixel (Nyquist: 0.5)", "contrast kept")
    chart.line(frequency, optics, SECOND)
    chart.line(frequency, optics * np.abs(np.sinc(frequency)), FIRST)
    chart.line(np.array([0.5, 0.5]), np.array([0.0, 1.0]), SOFT, 2)
    return chart.picture()


def noise_over_frames(levels: np.ndarray, noise: float | None) -> np.ndarray:
    """The noise of each frame alone, and that of all."""
    top = 1.25 * float(max(levels.max(), noise or 0.0, 1e-9))
    chart = Chart((0.0, float(max(len(levels), 2))), (0.0, top), "frame", "noise, counts")
    chart.dots(np.arange(len(levels)) + 0.5, levels, SECOND)
    if noise is not None:
        chart.line(np.array([0.0, float(max(len(levels), 2))]), np.array([noise, noise]), FIRST)
    return chart.picture()


def frame_picture(frame: np.ndarray, marks: np.ndarray, places: np.ndarray) -> np.ndarray:
    """A frame in gray, stuck pixels ringed, edges dotted; small frames are enlarged."""
    import cv2

    picture, factor = _enlarged(_tones(frame, 1.0, 99.0))
    colour = cv2.cvtColor(picture, cv2.COLOR_GRAY2RGB)
    for row, column in places.tolist():
        cv2.circle(colour, _centre(row, column, factor), 2, FIRST, -1, cv2.LINE_AA)
    for row, column in marks.tolist():
        cv2.circle(colour, _centre(row, column, factor), 3 + factor, SECOND, 2, cv2.LINE_AA)
    return colour


def residual_picture(frame: np.ndarray) -> np.ndarray:
    """What a median of 5 x 5 pixels leaves: noise, lines, stuck pixels; edges remain a little."""
    import cv2

    filled = np.nan_to_num(frame, nan=float(np.nanmedian(frame))).astype(np.float32)
    residual = filled - cv2.medianBlur(filled, 5)
    reach = 4.0 * max(estimate_noise(filled), 1e-6)
    gray = np.clip(128.0 + 127.0 * residual / reach, 0, 255).astype(np.uint8)
    return _enlarged(gray)[0]


def pattern_picture(offsets: np.ndarray, size: float) -> np.ndarray:
    """Offsets in gray, 0 in the middle."""
    gray = np.clip(128.0 + 127.0 * offsets / (3.0 * max(size, 1e-9)), 0, 255).astype(np.uint8)
    return _enlarged(gray)[0]


def _tones(frame: np.ndarray, low: float, high: float) -> np.ndarray:
    known = frame[np.isfinite(frame)]
    if known.size == 0:
        return np.zeros(frame.shape, np.uint8)
    first, last = np.percentile(known, [low, high])
    unit = (np.nan_to_num(frame, nan=first) - first) / max(last - first, 1e-9)
    return (255.0 * np.clip(unit, 0.0, 1.0)).astype(np.uint8)


def _enlarged(gray: np.ndarray) -> tuple[np.ndarray, int]:
    import cv2

    factor = max(1, min(4, WIDTH // gray.shape[1]))
    size = (gray.shape[1] * factor, gray.shape[0] * factor)
    return cv2.resize(gray, size, interpolation=cv2.INTER_NEAREST), factor


def _centre(row: int, column: int, factor: int) -> tuple[int, int]:
    return column * factor + factor // 2, row * factor + factor // 2
