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

"""The detector's losses."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from difiisr_ros.lab.detection.targets import Targets
from difiisr_ros.models.detector.decode import corners
from difiisr_ros.models.detector.model import Prediction

_FOCUS = 2.0  # how much less well-classified cells count (alpha of CenterNet)
_NEAR_PEAK = 4.0  # how much less cells near a peak are punished (its beta)
BOX_WEIGHT = 5.0


def heatmap_loss(logits: Tensor, targets: Targets) -> Tensor:
    """Focal loss of Gaussian heatmaps (CenterNet, arXiv 1904.07850, equation 1)."""
    log_p, log_not_p = F.logsigmoid(logits), F.logsigmoid(-logits)
    p = log_p.exp()
    peak = targets.heatmap == 1
    at_peaks = (1 - p) ** _FOCUS * log_p
    elsewhere = (1 - targets.heatmap) ** _NEAR_PEAK * p**_FOCUS * log_not_p
    return -torch.where(peak, at_peaks, elsewhere).sum() / max(targets.objects, 1)


def box_loss(distances: Tensor, targets: Targets) -> Tensor:
    """Generalised IoU loss (arXiv 1902.09630) of the cells that have an object, weighted."""
    chosen = targets.weights[:, 0] > 0
    predicted = corners(distances).movedim(1, -1)[chosen]
    truth = targets.boxes.movedim(1, -1)[chosen]
    weights = targets.weights[:, 0][chosen]
    giou = generalized_iou(predicted, truth)
    return (weights * (1 - giou)).sum() / weights.sum().clamp(min=1)


def generalized_iou(a: Tensor, b: Tensor) -> Tensor:
    """Of boxes n x 4 with boxes n x 4 (left, top, right, bottom), pairwise: n, -1..1."""
    overlap = (torch.minimum(a[:, 2:], b[:, 2:]) - torch.maximum(a[:, :2], b[:, :2])).clamp(min=0)
    hull = torch.maximum(a[:, 2:], b[:, 2:]) - torch.minimum(a[:, :2], b[:, :2])
    intersection, hull_area = overlap.prod(dim=1), hull.prod(dim=1).clamp(min=1e-6)
    areas = (a[:, 2:] - a[:, :2]).prod(dim=1) + (b[:, 2:] - b[:, :2]).prod(dim=1)
    union = (areas - intersection).clamp(min=1e-6)
    return intersection / union - (hull_area - union) / hull_area


def detection_loss(prediction: Prediction, targets: Targets) -> Tensor:
    """Heatmap loss plus :data:`BOX_WEIGHT` times box loss, a scalar."""
    boxes = box_loss(prediction.distances, targets)
    return heatmap_loss(prediction.logits, targets) + BOX_WEIGHT * boxes
