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

"""Checkpoints and converted files: what is read, and what is refused with which words."""

from __future__ import annotations

import json
import pickle

import pytest
import torch
from safetensors import safe_open

from difiisr_ros import SuperResolver, cli
from difiisr_ros.errors import ModelError, OptionError
from difiisr_ros.models import winograd
from difiisr_ros.models.published.files import (
    assign,
    load_published,
    prepare,
    read_checkpoint,
    save_published,
)
from difiisr_ros.models.published.kind import is_published
from support.published_goldens import TOLERANCE, difference, find

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def goldens(data_folder):
    return find(data_folder)


@pytest.fixture(scope="module")
def states(goldens):
    return goldens.state("unet_small"), goldens.state("vq_small")


@pytest.fixture(scope="module")
def checkpoints(goldens, tmp_path_factory):
    return goldens.write_checkpoints(tmp_path_factory.mktemp("checkpoints"))


@pytest.fixture(scope="module")
def config_file(goldens, tmp_path_factory):
    return goldens.write_config(tmp_path_factory.mktemp("config"))


@pytest.fixture(scope="module")
def converted(checkpoints, config_file, tmp_path_factory):
    path = tmp_path_factory.mktemp("converted") / "small.safetensors"
    arguments = ["convert", *map(str, checkpoints), str(path), "--config", str(config_file)]
    assert cli.main([*arguments, "--licence", "none"]) == 0
    return path


def test_convert_writes_one_file_that_says_everything(goldens, checkpoints, converted, states):
    with safe_open(str(converted), "pt") as file:
        metadata = file.metadata()
    facts = json.loads(metadata["facts"])
    assert [s["name"] for s in facts["sources"]] == [p.name for p in checkpoints]
    assert all(len(s["sha256"]) == 64 for s in facts["sources"])
    assert facts["licence"] == "none"
    model, loaded_facts = load_published(str(converted))
    assert loaded_facts == facts
    assert model.config == goldens.config()
    for part, state in zip((model.unet, model.autoencoder), states):
        found = part.state_dict()
        assert found.keys() == state.keys()
        for key, value in state.items():
            assert torch.equal(found[key].to(value.dtype), value), key


def test_loaded_model_computes_what_was_recorded(goldens, converted):
    model = prepare(load_published(str(converted))[0], CPU, torch.float32)
    io = goldens.arrays("unet_small_io")
    with torch.inference_mode():
        out = model.unet(io["b_x"], io["b_t"], io["b_lq"])
    assert difference(out, io["b_out"]) < TOLERANCE
    half = prepare(load_published(str(converted))[0], CPU, torch.float16)
    with torch.inference_mode():
        error = half.unet(io["b_x"], io["b_t"], io["b_lq"]) - io["b_out"]
    assert 0 < error.square().mean().sqrt() < 2e-3


def test_upsampling_by_phases_is_the_same(goldens, converted):
    model = prepare(load_published(str(converted))[0], CPU, torch.float32)
    units, vq = goldens.arrays("units_small"), goldens.arrays("vq_small_io")
    up = model.unet.get_submodule("output_blocks.2.1")
    with torch.inference_mode():
        assert difference(up(units["upsample_in"]), units["upsample_out"]) < TOLERANCE
        assert difference(model.autoencoder.decode(vq["dec_z"]), vq["dec_out"]) < TOLERANCE


def test_minimal_filtering_is_the_same(goldens, converted, monkeypatch):
    """Of all 3x3 convolutions; in use it is of the wide ones alone."""
    monkeypatch.setattr(winograd, "_LEAST_CHANNELS", 1)
    monkeypatch.setattr(winograd, "_LEAST_TILES", 1)
    model = prepare(load_published(str(converted))[0], CPU, torch.float32)
    direct = prepare(load_published(str(converted))[0], CPU, torch.float32, fast=False)
    unet, vq = goldens.arrays("unet_small_io"), goldens.arrays("vq_small_io")
    with torch.inference_mode():
        found = model.unet(unet["b_x"], unet["b_t"], unet["b_lq"])
        assert difference(found, unet["b_out"]) < TOLERANCE
        assert not torch.equal(found, direct.unet(unet["b_x"], unet["b_t"], unet["b_lq"]))
        assert difference(model.autoencoder.decode(vq["dec_z"]), vq["dec_out"]) < TOLERANCE
        assert difference(model.autoencoder.encode(vq["enc_in"]), vq["enc_z"]) < TOLERANCE


def test_half_file_is_half_the_size_and_as_exact_as_half_is(checkpoints, config_file, tmp_path):
    path = tmp_path / "half.safetensors"
    arguments = ["convert", *map(str, checkpoints), str(path), "--config", str(config_file)]
    assert cli.main([*arguments, "--half"]) == 0
    assert path.stat().st_size < 14e6  # 6.3 million weights
    model = prepare(load_published(str(path))[0], CPU, torch.float32)
    assert {p.dtype for p in model.parameters()} == {torch.float32}


WRAPPINGS = {
    "plain": lambda s: s,
    "state_dict": lambda s: {"state_dict": s, "iters": 5},
    "averaged first": lambda s: {"state_dict": {k: v + 1.0 for k, v in s.items()}, "ema": s},
    "data parallel": lambda s: {f"module.{k}": v for k, v in s.items()},
    "compiled": lambda s: {f"module._orig_mod.{k}": v for k, v in s.items()},
    "both": lambda s: {"state_dict": {f"module.{k}": v for k, v in s.items()}},
    "average without buffers": lambda s: {
        k: v for k, v in s.items() if not k.endswith(("relative_position_index", "attn_mask"))
    },
    "float index": lambda s: {k: v.float() for k, v in s.items()},
}


@pytest.mark.parametrize("kind", WRAPPINGS)
def test_wrapped_and_averaged_checkpoints(goldens, states, tmp_path, kind):
    path = tmp_path / "model.pth"
    torch.save(WRAPPINGS[kind](states[0]), path)
    network = goldens.unet()
    for parameter in network.parameters():
        parameter.zero_()
    assign(network, read_checkpoint(path), str(path))
    expected = goldens.unet().state_dict()
    for key, value in network.state_dict().items():
        assert torch.equal(value, expected[key]), key


def test_old_format_without_zip(states, tmp_path):
    path = tmp_path / "old.pth"
    torch.save(states[1], path, _use_new_zipfile_serialization=False)
    assert read_checkpoint(path).keys() == states[1].keys()


def test_first_differing_keys_are_named(goldens, states, tmp_path):
    state = dict(states[0])
    del state["out.2.bias"]
    state["out.0.weight"] = torch.zeros(7)
    state["surplus.weight"] = torch.zeros(1)
    with pytest.raises(ModelError) as caught:
        assign(goldens.unet(), state, "DifIISR.pth")
    said = str(caught.value)
    assert "DifIISR.pth does not fit the configuration of the denoiser" in said
    assert "out.0.weight: expected (32,), found (7,)" in said
    assert "out.2.bias: expected (3,), found nothing" in said
    assert "surplus.weight: expected nothing, found (1,)" in said


def test_another_order_of_positions_is_refused(goldens, states):
    state = dict(states[0])
    key = "input_blocks.1.1.blocks.0.attn.relative_position_index"
    state[key] = state[key].flip(0)
    with pytest.raises(ModelError, match="another way"):
        assign(goldens.unet(), state, "DifIISR.pth")


def test_small_checkpoints_are_not_the_published_ones(checkpoints):
    with pytest.raises(
        ModelError,
        match=r"time_embed\.0\.weight: expected \(640, 160\), found \(128, 32\).*and \d+ more",
    ):
        SuperResolver.load(model=str(checkpoints[0]), autoencoder=str(checkpoints[1]))


class _Payload:
    """Creates a file if it is ever unpickled."""

    def __init__(self, path: str) -> None:
        self.path = path

    def __reduce__(self):
        return (open, (self.path, "w"))


def test_code_in_a_checkpoint_is_refused_and_not_run(checkpoints, tmp_path):
    victim, path = tmp_path / "executed", tmp_path / "DifIISR.pth"
    torch.save({"state_dict": {"w": torch.zeros(1)}, "x": _Payload(str(victim))}, path)
    with pytest.raises(ModelError, match="without running code"):
        SuperResolver.load(model=str(path), autoencoder=str(checkpoints[1]))
    path.write_bytes(pickle.dumps({"w": _Payload(str(victim))}))
    with pytest.raises(ModelError, match="without running code"):
        SuperResolver.load(model=str(path), autoencoder=str(checkpoints[1]))
    assert not victim.exists()


@pytest.mark.parametrize("content", [b"", b"words, no weights", b"PK\x03\x04broken", b"\x80\x02}"])
def test_files_that_are_no_checkpoints(checkpoints, tmp_path, content):
    path = tmp_path / "broken.pth"
    path.write_bytes(content)
    with pytest.raises(ModelError, match=r"broken\.pth"):
        SuperResolver.load(model=str(path), autoencoder=str(checkpoints[1]))


def test_truncated_checkpoint(checkpoints, tmp_path):
    path = tmp_path / "truncated.pth"
    path.write_bytes(checkpoints[0].read_bytes()[:-5000])
    with pytest.raises(ModelError, match=r"truncated\.pth"):
        SuperResolver.load(model=str(path), autoencoder=str(checkpoints[1]))


def test_checkpoint_without_weights_says_what_it_holds(tmp_path):
    path = tmp_path / "other.pth"
    torch.save({"epoch": 3, "loss": 0.5}, path)
    with pytest.raises(ModelError, match=r"holds no state dict.*it holds epoch, loss"):
        read_checkpoint(path)


def test_which_files_are_published_models(checkpoints, converted):
    assert is_published(str(converted))
    assert is_published(*map(str, checkpoints))
    assert not is_published("lite")
    with pytest.raises(ModelError, match="autoencoder's checkpoint is needed too"):
        is_published(str(checkpoints[0]))
    with pytest.raises(OptionError, match="has one inside"):
        is_published(str(converted), str(checkpoints[1]))
    with pytest.raises(OptionError, match="needs none"):
        is_published("lite", str(checkpoints[1]))


def test_damaged_converted_file(converted, tmp_path):
    path = tmp_path / "damaged.safetensors"
    path.write_bytes(converted.read_bytes()[:-1000])
    with pytest.raises(ModelError, match=r"damaged\.safetensors"):
        SuperResolver.load(model=str(path))


def test_converted_file_with_a_wrong_configuration(goldens, states, tmp_path):
    from safetensors.torch import load_file, save_file

    good, bad = tmp_path / "good.safetensors", tmp_path / "bad.safetensors"
    save_published(good, states, goldens.config(), {})
    values = goldens.config().as_dict()
    for change, said in (
        ({"kapa": 2}, "known fields: unet"),
        ({"kappa": -1.0}, "kappa must be positive"),
        ({"unet": {"colours": 3}}, "configuration is not supported"),
    ):
        metadata = {
            "format": "difiisr_ros.published.1",
            "config": json.dumps({**values, **change}),
            "facts": "{}",
        }
        save_file(load_file(good), bad, metadata)
        with pytest.raises(ModelError, match=said):
            load_published(str(bad))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{}", "no model.params"),
        ("[1]", "no table"),
        (": :", "no valid YAML"),
        ("model: {params: {}}", "no autoencoder.params"),
    ],
)
def test_configuration_files_that_are_none(checkpoints, tmp_path, capsys, text, said):
    path = tmp_path / "config.yaml"
    path.write_text(text)
    arguments = ["convert", *map(str, checkpoints), str(tmp_path / "o.safetensors")]
    assert cli.main([*arguments, "--config", str(path)]) == 2
    assert said in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "value"), [("sf", 2), ("predict_type", "epsilon"), ("scale_factor", 0.18)]
)
def test_diffusion_of_another_kind_is_refused(
    checkpoints, config_file, tmp_path, capsys, name, value
):
    tree = json.loads(config_file.read_text())
    tree["diffusion"]["params"][name] = value
    path = tmp_path / "config.json"
    path.write_text(json.dumps(tree))
    arguments = ["convert", *map(str, checkpoints), str(tmp_path / "o.safetensors")]
    assert cli.main([*arguments, "--config", str(path)]) == 2
    assert f"diffusion.params.{name} must be" in capsys.readouterr().err


def test_convert_overwrites_no_input_and_wants_a_name(checkpoints, tmp_path, capsys):
    assert cli.main(["convert", *map(str, checkpoints), str(tmp_path / "out.pth")]) == 2
    assert "NAME.safetensors" in capsys.readouterr().err
    assert cli.main(["convert", "nowhere.pth", str(checkpoints[1]), "o.safetensors"]) == 2
    assert "no such file" in capsys.readouterr().err
