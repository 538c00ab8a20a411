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

"""Features of Segment Anything's image encoder (ViT-B, L, H), from a local weight file.

Tested with random weights of its shape; the published ones were not to be had.
"""

from __future__ import annotations

import re
from pathlib import Path

import torch.nn.functional as F
from torch import Tensor

from difiisr_ros.errors import ModelError
from difiisr_ros.models.checkpoint import load_state
from difiisr_ros.models.features.base import (
    FeatureNetwork,
    as_imagenet,
    check_frames,
    crop_to_frame,
)
from difiisr_ros.models.features.sam_encoder import SamConfig, SamEncoder
from difiisr_ros.models.features.state_files import State, read_state

_PREFIX = "image_encoder."
_MISFIT = "is no image encoder of SAM in its published layout (image_encoder.*) or timm's"


class SamFeatures(FeatureNetwork):
    """What leaves the blocks that see the whole frame, then the encoder's result.

    The frame is prepared as the published encoder wants it: resized so that its longer side is
    1024 pixels (of smaller encoders: what their position embedding covers), normalised, and filled
    up with zeros to a square. The stride is 16 pixels of the resized frame. This is the slowest
    of the feature networks by far: attention among 4096 tokens.
    """

    name = "sam"

    def __init__(self, encoder: SamEncoder) -> None:
        super().__init__()
        self.encoder = encoder
        self.layers = (*(f"block{index}" for index in encoder.global_blocks), "neck")
        self.strides = (encoder.config.patch,) * len(self.layers)

    def maps(self, x: Tensor) -> list[Tensor]:
        """See :class:`FeatureNetwork`."""
        check_frames(x)
        config = self.encoder.config
        side = config.grid * config.patch
        shrink = side / max(x.shape[-2:])
        height, width = (max(1, round(length * shrink)) for length in x.shape[-2:])
        x = F.interpolate(x, (height, width), mode="bilinear", antialias=True)
        x = F.pad(as_imagenet(x), (0, side - width, 0, side - height))
        found = self.encoder(x.to(self.encoder.pos_embed.dtype))
        return [crop_to_frame(m, config.patch, height, width) for m in found]


def load_sam(path: Path) -> SamFeatures:
    """From a published ``sam_vit_*.pth``, or timm's ``samvit_*``, of any width and depth.

    Raises:
        ModelError: the file cannot be read, or is not of this network.
    """
    state = _published_keys(read_state(path))
    encoder = SamEncoder(_config(path, state))
    load_state(path, encoder, state, _MISFIT)
    return SamFeatures(encoder)


def _published_keys(state: State) -> State:
    """The encoder's weights, by the keys of the published files without their prefix."""
    if any(key.startswith(_PREFIX) for key in state):
        # Prompt encoder and mask decoder are left out.
        return {k.removeprefix(_PREFIX): v for k, v in state.items() if k.startswith(_PREFIX)}
    renamed = {re.sub(r"\.mlp\.fc([12])\.", r".mlp.lin\1.", k): v for k, v in state.items()}
    return {key: value for key, value in renamed.items() if not key.startswith("head.")}


def _config(path: Path, state: State) -> SamConfig:
    """The sizes, from the weights' shapes."""
    dimensions = {
        "patch_embed.proj.weight": 4,
        "pos_embed": 4,
        "blocks.0.attn.rel_pos_h": 2,
        "blocks.0.mlp.lin1.weight": 2,
        "neck.0.weight": 4,
    }
    wrong = [
        f"{key}: expected {count} dimensions, found "
        + (str(tuple(state[key].shape)) if key in state else "nothing")
        for key, count in dimensions.items()
        if key not in state or state[key].ndim != count or 0 in state[key].shape
    ]
    if wrong:
        more = f" (and {len(wrong) - 3} more)" if len(wrong) > 3 else ""
        raise ModelError(f"{path} {_MISFIT}: {'; '.join(wrong[:3])}{more}")
    relative = [(int(found[1]), value) for found, value in _by_block(state, "attn.rel_pos_h")]
    width, per_head = state["pos_embed"].shape[3], relative[0][1].shape[-1]
    if width % per_head or any(value.ndim != 2 or len(value) % 2 == 0 for _, value in relative):
        raise ModelError(
            f"{path} {_MISFIT}: relative positions of {per_head} channels do not fit {width}"
        )
    return SamConfig(
        width=width,
        heads=width // per_head,
        hidden=state["blocks.0.mlp.lin1.weight"].shape[0],
        patch=state["patch_embed.proj.weight"].shape[2],
        grid=state["pos_embed"].shape[1],
        windows=tuple((len(value) + 1) // 2 for _, value in sorted(relative, key=lambda r: r[0])),
        neck=state["neck.0.weight"].shape[0],
    )


def _by_block(state: State, name: str) -> list[tuple[re.Match[str], Tensor]]:
    pattern = re.compile(rf"blocks\.(\d+)\.{re.escape(name)}")
    matches = ((pattern.fullmatch(key), value) for key, value in state.items())
    return [(found, value) for found, value in matches if found]
