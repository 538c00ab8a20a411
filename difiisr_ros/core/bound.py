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

"""Bounds on what a network is shown, and on what comes out, from each pixel's neighbours.

A network that was trained on scenes within their range does what it likes with a target of fifty
ranges. So it is shown a frame in which nothing lies far outside the range, and no single pixel
far outside its neighbours; what is taken away there is left to bicubic interpolation. No result
may leave what the camera's 3x3 pixels span by more than a given part of that span; where they span
more than most scenes do, what is cut off there is not lost, so that targets keep their energy.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from difiisr_ros.core.radiometry import LONE

_LOW, _HIGH = -1.0, 2.0  # beyond these, ranges count by their logarithm
_LEAST = 1e-12  # of the range: less room is none
_FAR = 1e30  # ranges: more than any pixel is outside
_SURELY_LONE = 0.6  # of the range: nobody's neighbour is that far off, not even beside an edge
# How far results may go beyond the 3x3 pixels at an overshoot of 1; half as far at the default.
_LINES_BEYOND = 0.32, 0.76  # of the range, or if that is more of the contrast; never more than it
_PLATEAUS_BEYOND = 0.1, 0.25  # of the range, or if that is more of the contrast
_ABOVE_PLATEAU = 5.0  # and of what stands out of the plateau
_OUTSTANDING = 0.3, 0.6  # of the range: where what one pixel measured begins to count, and is whole
_KEPT = 0.15, 0.3  # of the range: where a block begins to keep its mean; below is noise
_FEW = 0.1  # of the blocks: to pick out more of them takes longer than to pass over all

_LINES = slice(None, -2), slice(1, -1), slice(2, None)  # of a frame with a border of one pixel

Pairwise = Callable[[Tensor, Tensor], Tensor]


def neighbours(lr: Tensor) -> tuple[Tensor, Tensor]:
    """Least and largest of the pixels around each, N x 1 x H x W both.

    There are eight, and fewer at the border; a frame of one pixel is its own neighbour.
    """
    low = _around(lr, torch.minimum, _FAR)
    high = _around(lr, torch.maximum, -_FAR)
    alone = low > high
    return torch.where(alone, lr, low), torch.where(alone, lr, high)


def _around(lr: Tensor, of: Pairwise, beyond: float) -> Tensor:
    """One value of the pixels around each; ``beyond`` the border is what never is that value."""
    padded = F.pad(lr, (1, 1, 1, 1), value=beyond)
    left, middle, right = padded[..., :-2], padded[..., 1:-1], padded[..., 2:]
    rows = of(of(left, middle), right)
    beside = of(left[..., 1:-1, :], right[..., 1:-1, :])
    return of(of(rows[..., :-2, :], rows[..., 2:, :]), beside)


def without_lone_pixels(lr: Tensor, low: Tensor, high: Tensor) -> Tensor:
    """Frames in which no pixel lies far outside its neighbours, N x 1 x H x W.

    A pixel may lie outside its eight neighbours by a margin m: as much as these span, and a tenth
    of the range, but no more than 0.6 of it. Of one that lies farther, by d, ``(m / d)^8`` is left,
    from what its neighbours say: the farther, the more surely it is stuck and not hot.

    Args:
        lr: N x 1 x H x W, normalised intensity.
        low, high: of :func:`neighbours`.
    """
    margin = (high - low + LONE).clamp(max=_SURELY_LONE)
    outside = torch.maximum(F.relu(lr - high), F.relu(low - lr))
    lone = outside > margin
    if _can_be_looked_at(lone) and not lone.any():
        return lr
    left = (margin / torch.maximum(outside, margin)).square().square().square()
    # Lone pixels cut off first: what is far outside has no digits left for its neighbours.
    between = _between(torch.minimum(torch.maximum(lr, low), high))
    return torch.where(lone, between + left * (lr - between), lr)


def _between(lr: Tensor) -> Tensor:
    """What neighbours say of each pixel: the mean of the opposite two that differ least.

    Beside an edge these lie along it, where the mean of all eight lies on both its sides.
    """
    padded = F.pad(lr, (1, 1, 1, 1), mode="replicate")
    lines = [padded[..., line, :] for line in _LINES]

    def at(row: int, column: int) -> Tensor:
        return lines[1 + row][..., _LINES[1 + column]]

    (first, second), *others = [
        (at(y, x), at(-y, -x)) for y, x in ((0, 1), (1, 0), (1, 1), (1, -1))
    ]
    least, both = (first - second).abs(), first + second
    for first, second in others:
        difference = (first - second).abs()
        both = torch.where(difference < least, first + second, both)
        least = torch.minimum(least, difference)
    return both / 2


def _can_be_looked_at(values: Tensor) -> bool:
    """Whether what is computed may depend on them: in no graph, and at no GPU's cost."""
    return values.device.type == "cpu" and not torch.jit.is_tracing()


def compressed(lr: Tensor) -> Tensor:
    """Frames in which nothing lies far outside the range: there only its logarithm counts."""
    if _can_be_looked_at(lr) and lr.amin() >= _LOW and lr.amax() <= _HIGH:
        return lr
    above, below = F.relu(lr - _HIGH), F.relu(_LOW - lr)
    return lr.clamp(_LOW, _HIGH) + torch.log1p(above) - torch.log1p(below)


def shown(lr: Tensor) -> Tensor:
    """What a network reads of LR frames, N x 1 x H x W: no lone pixels, nothing far outside."""
    return compressed(without_lone_pixels(lr, *neighbours(lr)))


def limits(lr: Tensor, low: Tensor, high: Tensor, overshoot: Tensor) -> tuple[Tensor, Tensor]:
    """Least and largest of what may come out at each camera pixel, N x 1 x H x W both.

    ``[min - a c, max + a c]`` with ``c = max - min`` of the 3x3 pixels and ``a`` the overshoot; of
    a contrast beyond 0.32 of the range 0.76 times as much. Where the hottest of them are a plateau,
    which the camera resolves, nothing hotter lies in between, and a quarter of the contrast is
    enough (or a tenth of the range); so with the coldest.

    Args:
        lr: N x 1 x H x W, normalised intensity.
        low, high: of :func:`neighbours`.
        overshoot: N or 1 numbers, 0 to 1.
    """
    low, high = torch.minimum(low, lr), torch.maximum(high, lr)
    contrast = high - low
    margin = torch.minimum(contrast, _more_of(_LINES_BEYOND, contrast))
    flat = _more_of(_PLATEAUS_BEYOND, contrast)
    cold, hot = plateaus(lr)
    below = torch.minimum(margin, flat + _ABOVE_PLATEAU * F.relu(cold - low))
    above = torch.minimum(margin, flat + _ABOVE_PLATEAU * F.relu(high - hot))
    allowed = overshoot.reshape(-1, 1, 1, 1)
    return low - allowed * below, high + allowed * above


def _more_of(shares: tuple[float, float], contrast: Tensor) -> Tensor:
    """A share of the range, or of the contrast, where that is more."""
    return (shares[1] * contrast).clamp(min=shares[0])


def plateaus(lr: Tensor) -> tuple[Tensor, Tensor]:
    """Coldest and hottest plateau around each pixel, N x 1 x H x W both.

    A plateau is as hot as the coldest of its 2x2 pixels, and as cold as their hottest (grey-scale
    opening and closing); those count that have a pixel among the 3x3 around.
    """
    padded = F.pad(lr, (2, 2, 2, 2), mode="replicate")
    return (
        _of_squares(_of_squares(padded, 2, torch.maximum), 4, torch.minimum),
        _of_squares(_of_squares(padded, 2, torch.minimum), 4, torch.maximum),
    )


def _of_squares(x: Tensor, side: int, of: Pairwise) -> Tensor:
    """Least or largest of each square of 2 or 4 pixels a side."""
    if torch.jit.is_tracing():  # one node instead of six to twelve; slower on a CPU
        if of is torch.maximum:
            return F.max_pool2d(x, side, stride=1)
        return -F.max_pool2d(-x, side, stride=1)
    for apart in (1, 2)[: side // 2]:
        x = of(x[..., :-apart, :], x[..., apart:, :])
        x = of(x[..., :-apart], x[..., apart:])
    return x


def outstanding(lr: Tensor, low: Tensor, high: Tensor) -> Tensor:
    """Where the contrast of the 3x3 pixels is beyond what noise and most edges have, 0 to 1.

    0 up to 0.3 of the range, 1 from 0.6 of it; N x 1 x H x W.
    """
    return _rising(_contrast(lr, low, high), *_OUTSTANDING)


def _contrast(lr: Tensor, low: Tensor, high: Tensor) -> Tensor:
    """Of the 3x3 pixels around each, N x 1 x H x W."""
    return torch.maximum(high, lr) - torch.minimum(low, lr)


def _rising(x: Tensor, begin: float, end: float) -> Tensor:
    """0 up to ``begin``, 1 from ``end``."""
    return ((x - begin) / (end - begin)).clamp(0, 1)


def bound(
    folded: Tensor,
    lr: Tensor,
    low: Tensor,
    high: Tensor,
    overshoot: Tensor,
    overwrite: bool = False,
) -> Tensor:
    """Keep a result within :func:`limits`, and the energy of hot and cold targets.

    Where the contrast is more than noise (from 0.15 of the range on, wholly from 0.3), what is cut
    off goes to the rest of its block, in the measure of the room that is left: the block keeps its
    mean.

    Args:
        folded: N x 16 x H x W, or fewer: one channel for each pixel of a block.
        lr, low, high, overshoot: as of :func:`limits`.
        overwrite: whether the result may be written into ``folded``, which no gradient needs.
    """
    least, most = limits(lr, low, high, overshoot)
    keep = _rising(_contrast(lr, low, high), *_KEPT)
    out = folded if overwrite else None
    before = folded.mean(dim=1, keepdim=True)
    within = torch.maximum(folded, least, out=out)
    within = torch.minimum(within, most, out=out)
    mean = within.mean(dim=1, keepdim=True)
    lost = keep * (torch.minimum(torch.maximum(before, least), most) - mean)
    if overwrite and _can_be_looked_at(lost):
        # Few blocks of most frames lose anything, and to pass over all of them takes longer.
        some = lost[:, 0].nonzero(as_tuple=True)  # at N, H and W
        if len(some[0]) <= _FEW * lost.numel():
            blocks = within.permute(0, 2, 3, 1)
            parts = (x.permute(0, 2, 3, 1)[some] for x in (lost, mean, least, most))
            blocks[some] = _given_back(blocks[some], *parts)
            return within
    return _given_back(within, lost, mean, least, most, out)


def _given_back(
    within: Tensor,
    lost: Tensor,
    mean: Tensor,
    least: Tensor,
    most: Tensor,
    out: Tensor | None = None,
) -> Tensor:
    """Blocks with what they lost, in the measure of the room that is left in them.

    ``within`` has a value for each pixel of a block, the others one, along the same axis.
    """
    # All pixels of a block go the same share of their way to the limit: so none goes beyond.
    limit = torch.where(lost > 0, most, least)
    share = (lost.abs() / (limit - mean).abs().clamp(min=_LEAST)).clamp(max=1)
    return torch.addcmul(share * limit, within, 1 - share, out=out)
