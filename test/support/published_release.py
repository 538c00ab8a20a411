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

"""What the release's command does to an 8-bit image, for comparing with its results.

:class:`~difiisr_ros.SuperResolver` is for use: it keeps radiometry and dtype, blends tiles, and
seeds its noise. Here everything is as the release does it, shortcomings included.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from difiisr_ros.models.published.config import SCALE
from difiisr_ros.models.published.network import PublishedModel, pad


def chop_starts(length: int, size: int, stride: int) -> list[int]:
    """First pixels of the release's tiles: every ``stride``, the last moved back to the edge."""
    if length <= size:
        return [0]
    starts = [min(start, length - size) for start in range(0, length, stride)]
    return sorted(set(starts))


def upscale_as_published(
    model: PublishedModel,
    image: np.ndarray,
    noise: Callable[[int, tuple[int, int, int, int]], Tensor],
    chop_size: int = 512,
    chop_stride: int = 448,
) -> np.ndarray:
    """One step of DDIM, as the release's inference runs it.

    Args:
        image: H x W, uint8.
        noise: ``noise(tile, shape)`` gives the standard-normal prior noise of the tile with that
            number, 1 x 3 x H x W, padded height and width.
        chop_size, chop_stride: tiles of this size, averaged without weights where they overlap.

    Returns:
        4H x 4W x 3, uint8, blue first, as the release writes it to the PNG: its three channels
        differ a little, although the input is gray.
    """
    gray = (torch.from_numpy(image).float() / 255 - 0.5) / 0.5
    lq = gray[None, None].expand(1, 3, -1, -1)
    schedule = model.config.schedule().respaced(1)
    height, width = image.shape
    total = torch.zeros(1, 3, SCALE * height, SCALE * width)
    count = torch.zeros_like(total)
    tiles = [
        (slice(top, top + chop_size), slice(left, left + chop_size))
        for top in chop_starts(height, chop_size, chop_stride)
        for left in chop_starts(width, chop_size, chop_stride)
    ]
    with torch.inference_mode():
        for number, (rows, columns) in enumerate(tiles):
            tile = lq[..., rows, columns]
            padded = pad(tile, model.multiple)
            shape = (1, 3, padded.shape[-2], padded.shape[-1])
            out = model(padded, [noise(number, shape)], schedule)
            out = out[..., : SCALE * tile.shape[-2], : SCALE * tile.shape[-1]].clamp(-1, 1)
            top, left = SCALE * rows.start, SCALE * columns.start
            area = (..., slice(top, top + out.shape[-2]), slice(left, left + out.shape[-1]))
            total[area] += out
            count[area] += 1
    rgb = (total / count * 0.5 + 0.5).clamp(0, 1)[0].permute(1, 2, 0)
    return torch.round(rgb * 255).to(torch.uint8).flip(-1).numpy()
