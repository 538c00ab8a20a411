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

"""Bicubic x4 resampling and its inverse constraint, on folded tensors.

*Folded* means pixel-unshuffled by the scale: an image of 4H x 4W is N x 16 x H x W, so that
everything between camera and publisher runs at the camera's resolution and one pixel shuffle
ends it. In this form both directions are a few small convolutions and additions, which export to
ONNX and TensorRT as they are. Results of x2 and x1 are means of 2x2 and 4x4 pixels of those of x4:
N x 4 x H x W and N x 1 x H x W.

Geometry: pixel centres are aligned (``u = 4 (i + 0.5) - 0.5``), as in Pillow, OpenCV and torch
with ``align_corners=False``. The kernel is Keys' with a = -0.5 (IEEE ASSP 29(6), 1981), as in
Pillow and MATLAB; OpenCV and torch use -0.75.
"""

from __future__ import annotations

from functools import lru_cache, reduce

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from difiisr_ros.core.constants import constant
from difiisr_ros.core.keys_kernel import keys_cubic
from difiisr_ros.core.scale import SCALE

_REACH = 2  # both kernels touch the LR pixels i-2 .. i+2
_TAPS = 2 * _REACH + 1
_DAMPING = 0.05
_CERTAIN = 0.1  # of the range: no mean is further off because of noise
_LARGE = 0.11  # of the range: nor because of blur, but beside targets
_OF_BYTES = {8: torch.float64, 16: torch.complex128}


@lru_cache(maxsize=1)
def _taps() -> np.ndarray:
    """Kernel at the distance of HR phase p of LR block i+d from LR pixel i: (d, p), float64."""
    blocks = np.arange(-_REACH, _REACH + 1)[:, None]
    phases = np.arange(SCALE)[None, :]
    return keys_cubic(blocks + (phases - (SCALE - 1) / 2) / SCALE)


@constant(maxsize=8)
def _upsample_weight(scale: int) -> np.ndarray:
    # HR phase p of pixel i lies at i + (p - 1.5)/4; LR neighbour i+d is that far from it, mirrored.
    line = _taps()[::-1].T  # (phase, neighbour)
    line = line.reshape(scale, SCALE // scale, _TAPS).mean(axis=1)
    square = np.einsum("pd,qe->pqde", line, line).reshape(scale**2, 1, 5, 5)
    return square.astype(np.float32)


@lru_cache(maxsize=1)
def _downsample_line() -> np.ndarray:
    line = _taps()  # (block, phase)
    return line / line.sum()


@constant(maxsize=4)
def _along_rows() -> np.ndarray:
    """Downsampling along the row: 16 phases to the 4 row phases, a kernel of 1 x 5 blocks."""
    rows = np.einsum("pr,bq->prqb", np.eye(SCALE), _downsample_line())
    return rows.reshape(SCALE, SCALE**2, 1, _TAPS).astype(np.float32)


@constant(maxsize=4)
def _along_columns() -> np.ndarray:
    """The same along the column: 4 row phases to one value, 5 x 1 blocks."""
    return _downsample_line().T.reshape(1, SCALE, _TAPS, 1).astype(np.float32)


def channels_last(x: Tensor) -> Tensor:
    """The same N x C x H x W in the layout that convolutions then give their results in.

    With one channel both layouts are the same bytes, and PyTorch tells them apart by the strides
    alone. Adding maps of two layouts takes several times as long as of one.
    """
    if x.shape[1] == 1 and not torch.jit.is_tracing():
        return x.squeeze(1).unsqueeze(-1).permute(0, 3, 1, 2)
    return x.contiguous(memory_format=torch.channels_last)


def fold(image: Tensor) -> Tensor:
    """N x 1 x 4H x 4W -> N x 16 x H x W, channels last as the networks compute."""
    return channels_last(F.pixel_unshuffle(image, SCALE))


def unfold(folded: Tensor, scale: int = SCALE) -> Tensor:
    """N x scale^2 x H x W -> N x 1 x scale H x scale W."""
    if scale == 1:
        return folded
    if torch.jit.is_tracing() or not folded.is_contiguous(memory_format=torch.channels_last):
        return F.pixel_shuffle(folded, scale)
    # Of maps in channels last this is one copy of short runs, which pixel_shuffle does not see.
    count, _, height, width = folded.shape
    phases = folded.permute(0, 2, 3, 1).view(count, height, width, scale, scale)
    if folded.dtype == torch.float32 and not folded.requires_grad:
        # Nor does the copy see that they are runs, unless each is one number of 8 or 16 bytes.
        runs = phases.view(_OF_BYTES[4 * scale]).transpose(2, 3)
        image = torch.empty_like(runs, memory_format=torch.contiguous_format).copy_(runs)
        return image.view(torch.float32).view(count, 1, scale * height, scale * width)
    return phases.transpose(2, 3).reshape(count, 1, scale * height, scale * width)


@constant(maxsize=8)
def _mean_weight(scale: int) -> np.ndarray:
    """Means over neighbouring phases as a convolution of one pixel: scale^2 x 16 x 1 x 1."""
    line = np.kron(np.eye(scale), np.full(SCALE // scale, scale / SCALE))
    return np.kron(line, line).reshape(scale**2, SCALE**2, 1, 1).astype(np.float32)


def averaged(folded: Tensor, scale: int) -> Tensor:
    """Means of 4 / scale pixels a side: N x 16 x H x W -> N x scale^2 x H x W."""
    return folded if scale == SCALE else F.conv2d(folded, _mean_weight(folded, scale))


def upsample_folded(lr: Tensor, scale: int = SCALE) -> Tensor:
    """Bicubic x4, or its means: N x 1 x H x W -> N x scale^2 x H x W; the border is replicated."""
    padded = F.pad(lr, (_REACH,) * 4, mode="replicate")
    return F.conv2d(channels_last(padded), _upsample_weight(lr, scale))


@constant(maxsize=16)
def _edge_weight(height: int, width: int) -> np.ndarray:
    """Kernel mass inside an image of H x W LR pixels (1 away from the border): H x W, float32."""
    mass = _downsample_line().sum(axis=1)
    rows, columns = (
        np.convolve(np.ones(length), mass[::-1])[_REACH : _REACH + length].astype(np.float32)
        for length in (height, width)
    )
    return rows[:, None] * columns[None, :]


@constant(maxsize=4)
def _mass() -> np.ndarray:
    return _downsample_line().sum(axis=1).astype(np.float32)


def _traced_edge_weight(raw: Tensor) -> Tensor:
    """The same for a graph whose size is not known yet: the border's zeros are not counted."""
    mass = _mass(raw)
    ones = torch.ones_like(raw[:1])
    rows = F.conv2d(ones[..., :1], mass.view(1, 1, -1, 1), padding=(_REACH, 0))
    columns = F.conv2d(ones[..., :1, :], mass.view(1, 1, 1, -1), padding=(0, _REACH))
    return rows * columns


def downsample_folded(folded: Tensor) -> Tensor:
    """Antialiased bicubic x1/4 of a folded image: N x 16 x H x W -> N x 1 x H x W.

    Equal to Pillow's ``resize(..., BICUBIC)`` in floating point, borders included: there the
    kernel is cut off and what is left of it is normalised.
    """
    # One 5x5 convolution to a single channel would be the obvious way, but takes five times as
    # long: with one channel of results there is nothing to compute side by side.
    across = F.conv2d(folded, _along_rows(folded), padding=(0, _REACH))
    raw = F.conv2d(across, _along_columns(folded), padding=(_REACH, 0))
    if torch.jit.is_tracing():
        return raw / _traced_edge_weight(raw)
    return raw / _edge_weight(raw, *raw.shape[-2:])


@constant(maxsize=4)
def _correction_line() -> np.ndarray:
    """Symmetric 1-D filter, 7 taps, that nearly inverts upsampling followed by downsampling.

    That composite passes low frequencies whole but only half of the LR Nyquist frequency, so plain
    back-projection converges slowly just where detail is. The least-squares inverse, damped a
    little so that it stays short, leaves 3 % after one iteration where the plain one leaves 52 %.
    """
    up, down = _taps()[::-1], _downsample_line()  # up[d, p]: weight of neighbour i+d at phase p
    composite = np.zeros(4 * _REACH + 1)
    for block in range(_TAPS):
        for neighbour in range(_TAPS):
            composite[block + neighbour] += down[block] @ up[neighbour]
    frequency = np.linspace(0, np.pi, 256)
    offsets = np.arange(len(composite)) - 2 * _REACH
    symbol = np.cos(np.outer(frequency, offsets)) @ composite
    order = np.arange(4)
    basis = np.where(order == 0, 1.0, 2 * np.cos(np.outer(frequency, order)))
    system = np.vstack([basis * symbol[:, None], _DAMPING * basis])
    target = np.concatenate([np.ones_like(frequency), np.zeros_like(frequency)])
    half = np.linalg.lstsq(system, target, rcond=None)[0]
    return np.concatenate([half[:0:-1], half]).astype(np.float32)


def _correct(difference: Tensor) -> Tensor:
    line = _correction_line(difference)
    reach = len(line) // 2
    padded = F.pad(difference, (reach,) * 4, mode="replicate")
    across = F.conv2d(padded, line.view(1, 1, 1, -1))
    return F.conv2d(across, line.view(1, 1, -1, 1))


def back_project(folded: Tensor, lr: Tensor, iterations: int) -> Tensor:
    """Pull a result to what the camera measured (iterative back-projection).

    Each iteration adds the upsampled difference between ``lr`` and the downsampled result
    (Irani & Peleg, CVGIP 53(3), 1991), with a back-projection kernel that makes one iteration
    nearly enough: see :func:`_correction_line`.

    Args:
        folded: N x 16 x H x W, float32.
        lr: N x 1 x H x W, float32.
        iterations: 0 leaves the result as it is.
    """
    for _ in range(iterations):
        # Added to what is new, so that no further map is made.
        folded = upsample_folded(_correct(lr - downsample_folded(folded))).add_(folded)
    return folded


@constant(maxsize=4)
def _enlarge_weight() -> np.ndarray:
    """Bilinear x4 as a 3x3 convolution to 16 phases, which a pixel shuffle puts in place."""
    offset = (np.arange(SCALE) - (SCALE - 1) / 2) / SCALE
    taps = np.maximum(0.0, 1 - np.abs(offset[:, None] - np.arange(-1, 2)[None, :]))
    square = np.einsum("pd,qe->pqde", taps, taps).reshape(SCALE**2, 1, 3, 3)
    return square.astype(np.float32)


@constant(maxsize=4)
def _binomial() -> np.ndarray:
    return (np.array([1, 4, 6, 4, 1], np.float32) / 16).astype(np.float32)


def low_pass(image: Tensor) -> Tensor:
    """Smooth by about a Gaussian of sigma 4 pixels: N x 1 x H x W to the same.

    Means of 4x4 pixels, a binomial filter of them, and bilinear interpolation back: a hundredth
    of the time of the long filter. The border is replicated.
    """
    height, width = image.shape[-2:]
    padded = F.pad(image, (0, SCALE - 1, 0, SCALE - 1), mode="replicate")
    rows, columns = ((side + SCALE - 1) // SCALE * SCALE for side in (height, width))
    coarse = F.pixel_unshuffle(padded[..., :rows, :columns], SCALE).mean(dim=1, keepdim=True)
    coarse = F.pad(coarse, (_REACH,) * 4, mode="replicate")
    line = _binomial(image)
    coarse = F.conv2d(F.conv2d(coarse, line.view(1, 1, 1, -1)), line.view(1, 1, -1, 1))
    coarse = F.pad(coarse, (1, 1, 1, 1), mode="replicate")
    fine = F.pixel_shuffle(F.conv2d(coarse, _enlarge_weight(image)), SCALE)
    return fine[..., :height, :width]


def pull_wide(
    folded: Tensor,
    lr: Tensor,
    iterations: int,
    outstanding: Tensor | None = None,
    scale: int = SCALE,
    base: Tensor | None = None,
    beside: Tensor | None = None,
) -> Tensor:
    """Pull a result to what the camera measured, in what is certain of it alone.

    A detector element measures the mean over its area. How far the result's means are from the
    measurement is noise for the greater part, and a camera's blur is not known exactly; only their
    average over many pixels is certain. So the difference is smoothed (:func:`low_pass`) before it
    is added.

    All that is to be upsampled is added up at the camera's resolution, and upsampled once.

    Args:
        folded: N x scale^2 x H x W, float32.
        lr: N x 1 x H x W, float32.
        iterations: 0 leaves the result as it is.
        outstanding: where a target stands out of the scene, 0 to 1, N x 1 x H x W
            (:func:`difiisr_ros.core.bound.outstanding`): there a large difference is neither noise
            nor blur, and is added to its own block.
        base: N x 1 x H x W, whose bicubic is a part of the result that ``folded`` lacks.
        beside: N x 1 x H x W, whose bicubic is added to the result and not pulled.
    """
    smooth, blocks = [base, beside], None
    if iterations > 0:
        mean = folded.mean(dim=1, keepdim=True)
        mean = mean if base is None else mean + upsample_folded(base, 1)
    for iteration in range(iterations):
        difference = lr - mean
        # What is left at the edges of a target of a hundred ranges is not to be spread around it.
        spread = low_pass(difference.clamp(-_CERTAIN, _CERTAIN))
        smooth.append(spread)
        if outstanding is not None:
            own = outstanding * (difference - difference.clamp(-_LARGE, _LARGE))
            blocks = own if blocks is None else blocks + own
        if iteration + 1 < iterations:
            mean = mean + upsample_folded(spread, 1)
            mean = mean if outstanding is None else mean + own
    added = [part for part in smooth if part is not None]
    if added:
        folded = upsample_folded(reduce(torch.add, added), scale).add_(folded)
    return folded if blocks is None else folded.add_(blocks)
