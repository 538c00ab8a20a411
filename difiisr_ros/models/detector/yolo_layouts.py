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

"""ONNX detectors of the YOLO family: the picture that they take, and what their output means.

Two layouts are in use. ``yolov8`` (Ultralytics' exports, YOLOv8 and later): one output of
1 x (4 + classes) x n, boxes as centre and size in input pixels, scores as they are; the picture is
RGB of 0 to 1, centred in gray bars. ``yolox`` (YOLOX's published exports): one output of
1 x n x (5 + classes), centres relative to their cell, logarithms of sizes in cells, and a score of
there being an object at all; the picture is BGR of 0 to 255, in the upper left corner. Exports with
the decoding inside have centres and sizes in pixels instead, which the numbers tell.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from difiisr_ros.errors import ModelError
from difiisr_ros.models.detector.boxes import MAX_DETECTIONS, NMS_IOU, Detections, suppress

YOLOV8, YOLOX = "yolov8", "yolox"
LAYOUTS = (YOLOV8, YOLOX)
PLACES = ("centre", "corner", "stretch")
"""Where a frame lies in a network's input: between bars, before them, or everywhere."""
_STRIDES = (8, 16, 32)
_LARGEST_LOG = 6.0
_BAR = 114.0  # gray of what the picture does not cover, as in training


@dataclass(frozen=True)
class Picture:
    """What a network takes: the frame's place in its input, and the input's values."""

    height: int
    width: int
    """Pixels of the network's input."""
    place: str
    """One of :data:`PLACES`."""
    white: float
    """Value of a white pixel, before the normalisation: 1 or 255."""
    bar: float = _BAR / 255
    """Gray of what the frame does not cover, 0 black to 1 white."""
    mean: tuple[float, ...] = (0.0,)
    std: tuple[float, ...] = (1.0,)
    """Normalisation, in the input's order of channels; one value for all or one for each."""
    channels: int = 3


@dataclass(frozen=True)
class Letterbox:
    """Where a frame lies in a network's input."""

    across: float
    down: float
    """Input pixels a frame's pixel, along rows and along columns."""
    left: int
    top: int
    """Input pixels before the frame."""

    def to_frame(self, boxes: np.ndarray, height: int, width: int) -> np.ndarray:
        """Boxes n x 4 (left, top, right, bottom) of the input in pixels of the frame, inside it."""
        offset = np.array([self.left, self.top] * 2, np.float32)
        scale = np.array([self.across, self.down] * 2, np.float32)
        limits = np.array([width, height] * 2, np.float32)
        return np.clip((boxes - offset) / scale, 0, limits).astype(np.float32)


def usual_picture(layout: str, height: int, width: int) -> Picture:
    """What exports of a layout take."""
    if layout == YOLOV8:
        return Picture(height, width, "centre", 1.0)
    return Picture(height, width, "corner", 255.0)


def network_input(gray: np.ndarray, picture: Picture) -> tuple[np.ndarray, Letterbox]:
    """A frame as a network takes it.

    Args:
        gray: H x W, float32, 0 to 1.
        picture: what it takes.

    Returns:
        1 x channels x height x width, float32, and where the frame lies in it.
    """
    import cv2

    height, width = picture.height, picture.width
    if picture.place == "stretch":
        rows, columns = height, width
        down, across = height / gray.shape[0], width / gray.shape[1]
    else:
        down = across = min(height / gray.shape[0], width / gray.shape[1])
        rows, columns = (max(1, round(n * down)) for n in gray.shape)
    centred = picture.place == "centre"
    top = (height - rows) // 2 if centred else 0
    left = (width - columns) // 2 if centred else 0
    canvas = np.full((height, width), picture.bar, np.float32)
    canvas[top : top + rows, left : left + columns] = cv2.resize(
        gray, (columns, rows), interpolation=cv2.INTER_LINEAR
    )
    # A frame has one channel: the order of a network's channels shows in its normalisation alone.
    channels = np.repeat(canvas[None, None] * np.float32(picture.white), picture.channels, axis=1)
    mean, std = (np.array(v, np.float32)[:, None, None] for v in (picture.mean, picture.std))
    return (channels - mean) / std, Letterbox(across, down, left, top)


def layout_of(shape: tuple[int, ...]) -> str:
    """The layout of an output of this shape.

    Raises:
        ModelError: It has neither.
    """
    if len(shape) != 3 or min(shape[1:]) < 5:
        raise ModelError(
            f"a detector's output of {' x '.join(map(str, shape))} is neither of layout yolov8, "
            "1 x (4 + classes) x n, nor yolox, 1 x n x (5 + classes)"
        )
    return YOLOV8 if shape[1] < shape[2] else YOLOX


def read_output(
    output: np.ndarray, layout: str, height: int, width: int, min_score: float
) -> Detections:
    """Detections in pixels of the network's input, best first.

    Args:
        output: as the network gives it.
        layout: of :data:`LAYOUTS`.
        height, width: of the network's input.
        min_score: weaker ones are left out.

    Raises:
        ModelError: The output does not fit the layout.
    """
    if layout == YOLOV8:
        rows = output[0].T
        middle, size, scores = rows[:, :2], rows[:, 2:4], rows[:, 4:]
    else:
        cells, strides = _cells(height, width)
        if output.shape[1] != len(cells):
            raise ModelError(
                f"a yolox output for {width}x{height} has {len(cells)} rows, not {output.shape[1]}"
            )
        rows = output[0]
        if is_decoded(rows[:, 2:4]):
            middle, size = rows[:, :2], rows[:, 2:4]
        else:
            middle = (rows[:, :2] + cells) * strides
            size = np.exp(rows[:, 2:4]) * strides
        scores = rows[:, 4:5] * rows[:, 5:]
    labels = scores.argmax(axis=1)
    best = scores[np.arange(len(scores)), labels]
    kept = np.flatnonzero(best >= min_score)
    kept = kept[np.argsort(-best[kept], kind="stable")]
    boxes = np.concatenate([middle - size / 2, middle + size / 2], axis=1)[kept]
    stay = suppress(boxes, labels[kept], NMS_IOU)[:MAX_DETECTIONS]
    return Detections(
        boxes[stay].astype(np.float32),
        best[kept][stay].astype(np.float32),
        labels[kept][stay].astype(np.int64),
    )


def is_decoded(sizes: np.ndarray) -> bool:
    """Whether these are pixels, and not logarithms of sizes in cells.

    A logarithm of 6 would be an object of 400 cells, beyond any input; boxes in pixels of all cells
    are larger than that as a rule, and never negative.
    """
    return bool(sizes.min() >= 0 and np.median(sizes) > _LARGEST_LOG)


def _cells(height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """n x 2 cells' columns and rows, and n x 1 strides, in the order of YOLOX's rows."""
    cells, strides = [], []
    for stride in _STRIDES:
        rows, columns = np.mgrid[0 : height // stride, 0 : width // stride]
        cells.append(np.stack([columns.ravel(), rows.ravel()], axis=1))
        strides.append(np.full((rows.size, 1), stride))
    return np.concatenate(cells), np.concatenate(strides)
