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

"""The detector's network: maps, features, fused normalisation, files."""

from __future__ import annotations

import json

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from difiisr_ros.errors import ModelError, OptionError
from difiisr_ros.models.detector.checkpoint import FORMAT, load_detector, save_detector
from difiisr_ros.models.detector.model import DetectorConfig, ThermalDetector

SMALL = DetectorConfig((4, 6, 8, 10, 12), (0, 1, 1, 1, 1), head_channels=8, classes=("a", "b"))


def _trained_a_little() -> ThermalDetector:
    """Weights and running statistics away from where they start, in evaluation mode."""
    torch.manual_seed(0)
    network = ThermalDetector(SMALL)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.1)
        for _ in range(3):
            network(torch.rand(4, 1, 64, 64))
    return network.eval()


@pytest.mark.parametrize(("height", "width"), [(64, 96), (61, 70), (1, 1), (33, 5)])
def test_maps_cover_the_padded_frame(height, width):
    network = _trained_a_little()
    prediction = network(torch.rand(2, 1, height, width))
    h, w = -(-height // 32) * 8, -(-width // 32) * 8
    assert prediction.logits.shape == (2, 2, h, w)
    assert prediction.distances.shape == (2, 4, h, w)
    assert (prediction.distances > 0).all()


def test_padding_repeats_the_edge():
    network = _trained_a_little()
    x = torch.rand(1, 1, 40, 50)
    padded = nn.functional.pad(x, (0, 14, 0, 24), mode="replicate")
    torch.testing.assert_close(network(x).logits, network(padded).logits)


def test_features_are_named_and_have_their_stride():
    network = _trained_a_little()
    x = torch.rand(1, 1, 64, 96)
    maps = network.features(x)
    assert len(maps) == len(network.FEATURES) == 5
    for name, channels, found in zip(network.FEATURES, SMALL.channels, maps):
        stride = int(name.removeprefix("stride"))
        assert found.shape == (1, channels, 64 // stride, 96 // stride)
    chosen = network.features(x, ["stride8", "stride2"])
    torch.testing.assert_close(chosen[0], maps[2])
    torch.testing.assert_close(chosen[1], maps[0])
    assert network.features(x, []) == []


def test_deeper_stages_than_asked_for_are_not_computed():
    network = _trained_a_little()
    ran = []
    for index, stage in enumerate(network.stages):
        stage.register_forward_hook(lambda *_, index=index: ran.append(index))
    network.features(torch.rand(1, 1, 64, 64), ["stride4", "stride2"])
    assert ran == [0, 1]


def test_features_are_differentiable_in_the_frame():
    network = _trained_a_little().requires_grad_(False).double()
    x = torch.rand(1, 1, 32, 32, dtype=torch.float64, requires_grad=True)

    def distance(x: torch.Tensor) -> torch.Tensor:
        return sum(f.square().mean() for f in network.features(x, ["stride2", "stride8"]))

    (gradient,) = torch.autograd.grad(distance(x), x)
    step = torch.randn(x.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        slope = (distance(x + 1e-6 * step) - distance(x - 1e-6 * step)) / 2e-6
    assert slope.abs() > 1e-4
    torch.testing.assert_close(slope, (gradient * step).sum(), rtol=1e-4, atol=1e-8)


def test_unknown_feature_map():
    with pytest.raises(OptionError, match=r"stride2, .*stride32, got 'stride3'"):
        _trained_a_little().features(torch.rand(1, 1, 32, 32), ["stride3"])


def test_fused_gives_the_same():
    network = _trained_a_little()
    x = torch.rand(1, 1, 64, 64)
    before = network(x)
    network.fuse()
    after = network(x)
    assert not any(isinstance(module, nn.BatchNorm2d) for module in network.modules())
    torch.testing.assert_close(after.logits, before.logits, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(after.distances, before.distances, rtol=1e-4, atol=1e-4)


def test_an_untrained_network_sees_next_to_nothing():
    logits = ThermalDetector(SMALL).eval()(torch.rand(1, 1, 64, 64)).logits.detach()
    assert float(logits.sigmoid().max()) < 0.05


@pytest.fixture
def saved(tmp_path):
    network, path = _trained_a_little(), tmp_path / "small.safetensors"
    save_detector(path, network, {"trained_on": "nothing"})
    return network, path


def test_a_saved_detector_loads_with_its_configuration_and_facts(saved):
    network, path = saved
    loaded, facts = load_detector(str(path))
    assert loaded.config == SMALL
    assert facts == {"trained_on": "nothing"}
    x = torch.rand(1, 1, 64, 64)
    torch.testing.assert_close(loaded(x).logits, network(x).logits, rtol=0.02, atol=0.02)
    # What was saved is untouched: training goes on with it.
    assert any(isinstance(module, nn.BatchNorm2d) for module in network.modules())


def test_missing_file():
    with pytest.raises(ModelError, match=r"'x.pt' is neither 'detector' nor 'detector_judge' nor"):
        load_detector("x.pt")


def test_truncated_file(saved):
    _, path = saved
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(ModelError, match="truncated or damaged"):
        load_detector(str(path))


def test_a_super_resolution_model_is_no_detector():
    with pytest.raises(ModelError, match=r"of another kind \(format 'difiisr_ros.lite"):
        from difiisr_ros.models.model_files import model_path

        load_detector(str(model_path("lite")))


@pytest.mark.parametrize("config", ["{}x", '{"chanels": [1]}', '{"channels": [1, 2]}', "[1]"])
def test_bad_configuration(saved, config):
    _, path = saved
    save_file({"w": torch.zeros(1)}, path, {"format": FORMAT, "config": config})
    with pytest.raises(ModelError, match="no valid configuration"):
        load_detector(str(path))


def test_weights_that_do_not_fit_are_named(saved):
    _, path = saved
    config = json.dumps(SMALL.as_dict())
    save_file({"w": torch.zeros(1)}, path, {"format": FORMAT, "config": config})
    with pytest.raises(ModelError, match=r"box_conv.conv.bias: expected \(8,\), found nothing"):
        load_detector(str(path))
