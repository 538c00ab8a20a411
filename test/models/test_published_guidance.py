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

"""What guidance expects of a published model: in general, or fitted by ``difiisr convert``."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from difiisr_ros import SuperResolver, cli
from difiisr_ros.core.visual_guidance import LR_RINGS
from difiisr_ros.errors import ModelError
from difiisr_ros.models.published.files import load_published, save_published
from difiisr_ros.models.published.network import general_priors
from support.published_goldens import Little


@pytest.fixture(scope="module")
def goldens():
    return Little()


@pytest.fixture(scope="module")
def convert(goldens, tmp_path_factory):
    """The command up to the output's name, and what comes after it."""
    folder = tmp_path_factory.mktemp("published")
    checkpoints = map(str, goldens.write_checkpoints(folder))
    return ["convert", *checkpoints], ["--config", str(goldens.write_config(folder))]


@pytest.fixture(scope="module")
def frames(tmp_path_factory):
    folder = tmp_path_factory.mktemp("frames")
    rng = np.random.default_rng(0)
    for i in range(3):
        fine = cv2.resize(rng.normal(size=(40, 48)), (288, 240), interpolation=cv2.INTER_CUBIC)
        pixels = 128 + 25 * fine + 5 * rng.normal(size=fine.shape)
        cv2.imwrite(str(folder / f"{i}.png"), pixels.clip(0, 255).astype(np.uint8))
    return folder


def test_convert_fits_what_guidance_expects(convert, frames, tmp_path, capsys):
    path = tmp_path / "fitted.safetensors"
    arguments = [*convert[0], str(path), *convert[1]]
    arguments += ["--frames", str(frames), "--frames-count", "2", "--unpadded-autoencoder"]
    assert cli.main(arguments) == 0
    assert f"fitting guidance to 2 frames of {frames}" in capsys.readouterr().out
    model, facts = load_published(str(path))
    assert facts["guidance_fitted_to"] == f"2 frames of {frames.name}"
    assert model.guidance_priors.terms == ("visual", "perceptual")
    assert not model.config.pad_autoencoder
    # It reads the network's own answer, as what serves any network cannot.
    own, general = model.guidance_priors.spectrum, general_priors().spectrum
    read = slice(len(LR_RINGS), -1)
    assert own.weight[:, read].abs().min() > 0 and general.weight[:, read].abs().max() == 0

    resolver = SuperResolver.load(str(path), precision="fp32")
    frame = cv2.imread(str(frames / "0.png"), cv2.IMREAD_UNCHANGED)[:32, :48]
    plain = resolver.upscale(frame)
    for scales in ({"visual_scale": 1.0}, {"perceptual_scale": 1.0}):
        resolver.configure(**{"visual_scale": 0.0, "perceptual_scale": 0.0, **scales})
        assert (resolver.upscale(frame) != plain).mean() > 0.01
    resolver.close()


def test_what_is_fitted_to_is_put_right_first(convert, frames, tmp_path):
    """Rows of telemetry and missing pixels, declared, leave what is fitted as it is."""
    stored = tmp_path / "stored.npy"
    pictures = [cv2.imread(str(path), cv2.IMREAD_UNCHANGED) for path in sorted(frames.iterdir())]
    noise = np.random.default_rng(1).integers(0, 255, (3, 4, pictures[0].shape[1]), np.uint8)
    np.save(stored, np.concatenate([noise, np.stack(pictures)], axis=1))
    fitted = []
    for data, words in ((frames, []), (stored, ["--crop", "4,0,0,0"]), (stored, [])):
        path = tmp_path / f"{len(fitted)}.safetensors"
        arguments = [*convert[0], str(path), *convert[1], "--frames", str(data), *words]
        assert cli.main([*arguments, "--frames-count", "1", "--unpadded-autoencoder"]) == 0
        fitted.append(load_published(str(path))[0].guidance_priors.spectrum.weight)
    assert torch.equal(fitted[0], fitted[1]) and not torch.equal(fitted[0], fitted[2])


def test_options_on_pixels_need_frames(convert, tmp_path, capsys):
    arguments = [*convert[0], str(tmp_path / "a.safetensors"), *convert[1]]
    assert cli.main([*arguments, "--crop", "4,0,0,0"]) == 2
    assert "are for --frames, which is not given" in capsys.readouterr().err


def test_damaged_priors_are_named(goldens, tmp_path):
    path = tmp_path / "odd.safetensors"
    states = goldens.state("unet_small"), goldens.state("vq_small")
    save_published(path, states, goldens.config(), {}, priors=general_priors())
    with safe_open(str(path), "pt") as file:
        metadata, state = file.metadata(), {key: file.get_tensor(key) for key in file.keys()}
    state["guidance.spectrum"] = torch.zeros(2, 2)
    save_file(state, path, metadata)
    with pytest.raises(ModelError, match="no usable guidance priors"):
        load_published(str(path))


def test_frames_to_fit_to_must_be_there(convert, tmp_path, capsys):
    arguments = [*convert[0], str(tmp_path / "a.safetensors"), *convert[1]]
    assert cli.main([*arguments, "--frames", str(tmp_path / "none")]) != 0
    assert "no such file or folder" in capsys.readouterr().err
    assert cli.main([*arguments, "--frames", str(tmp_path), "--frames-count", "0"]) != 0
    assert "--frames-count must be 1 or more" in capsys.readouterr().err
