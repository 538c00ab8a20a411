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

"""A wider and deeper model that answers as a trained one does, to train on from.

    python benchmarks/grow_model.py lite OUT --channels 64 --blocks 8 --refiner-blocks 5
    difiisr train hit_uav/train --init OUT --minutes 100 --prior-share 1

The new channels and blocks are random, and what was there does not read them yet (Chen et al.,
Net2Net, ICLR 2016): training begins at the smaller model's quality. Blocks are spread evenly.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from difiisr_ros.models.checkpoint import load_model, save_model
from difiisr_ros.models.lite import CameraNet, LiteDenoiser, ResidualBlock


@torch.no_grad()
def grow(small: LiteDenoiser, channels: int, blocks: int, refiner_blocks: int) -> LiteDenoiser:
    """A model of ``channels`` maps in both experts that answers as ``small`` does.

    Raises:
        ValueError: it would be smaller in anything.
    """
    has = small.config
    for what, asked, least in (
        ("channels", channels, max(has.prior_channels, has.refiner_channels)),
        ("blocks", blocks, has.prior_blocks),
        ("refiner blocks", refiner_blocks, has.refiner_blocks),
    ):
        if asked < least:
            raise ValueError(f"the model has {least} {what}: it cannot grow to {asked}")
    config = replace(
        small.config,
        prior_channels=channels,
        prior_blocks=blocks,
        refiner_channels=channels,
        refiner_blocks=refiner_blocks,
    )
    large = LiteDenoiser(config)
    kept = {
        key: value
        for key, value in small.state_dict().items()
        if not key.startswith(("prior.", "refiner."))
    }
    large.load_state_dict(kept, strict=False)
    grow_network(small.prior, large.prior)
    grow_network(small.refiner, large.refiner)
    return large.eval()


def grow_network(small: CameraNet, large: CameraNet) -> None:
    """Put ``small`` into the first channels of ``large``, whose other blocks change these not."""
    count = small.head.out_channels
    put(small.head, large.head, reads_all=True)
    put(small.tail, large.tail)
    places = np.linspace(0, len(large.blocks) - 1, len(small.blocks)).round().astype(int)
    known = dict(zip(places.tolist(), small.blocks, strict=True))
    for index, block in enumerate(large.blocks):
        assert isinstance(block, ResidualBlock)
        if index in known:
            grow_block(known[index], block)
        else:  # adds to the new channels alone
            block.conv2.weight[:count] = 0.0


def grow_block(small: nn.Module, large: ResidualBlock) -> None:
    """One block into another of more channels."""
    assert isinstance(small, ResidualBlock)
    put(small.conv1, large.conv1)
    put(small.conv2, large.conv2)
    for ours, theirs in zip(halves(large.modulation), halves(small.modulation), strict=True):
        ours[: len(theirs)] = theirs


def halves(layer: nn.Linear) -> list[Tensor]:
    """Weights and biases of scales and of shifts, as views."""
    return [*layer.weight.chunk(2), *layer.bias.chunk(2)]


def put(small: nn.Conv2d, large: nn.Conv2d, reads_all: bool = False) -> None:
    """A convolution into the first channels of a larger one, which read no new channel."""
    out, read = small.weight.shape[:2]
    if not reads_all:
        large.weight[:out, read:] = 0.0
    large.weight[:out, :read] = small.weight
    assert large.bias is not None and small.bias is not None
    large.bias[:out] = small.bias


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", metavar="MODEL", help="name or file of the trained one")
    parser.add_argument("out", type=Path, metavar="OUT")
    parser.add_argument("--channels", type=int, default=64)
    parser.add_argument("--blocks", type=int, default=8, help="of the prior expert")
    parser.add_argument("--refiner-blocks", type=int, default=5)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    torch.manual_seed(args.seed)
    small, facts = load_model(args.model)
    try:
        large = grow(small, args.channels, args.blocks, args.refiner_blocks)
    except ValueError as error:
        parser.error(str(error))
    facts = {**facts, "grown_from": args.model, "grown_by_seed": args.seed}
    save_model(args.out, large, facts)
    count = sum(value.numel() for value in large.parameters())
    print(f"wrote {args.out}: {count:,} parameters")


if __name__ == "__main__":
    main()
