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

"""Trials on made frames for native_frames.py: lattice, texture, energy, stuck pixels, overshoot.

Frames are float32, so that rounding hides nothing; their range is known, and so is what a faithful
result is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import cv2
import numpy as np

from difiisr_ros.core.camera_profile import CameraProfile, resolve_camera
from difiisr_ros.core.camera_simulation import simulate_camera
from difiisr_ros.core.scale import SCALE
from difiisr_ros.lab.evaluation.methods import bicubic_upscale
from difiisr_ros.lab.frames.degrade import degrade_bicubic
from difiisr_ros.lab.scores.flat_places import FlatPlaces, noise

Upscale = Callable[[np.ndarray, CameraProfile], np.ndarray]
"""From H x W and what is told of the camera to sH x sW, s the ``scale`` of every trial."""

LEVEL, RANGE = 20000.0, 400.0  # counts of the darkest place, and from there to the brightest
SEEN = LEVEL, LEVEL + RANGE
BLUR = 0.4  # of the trials' camera, pixels
AUTO = resolve_camera("auto")
REDUCED = resolve_camera("reduced")
FRAME = (96, 128)
TARGET_NOISE = 0.2  # % of the range: of frames with a target, where it would count as overshoot


def told(noise_percent: float, blur: float = BLUR) -> CameraProfile:
    """A profile in the counts of the trials' range."""
    return CameraProfile(noise=noise_percent / 100 * RANGE, blur=blur)


def lattice(
    upscale: Upscale, noise_percent: float, frames: int = 3, scale: int = SCALE
) -> tuple[float, float]:
    """On white noise alone: lattice as a share of the noise, and noise over bicubic's.

    The model has to be given :data:`SEEN` as the range, as these frames have none.
    """
    found = []
    for seed in range(frames):
        rng = np.random.default_rng(seed)
        white = rng.standard_normal((256, 320)) * noise_percent / 100
        lr = (LEVEL + RANGE * (0.25 + 0.25 * seed + white)).astype(np.float32)
        flat = FlatPlaces(lr, scale)
        ours = flat.residual(upscale(lr, AUTO))
        gain = noise(ours) / noise(flat.residual(bicubic_upscale(lr, scale)))
        found.append((flat.lattice(ours), gain))
    mean = np.mean(found, axis=0)
    return float(mean[0]), float(mean[1])


def texture(upscale: Upscale, profile: CameraProfile, scale: int = SCALE) -> float:
    """What is added to a smooth frame without noise, % of the range: in the block with the most."""
    truth = LEVEL + RANGE * _waves(scale)
    lr = (LEVEL + RANGE * _waves(1)).astype(np.float32)
    added = upscale(lr, profile) - truth
    corners = np.stack(np.meshgrid(*(np.arange(8, s - 16, 8) for s in FRAME)), axis=-1)
    blocks = [
        added[scale * a : scale * (a + 8), scale * b : scale * (b + 8)]
        for a, b in corners.reshape(-1, 2)
    ]
    return 100 * max(float(np.std(block)) for block in blocks) / RANGE


def _waves(scale: int) -> np.ndarray:
    """0 to 1, without anything that a camera does not resolve, at pixels of a scale-th."""
    y, x = (np.mgrid[: FRAME[0] * scale, : FRAME[1] * scale] + 0.5) / scale
    # So slow that bicubic's own ripple on slopes is below 0.01 %.
    return 0.5 + 0.25 * np.sin(y / 150) + 0.25 * np.cos(x / 180 + y / 240)


def energy(
    upscale: Upscale, scenes: list[np.ndarray], profile: CameraProfile, scale: int = SCALE
) -> dict[tuple[int, float], float]:
    """Share of a small hot target's energy in the result, mean over scenes.

    Args:
        upscale: With the range of the trials.
        scenes: HR frames, scaled to that range.
        profile: What is told.
        scale: Of the results.

    Returns:
        By the target's side (HR pixels) and its height (ranges).
    """
    found: dict[tuple[int, float], list[float]] = {}
    for seed, hr in enumerate(scenes):
        rng = np.random.default_rng(seed)
        top, left = (int(rng.integers(80, side - 80)) for side in hr.shape)
        plain = upscale(_seen(hr, seed), profile).astype(np.float64)
        for side in (2, 4, 8):
            for height in (0.2, 1.0, 5.0):
                hot = hr.copy()
                hot[top : top + side, left : left + side] += height * RANGE
                change = upscale(_seen(hot, seed), profile) - plain
                # A pixel of a result is so many of the scene's.
                share = (SCALE / scale) ** 2 * change.sum() / (side * side * height * RANGE)
                found.setdefault((side, height), []).append(float(share))
    return {key: float(np.mean(shares)) for key, shares in found.items()}


def stuck_pixel(
    upscale: Upscale,
    scenes: list[np.ndarray],
    height: float,
    profile: CameraProfile,
    scale: int = SCALE,
) -> float:
    """Largest change beyond 4 camera pixels from a stuck pixel, % of the range.

    Args:
        upscale: As by default, which measures the range itself.
        scenes: HR frames, scaled to the trials' range.
        height: Of the pixel, ranges above the frame.
        profile: What is told.
        scale: Of the results.
    """
    worst = 0.0
    for seed, hr in enumerate(scenes):
        lr = _seen(hr, seed)
        stuck = lr.copy()
        row, column = lr.shape[0] // 2, lr.shape[1] // 3
        stuck[row, column] = lr.max() + height * RANGE
        change = np.abs(upscale(stuck, profile).astype(np.float64) - upscale(lr, profile))
        near = [slice(scale * (centre - 4), scale * (centre + 5)) for centre in (row, column)]
        change[near[0], near[1]] = 0
        worst = max(worst, float(change.max()))
    return 100 * worst / RANGE


def _seen(hr: np.ndarray, seed: int) -> np.ndarray:
    """By the trials' camera, 1 % noise."""
    rng = np.random.default_rng(seed)
    return simulate_camera(hr, blur=BLUR, noise=RANGE / 100, pattern=0, rng=rng)


@dataclass(frozen=True)
class Target:
    """A hot (or cold) thing on a plain scene."""

    shape: str
    """``patch``, ``disc`` or ``bar``."""
    size: int
    """Camera pixels."""
    height: float
    """Ranges; below 0: cold."""
    edge: str
    """``hard``: drawn into the camera's frame, as no lens can; ``soft``: seen by the camera;
    ``reduced``: by antialiased bicubic."""

    def mask(self, scale: int) -> np.ndarray:
        """Where it is, in a frame whose pixels are a ``scale``-th of the camera's."""
        y, x = np.mgrid[: FRAME[0] * scale, : FRAME[1] * scale] / scale
        half = 1 / (2 * scale)
        dy, dx = y + half - FRAME[0] / 2, x + half - FRAME[1] / 2
        if self.size % 2:  # around the middle of a pixel
            dy, dx = dy - 0.5, dx - 0.5
        if self.shape == "disc":
            return np.hypot(dy, dx) <= self.size / 2
        long = min(4 * self.size, 24) if self.shape == "bar" else self.size
        return (np.abs(dy) <= self.size / 2) & (np.abs(dx) <= long / 2)

    def frame(self) -> np.ndarray:
        """The camera's frame."""
        scale = 1 if self.edge == "hard" else SCALE
        # Plain around the target; the slopes at both sides give the scene its range.
        x = np.arange(FRAME[1] * scale) / scale
        scene = np.interp(x, (0, 32, 96, FRAME[1]), (0, 0.5, 0.5, 1))[None, :]
        frame = LEVEL + RANGE * (scene + self.height * self.mask(scale))
        frame = frame.astype(np.float32)
        sigma, rng = TARGET_NOISE / 100 * RANGE, np.random.default_rng(0)
        if self.edge == "reduced":
            return degrade_bicubic(frame)
        if self.edge == "soft":
            return simulate_camera(frame, blur=BLUR, noise=sigma, pattern=0, rng=rng)
        return (frame + sigma * rng.standard_normal(frame.shape)).astype(np.float32)

    def overshoot(self, sr: np.ndarray, scale: int = SCALE) -> float:
        """How far a result is beyond target or scene, a share of the target's contrast."""
        around = [slice(scale * (s // 2 - 24), scale * (s // 2 + 24)) for s in FRAME]
        share = (sr[tuple(around)] - LEVEL - RANGE / 2) / (self.height * RANGE)
        return float(max(share.max() - 1, -share.min()))


def targets(edge: str, height: float) -> Iterator[Target]:
    """Patches, discs and bars of 1 to 8 pixels, hot and cold."""
    for sign in (1, -1):
        for size in (1, 2, 4, 8):
            for shape in ("patch", "bar") if size == 1 else ("patch", "disc", "bar"):
                yield Target(shape, size, sign * height, edge)


#: What a model may be told -> the edges for which that is true.
PROFILES: dict[str, tuple[CameraProfile, tuple[str, ...]]] = {
    "auto": (AUTO, ("soft",)),
    f"blur {BLUR}": (told(TARGET_NOISE), ("soft",)),
    "blur 0.8": (told(TARGET_NOISE, 0.8), ()),
    "reduced": (REDUCED, ("reduced",)),
}
EDGES = ("hard", "soft", "reduced")
HEIGHTS = (0.4, 1.0, 5.0, 50.0, 500.0)


def overshoots(
    upscale: Upscale, edge: str, profile: CameraProfile, scale: int = SCALE
) -> np.ndarray:
    """Worst overshoot at each of :data:`HEIGHTS`: ours, bicubic's, and ours above bicubic's."""
    found = np.full((len(HEIGHTS), 3), -np.inf)
    for i, height in enumerate(HEIGHTS):
        for target in targets(edge, height):
            lr = target.frame()
            ours = target.overshoot(upscale(lr, profile), scale)
            bicubic = target.overshoot(bicubic_upscale(lr, scale), scale)
            found[i] = np.maximum(found[i], (ours, bicubic, ours - bicubic))
    return found


def scaled(hr: np.ndarray) -> np.ndarray:
    """A scene whose 1st to 99th percentile is the trials' range."""
    low, high = np.percentile(hr, (1, 99))
    return (LEVEL + RANGE * (hr.astype(np.float64) - low) / (high - low)).astype(np.float32)


def still_high_pass(change: np.ndarray, scale: int = SCALE) -> np.ndarray:
    """Of the change from frame to frame, what is finer than a camera's pixel."""
    return change - cv2.GaussianBlur(change, (0, 0), scale / 2)
