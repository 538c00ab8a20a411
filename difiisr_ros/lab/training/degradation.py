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

"""How a low-resolution crop comes about in training, and what the network is told of its camera.

Cameras are drawn from what was measured on many: optics' blur, pattern, white noise that may grow
with the signal or be smoothed in the camera, sharpening, whole counts, JPEG. A share of the crops
are reductions by antialiased bicubic, as benchmarks are.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from PIL import Image
from torch import Tensor

from difiisr_ros.core import condition
from difiisr_ros.core.camera_simulation import SCALE, simulate_camera
from difiisr_ros.core.resample import unfold, upsample_folded
from difiisr_ros.lab.training.data import Batch
from difiisr_ros.lab.training.targets import FAR_CONTRAST, log_uniform

DEGRADATIONS = ("camera", "reduced")

REDUCED = {True: 0.15, False: 0.3}
"""Shares of reductions by bicubic among the crops of which the blur is told, and is not."""
COMMON_BLUR, ALL_BLUR = (0.2, 0.6), (0.2, 1.1)
"""Camera pixels; six of seven crops have a common one."""
COMMON = 0.85
WHITE_NOISE = (5e-4, 0.05)
"""Shares of the range, log-uniform; a tenth of the cameras have none."""
PATTERN = 0.02
MUCH_PATTERN = 0.3
"""Share of patterned cameras that have up to all of it; the others have up to half."""
COUNT = (1e-4, 0.025)
"""Size of one count, shares of the range, log-uniform."""
STUCK = 0.03
"""Share of crops with up to three stuck pixels."""
SMOOTHED, SIGNAL, HALOS, JPEG, COARSE = 0.1, 0.05, 0.05, 0.05, 0.2
"""Shares of crops with noise that was smoothed in the camera or grows with the signal, with halos,
and (of whole counts) with JPEG's loss and with a coarser count. All are there, and none often: a
network of this size pays for them on plain cameras, 0.3 dB of hit_uav/val when told its camera,
after 1000 steps from scratch with two to three times as many; the least of it for any one alone."""
TOLD, ROUGHLY_TOLD = 0.4, 0.05
"""Shares of crops whose blur is told, and told with an error; of the others nothing is."""


@dataclass(frozen=True)
class Examples:
    """What a network reads, and what it should answer."""

    lr: Tensor
    """N x 1 x H x W."""
    hr: Tensor
    """N x 1 x 4H x 4W: the scene, and bicubic of stuck pixels, which are left to it."""
    camera: Tensor
    """What is told, N x WIDTH (:mod:`difiisr_ros.core.condition`)."""


def degrade(batch: Batch, kind: str, generator: torch.Generator) -> Examples:
    """Reduce crops x4.

    Args:
        batch: crops of 4H x 4W.
        kind: ``camera``: all of the above; ``reduced``: bicubic alone, rounded, and told so.
    """
    seed = int(torch.randint(2**62, (1,), generator=generator))
    rng = np.random.default_rng(seed)
    crops = [
        _reduce(hr[0].numpy(), sharp[0].numpy(), float(count), kind, rng)
        for hr, sharp, count in zip(batch.hr.cpu(), batch.sharp.cpu(), batch.step)
    ]
    lr, stuck, told = (torch.from_numpy(np.stack(part)) for part in zip(*crops))
    return Examples((lr + stuck)[:, None], batch.hr + unfold(upsample_folded(stuck[:, None])), told)


def _reduce(
    hr: np.ndarray, sharp: np.ndarray, count: float, kind: str, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """LR crop, what stuck pixels add to it, and what is told."""
    told = kind == "reduced" or rng.random() < TOLD
    reduced = kind == "reduced" or rng.random() < REDUCED[told]
    blur = 0.0
    if reduced:
        size = hr.shape[1] // SCALE, hr.shape[0] // SCALE
        lr = np.array(Image.fromarray(hr).resize(size, Image.BICUBIC))  # type: ignore[attr-defined]
    else:
        blur = rng.uniform(*(COMMON_BLUR if rng.random() < COMMON else ALL_BLUR))
        lr = simulate_camera(hr - sharp, blur=blur, noise=0, pattern=0, rng=rng)
        lr += simulate_camera(sharp, blur=rng.uniform(0, blur), noise=0, pattern=0, rng=rng)
    noise = 0.0
    if kind == "camera" and rng.random() < (0.5 if reduced else 0.9):
        noise = log_uniform(WHITE_NOISE, rng)
        lr = lr + _pattern(lr.shape, rng) + noise * _white_noise(lr, rng)
    if not reduced and not told and rng.random() < HALOS:
        lr = lr + rng.uniform(0.2, 1.0) * (lr - cv2.GaussianBlur(lr, (0, 0), 1.0))
    lr, rounded = _round(lr, count, rng)
    # Noise is known within a tenth of itself.
    known = math.hypot(noise, rounded / 12**0.5) * math.exp(0.1 * rng.standard_normal())
    stuck = np.zeros(lr.shape, np.float32)
    if kind == "camera" and rng.random() < STUCK:
        for _ in range(rng.integers(1, 4)):
            row, column = (rng.integers(side) for side in lr.shape)
            stuck[row, column] = rng.choice((-1, 1)) * log_uniform(FAR_CONTRAST, rng)
    return lr.astype(np.float32), stuck, _tell(known, blur, reduced, told, rng)


def _tell(
    noise: float, blur: float, reduced: bool, told: bool, rng: np.random.Generator
) -> np.ndarray:
    if told:
        blur_told = 0.0 if reduced else blur + 0.01 * rng.standard_normal()
        return condition.told(noise, blur_told, 0.0, float(reduced))
    if not reduced and rng.random() < ROUGHLY_TOLD / (1 - TOLD):
        error = rng.uniform(0.03, 0.2)
        return condition.told(noise, blur + error * rng.standard_normal(), error)
    return condition.told(noise)


def _pattern(shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    """Offsets of columns, half of the time of rows too; none in two of five cameras."""
    height, width = shape
    columns, rows = rng.standard_normal((1, width)), rng.standard_normal((height, 1))
    if rng.random() < 0.5:
        rows = np.zeros_like(rows)
    most = PATTERN if rng.random() < MUCH_PATTERN else PATTERN / 2
    return (rng.random() < 0.6) * rng.uniform(0, most) * (columns + rows)


def _white_noise(lr: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Of standard deviation 1; some smoothed in the camera, some growing with the signal."""
    noise: np.ndarray = rng.standard_normal(lr.shape)
    if rng.random() < SMOOTHED:
        kernel = rng.uniform(0, 1, (3, 3))
        kernel[1, 1] += 1
        noise = cv2.filter2D(noise, -1, kernel / np.sqrt(np.square(kernel).sum()))
    if rng.random() < SIGNAL:
        noise = noise * np.sqrt(0.5 + np.clip(lr, 0, 2))
        noise = noise / max(float(noise.std()), 1e-6)
    return noise


def _round(lr: np.ndarray, count: float, rng: np.random.Generator) -> tuple[np.ndarray, float]:
    """To whole counts, of the frame's own or another size, and the size (0: not rounded)."""
    if rng.random() < 0.15:
        return lr, 0.0
    size = max(count, log_uniform(COUNT, rng)) if rng.random() < COARSE else count
    lr = np.round(lr / size) * size
    inside = lr.min() > -0.2 and lr.max() < 1.1
    if size >= 1 / 300 and inside and rng.random() < JPEG:
        counts = np.clip(lr * 180 + 40, 0, 255).astype(np.uint8)
        quality = [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(60, 96))]
        decoded = cv2.imdecode(cv2.imencode(".jpg", counts, quality)[1], cv2.IMREAD_GRAYSCALE)
        assert decoded is not None
        lr = (decoded.astype(np.float32) - 40) / 180
    return lr, size
