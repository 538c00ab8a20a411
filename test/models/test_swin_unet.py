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

"""The published denoiser against recorded outputs: whole, block by block, and by its keys."""

from __future__ import annotations

import pytest
import torch

from difiisr_ros.models.swin_unet import UNetModelSwin, timestep_embedding
from difiisr_ros.models.swin_unet_blocks import column_mask
from support.published_goldens import TOLERANCE, difference, find

SMALL = {
    "image_size": 16,
    "model_channels": 32,
    "channel_mult": (1, 2),
    "num_res_blocks": (1, 1),
    "attention_resolutions": (16, 8),
    "num_head_channels": 16,
    "swin_embed_dim": 32,
}


@pytest.fixture(scope="module")
def goldens(data_folder):
    return find(data_folder)


@pytest.fixture(scope="module")
def network(goldens):
    return goldens.unet()


def test_every_key_and_shape_at_full_size(goldens):
    expected = goldens.json("full_config_state_dict_shapes")["unet"]
    with torch.device("meta"):
        network = UNetModelSwin(**expected["config"])
    state = network.state_dict()
    assert list(state) == list(expected["state_dict"])
    assert len(state) == 564
    for key, entry in expected["state_dict"].items():
        assert list(state[key].shape) == entry["shape"], key
        assert str(state[key].dtype) == f"torch.{entry['dtype']}", key
    assert sum(p.numel() for p in network.parameters()) == 118_593_583


def test_defaults_are_the_published_configuration(goldens):
    config = goldens.json("full_config_state_dict_shapes")["unet"]["config"]
    with torch.device("meta"):
        given, default = UNetModelSwin(**config), UNetModelSwin()
    assert {k: v.shape for k, v in given.state_dict().items()} == {
        k: v.shape for k, v in default.state_dict().items()
    }


@pytest.mark.parametrize("case", ["a", "b", "c"])
def test_outputs(goldens, network, case):
    io = goldens.arrays("unet_small_io")
    out = network(io[f"{case}_x"], io[f"{case}_t"], io[f"{case}_lq"])
    assert difference(out, io[f"{case}_out"]) < TOLERANCE


def test_every_block_of_a_forward_pass(goldens, network):
    io = goldens.arrays("unet_small_io")
    seen = {}
    hooks = [
        module.register_forward_hook(lambda _m, _i, out, name=name: seen.update({name: out}))
        for name, module in network.named_modules()
        if name in set(io["a_trace_name"])
    ]
    network(io["a_x"], io["a_t"], io["a_lq"])
    for hook in hooks:
        hook.remove()
    assert len(seen) == len(io["a_trace_name"]) == 25
    for i, name in enumerate(io["a_trace_name"]):
        assert list(seen[name].shape) == io["a_trace_shape"][i].tolist(), name
        values = seen[name].flatten()[io["a_trace_flat_index"][i]]
        assert difference(values, io["a_trace_value"][i]) < TOLERANCE, name


def test_timestep_embedding(goldens, network):
    io = goldens.arrays("unet_small_io")
    sinusoid = timestep_embedding(io["temb_t"], 32)
    assert difference(sinusoid, io["temb_sin"]) < 1e-6
    assert difference(network.time_embed(sinusoid), io["temb_mlp"]) < TOLERANCE


@pytest.mark.parametrize("unit", ["resblock_id", "resblock_skip", "downsample", "upsample"])
def test_single_blocks(goldens, network, unit):
    units = goldens.arrays("units_small")
    module = network.get_submodule(goldens.json("unet_small")["units"]["module_path"][unit])
    inputs = [units[f"{unit}_in"]] + ([units["emb"]] if unit.startswith("resblock") else [])
    assert difference(module(*inputs), units[f"{unit}_out"]) < TOLERANCE


def test_swin_layer_step_by_step(goldens, network):
    units = goldens.arrays("units_small")
    layer = network.get_submodule("input_blocks.1.1")
    x = layer.patch_embed(units["swin_in"])
    assert difference(x, units["swin_embed"]) < TOLERANCE
    for i, block in enumerate(layer.blocks):
        assert [block.shift, block.window] == units[f"swin_block{i}_shift_window"].tolist()
        x = block(x)
        assert difference(x, units[f"swin_block{i}_out"]) < TOLERANCE
    assert difference(layer.patch_unembed(x), units["swin_out"]) < TOLERANCE


def test_windows_and_shifts_follow_the_configured_size(goldens, network):
    for entry in goldens.json("unet_small")["swin_blocks"]:
        block = network.get_submodule(entry["name"])
        assert (block.window, block.shift) == (entry["window"], entry["shift"]), entry["name"]


def test_mask_is_the_published_one_and_the_stored_buffers_hold_it(goldens, network):
    units = goldens.arrays("units_small")
    recorded = units["swin_block1_mask_u8"].bool()  # 2 x 3 windows, row-major
    masked = column_mask(8, 4) < 0
    assert not recorded[:3].any()
    assert all(torch.equal(window, masked) for window in recorded[3:])
    computed = UNetModelSwin(**goldens.json("unet_small")["config"]).state_dict()
    stored = goldens.state("unet_small")
    for key in stored:
        if key.endswith(("attn_mask", "relative_position_index")):
            assert torch.equal(computed[key], stored[key].to(computed[key].dtype)), key


def test_stored_mask_has_no_effect(goldens):
    network, io = goldens.unet(), goldens.arrays("unet_small_io")
    for module in network.modules():
        if hasattr(module, "attn_mask"):
            module.attn_mask.fill_(7.0)
    assert difference(network(io["b_x"], io["b_t"], io["b_lq"]), io["b_out"]) < TOLERANCE


def test_batch_equals_single_frames(network):
    generator = torch.Generator().manual_seed(0)
    x, lq = torch.randn(2, 2, 3, 64, 64, generator=generator)
    t = torch.tensor([2, 11])
    both = network(x, t, lq)
    for i in range(2):
        assert (
            difference(network(x[i : i + 1], t[i : i + 1], lq[i : i + 1]), both[i : i + 1]) < 1e-5
        )


def test_channels_last_and_bfloat16_stay_near(network, goldens):
    import copy

    io = goldens.arrays("unet_small_io")
    fast = copy.deepcopy(network).to(memory_format=torch.channels_last)
    assert difference(fast(io["a_x"], io["a_t"], io["a_lq"]), io["a_out"]) < TOLERANCE
    half = fast.bfloat16()
    assert (half(io["a_x"], io["a_t"], io["a_lq"]) - io["a_out"]).square().mean().sqrt() < 0.02


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"dims": 3}, "dims must be 2, got 3"),
        ({"resblock_updown": True}, "resblock_updown must be False"),
        ({"use_scale_shift_norm": False}, "use_scale_shift_norm must be True"),
        ({"conv_resample": False}, "conv_resample must be True"),
        ({"lq_size": 256}, "lq_size must be 16, got 256"),
        ({"num_res_blocks": (1, 1, 1)}, "num_res_blocks needs 2 numbers"),
        ({"num_head_channels": 5}, "no multiple of num_head_channels 5"),
    ],
)
def test_unsupported_variants_are_named(change, said):
    with pytest.raises(ValueError, match=said):
        UNetModelSwin(**{**SMALL, **change})


def test_missing_condition_is_named():
    network = UNetModelSwin(**SMALL)
    with pytest.raises(ValueError, match="lq is needed"):
        network(torch.zeros(1, 3, 16, 16), torch.zeros(1))
