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

"""The published model's sampling loops and pipeline against recorded runs."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from difiisr_ros.models.published.config import PublishedConfig
from difiisr_ros.models.published.network import PublishedModel, pad, reflect_indices
from support.published_goldens import TOLERANCE, difference, find
from support.published_release import chop_starts, upscale_as_published

#: Recorded run -> respacing, stochasticity, and the executed steps whose x_t were kept.
RUNS = {
    "ddpm": (None, 1.0, range(15)),
    "ddim": (None, 0.0, (0, 6, 13)),
    "onestep": (1, 0.0, ()),
    "respaced4": (4, 1.0, range(4)),
}


@pytest.fixture(scope="module")
def goldens(data_folder):
    return find(data_folder)


@pytest.fixture(scope="module")
def model(goldens):
    return goldens.model()


@pytest.fixture(scope="module")
def io(goldens):
    return goldens.arrays("sampler_small")


@pytest.fixture(scope="module")
def lq(io):
    return ((io["lr_u8"].float() / 255 - 0.5) / 0.5).expand(1, 3, -1, -1)


def test_default_configuration_is_the_published_one(goldens):
    full, default = goldens.json("full_config_state_dict_shapes"), PublishedConfig()
    assert default.unet == full["unet"]["config"]
    assert default.autoencoder == full["autoencoder"]["config"]
    diffusion = goldens.json("sampler_small")["diffusion"]
    for name in ("steps", "kappa", "min_noise_level", "etas_end"):
        assert getattr(default, name) == diffusion[name]
    assert default.power == diffusion["schedule_kwargs"]["power"]


def test_prior_is_the_encoded_bicubic_image(io, model, lq):
    up = torch.nn.functional.interpolate(io["resize_in"], scale_factor=4.0, mode="bicubic")
    assert difference(up, io["resize_out"]) < TOLERANCE
    assert difference(model.encode_prior(lq), io["z_y"]) < TOLERANCE


@pytest.mark.parametrize("run", RUNS)
def test_sampling_loop(io, model, lq, run):
    respacing, stochasticity, kept = RUNS[run]
    schedule = model.config.schedule()
    if respacing is not None:
        schedule = schedule.respaced(respacing, published=respacing > 1)
    noise = [io[f"{run}_prior_noise"], *io.get(f"{run}_step_noise", [])]
    seen = []
    with torch.inference_mode():
        latent = model.sample_latent(lq, noise, schedule, stochasticity, seen.append)
        prior = io["z_y"] + schedule.prior_std * noise[0]
        assert difference(prior, io[f"{run}_x_T"]) < TOLERANCE
        assert len(seen) == len(schedule)
        for row, step in enumerate(kept):
            assert difference(seen[step]["x"], io[f"{run}_x_t"][row]) < TOLERANCE, step
        for step, x0 in enumerate(io.get(f"{run}_pred_xstart", [])):
            assert difference(seen[step]["x0"], x0) < TOLERANCE, step
        assert difference(latent, io[f"{run}_latent"]) < TOLERANCE
        codes = model.autoencoder.quantize.nearest(latent)
        assert int((codes != io[f"{run}_index"].long()).sum()) <= 3
        image = model.autoencoder.decode(io[f"{run}_latent"])
    if io[f"{run}_image"].shape[-1] == 128:
        image = image[..., 64:192, 64:192]
    assert difference(image, io[f"{run}_image"]) < TOLERANCE


def test_forward_process(io):
    schedule = PublishedConfig().schedule()
    for t in range(15):
        x0, y0, noise, x = (io[f"q_{name}"][t] for name in ("x0", "y", "noise", "x_t"))
        assert difference(schedule.forward_sample(x0, y0, noise, t), x) < 1e-5
        assert difference(x / schedule.input_std(t), io["q_scaled"][t]) < 1e-5
        step = schedule.reverse_step(t, 1.0)
        mean = step.x0 * x0 + step.xt * x + step.y * y0
        assert difference(mean, io["q_post_mean"][t]) < 1e-5


@pytest.mark.parametrize(("case", "size", "stride"), [("pad", 512, 448), ("tile", 64, 48)])
def test_whole_pipeline_with_padding_and_tiles(goldens, model, case, size, stride):
    io = goldens.arrays("pipeline_small")
    used = []

    def noise(tile, shape):
        used.append(tile)
        assert io[f"{case}_noise_{tile}"].shape == shape
        return io[f"{case}_noise_{tile}"]

    out = upscale_as_published(model, io[f"{case}_in_u8"].numpy(), noise, size, stride)
    expected = io[f"{case}_out_u8"].numpy()
    assert used == list(range(goldens.json("pipeline_small")["cases"][case]["tiles"]))
    assert out.shape == expected.shape
    off = np.abs(out.astype(int) - expected)
    assert (off == 0).mean() >= 0.995
    assert off.max() <= 1


def test_tile_starts(goldens):
    for entry in goldens.json("pipeline_small")["tile_starts"]:
        found = chop_starts(entry["length"], entry["patch"], entry["stride"])
        assert found == entry["starts"], entry


def test_padding_reflects_as_often_as_is_needed():
    assert list(reflect_indices(3, 8)) == [0, 1, 2, 1, 0, 1, 2, 1]
    assert list(reflect_indices(1, 4)) == [0, 0, 0, 0]
    assert list(reflect_indices(64, 64)) == list(range(64))
    x = torch.rand(1, 3, 40, 72)
    expected = torch.nn.functional.pad(x, (0, 56, 0, 24), mode="reflect")
    assert torch.equal(pad(x, 64), expected)


def test_reduced_precision_stays_near(model, io, lq):
    import copy

    half = copy.deepcopy(model).to(memory_format=torch.channels_last)
    half = half.reduce_precision(torch.bfloat16)
    schedule = model.config.schedule().respaced(1)
    noise = [io["onestep_prior_noise"]]
    with torch.inference_mode():
        error = half.sample_latent(lq, noise, schedule) - io["onestep_latent"]
        assert error.square().mean().sqrt() < 0.02
        dtypes = {p.dtype for p in half.parameters()}
        assert dtypes == {torch.float32, torch.bfloat16}
        assert half.unet.time_embed[0].weight.dtype == torch.float32
        assert half.autoencoder.quantize.embedding.weight.dtype == torch.float32


def test_configuration_survives_json():
    config = PublishedConfig(stochasticity=1.0)
    assert PublishedConfig(**json.loads(json.dumps(config.as_dict()))) == config
    with torch.device("meta"):
        assert PublishedModel(config).multiple == 64
