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

"""Random HR crops from a folder of thermal frames, normalised as the node will see them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from torch import Tensor

from difiisr_ros.core.camera_profile import CameraProfile
from difiisr_ros.core.radiometry import measure_range
from difiisr_ros.errors import DataError
from difiisr_ros.io.frame_files import find_frames
from difiisr_ros.io.left_out import LeftOut
from difiisr_ros.lab.frames.put_right import NOTHING_DECLARED, read_right, reading
from difiisr_ros.lab.training.targets import draw_target


@dataclass(frozen=True)
class Frame:
    """One HR frame in memory with its percentile range."""

    pixels: np.ndarray
    low: float
    high: float


def load_frames(
    source: Path,
    crop: int,
    left_out: LeftOut | None = None,
    camera: CameraProfile = NOTHING_DECLARED,
) -> list[Frame]:
    """Read every frame of a folder or file that is at least ``crop`` pixels on both sides.

    Args:
        source: files of frames, or one of them; a file may have many.
        crop: see above.
        left_out: takes the files that cannot be read.
        camera: what of the frames is a measurement; the rest is cut off or filled in.

    Raises:
        DataError: no such path, or no frame large enough; and what ``left_out`` raises.
    """
    left_out = left_out or LeftOut()
    frames = []
    found = find_frames(source)
    with reading(camera, source, found.not_used) as reader:
        for place in found.places:
            pixels = left_out.read(place, lambda place: read_right(place, camera, reader))
            if pixels is not None and min(pixels.shape) >= crop:
                frames.append(Frame(pixels, *measure_range(pixels)))
    if not frames:
        raise DataError(f"{source}: no frame of at least {crop}x{crop} pixels to train on")
    return frames


@dataclass(frozen=True)
class Augmentation:
    """Random changes that keep a thermal frame believable."""

    scale_probability: float = 0.3
    """How often a larger crop is shrunk, by up to ``max_shrink``: sharper detail, other sizes."""
    max_shrink: float = 2.0
    gain: float = 0.3
    """Log-uniform range of the contrast around what the percentiles give."""
    offset: float = 0.1
    """Standard deviation of the brightness offset, in ranges."""
    flat: float = 0.03
    """How often a crop is nearly or entirely flat: a wall, on which noise is all there is."""
    target: float = 0.07
    """How often there is a target, half of these far outside the range."""
    sharp: float = 0.5
    """How many of the targets are sharper than the optics that are told of, as what a network may
    be shown but no lens can draw."""


@dataclass(frozen=True)
class Batch:
    """HR crops in normalised intensity."""

    hr: Tensor
    """N x 1 x S x S."""
    sharp: Tensor
    """The part of these that the optics do not blur, N x 1 x S x S."""
    step: Tensor
    """Size of one count (N,)."""


class CropSampler:
    """Draws batches of augmented crops; deterministic by seed.

    Args:
        frames: see :func:`load_frames`.
        crop: HR side in pixels, a multiple of 8.
    """

    def __init__(
        self, frames: list[Frame], crop: int, seed: int, augmentation: Augmentation | None = None
    ) -> None:
        self._frames, self._crop = frames, crop
        self._augmentation = augmentation or Augmentation()
        self._rng = np.random.default_rng(seed)

    def state(self) -> Mapping[str, Any]:
        """The generator's state, for resuming."""
        return self._rng.bit_generator.state

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Continue as the generator with this state would."""
        self._rng.bit_generator.state = state

    def draw(self, size: int) -> Batch:
        """The next ``size`` crops."""
        crops = [self._draw_one() for _ in range(size)]
        hr, sharp = (torch.from_numpy(np.stack(part))[:, None] for part in list(zip(*crops))[:2])
        return Batch(hr, sharp, torch.tensor([step for *_, step in crops], dtype=torch.float32))

    def _draw_one(self) -> tuple[np.ndarray, np.ndarray, float]:
        rng, a = self._rng, self._augmentation
        frame = self._frames[rng.integers(len(self._frames))]
        height, width = frame.pixels.shape
        shrink = rng.uniform(1.0, a.max_shrink) if rng.random() < a.scale_probability else 1.0
        side = min(round(self._crop * shrink), height, width)
        top, left = rng.integers(height - side + 1), rng.integers(width - side + 1)
        crop: np.ndarray = frame.pixels[top : top + side, left : left + side].astype(np.float32)
        if side != self._crop:
            crop = cv2.resize(crop, (self._crop, self._crop), interpolation=cv2.INTER_AREA)
        crop = np.rot90(crop, int(rng.integers(4)))
        if rng.random() < 0.5:
            crop = crop[:, ::-1]
        span = (frame.high - frame.low) * float(np.exp(rng.uniform(-a.gain, a.gain)))
        low = frame.low + span * a.offset * rng.normal()
        crop = np.ascontiguousarray((crop - low) / span, dtype=np.float32)
        if rng.random() < a.flat:
            level = np.full_like(crop, rng.uniform(0, 1))
            crop = level if rng.random() < 0.5 else cv2.GaussianBlur(crop, (0, 0), 16)
        sharp = np.zeros_like(crop)
        if rng.random() < a.target:
            target = draw_target(crop.shape, rng)
            crop = crop + target
            if rng.random() < a.sharp:
                sharp = target
        return crop, sharp, 1.0 / span
