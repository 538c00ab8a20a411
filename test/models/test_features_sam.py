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

"""SAM's image encoder from local files, on small random weights in the published key layout.

No published weights were run here: they are to be had by no package.
"""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import save_file

from difiisr_ros.errors import ModelError, OptionError
from difiisr_ros.models.features.load import load_features
from difiisr_ros.models.features.sam import SamFeatures
from difiisr_ros.models.features.sam_encoder import SamConfig, SamEncoder

WIDTH, HEADS, HIDDEN, PATCH, GRID, WINDOW, NECK = 6, 2, 10, 4, 5, 2, 7
#: Whether each block's attention stays in windows.
WINDOWED = (True, False, True)
State = dict[str, torch.Tensor]


def _state() -> State:
    """Every key of a published file's encoder, by hand; random, biases and norms too."""
    shapes: dict[str, tuple[int, ...]] = {
        "pos_embed": (1, GRID, GRID, WIDTH),
        "patch_embed.proj.weight": (WIDTH, 3, PATCH, PATCH),
        "patch_embed.proj.bias": (WIDTH,),
        "neck.0.weight": (NECK, WIDTH, 1, 1),
        "neck.2.weight": (NECK, NECK, 3, 3),
    }
    for norm in ("neck.1", "neck.3"):
        shapes |= {f"{norm}.weight": (NECK,), f"{norm}.bias": (NECK,)}
    for index, windowed in enumerate(WINDOWED):
        distances = 2 * (WINDOW if windowed else GRID) - 1
        block = {
            "norm1.weight": (WIDTH,), "norm1.bias": (WIDTH,),
            "attn.rel_pos_h": (distances, WIDTH // HEADS),
            "attn.rel_pos_w": (distances, WIDTH // HEADS),
            "attn.qkv.weight": (3 * WIDTH, WIDTH), "attn.qkv.bias": (3 * WIDTH,),
            "attn.proj.weight": (WIDTH, WIDTH), "attn.proj.bias": (WIDTH,),
            "norm2.weight": (WIDTH,), "norm2.bias": (WIDTH,),
            "mlp.lin1.weight": (HIDDEN, WIDTH), "mlp.lin1.bias": (HIDDEN,),
            "mlp.lin2.weight": (WIDTH, HIDDEN), "mlp.lin2.bias": (WIDTH,),
        }  # fmt: skip
        shapes |= {f"blocks.{index}.{key}": shape for key, shape in block.items()}
    generator = torch.Generator().manual_seed(0)
    return {k: torch.randn(shape, generator=generator) for k, shape in shapes.items()}


def _published(state: State) -> State:
    return {f"image_encoder.{key}": value for key, value in state.items()} | {
        "mask_decoder.iou_token.weight": torch.zeros(1, 4),
        "prompt_encoder.not_a_point_embed.weight": torch.zeros(1, 4),
    }


def _attention(state: State, block: str, tokens: torch.Tensor, side: int) -> torch.Tensor:
    """One window of side x side x WIDTH, token by token: the formula of MViTv2, equation 4."""

    def linear(name: str, x: torch.Tensor) -> torch.Tensor:
        weight, bias = (state[f"{block}.attn.{name}.{part}"] for part in ("weight", "bias"))
        return F.linear(x, weight, bias)

    query, key, value = linear("qkv", tokens).split(WIDTH, dim=-1)
    rel_h, rel_w = state[f"{block}.attn.rel_pos_h"], state[f"{block}.attn.rel_pos_w"]
    per_head = WIDTH // HEADS
    out = torch.zeros(side, side, WIDTH)
    places = [(row, column) for row in range(side) for column in range(side)]
    for head in range(HEADS):
        part = slice(head * per_head, (head + 1) * per_head)
        for row, column in places:
            q = query[row, column, part]
            logits = torch.stack(
                [
                    q @ key[r, c, part] / math.sqrt(per_head)
                    + q @ rel_h[row - r + side - 1]
                    + q @ rel_w[column - c + side - 1]
                    for r, c in places
                ]
            )
            share = logits.softmax(0)
            out[row, column, part] = sum(
                share[i] * value[r, c, part] for i, (r, c) in enumerate(places)
            )
    return linear("proj", out)


def _norm(state: State, name: str, x: torch.Tensor) -> torch.Tensor:
    weight, bias = state[f"{name}.weight"], state[f"{name}.bias"]
    return F.layer_norm(x, x.shape[-1:], weight, bias, 1e-6)


def _expected(state: State, x: torch.Tensor) -> list[torch.Tensor]:
    """Maps of one square frame that needs no resizing, written out."""
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    colour = (x.expand(-1, 3, -1, -1) - mean.view(1, 3, 1, 1)) / std.view(1, 3, 1, 1)
    proj = state["patch_embed.proj.weight"], state["patch_embed.proj.bias"]
    tokens = F.conv2d(colour, *proj, stride=PATCH)[0].permute(1, 2, 0) + state["pos_embed"][0]
    maps = []
    for index, windowed in enumerate(WINDOWED):
        block, side = f"blocks.{index}", WINDOW if windowed else GRID
        normal = _norm(state, f"{block}.norm1", tokens)
        mixed = torch.zeros_like(tokens)
        for top in range(0, GRID, side):
            for left in range(0, GRID, side):
                window = torch.zeros(side, side, WIDTH)  # what is outside of the frame is zero
                inside = normal[top : top + side, left : left + side]
                window[: inside.shape[0], : inside.shape[1]] = inside
                result = _attention(state, block, window, side)
                mixed[top : top + side, left : left + side] = result[
                    : inside.shape[0], : inside.shape[1]
                ]
        tokens = tokens + mixed
        lin = [
            (state[f"{block}.mlp.{n}.weight"], state[f"{block}.mlp.{n}.bias"])
            for n in ("lin1", "lin2")
        ]
        hidden = F.gelu(F.linear(_norm(state, f"{block}.norm2", tokens), *lin[0]))
        tokens = tokens + F.linear(hidden, *lin[1])
        if not windowed:
            maps.append(tokens.permute(2, 0, 1)[None])
    neck = F.conv2d(tokens.permute(2, 0, 1)[None], state["neck.0.weight"])
    neck = _norm(state, "neck.1", neck.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
    neck = F.conv2d(neck, state["neck.2.weight"], padding=1)
    return [*maps, _norm(state, "neck.3", neck.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)]


@pytest.fixture
def network(tmp_path) -> SamFeatures:
    torch.save(_published(_state()), tmp_path / "sam_vit_x.pth")
    loaded = load_features(f"sam:{tmp_path / 'sam_vit_x.pth'}")
    assert isinstance(loaded, SamFeatures)
    return loaded


def test_the_maps_are_the_papers(network):
    x = torch.rand(1, 1, GRID * PATCH, GRID * PATCH)
    found, expected = network.maps(x), _expected(_state(), x)
    assert network.layers == ("block1", "neck")
    assert len(found) == len(expected)
    for a, b in zip(found, expected):
        torch.testing.assert_close(a, b, atol=1e-4, rtol=1e-4)


def test_the_sizes_are_read_from_the_file(network):
    assert network.encoder.config == SamConfig(
        WIDTH, HEADS, HIDDEN, PATCH, GRID, (WINDOW, GRID, WINDOW), NECK
    )


def test_timms_layout_is_the_same_network(tmp_path, network):
    state = {key.replace("mlp.lin", "mlp.fc"): value for key, value in _state().items()}
    save_file(state | {"head.fc.weight": torch.zeros(2, NECK)}, tmp_path / "samvit.safetensors")
    other = load_features(f"sam:{tmp_path / 'samvit.safetensors'}")
    x = torch.rand(1, 1, 20, 20)
    assert all(torch.equal(a, b) for a, b in zip(network.maps(x), other.maps(x)))


@pytest.mark.parametrize(
    ("size", "cells"), [((30, 40), (4, 5)), ((8, 6), (5, 4)), ((1, 20), (1, 5))]
)
def test_frames_are_resized_by_their_longer_side_and_padding_is_left_out(network, size, cells):
    x = torch.rand(2, 1, *size, requires_grad=True)
    maps = network.maps(x)
    assert [tuple(m.shape[-2:]) for m in maps] == [cells] * len(network.layers)
    (gradient,) = torch.autograd.grad(sum(m.square().sum() for m in maps), x)
    assert torch.isfinite(gradient).all()
    assert (gradient != 0).any(dim=3).all()


def test_padding_is_zero_after_the_normalisation(network):
    """A wide frame is what it is with zeros below, as the published encoder has it."""
    x = torch.rand(1, 1, 12, 20)
    mean = torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1)
    std = torch.tensor([0.229, 0.224, 0.225]).view(1, 3, 1, 1)
    square = F.pad((x - mean) / std, (0, 0, 0, 8))
    expected = network.encoder(square)[-1][..., :3, :]
    torch.testing.assert_close(network.maps(x)[-1], expected)


def test_the_published_base_encoder_has_its_number_of_weights():
    windows = tuple(64 if index in (2, 5, 8, 11) else 14 for index in range(12))
    with torch.device("meta"):
        encoder = SamEncoder(SamConfig(768, 12, 3072, 16, 64, windows, 256))
    # The 93.7 M parameters of sam_vit_b less those of its prompt encoder and mask decoder.
    assert sum(parameter.numel() for parameter in encoder.parameters()) == 89_670_912
    assert encoder.global_blocks == (2, 5, 8, 11)


def test_missing_weights_are_named(tmp_path):
    state = _published(_state())
    for key in ("blocks.1.mlp.lin2.bias", "blocks.2.norm1.weight"):
        del state[f"image_encoder.{key}"]
    state["image_encoder.neck.1.bias"] = torch.zeros(3)
    state["image_encoder.extra"] = torch.zeros(3)
    torch.save(state, tmp_path / "w.pth")
    with pytest.raises(
        ModelError,
        match=r"w\.pth is no image encoder of SAM .*blocks\.1\.mlp\.lin2\.bias: expected \(6,\), "
        r"found nothing; blocks\.2\.norm1\.weight: .*; extra: .* \(and 1 more\)",
    ):
        load_features(f"sam:{tmp_path / 'w.pth'}")


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"pos_embed": torch.zeros(0, 1)}, "pos_embed: expected 4 dimensions"),
        ({"blocks.0.attn.rel_pos_h": torch.zeros(3, 4)}, "relative positions of 4 channels"),
        ({"blocks.0.attn.rel_pos_h": torch.zeros(4, 3)}, "relative positions"),
    ],
)
def test_sizes_that_fit_nothing_are_named(tmp_path, change, named):
    torch.save(_published(_state() | change), tmp_path / "w.pth")
    with pytest.raises(ModelError, match=named):
        load_features(f"sam:{tmp_path / 'w.pth'}")


def test_another_networks_file_is_refused(tmp_path):
    save_file({"features.0.weight": torch.zeros(4, 3, 3, 3)}, tmp_path / "vgg.safetensors")
    with pytest.raises(ModelError, match=r"patch_embed.*nothing; pos_embed.*\(and 2 more\)"):
        load_features(f"sam:{tmp_path / 'vgg.safetensors'}")


def test_weights_are_needed():
    with pytest.raises(OptionError, match="'sam' need a file, as in sam:FILE"):
        load_features("sam")
