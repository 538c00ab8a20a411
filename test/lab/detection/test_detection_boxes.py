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

"""Targets, losses, peaks and suppression: from boxes to maps and back."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from difiisr_ros.lab.detection.losses import box_loss, generalized_iou, heatmap_loss
from difiisr_ros.lab.detection.targets import make_targets
from difiisr_ros.models.detector.boxes import pairwise_iou, suppress
from difiisr_ros.models.detector.decode import cell_centres, corners, decode
from difiisr_ros.models.detector.model import Prediction

BOXES = np.array([[8, 8, 20, 27], [40, 30, 90, 62], [10, 40, 17, 51]], np.float32)
LABELS = np.array([0, 1, 0])


def _targets(boxes=BOXES, labels=LABELS):
    return make_targets([boxes], [labels], 64, 96, 2)


def _perfect(targets) -> Prediction:
    """What a network that has learnt the targets by heart would output."""
    centres = cell_centres(16, 24)
    left_top, right_bottom = targets.boxes[:, :2], targets.boxes[:, 2:]
    distances = torch.cat([centres - left_top, right_bottom - centres], dim=1)
    return Prediction(torch.logit(targets.heatmap.clamp(1e-4, 1 - 1e-4)), distances)


def test_peaks_are_at_the_centres():
    heatmap = _targets().heatmap[0]
    peaks = torch.nonzero(heatmap == 1).tolist()
    # class, row, column: centres are (14, 17.5), (65, 46) and (13.5, 45.5)
    assert sorted(peaks) == [[0, 4, 3], [0, 11, 3], [1, 11, 16]]
    assert 0 < float(heatmap[1, 11, 17]) < 1
    assert float(heatmap[1, 4, 3]) < 1e-6  # the other class


def test_a_small_object_keeps_its_cells_before_a_large_one():
    boxes = np.array([[44, 28, 52, 36], [8, 4, 88, 60]], np.float32)  # one centre, both orders
    for order in ([0, 1], [1, 0]):
        targets = _targets(boxes[order], np.array([0, 1])[order])
        assert targets.boxes[0, :, 8, 12].tolist() == [44, 28, 52, 36]
        assert targets.boxes[0, :, 8, 15].tolist() == [8, 4, 88, 60]


def test_weights_of_an_object_add_up_to_the_logarithm_of_its_area():
    targets = _targets(BOXES[1:2], LABELS[1:2])
    assert float(targets.weights.sum()) == pytest.approx(np.log(50 * 32), rel=1e-4)
    assert targets.objects == 1


def test_objects_at_the_edge_and_none_at_all():
    edge = np.array([[92, 60, 96, 64]], np.float32)
    assert float(_targets(edge, np.array([0])).heatmap[0, 0, 15, 23]) == 1
    empty = _targets(np.zeros((0, 4), np.float32), np.zeros(0, np.int64))
    assert float(empty.heatmap.max()) == 0
    prediction = Prediction(torch.zeros(1, 2, 16, 24), torch.ones(1, 4, 16, 24))
    assert float(box_loss(prediction.distances, empty)) == 0
    assert torch.isfinite(heatmap_loss(prediction.logits, empty))


def test_losses_are_zero_for_the_truth_and_grow_with_errors():
    targets = _targets()
    logits, distances = _perfect(targets)
    assert float(box_loss(distances, targets)) == pytest.approx(0, abs=1e-5)
    assert float(heatmap_loss(logits, targets)) < 0.05
    assert float(box_loss(distances + 3, targets)) > 0.1
    missed, invented = logits.clone(), logits.clone()
    missed[0, 0, 4, 3] = -4
    invented[0, 1, 2, 20] = 4
    base = float(heatmap_loss(logits, targets))
    assert float(heatmap_loss(missed, targets)) > base + 1
    assert float(heatmap_loss(invented, targets)) > base + 1


def test_an_error_beside_a_peak_costs_less_than_one_far_away():
    targets = _targets()
    logits, _ = _perfect(targets)
    near, far = logits.clone(), logits.clone()
    near[0, 1, 11, 17] = far[0, 1, 2, 2] = 3
    assert heatmap_loss(near, targets) < 0.7 * heatmap_loss(far, targets)


def test_generalized_iou_by_hand():
    a = torch.tensor([[0.0, 0, 2, 2], [0, 0, 2, 2], [0, 0, 1, 1]])
    b = torch.tensor([[0.0, 0, 2, 2], [1, 0, 3, 2], [3, 0, 4, 1]])
    # same; half shifted: 2/6 in a hull of 6; apart: 0 in a hull of 4 with 2 of it covered
    torch.testing.assert_close(generalized_iou(a, b), torch.tensor([1, 1 / 3, -0.5]))


def test_the_truth_is_decoded_to_its_boxes():
    found = decode(_perfect(_targets()), 64, 96, min_score=0.5)[0]
    assert len(found) == 3
    order = np.lexsort((found.boxes[:, 1], found.labels))
    np.testing.assert_allclose(found.boxes[order], BOXES[[0, 2, 1]], atol=1e-3)
    assert found.labels[order].tolist() == [0, 0, 1]
    assert (found.scores > 0.99).all()


def test_boxes_end_at_the_frame_and_padding_holds_none():
    targets = _targets()
    # The frame is 60 wide: the second object's centre lies in the padding.
    found = decode(_perfect(targets), 64, 60, min_score=0.5)[0]
    boxes = {tuple(box) for box in np.rint(found.boxes).tolist()}
    assert (40, 30, 60, 62) in boxes
    narrow = decode(_perfect(targets), 64, 38, min_score=0.5)[0]
    assert len(narrow) == 2 and found.boxes[:, [0, 2]].max() <= 60


def test_every_frame_of_a_batch_is_decoded_alone_and_none_may_be_found():
    both = _perfect(_targets())
    empty = Prediction(torch.full((1, 2, 16, 24), -9.0), both.distances)
    batch = Prediction(torch.cat([empty.logits, both.logits]), both.distances.repeat(2, 1, 1, 1))
    found = decode(batch, 64, 96, min_score=0.5)
    assert [len(f) for f in found] == [0, 3]


def test_suppression_keeps_the_best_of_a_class():
    boxes = np.array([[0, 0, 10, 10], [1, 0, 11, 10], [1, 0, 11, 10], [30, 0, 40, 10]], np.float32)
    assert suppress(boxes, np.array([0, 0, 1, 0]), 0.6).tolist() == [0, 2, 3]
    assert suppress(boxes, np.array([0, 0, 1, 0]), 0.9).tolist() == [0, 1, 2, 3]
    # What was suppressed suppresses nothing itself.
    chain = np.array([[0, 0, 10, 10], [2, 0, 12, 10], [4, 0, 14, 10]], np.float32)
    assert suppress(chain, np.zeros(3, int), 0.6).tolist() == [0, 2]


def test_pairwise_iou():
    a = np.array([[0, 0, 2, 2], [5, 5, 5, 5]], np.float32)
    b = np.array([[0, 0, 2, 2], [1, 0, 3, 2], [9, 9, 10, 10]], np.float32)
    np.testing.assert_allclose(pairwise_iou(a, b), [[1, 1 / 3, 0], [0, 0, 0]], atol=1e-6)


def test_corners_start_from_the_middle_of_the_cell():
    boxes = corners(torch.ones(1, 4, 2, 3))
    assert boxes[0, :, 0, 0].tolist() == [1, 1, 3, 3]
    assert boxes[0, :, 1, 2].tolist() == [9, 5, 11, 7]
