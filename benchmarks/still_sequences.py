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

"""Sequences of which the truth is known, for still_scenes.py: what stands still, what moves.

All are made of one recorded frame, which a simulated camera looks at again and again: its blur and
its pattern stay, its white noise is new in every frame.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field

import cv2
import numpy as np

from difiisr_ros.core import radiometry
from difiisr_ros.core.camera_profile import CameraProfile
from difiisr_ros.core.camera_simulation import SimulatedCamera
from difiisr_ros.core.scale import SCALE
from difiisr_ros.lab.frames.degrade import to_dtype

COUNTS = 16
"""Counts of the made cameras for one of the recorded frames, which have eight bits."""
OBJECTS = 6
_WAY = np.array([0.8, 0.6])  # of a camera that pans
_AROUND = np.ones((9, 9), np.uint8)  # of an object belongs to it, truth's pixels


@dataclass(frozen=True)
class Look:
    """One frame of a sequence."""

    truth: np.ndarray
    """4H x 4W, float32, counts of the camera."""
    lr: np.ndarray
    """H x W, uint16."""
    objects: np.ndarray
    """4H x 4W, bool: where something is that moves."""


@dataclass(frozen=True)
class Watched:
    """A recorded frame, a camera that looks at it, and what can be told of that."""

    hr: np.ndarray
    """4H x 4W, counts of the recording."""
    seed: int
    camera: SimulatedCamera
    fixed_share: float = 0.0
    """Share of the white noise's power that stays from frame to frame."""
    counts: int = COUNTS
    fixed: np.ndarray = field(init=False)

    def __post_init__(self) -> None:
        shape = self.hr.shape[0] // SCALE, self.hr.shape[1] // SCALE
        fixed = np.random.default_rng((2, self.seed)).standard_normal(shape)
        object.__setattr__(self, "fixed", self.fixed_share**0.5 * fixed)

    @classmethod
    def of(
        cls, hr: np.ndarray, name: str, noise: float, fixed: float = 0.0, counts: int = COUNTS
    ) -> Watched:
        """With a camera that the name decides, of this white noise, % of the frame's range."""
        seed = zlib.crc32(name.encode())
        camera = SimulatedCamera.draw(hr, noise / 100, np.random.default_rng(seed))
        return cls(hr, seed, camera, fixed, counts)

    @property
    def told(self) -> CameraProfile:
        """All that a network can be told of the camera."""
        return CameraProfile(noise=self.counts * self.camera.noise, blur=self.camera.blur)

    def look(self, scene: np.ndarray, number: int) -> np.ndarray:
        """The camera's frame of this number, of a scene in counts of the recording."""
        new, pattern = np.random.default_rng((number, self.seed)), np.random.default_rng(self.seed)
        quiet = SimulatedCamera(self.camera.blur, 0.0, self.camera.pattern)
        lr = quiet.look(scene, new, pattern)
        white = (1 - self.fixed_share) ** 0.5 * new.standard_normal(lr.shape)
        lr = lr + self.camera.noise * (self.fixed + white)
        return to_dtype(self.counts * lr, np.dtype(np.uint16))


def standing(watched: Watched, count: int) -> Iterator[np.ndarray]:
    """Frames of a scene that stands still."""
    for number in range(count):
        yield watched.look(watched.hr, number)


def with_objects(watched: Watched, count: int, pan: float = 0.0) -> Iterator[Look]:
    """Objects that cross a still scene, straight on: ellipses of 1.5 to 15 camera pixels, of 0.05
    to 2.5 camera pixels a frame, 2 to 100 % of the range warmer or colder.

    Args:
        watched: What the camera looks at.
        count: Frames.
        pan: Camera pixels a frame that the camera moves by; the objects' ways are in its picture.
    """
    height, width = watched.hr.shape
    rng = np.random.default_rng((3, watched.seed))
    low, high = radiometry.measure_range(watched.hr)
    rows, columns = np.mgrid[:height, :width].astype(np.float32)
    objects = []
    for _ in range(OBJECTS):
        radius = rng.uniform(3, 30)
        contrast = (high - low) * rng.choice([-1, 1]) * np.exp(rng.uniform(np.log(0.02), 0.0))
        speed = np.exp(rng.uniform(np.log(0.2), np.log(10))) * np.exp(2j * np.pi * rng.random())
        x, y = rng.uniform(0.15, 0.85, 2) * (width, height)
        objects.append((x, y, speed, radius, contrast))
    for number in range(count):
        scene = _shifted(watched.hr, SCALE * pan * number * _WAY)
        where = np.zeros(scene.shape, bool)
        for x, y, speed, radius, contrast in objects:
            x, y = (x + speed.real * number) % width, (y + speed.imag * number) % height
            inside = np.clip(radius - np.hypot((columns - x) / 0.6, rows - y) + 0.5, 0, 1)
            scene += contrast * inside * (1 + 0.2 * np.sin(columns / 3))
            where |= cv2.dilate((inside > 0).astype(np.uint8), _AROUND) > 0
        yield Look(watched.counts * scene, watched.look(scene, number), where)


def moving(watched: Watched, count: int, pan: float = 0.0, jitter: float = 0.0) -> Iterator[Look]:
    """A still scene and a camera that moves.

    Args:
        watched: What it looks at.
        count: Frames.
        pan: Camera pixels a frame, straight on.
        jitter: Standard deviation of where it is, camera pixels each way.
    """
    rng = np.random.default_rng((4, watched.seed))
    for number in range(count):
        at = SCALE * (pan * number * _WAY + rng.normal(0, jitter, 2))
        scene = _shifted(watched.hr, at)
        nothing = np.zeros(scene.shape, bool)
        yield Look(watched.counts * scene, watched.look(scene, number), nothing)


def _shifted(hr: np.ndarray, at: np.ndarray) -> np.ndarray:
    """A recorded frame as seen from another place, float32; at the borders it is mirrored."""
    if not at.any():
        return hr.astype(np.float32)
    shift = np.array([[1, 0, -at[0]], [0, 1, -at[1]]], np.float32)
    how = {"flags": cv2.INTER_CUBIC, "borderMode": cv2.BORDER_REFLECT_101}
    return cv2.warpAffine(hr.astype(np.float32), shift, hr.shape[::-1], **how)
