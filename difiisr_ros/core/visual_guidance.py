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

"""Visual guidance: the infrared thermal spectrum, in closed form.

DifIISR's visual prior (arXiv 2503.01187) compares amplitude and phase of the 2-D Fourier
transform with the HR image's. At inference there is no HR image, but two things are known:

* **The measured band**, up to the LR Nyquist frequency: the result's reduction must be the LR
  frame, in amplitude and phase. By Parseval's theorem that is an energy in pixels,
  ``1/2 |D x0 - y|^2``.
* **Above it**, how much amplitude thermal frames have in each ring of frequencies. A network
  that was trained to be right on average is too weak there. The expected amplitudes ``T_b`` of
  the residual over bicubic are predicted from the frame's own spectrum
  (:class:`SpectrumPrior`), and the energy is ``1/2 sum_b (A_b - T_b)^2``. The phase is left as the
  network has it: nothing is put where nothing was.

Rings are measured by short filters instead of a Fourier transform of the frame: with a
symmetric filter ``Q_b`` of response 0 or more, ``A_b^2 = <r, Q_b r> / n`` is the ring's power, and
the gradient of its energy is ``(1 - T_b / A_b) Q_b r`` (times ``1 / n``, which is left out: the
step is then of the residual's own size). Everything is convolutions, means, square roots and
divisions, so it exports to ONNX and TensorRT as it stands.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from difiisr_ros.core.constants import constant
from difiisr_ros.core.resample import SCALE, downsample_folded, upsample_folded

#: Rings above the LR Nyquist frequency, in cycles per HR pixel. The last takes the corners too.
RINGS = ((0.125, 0.2), (0.2, 0.32), (0.32, 0.75))
#: Rings of the LR frame, in cycles per LR pixel, that the expectation is made from.
LR_RINGS = ((0.06, 0.15), (0.15, 0.3), (0.3, 0.75))
#: Values that an expectation is made from: log amplitudes of LR_RINGS and RINGS, and 1.
CONDITIONS = len(LR_RINGS) + len(RINGS) + 1

#: Logarithm of each ring's expected amplitude, from the logarithms of LR_RINGS and 1: a regression
#: on hit_uav/train (python benchmarks/thermal_spectrum.py hit_uav/train).
THERMAL_SPECTRUM = (
    (-1.2308, 1.0480, 1.1704, -0.8970),
    (-1.2514, 1.0152, 1.1845, -0.9981),
    (-1.2291, 1.0220, 1.2064, -1.1681),
)

_REACH = 4  # HR pixels on each side: what a 3x3 convolution of folded maps can hold
_LEAST = 1e-5  # amplitude, of the range: below it there is nothing to amplify
_MOST_GAIN = 4.0


def ring_filters(rings: tuple[tuple[float, float], ...]) -> np.ndarray:
    """Symmetric filters, rings x 9 x 9, float64, whose frequency response is 0 or more.

    The ideal ring times a triangle, whose own response is 0 or more, so that the product's is too.
    """
    grid = 64
    frequency = np.fft.fftfreq(grid)
    radius = np.hypot(frequency[:, None], frequency[None, :])
    triangle = 1 - np.abs(np.arange(-_REACH, _REACH + 1)) / (_REACH + 1)
    middle = slice(grid // 2 - _REACH, grid // 2 + _REACH + 1)
    filters = []
    for low, high in rings:
        ideal = np.fft.ifft2(((radius >= low) & (radius < high)).astype(float)).real
        filters.append(np.fft.fftshift(ideal)[middle, middle] * np.outer(triangle, triangle))
    return np.stack(filters)


@constant(maxsize=4)
def _folded_filters() -> np.ndarray:
    """The same on folded maps: (rings * 16) x 16 x 3 x 3."""
    filters = ring_filters(RINGS)
    weight = np.zeros((len(RINGS), SCALE, SCALE, SCALE, SCALE, 3, 3))
    for out_row in range(SCALE):
        for in_row in range(SCALE):
            for block_row in range(3):
                # From output phase `out_row` of this block to input phase `in_row` of a neighbour.
                y = SCALE * (block_row - 1) + in_row - out_row + _REACH
                if not 0 <= y <= 2 * _REACH:
                    continue
                for out_column in range(SCALE):
                    for in_column in range(SCALE):
                        for block_column in range(3):
                            x = SCALE * (block_column - 1) + in_column - out_column + _REACH
                            if 0 <= x <= 2 * _REACH:
                                weight[
                                    :,
                                    out_row,
                                    out_column,
                                    in_row,
                                    in_column,
                                    block_row,
                                    block_column,
                                ] = filters[:, y, x]
    return weight.reshape(len(RINGS) * SCALE**2, SCALE**2, 3, 3).astype(np.float32)


@constant(maxsize=4)
def _lr_filters() -> np.ndarray:
    return ring_filters(LR_RINGS)[:, None].astype(np.float32)


def ring_responses(residual: Tensor) -> Tensor:
    """``Q_b r`` of every ring: folded N x 16 x H x W to N x rings x 16 x H x W, same dtype."""
    padded = F.pad(residual, (1, 1, 1, 1), mode="replicate")
    responses = F.conv2d(padded, _folded_filters(residual))
    return responses.unflatten(1, (len(RINGS), SCALE**2))


def ring_amplitudes(residual: Tensor, responses: Tensor) -> Tensor:
    """Root of each ring's power, N x rings, float32, from :func:`ring_responses`."""
    power = (residual.unsqueeze(1) * responses).mean(dim=(2, 3, 4)).float()
    return power.clamp_min(_LEAST**2).sqrt()


def lr_amplitudes(lr: Tensor) -> Tensor:
    """Amplitudes of the LR frame's rings, N x LR rings, from N x 1 x H x W."""
    centred = lr - lr.mean(dim=(2, 3), keepdim=True)
    responses = F.conv2d(F.pad(centred, (_REACH,) * 4, mode="replicate"), _lr_filters(lr))
    return (centred * responses).mean(dim=(2, 3)).float().clamp_min(_LEAST**2).sqrt()


class SpectrumPrior:
    """Expected amplitudes above the LR Nyquist frequency, learned from thermal frames.

    A linear regression in logarithms: of the HR frame's rings on the LR frame's rings and on the
    rings of the network's first answer.

    Args:
        weight: rings x :data:`CONDITIONS`, float32.
    """

    def __init__(self, weight: Tensor) -> None:
        if tuple(weight.shape) != (len(RINGS), CONDITIONS):
            raise ValueError(
                f"a spectrum prior has {len(RINGS)} x {CONDITIONS} weights, "
                f"got {tuple(weight.shape)}"
            )
        self.weight = weight

    @staticmethod
    def conditions(lr: Tensor, first: Tensor) -> Tensor:
        """What the regression reads, N x :data:`CONDITIONS`: logarithms, and 1.

        Args:
            lr: N x 1 x H x W.
            first: amplitudes of the first answer's rings, N x rings.
        """
        logs = torch.cat([lr_amplitudes(lr), first], dim=1).log()
        return torch.cat([logs, torch.ones_like(logs[:, :1])], dim=1)

    def expect(self, lr: Tensor, first: Tensor) -> Tensor:
        """Expected amplitudes, N x rings; arguments as of :meth:`conditions`."""
        return (self.conditions(lr, first) @ self.weight.to(lr.device).T).exp()


def thermal_spectrum() -> SpectrumPrior:
    """What thermal frames have on average, for a network whose own answers nothing was fitted to.

    It reads the LR frame alone, so that it serves any network, and is wider of the mark: 1.4 dB
    (standard deviation, hit_uav/test) where a fitted one is 0.5 dB.
    """
    weight = torch.zeros(len(RINGS), CONDITIONS)
    known = torch.tensor(THERMAL_SPECTRUM)
    weight[:, : len(LR_RINGS)], weight[:, -1] = known[:, :-1], known[:, -1]
    return SpectrumPrior(weight)


def guides_measured_band(num_steps: int, consistency: int, exact: bool) -> bool:
    """Whether visual guidance also pulls to the measured frame.

    A camera's frame is measured with noise, which a result must not be pulled to; and of frames
    without, a back-projection of the only prediction does the same. A published model is guided on
    its last prediction alone, whatever its steps: one.
    """
    return exact and (num_steps > 1 or consistency == 0)


class VisualTerm:
    """The energy of one batch of frames; see the module's text.

    The first answer that it is asked about fixes the expectation for the steps that follow.

    Args:
        prior: see :class:`SpectrumPrior`.
        lr: N x 1 x H x W.
        y0: bicubic of it, folded.
        dtype: of the filters' arithmetic; sums and gains are float32.
        measured_band: whether the measured band's energy counts. Where the only prediction is
            back-projected (:func:`difiisr_ros.core.resample.back_project`) it need not: that is a
            Newton step on the same energy, and the gradient costs as much.
    """

    def __init__(
        self,
        prior: SpectrumPrior,
        lr: Tensor,
        y0: Tensor,
        dtype: torch.dtype = torch.float32,
        *,
        measured_band: bool = True,
    ) -> None:
        self._prior, self._lr, self._y0, self._dtype = prior, lr, y0, dtype
        self._measured_band = measured_band
        self._expected: Tensor | None = None

    def gradient(self, x0: Tensor) -> Tensor:
        """Of ``1/2 |D x0 - y|^2`` (through bicubic, D's transpose but for a factor) and of the
        rings' energy, folded N x 16 x H x W."""
        residual = x0 - self._y0
        responses = ring_responses(residual.to(self._dtype))
        amplitudes = ring_amplitudes(residual.to(self._dtype), responses)
        if self._expected is None:
            self._expected = self._prior.expect(self._lr, amplitudes)
        gain = (self._expected / amplitudes).clamp_max(_MOST_GAIN)
        weights = (1 - gain)[:, :, None, None, None]
        rings = (weights.to(self._dtype) * responses).sum(dim=1).to(x0.dtype)
        if not self._measured_band:
            return rings
        return rings + upsample_folded(downsample_folded(x0) - self._lr)
