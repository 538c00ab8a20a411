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

"""Visual guidance: filters, energies, and that its closed form is their gradient."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from difiisr_ros.core.resample import back_project, downsample_folded, fold, unfold, upsample_folded
from difiisr_ros.core.visual_guidance import (
    CONDITIONS,
    LR_RINGS,
    RINGS,
    SpectrumPrior,
    VisualTerm,
    lr_amplitudes,
    ring_amplitudes,
    ring_filters,
    ring_responses,
    thermal_spectrum,
)
from difiisr_ros.lab.training import guidance_priors
from difiisr_ros.lab.training.data import load_frames


def _image(height: int, width: int, seed: int = 0) -> torch.Tensor:
    return torch.rand(2, 1, height, width, generator=torch.Generator().manual_seed(seed))


def _constant_prior(amplitudes: list[float]) -> SpectrumPrior:
    """Expects the same whatever the frame."""
    weight = torch.zeros(len(RINGS), CONDITIONS)
    weight[:, -1] = torch.tensor(amplitudes).log()
    return SpectrumPrior(weight)


@pytest.mark.parametrize("rings", [RINGS, LR_RINGS])
def test_filters_are_symmetric_and_their_response_is_never_negative(rings):
    for (low, high), kernel in zip(rings, ring_filters(rings)):
        np.testing.assert_allclose(kernel, kernel[::-1, ::-1], atol=1e-12)
        padded = np.zeros((64, 64))
        padded[:9, :9] = kernel
        response = np.fft.fft2(np.roll(padded, (-4, -4), (0, 1)))
        assert np.abs(response.imag).max() < 1e-12
        assert response.real.min() > -1e-9
        frequency = np.fft.fftfreq(64)
        radius = np.hypot(frequency[:, None], frequency[None, :])
        inside = (radius > low) & (radius < high)
        assert response.real[inside].mean() > 3 * response.real[~inside].mean()


def test_folded_filters_are_the_filters():
    image = _image(48, 64)
    ours = ring_responses(fold(image))
    kernel = torch.from_numpy(ring_filters(RINGS))[:, None].float()
    expected = F.conv2d(image, kernel, padding=4)
    for ring in range(len(RINGS)):
        found = unfold(ours[:, ring])[:, 0]
        # Apart from the border, where one of them repeats pixels and the other has zeros.
        inner = (slice(None), slice(4, -4), slice(4, -4))
        torch.testing.assert_close(found[inner], expected[:, ring][inner], atol=1e-5, rtol=1e-4)


def test_amplitudes_tell_which_ring_a_wave_is_in():
    x = torch.arange(96.0)
    for ring, (low, high) in enumerate(RINGS[:2]):
        wave = torch.cos(2 * np.pi * (low + high) / 2 * x).expand(96, 96)[None, None]
        residual = fold(0.1 * wave)
        found = ring_amplitudes(residual, ring_responses(residual))[0]
        assert found.argmax() == ring


def _energy(x0: torch.Tensor, y0: torch.Tensor, expected: torch.Tensor) -> torch.Tensor:
    """The rings' energy, times the number of pixels."""
    residual = x0 - y0
    amplitudes = ring_amplitudes(residual, ring_responses(residual))
    return 0.5 * (amplitudes - expected).square().sum() * residual[0].numel()


def test_the_closed_form_is_the_gradient_of_the_energies():
    hr = _image(64, 80).double()
    folded = fold(hr)
    lr = downsample_folded(folded) + 0.01 * _image(16, 20, 1).double()
    y0 = upsample_folded(lr)
    amplitudes = [0.05, 0.1, 0.2]
    expected = torch.tensor(amplitudes, dtype=torch.float64)
    leaf = folded.clone().requires_grad_()
    (rings,) = torch.autograd.grad(_energy(leaf, y0, expected), leaf)
    measured = 0.5 * 16 * (downsample_folded(leaf) - lr).square().sum()
    (band,) = torch.autograd.grad(measured, leaf)
    ours = VisualTerm(_constant_prior(amplitudes), lr, y0, torch.float64).gradient(folded)
    # Borders repeat pixels, which is no symmetric operator.
    inner = (slice(None), slice(None), slice(4, -4), slice(4, -4))
    torch.testing.assert_close(ours[inner], (rings + band)[inner], atol=2e-3, rtol=2e-3)
    assert ours[inner].abs().mean() > 0.01
    alone = VisualTerm(
        _constant_prior(amplitudes), lr, y0, torch.float64, measured_band=False
    ).gradient(folded)
    torch.testing.assert_close(alone[inner], rings[inner], atol=2e-3, rtol=2e-3)


def test_steps_against_the_gradient_bring_the_amplitudes_to_what_is_expected():
    # Smooth, so that the measured band asks for nothing that bicubic has not got.
    lr = torch.linspace(0, 1, 24).expand(1, 1, 24, 24)
    y0 = upsample_folded(lr)
    noise = 0.02 * torch.randn(y0.shape, generator=torch.Generator().manual_seed(3))
    x0 = back_project(y0 + noise, lr, 2)
    first = ring_amplitudes(x0 - y0, ring_responses(x0 - y0))
    wanted = (1.4 * first[0]).tolist()
    term = VisualTerm(_constant_prior(wanted), lr, y0)
    for _ in range(30):
        x0 = x0 - term.gradient(x0)
    after = ring_amplitudes(x0 - y0, ring_responses(x0 - y0))[0]
    torch.testing.assert_close(after, torch.tensor(wanted), rtol=0.1, atol=0)
    # And the measured band is the LR frame's, whatever was done above it.
    assert (downsample_folded(x0) - lr).abs().max() < 0.02


def test_phase_is_left_alone_and_a_flat_frame_stays_flat():
    lr = torch.full((1, 1, 12, 16), 0.3)
    y0 = upsample_folded(lr)
    term = VisualTerm(_constant_prior([0.1] * len(RINGS)), lr, y0)
    assert term.gradient(y0.clone()).abs().max() < 1e-5
    # All gains alike: the result is the same picture, only stronger, without a wave turned round.
    noise = 0.01 * torch.randn(y0.shape, generator=torch.Generator().manual_seed(1))
    step = -VisualTerm(_constant_prior([0.1] * len(RINGS)), lr, y0).gradient(y0 + noise)
    responses = ring_responses(noise)
    assert (step.flatten() @ responses.sum(dim=1).flatten()) > 0


def test_the_first_answer_fixes_the_expectation():
    """Otherwise every step would want more than the one before."""
    weight = torch.zeros(len(RINGS), CONDITIONS)
    weight[:, len(LR_RINGS) : len(LR_RINGS) + len(RINGS)] = torch.eye(len(RINGS))
    weight[:, -1] = 0.5
    lr = _image(16, 16)
    y0 = upsample_folded(lr)
    noise = torch.randn(y0.shape, generator=torch.Generator().manual_seed(1))
    term = VisualTerm(SpectrumPrior(weight), lr, y0)
    measured = upsample_folded(downsample_folded(0.01 * noise))
    again = y0 + 0.01 * float(np.exp(0.5)) * noise
    assert (term.gradient(y0 + 0.01 * noise) - measured).abs().max() > 1e-3
    measured = upsample_folded(downsample_folded(again) - lr)
    torch.testing.assert_close(term.gradient(again), measured, atol=1e-5, rtol=0)


def test_a_prior_of_another_shape_is_refused():
    with pytest.raises(ValueError, match=r"3 x 7 weights, got \(4, 7\)"):
        SpectrumPrior(torch.zeros(4, 7))


def test_lr_amplitudes_follow_the_contrast():
    lr = _image(32, 32)
    torch.testing.assert_close(
        lr_amplitudes(0.5 * lr + 3), 0.5 * lr_amplitudes(lr), rtol=1e-3, atol=1e-6
    )


def test_what_thermal_frames_have_is_about_what_a_set_of_them_has(drone_frames):
    """Of no network's answer; on frames that the regression has not seen."""
    frames = load_frames(drone_frames[0].parent, 64)
    prior, errors = thermal_spectrum(), []
    for lr, hr, _ in guidance_priors.degraded(frames, torch.device("cpu"), 0, "reduced"):
        residual = hr - upsample_folded(lr)
        found = ring_amplitudes(residual, ring_responses(residual))
        expected = prior.expect(lr, torch.ones(1, len(RINGS)))
        assert torch.equal(expected, prior.expect(lr, torch.rand(1, len(RINGS)) + 0.5))
        errors.append(20 * (expected / found).log10())
    decibels = torch.cat(errors)
    assert decibels.mean().abs() < 0.8
    assert decibels.std(dim=0).max() < 2.0
