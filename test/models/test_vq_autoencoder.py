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

"""The published autoencoder against recorded outputs: encode, quantise, decode, and its keys."""

from __future__ import annotations

import pytest
import torch

from difiisr_ros.models.vq_autoencoder import Codebook, VQModelTorch
from support.published_goldens import TOLERANCE, difference, find

DD = {
    "double_z": False, "z_channels": 3, "resolution": 64, "in_channels": 3, "out_ch": 3, "ch": 32,
    "ch_mult": [1, 2], "num_res_blocks": 1, "attn_resolutions": [], "dropout": 0.0,
    "padding_mode": "zeros",
}  # fmt: skip


@pytest.fixture(scope="module")
def goldens(data_folder):
    return find(data_folder)


@pytest.fixture(scope="module")
def network(goldens):
    return goldens.autoencoder()


@pytest.fixture(scope="module")
def io(goldens):
    return goldens.arrays("vq_small_io")


def test_every_key_and_shape_at_full_size(goldens):
    expected = goldens.json("full_config_state_dict_shapes")["autoencoder"]
    with torch.device("meta"):
        network = VQModelTorch(**expected["config"])
    state = network.state_dict()
    assert list(state) == list(expected["state_dict"])
    assert len(state) == 205
    for key, entry in expected["state_dict"].items():
        assert list(state[key].shape) == entry["shape"], key
    assert sum(p.numel() for p in network.parameters()) == 55_322_782


def test_encode(network, io):
    assert difference(network.encoder(io["enc_in"]), io["enc_h"]) < TOLERANCE
    assert difference(network.encode(io["enc_in"]), io["enc_z"]) < TOLERANCE


def test_nearest_codes(network, io):
    assert torch.equal(network.quantize.embedding.weight, io["codebook"])
    assert torch.equal(network.quantize.nearest(io["dec_z"]), io["dec_index"])
    assert difference(network.quantize(io["dec_z"]), io["dec_zq"]) < 1e-6


def test_decode(network, io):
    assert difference(network.post_quant_conv(io["dec_zq"]), io["dec_post_quant"]) < TOLERANCE
    assert difference(network.decode(io["dec_z"]), io["dec_out"]) < TOLERANCE
    plain = network.decode(io["dec_z"], quantize=False)
    assert difference(plain, io["dec_out_not_quantized"]) < TOLERANCE


def test_round_trip_quantises_on_decoding_alone(network, io):
    assert difference(network(io["enc_in"]), io["roundtrip_out"]) < TOLERANCE


def test_every_traced_module(network, io):
    names = [k.removeprefix("trace_shape/") for k in io if k.startswith("trace_shape/")]
    seen = {}
    # The encoder's modules were traced while it encoded, the decoder's while it decoded.
    hooks = [
        network.get_submodule(name).register_forward_hook(
            lambda _m, _i, out, name=name: seen.update({name: out.clone()})
        )
        for name in names
    ]
    network.encode(io["enc_in"])
    network.decode(io["dec_z"])
    for hook in hooks:
        hook.remove()
    assert len(names) > 15
    for name in names:
        assert list(seen[name].shape) == io[f"trace_shape/{name}"].tolist(), name
        values = seen[name].flatten()[io[f"trace_index/{name}"]]
        assert difference(values, io[f"trace_value/{name}"]) < TOLERANCE, name


@pytest.mark.parametrize("unit", ["vq_resnet", "vq_down", "vq_attn", "vq_up"])
def test_single_blocks(goldens, network, unit):
    units = goldens.arrays("units_small")
    module = network.get_submodule(goldens.json("unet_small")["units"]["module_path"][unit])
    assert difference(module(units[f"{unit}_in"]), units[f"{unit}_out"]) < TOLERANCE


def test_codes_do_not_depend_on_how_many_are_compared_at_a_time(monkeypatch):
    codebook = Codebook(100, 3)
    z = torch.randn(2, 3, 9, 11, generator=torch.Generator().manual_seed(0))
    whole = codebook.nearest(z)
    distance = torch.cdist(z.movedim(1, -1).reshape(-1, 3), codebook.embedding.weight.detach())
    assert torch.equal(whole.flatten(), distance.argmin(1))
    monkeypatch.setattr("difiisr_ros.models.vq_autoencoder._DISTANCES", 700)
    assert torch.equal(codebook.nearest(z), whole)


def test_bfloat16_stays_near(network, io):
    import copy

    half = copy.deepcopy(network).bfloat16().to(memory_format=torch.channels_last)
    assert (half.encode(io["enc_in"]) - io["enc_z"]).square().mean().sqrt() < 0.02
    same_codes = half.decode(io["dec_zq"], quantize=False)
    full = network.decode(io["dec_zq"], quantize=False)
    assert (same_codes - full).square().mean().sqrt() < 0.03 * full.std()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"double_z": True}, "double_z must be False, got True"),
        ({"attn_resolutions": [32]}, r"attn_resolutions must be \[\], got \[32\]"),
        ({"padding_mode": "reflect"}, "padding_mode must be 'zeros'"),
        ({"colour": 1}, "unknown parameter 'colour'"),
    ],
)
def test_unsupported_variants_are_named(change, said):
    with pytest.raises(ValueError, match=said):
        VQModelTorch({**DD, **change}, 16, 3)


def test_missing_parameter_is_named():
    dd = {k: v for k, v in DD.items() if k != "ch_mult"}
    with pytest.raises(ValueError, match="needs 'ch_mult'"):
        VQModelTorch(dd, 16, 3)
