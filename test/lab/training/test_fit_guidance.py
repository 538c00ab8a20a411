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

"""``difiisr fit-guidance``: any feature network, any model file, and what comes of it."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from difiisr_ros import SuperResolver
from difiisr_ros.cli import main
from difiisr_ros.core.perceptual_guidance import FeaturePrior, MapPrior
from difiisr_ros.errors import OptionError
from difiisr_ros.io.images import write_image
from difiisr_ros.lab.training.guidance_priors import _MapFit
from difiisr_ros.models.checkpoint import load_model, save_model
from difiisr_ros.models.features.efficientnet import EfficientNetLite0
from difiisr_ros.models.guidance_priors import GuidancePriors
from difiisr_ros.models.lite import LiteConfig, LiteDenoiser
from difiisr_ros.models.published.files import load_published
from difiisr_ros.models.tensor_file import read_tensors
from support.frames import smooth_frame
from support.published_goldens import Little

SMALL = LiteConfig(prior_channels=8, prior_blocks=1, refiner_channels=8, refiner_blocks=1)


@pytest.fixture
def model(tmp_path):
    torch.manual_seed(0)
    network = LiteDenoiser(SMALL)
    for parameter in network.prior.parameters():
        torch.nn.init.normal_(parameter, std=0.02)
    save_model(tmp_path / "model.safetensors", network, {"note": "kept"})
    return tmp_path / "model.safetensors"


@pytest.fixture
def frames(tmp_path):
    for number in range(3):
        write_image(tmp_path / "hr" / f"{number}.png", smooth_frame(shape=(96, 128), seed=number))
    return tmp_path / "hr"


@pytest.fixture
def features(tmp_path):
    """EfficientNet's file with random weights."""
    torch.manual_seed(0)
    torch.save(EfficientNetLite0().state_dict(), tmp_path / "weights.of.others.pth")
    return tmp_path / "weights.of.others.pth"


def test_a_model_file_gets_expectations_of_another_network(model, frames, features, tmp_path):
    out = tmp_path / "guided.safetensors"
    spec = f"efficientnet_lite0:{features}"
    command = ["fit-guidance", str(model), str(frames), "--features", spec, "--out", str(out)]
    assert main(command) == 0
    before, _ = read_tensors(model)
    after, metadata = read_tensors(out)
    assert all(torch.equal(after[key], value) for key, value in before.items())  # the weights
    assert "3 frames of hr" in metadata["facts"] and "kept" in metadata["facts"]
    priors = load_model(str(out))[0].guidance_priors
    assert priors.features.spec.startswith(f"{spec}#")
    assert [len(m.bias) for m in priors.features.maps] == [16, 24, 40, 112]

    resolver = SuperResolver.load(str(out), precision="fp32")
    frame = smooth_frame(shape=(24, 32), seed=9)
    plain = resolver.upscale(frame)
    resolver.configure(perceptual_scale=2.0)
    assert not np.array_equal(resolver.upscale(frame), plain)
    resolver.configure(perceptual_scale=0.0)
    assert np.array_equal(resolver.upscale(frame), plain)

    features.unlink()
    again = SuperResolver.load(str(out), precision="fp32")
    with pytest.raises(
        OptionError, match=r"scale 1\) is not to be had: .*of\.others\.pth: no such"
    ):
        again.configure(perceptual_scale=1.0)
    assert again.options.perceptual_scale == 0.0


def test_the_file_itself_is_written_and_shipped_ones_never(model, frames, capsys):
    assert main(["fit-guidance", str(model), str(frames), "--count", "1"]) == 0
    assert load_model(str(model))[0].guidance_priors.terms == ("visual", "perceptual")
    assert "perceptual guidance by thermal" in capsys.readouterr().out
    assert main(["fit-guidance", "lite", str(frames)]) == 2
    assert "name another file by --out" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--features", "resnet"], "features must be one of thermal"),
        (["--features", "sam"], "need a file, as in sam:FILE"),
        (["--features", "vgg16:nowhere.pth"], "nowhere.pth: no such file"),
        (["--count", "0"], "--count must be 1 or more"),
        (["--largest", "32"], "--largest must be 0, or 64 or more"),
        (["--out", "model.pt"], "--out must be named NAME.safetensors"),
    ],
)
def test_what_cannot_be_is_named(model, frames, words, said, capsys):
    assert main(["fit-guidance", str(model), str(frames), *words]) == 2
    assert said in capsys.readouterr().err


def test_a_published_model_is_fitted_too(tmp_path):
    goldens = Little()
    path = tmp_path / "published.safetensors"
    checkpoints = map(str, goldens.write_checkpoints(tmp_path))
    config = str(goldens.write_config(tmp_path))
    assert main(["convert", *checkpoints, str(path), "--config", config]) == 0
    assert load_published(str(path))[0].guidance_priors.terms == ("visual",)
    write_image(tmp_path / "large" / "0.png", smooth_frame(shape=(128, 160)))
    command = ["fit-guidance", str(path), str(tmp_path / "large"), "--largest", "64"]
    assert main(command) == 0
    assert load_published(str(path))[0].guidance_priors.terms == ("visual", "perceptual")


def test_maps_of_hundreds_of_channels_are_fitted_channel_by_channel():
    """What is a shift of each channel by a cell, and a factor, is found again."""
    generator = torch.Generator().manual_seed(0)
    first = torch.randn(1, 200, 40, 40, generator=generator)
    hr = 0.5 * first.roll(1, dims=3) + 2
    fit = _MapFit()
    fit.add(first, hr)
    found = fit.solve()
    assert found.weight.shape == (200, 1, 3, 3)
    expected = torch.zeros(3, 3)
    expected[1, 0] = 0.5
    torch.testing.assert_close(found.weight.mean(dim=0)[0], expected, rtol=0, atol=0.02)
    inside = (..., slice(2, -2), slice(2, -2))
    torch.testing.assert_close(found.expect(first)[inside], hr[inside], rtol=0, atol=0.2)
    prior = GuidancePriors(features=FeaturePrior("vgg16:/a.b/c.pth#0123", (found,)))
    again = GuidancePriors.from_tensors(prior.tensors()).features
    assert again.spec == "vgg16:/a.b/c.pth#0123" and len(again.maps) == 1


def test_few_channels_are_fitted_on_all_of_them():
    generator = torch.Generator().manual_seed(0)
    first = torch.randn(1, 3, 40, 40, generator=generator)
    fit = _MapFit()
    fit.add(first, first.flip(1))
    found: MapPrior = fit.solve()
    assert found.weight.shape == (3, 3, 3, 3)
    torch.testing.assert_close(found.weight[:, :, 1, 1], torch.eye(3).flip(1), rtol=0, atol=0.02)
