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

"""What the network should output for given boxes: Gaussian heatmaps and side distances.

An object's peak is the cell that holds its centre. Around it, cells of an elliptical Gaussian
(TTFNet, arXiv 1909.00700) are punished less for seeing the object too, and learn its box as well:
more cells that learn mean shorter training.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from difiisr_ros.models.detector.model import STRIDE

#: Share of the box that the Gaussian's three standard deviations span (TTFNet's alpha).
_SPREAD = 0.54
_LEAST_WEIGHT = 1e-2  # below that a cell is no part of the object's core


class Targets(NamedTuple):
    """For N crops with maps of h x w cells."""

    heatmap: Tensor
    """N x classes x h x w, 0..1; exactly 1 at peaks."""
    boxes: Tensor
    """N x 4 x h x w, pixels: left, top, right, bottom of the cell's object (0 where none)."""
    weights: Tensor
    """N x 1 x h x w: how much the cell's box counts; sums to log(area) over an object's cells."""
    objects: int
    """Objects in all crops."""

    def to(self, device: torch.device) -> Targets:
        """The same on another device."""
        return Targets(
            self.heatmap.to(device), self.boxes.to(device), self.weights.to(device), self.objects
        )


def make_targets(
    boxes: Sequence[np.ndarray], labels: Sequence[np.ndarray], height: int, width: int, classes: int
) -> Targets:
    """Targets of N crops of ``height`` x ``width`` pixels.

    Args:
        boxes: per crop n x 4, pixels: left, top, right, bottom, inside the crop.
        labels: per crop n class indices.
    """
    h, w = height // STRIDE, width // STRIDE
    heatmap = np.zeros((len(boxes), classes, h, w), np.float32)
    corners = np.zeros((len(boxes), 4, h, w), np.float32)
    weights = np.zeros((len(boxes), 1, h, w), np.float32)
    for i, (crop_boxes, crop_labels) in enumerate(zip(boxes, labels)):
        _fill(heatmap[i], corners[i], weights[i, 0], crop_boxes, crop_labels)
    return Targets(
        torch.from_numpy(heatmap),
        torch.from_numpy(corners),
        torch.from_numpy(weights),
        sum(len(crop_labels) for crop_labels in labels),
    )


def _fill(
    heatmap: np.ndarray,
    corners: np.ndarray,
    weights: np.ndarray,
    boxes: np.ndarray,
    labels: np.ndarray,
) -> None:
    h, w = weights.shape
    sizes = boxes[:, 2:] - boxes[:, :2]
    areas = sizes.prod(axis=1)
    # Small objects last, so that they keep their cells where a large one lies behind them.
    for index in np.argsort(-areas):
        centre = (boxes[index, :2] + boxes[index, 2:]) / (2 * STRIDE)
        column, row = np.minimum(centre.astype(int), [w - 1, h - 1])
        sigma_x, sigma_y = np.maximum(_SPREAD * sizes[index] / (6 * STRIDE), 1e-3)
        along_x = np.exp(-((np.arange(w) - column) ** 2) / (2 * sigma_x**2))
        along_y = np.exp(-((np.arange(h) - row) ** 2) / (2 * sigma_y**2))
        gaussian = (along_y[:, None] * along_x[None, :]).astype(np.float32)
        np.maximum(heatmap[labels[index]], gaussian, out=heatmap[labels[index]])
        core = gaussian > _LEAST_WEIGHT
        corners[:, core] = boxes[index][:, None]
        share = gaussian[core] / gaussian[core].sum()
        weights[core] = np.log(max(areas[index], np.e)) * share
