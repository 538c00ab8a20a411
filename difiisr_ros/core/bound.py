"""Bounds on what a network is shown, and on what comes out, from each pixel's neighbours.

A network that was trained on scenes within their range does what it likes with a target of fifty
ranges. So it is shown a frame in which nothing lies far outside the range, and no single pixel
far outside its neighbours; what is taken away there is left to bicubic interpolation. And no
result may leave what the camera's 3x3 pixels span by more than a given part of that span.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from difiisr_ros.core.radiometry import LONE

_LOW, _HIGH = -1.0, 2.0  # beyond these, ranges count by their logarithm
_FAR = 1e30  # ranges: more than any pixel is outside

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
    of the range. Of one that lies farther, by d, ``(m / d)^4`` is left, from the mean of its
    neighbours: the farther, the more surely it is stuck and not hot.

    Args:
        lr: N x 1 x H x W, normalised intensity.
        low, high: of :func:`neighbours`.
    """
    margin = (high - low) + LONE
    outside = torch.maximum(F.relu(lr - high), F.relu(low - lr))
    left = (margin / torch.maximum(outside, margin)).square().square()
    # Lone pixels cut off first: what is far outside has no digits left for its neighbours.
    cut = torch.minimum(torch.maximum(lr, low), high)
    whole = F.avg_pool2d(F.pad(cut, (1, 1, 1, 1), mode="replicate"), 3, stride=1)
    mean = torch.minimum(torch.maximum((9 * whole - cut) / 8, low), high)
    return torch.where(outside > margin, mean + left * (lr - mean), lr)


def compressed(lr: Tensor) -> Tensor:
    """Frames in which nothing lies far outside the range: there only its logarithm counts."""
    above, below = F.relu(lr - _HIGH), F.relu(_LOW - lr)
    return lr.clamp(_LOW, _HIGH) + torch.log1p(above) - torch.log1p(below)


def shown(lr: Tensor) -> Tensor:
    """What a network reads of LR frames, N x 1 x H x W: no lone pixels, nothing far outside."""
    return compressed(without_lone_pixels(lr, *neighbours(lr)))


def bound(folded: Tensor, lr: Tensor, low: Tensor, high: Tensor, overshoot: Tensor) -> Tensor:
    """Keep a result within what the camera's 3x3 pixels around span, and ``overshoot`` of that.

    ``[min - a c, max + a c]`` with ``c = max - min`` of the 3x3 pixels and ``a`` the overshoot.

    Args:
        folded: N x 16 x H x W.
        lr: N x 1 x H x W.
        low, high: of :func:`neighbours`.
        overshoot: N or 1 numbers, 0 to 1.
    """
    low, high = torch.minimum(low, lr), torch.maximum(high, lr)
    margin = overshoot.reshape(-1, 1, 1, 1) * (high - low)
    return torch.minimum(torch.maximum(folded, low - margin), high + margin)
