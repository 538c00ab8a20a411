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

"""Random crops with their boxes from annotated thermal frames, as ordinary detectors train on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import torch
from torch import Tensor

from difiisr_ros.core.camera_profile import CameraProfile
from difiisr_ros.core.crop import NO_CROP
from difiisr_ros.core.radiometry import measure_range
from difiisr_ros.errors import DataError
from difiisr_ros.io.left_out import LeftOut
from difiisr_ros.lab.detection.boxes import BoxSet
from difiisr_ros.lab.detection.targets import Targets, make_targets
from difiisr_ros.lab.frames.put_right import NOTHING_DECLARED, read_right, reading


@dataclass(frozen=True)
class AnnotatedFrame:
    """One frame in memory: pixels as stored, their percentile range, and the objects."""

    pixels: np.ndarray
    low: float
    high: float
    boxes: np.ndarray
    """n x 4, float32: left, top, right, bottom."""
    labels: np.ndarray
    """n, int64."""
    image_id: int = 0


def load_frames(
    box_set: BoxSet,
    left_out: LeftOut | None = None,
    camera: CameraProfile = NOTHING_DECLARED,
) -> list[AnnotatedFrame]:
    """Decode every image once.

    Args:
        box_set: images and their objects.
        left_out: takes the images that cannot be read.
        camera: what of the frames is a measurement; boxes move with its crop.

    Raises:
        DataError: none can be read; and what ``left_out`` raises.
    """
    left_out = left_out or LeftOut()
    frames = []
    folder = box_set.images[0].place.path.parent
    with reading(camera, folder) as reader:
        for image in box_set.images:
            pixels = left_out.read(image.place, lambda place: read_right(place, camera, reader))
            if pixels is None:
                continue
            boxes, labels = image.boxes, image.labels
            if camera.crop != NO_CROP:
                moved = boxes - np.array([camera.crop.left, camera.crop.top] * 2, np.float32)
                boxes, kept = _clip(moved, pixels.shape, Augmentation.least_visible)
                labels = labels[kept]
            frames.append(
                AnnotatedFrame(pixels, *measure_range(pixels), boxes, labels, image.image_id)
            )
    if not frames:
        raise DataError(f"{folder}: none of its images can be read")
    return frames


@dataclass(frozen=True)
class Augmentation:
    """What a detector's training usually varies. No blur: a user's detector has seen none."""

    scale: tuple[float, float] = (0.75, 1.5)
    """Log-uniform range of the magnification."""
    gain: float = 0.3
    """Log-uniform range of the contrast around what the percentiles give."""
    offset: float = 0.1
    """Standard deviation of the brightness offset, in ranges."""
    around_object: float = 0.8
    """How often a crop is placed so that it holds a randomly chosen object."""
    rare_below: float = 0.25
    """Classes in a smaller share of the frames are shown more often (see :func:`frame_weights`)."""
    least_visible: float = 0.3
    """An object of which the crop shows a smaller share of the area is no object."""


@dataclass(frozen=True)
class DetectionBatch:
    """Crops and what the network should say of them."""

    frames: Tensor
    """N x 1 x S x S, normalised intensity."""
    targets: Targets


class CropSampler:
    """Draws batches of augmented crops; deterministic by seed.

    Args:
        frames: see :func:`load_frames`.
        crop: side in pixels, a multiple of 32.
        classes: number of classes.
    """

    def __init__(
        self,
        frames: list[AnnotatedFrame],
        crop: int,
        classes: int,
        seed: int,
        augmentation: Augmentation | None = None,
    ) -> None:
        self._frames, self._crop, self._classes = frames, crop, classes
        self._augmentation = augmentation or Augmentation()
        self._rng = np.random.default_rng(seed)
        weights = frame_weights([frame.labels for frame in frames], self._augmentation.rare_below)
        self._cumulative = np.cumsum(weights) / weights.sum()

    def state(self) -> Mapping[str, Any]:
        """The generator's state, for resuming."""
        return self._rng.bit_generator.state

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Continue as the generator with this state would."""
        self._rng.bit_generator.state = state

    def draw(self, size: int) -> DetectionBatch:
        """The next ``size`` crops."""
        crops, boxes, labels = zip(*(self.draw_one() for _ in range(size)))
        targets = make_targets(boxes, labels, self._crop, self._crop, self._classes)
        return DetectionBatch(torch.from_numpy(np.stack(crops))[:, None], targets)

    def draw_one(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """One crop S x S in normalised intensity, its boxes n x 4 and labels n."""
        rng, a, crop = self._rng, self._augmentation, self._crop
        index = int(np.searchsorted(self._cumulative, rng.random(), side="right"))
        frame = self._frames[min(index, len(self._frames) - 1)]
        scale = float(np.exp(rng.uniform(*np.log(a.scale))))
        height, width = frame.pixels.shape
        side = min(round(crop / scale), height, width)
        left, top = self._place(frame, side)
        pixels: np.ndarray = frame.pixels[top : top + side, left : left + side].astype(np.float32)
        if side != crop:
            shrinking = cv2.INTER_AREA if side > crop else cv2.INTER_LINEAR
            pixels = cv2.resize(pixels, (crop, crop), interpolation=shrinking)
        boxes = (frame.boxes - np.array([left, top, left, top], np.float32)) * (crop / side)
        boxes, kept = _clip(boxes, (crop, crop), a.least_visible)
        if rng.random() < 0.5:
            pixels = pixels[:, ::-1]
            boxes = np.stack([crop - boxes[:, 2], boxes[:, 1], crop - boxes[:, 0], boxes[:, 3]], 1)
        span = (frame.high - frame.low) * float(np.exp(rng.uniform(-a.gain, a.gain)))
        low = frame.low + span * a.offset * rng.normal()
        return np.ascontiguousarray((pixels - low) / span), boxes, frame.labels[kept]

    def _place(self, frame: AnnotatedFrame, side: int) -> tuple[int, int]:
        """Left and top of the crop."""
        rng, (height, width) = self._rng, frame.pixels.shape
        if len(frame.boxes) == 0 or rng.random() >= self._augmentation.around_object:
            return int(rng.integers(width - side + 1)), int(rng.integers(height - side + 1))
        box = frame.boxes[rng.integers(len(frame.boxes))]
        centre = (box[:2] + box[2:]) / 2
        corner = centre - rng.uniform(0.1, 0.9, 2) * side
        left, top = np.clip(np.rint(corner), 0, [width - side, height - side]).astype(int)
        return int(left), int(top)


def frame_weights(labels: Sequence[np.ndarray], rare_below: float) -> np.ndarray:
    """How often each frame is drawn: repeat factors (LVIS, arXiv 1908.03195, section 4.1).

    A class that a share f of the frames has is worth ``max(1, sqrt(rare_below / f))``, and a frame
    what its rarest class is worth; frames without objects 1.
    """
    present = [np.unique(found) for found in labels]
    counts = np.bincount(np.concatenate([*present, np.zeros(0, np.int64)]))
    worth = np.maximum(1.0, np.sqrt(rare_below * len(labels) / np.maximum(counts, 1)))
    return np.array([worth[found].max(initial=1.0) for found in present])


def _clip(
    boxes: np.ndarray, shape: tuple[int, ...], least_visible: float
) -> tuple[np.ndarray, np.ndarray]:
    """The boxes cut at the edges of H x W, without those that hardly show, and which are left."""
    clipped = boxes.clip(0, np.array([*shape[::-1]] * 2, np.float32))
    area = (boxes[:, 2:] - boxes[:, :2]).prod(axis=1)
    visible = (clipped[:, 2:] - clipped[:, :2]).prod(axis=1)
    kept = visible > least_visible * area
    return clipped[kept], kept
