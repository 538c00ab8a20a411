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

"""From the network's maps to boxes: peaks, then non-maximum suppression."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from difiisr_ros.models.detector.boxes import (
    MAX_DETECTIONS,
    NMS_IOU,
    Detections,
    suppress,
)
from difiisr_ros.models.detector.model import STRIDE, Prediction

_CANDIDATES = 300  # peaks looked at, before suppression


def cell_centres(height: int, width: int, device: torch.device | None = None) -> Tensor:
    """2 x h x w: x and y in pixels of the middle of every cell."""
    y = (torch.arange(height, device=device) + 0.5) * STRIDE
    x = (torch.arange(width, device=device) + 0.5) * STRIDE
    return torch.stack([x[None, :].expand(height, -1), y[:, None].expand(-1, width)])


def corners(distances: Tensor) -> Tensor:
    """Side distances N x 4 x h x w to boxes N x 4 x h x w: left, top, right, bottom, pixels."""
    centres = cell_centres(distances.shape[-2], distances.shape[-1], distances.device)
    return torch.cat([centres - distances[:, :2], centres + distances[:, 2:]], dim=1)


def decode(
    prediction: Prediction, height: int, width: int, min_score: float = 0.01
) -> list[Detections]:
    """Detections of every frame of a batch.

    Args:
        prediction: the network's maps, of frames that may have been padded right and below.
        height, width: of the frames in pixels, without padding.
        min_score: weaker peaks are left out.
    """
    scores = prediction.logits.detach().sigmoid()
    # A cell is a peak where no neighbour is higher: CenterNet's substitute for suppression.
    scores = scores * (F.max_pool2d(scores, 3, stride=1, padding=1) == scores)
    boxes = corners(prediction.distances.detach())
    return [_decode_one(s, b, height, width, min_score) for s, b in zip(scores, boxes)]


def _decode_one(
    scores: torch.Tensor, boxes: torch.Tensor, height: int, width: int, min_score: float
) -> Detections:
    cells = scores[0].numel()
    best, where = scores.flatten().topk(min(_CANDIDATES, scores.numel()))
    where = where[best > min_score]
    flat = boxes.flatten(1)[:, where % cells].T.cpu().numpy()
    limits = np.array([width, height, width, height], np.float32)
    found = Detections(
        np.clip(flat, 0, limits).astype(np.float32),
        best[: len(where)].cpu().numpy(),
        (where // cells).cpu().numpy(),
    )
    # What is centred in the padding has no area left inside the frame.
    inside = (found.boxes[:, 2:] - found.boxes[:, :2]).min(axis=1, initial=np.inf) > 0
    kept = np.flatnonzero(inside)
    kept = kept[suppress(found.boxes[kept], found.labels[kept], NMS_IOU)][:MAX_DETECTIONS]
    return Detections(found.boxes[kept], found.scores[kept], found.labels[kept])
