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

"""Feature networks: the interface, and the embedded thermal one."""

from __future__ import annotations

import pytest
import torch

from difiisr_ros.errors import FrameError, ModelError, OptionError
from difiisr_ros.models.detector.checkpoint import load_detector, save_detector
from difiisr_ros.models.detector.model import DetectorConfig, ThermalDetector
from difiisr_ros.models.features.load import load_features


def _frame(height: int, width: int, count: int = 1) -> torch.Tensor:
    return torch.rand(count, 1, height, width, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("size", [(64, 96), (37, 51), (5, 3)])
def test_thermal_needs_no_file_and_takes_any_size(size):
    network = load_features("thermal")
    maps = network.maps(_frame(*size, count=2))
    assert [m.shape[0] for m in maps] == [2, 2, 2]
    assert len(maps) == len(network.layers)
    for found, stride in zip(maps, network.strides):
        assert found.shape[-2:] == (-(-size[0] // stride), -(-size[1] // stride))


def test_thermal_is_the_detectors_backbone():
    detector, _ = load_detector("detector")
    x = _frame(64, 64)
    expected = detector.features(x, ["stride2", "stride4", "stride8"])
    found = load_features().maps(x)
    assert all(torch.equal(a, b) for a, b in zip(found, expected))


def test_maps_are_differentiable_in_the_frame_and_the_weights_are_frozen():
    network = load_features()
    x = _frame(32, 48).requires_grad_()
    (gradient,) = torch.autograd.grad(sum(m.square().sum() for m in network.maps(x)), x)
    assert gradient.abs().amax(dim=(2, 3)).item() > 0
    assert not any(parameter.requires_grad for parameter in network.parameters())
    assert not network.training


def test_the_gradient_is_that_of_finite_differences():
    network = load_features().double()
    x = _frame(16, 16).double().requires_grad_()

    def loss(frame: torch.Tensor) -> torch.Tensor:
        return sum((m.square().mean() for m in network.maps(frame)), torch.zeros(()).double())

    (gradient,) = torch.autograd.grad(loss(x), x)
    direction = torch.randn(x.shape, generator=torch.Generator().manual_seed(1)).double()
    step = 1e-6
    with torch.no_grad():
        slope = (loss(x + step * direction) - loss(x - step * direction)) / (2 * step)
    assert slope.item() == pytest.approx((gradient * direction).sum().item(), rel=1e-4)


def test_another_detector_file(tmp_path):
    detector = ThermalDetector(DetectorConfig(channels=(4, 4, 8, 8, 8), head_channels=4))
    save_detector(tmp_path / "small.safetensors", detector, {})
    maps = load_features(f"thermal:{tmp_path / 'small.safetensors'}").maps(_frame(32, 32))
    assert [m.shape[1] for m in maps] == [4, 4, 8]


def test_an_unknown_network_is_named():
    with pytest.raises(OptionError, match=r"thermal.*got 'resnet'"):
        load_features("resnet")


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(ModelError, match=r"none\.safetensors"):
        load_features(f"thermal:{tmp_path / 'none.safetensors'}")


@pytest.mark.parametrize(
    "x", [torch.zeros(1, 3, 8, 8), torch.zeros(8, 8), torch.zeros(1, 1, 8, 8, dtype=torch.uint8)]
)
def test_what_is_no_frame_is_refused(x):
    with pytest.raises(FrameError, match="N x 1 x H x W"):
        load_features().maps(x)
