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

"""The prior expert in 8-bit integers: near the float one at any size, exact in its arithmetic.

Without VNNI the operators add pairs of products into 16 bits, which saturate; there a stand-in
computes what they do elsewhere.
"""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torch")

import torch
import torch.nn.functional as F

from difiisr_ros import SuperResolver
from difiisr_ros.backends.torch_backend import TorchBackend
from difiisr_ros.core.condition import NOTHING_KNOWN, features
from difiisr_ros.core.radiometry import measure_range, normalize
from difiisr_ros.core.resample import unfold, upsample_folded
from difiisr_ros.errors import BackendUnavailable
from difiisr_ros.lab.training.channel_limits import measure_limits
from difiisr_ros.models import lite_int8
from difiisr_ros.models.channel_limits import ChannelLimits
from difiisr_ros.models.checkpoint import load_model, save_model
from difiisr_ros.models.lite import LiteConfig, LiteDenoiser
from difiisr_ros.models.lite_int8 import Int8Conv, check_int8, int8_is_supported, int8_prior
from difiisr_ros.scene.street import SyntheticScene

needs_vnni = pytest.mark.skipif(not int8_is_supported(), reason="this CPU has no VNNI")
needs_operators = pytest.mark.skipif(
    not hasattr(torch.ops.onednn, "qconv2d_pointwise"), reason="this PyTorch has no operators"
)


class Emulated:
    """What :class:`Int8Conv` computes, in floating point."""

    def __init__(self, weight, bias, zero):
        scale = weight.abs().amax(dim=(1, 2, 3), keepdim=True).clamp_min(1e-12) / 127
        self._weight, self._bias, self._zero = (weight / scale).round() * scale, bias, zero

    def _conv(self, x):
        assert x.dtype == torch.uint8
        return F.conv2d(x.float() - self._zero, self._weight, padding=1)

    def relu(self, x, dtype, scale=1.0, shift=0.0):
        of_channels = [torch.as_tensor(value).view(-1, 1, 1) for value in (scale, shift)]
        result = (self._conv(x) + self._bias.view(-1, 1, 1)) * of_channels[0] + of_channels[1]
        return result.relu().round().clamp(0, 255).to(dtype) if dtype == torch.uint8 else result

    def add_to(self, total, x):
        return total.add_(self._conv(x) + self._bias.view(-1, 1, 1))


@pytest.fixture
def arithmetic(monkeypatch):
    """Integer convolutions that are right on this CPU."""
    if not int8_is_supported():
        monkeypatch.setattr(lite_int8, "Int8Conv", Emulated)


def told(noise=0.005, blur=0.4, error=0.05):
    return torch.from_numpy(features(noise, blur, error))[None]


def lr_frame(size, seed=5):
    frame = SyntheticScene(*size, seed=seed).frame(40)[0]
    return torch.from_numpy(normalize(frame, measure_range(frame))[None, None])


@needs_operators
@pytest.mark.parametrize("zero", [0, 128])
def test_the_integer_convolution_is_a_convolution_of_the_integers(zero):
    generator = torch.Generator().manual_seed(0)
    weight = torch.randn(64, 64, 3, 3, generator=generator)
    bias = torch.randn(64, generator=generator)
    # Pairs of products up to 127 * 127: within 16 bits, which is all that some CPUs have.
    x = torch.randint(0, 128, (1, 64, 9, 10), generator=generator).to(torch.uint8)
    x = x.contiguous(memory_format=torch.channels_last)
    rounding = weight.abs().amax((1, 2, 3), keepdim=True) / 127
    rounded = (weight / rounding).round() * rounding
    conv = Int8Conv(weight, bias, zero)
    # Outside the image is 0, that is `zero` in bytes: the border is where this goes wrong.
    expected = F.conv2d(x.float() - zero, rounded, bias, padding=1)
    scale, shift = (torch.randn(64, generator=generator) for _ in range(2))
    film = (expected * scale.view(-1, 1, 1) + 99 * shift.view(-1, 1, 1)).relu()
    total = torch.ones(1, 64, 9, 10).contiguous(memory_format=torch.channels_last)
    close = {"rtol": 1e-4, "atol": 0.1}
    with torch.inference_mode():
        assert torch.allclose(conv.relu(x, torch.float32), expected.relu(), **close)
        assert torch.allclose(conv.relu(x, torch.float32, scale, 99 * shift), film, **close)
        added = conv.add_to(total.clone(memory_format=torch.preserve_format), x)
    assert torch.allclose(added, expected + 1, **close)


@pytest.mark.parametrize("size", [(160, 120), (47, 33), (8, 8)])
@pytest.mark.parametrize("noise", [0.001, 0.05])
@pytest.mark.parametrize("model", ["lite", "nano"])
@pytest.mark.parametrize("stream", [torch.float32, torch.bfloat16])
def test_int8_is_near_float(arithmetic, size, noise, model, stream):
    network, _ = load_model(model)
    lr, camera = lr_frame(size), told(noise)
    lr = lr + noise * torch.randn(lr.shape, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        exact = network.predict_prior(lr, camera)
        network.prior = int8_prior(network, stream)
        network.camera_embedding.to(stream)
        reduced = network.predict_prior(lr, camera)
    error = (exact - reduced).abs() * 255
    assert 0 < error.mean() < 0.7
    assert np.quantile(error, 0.999) < 4
    assert error.mean() < 0.1 * 255 * exact.abs().mean()


def test_every_frame_is_told_its_own_camera(arithmetic):
    network, _ = load_model("lite")
    lr = torch.cat([lr_frame((40, 30), seed) for seed in (1, 2)])
    cameras = torch.cat([told(0.002, 0.3), told(0.05, 0.6)])
    with torch.no_grad():
        network.prior = int8_prior(network, torch.float32)
        both = network.predict_prior(lr, cameras)
        for frame, camera, result in zip(lr.split(1), cameras.split(1), both.split(1)):
            assert torch.equal(network.predict_prior(frame, camera), result)
        other = network.predict_prior(lr, cameras.flip(0))
    assert (both - other).abs().mean() > 1e-4


def test_gradients_are_those_of_the_float_network(arithmetic):
    network, _ = load_model("lite")
    lr, camera = lr_frame((32, 24)), told()
    gradients = []
    for prior in (network.prior, int8_prior(network, torch.float32)):
        network.prior = prior
        read = lr.clone().requires_grad_()
        network.predict_prior(read, camera).square().sum().backward()
        gradients.append(read.grad)
    assert gradients[0].abs().max() > 0
    assert torch.allclose(gradients[0], gradients[1], rtol=1e-3, atol=1e-6)


def test_a_hot_target_stays_hot(arithmetic):
    network, _ = load_model("lite")
    network.prior = int8_prior(network, torch.float32)
    lr = torch.full((1, 1, 24, 32), 0.5)
    lr[..., 10:14, 15:19] = 2.0
    with torch.no_grad():
        folded = upsample_folded(lr) + network.predict_prior(
            lr, torch.from_numpy(NOTHING_KNOWN.values)
        )
    hot = unfold(folded)[0, 0, 40:56, 60:76]
    assert abs(float(hot.mean()) - 2.0) < 0.05 * 1.5


@needs_vnni
def test_a_batch_and_more_steps_run_in_int8():
    resolver = SuperResolver.load(backend="torch", device="cpu", precision="int8", num_steps=2)
    assert resolver.info.precision == "int8"
    frames = [SyntheticScene(32, 24, seed=s).frame(0)[0] for s in (1, 2)]
    both = resolver.upscale_batch(frames)
    alone = [resolver.upscale(frame) for frame in frames]
    for a, b in zip(both, alone):
        assert np.abs(a.astype(int) - b.astype(int)).max() <= 0.01 * np.ptp(b)


def test_narrow_networks_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(lite_int8, "int8_is_supported", lambda: True)
    network = LiteDenoiser(LiteConfig(prior_channels=8))
    save_model(tmp_path / "narrow.safetensors", network, {})
    backend = TorchBackend(str(tmp_path / "narrow.safetensors"), device="cpu", precision="int8")
    with pytest.raises(BackendUnavailable, match=r"16 channels or more.* this one has 8"):
        backend.load()


def test_a_file_without_limits_is_refused_by_name():
    network, _ = load_model("lite")
    network.channel_limits = None
    with pytest.raises(BackendUnavailable, match="does not say how large its channels get"):
        int8_prior(network, torch.float32)


def test_limits_are_the_usual_frames_magnitudes_and_survive_a_file(tmp_path):
    network, facts = load_model("lite")
    lr, camera = lr_frame((32, 24)) - 0.5, network.camera_embedding(told())
    usual, both = (
        measure_limits(network.prior, [(scale * lr, camera) for scale in scales])
        for scales in ([1.0], [1.0] * 19 + [30.0])
    )
    with torch.no_grad():
        largest = network.prior.head(lr).abs().amax(dim=(0, 2, 3))
    assert torch.equal(usual.streams[0], largest)
    assert torch.allclose(both.hiddens[1], usual.hiddens[1])  # one odd frame in twenty
    network.channel_limits = both
    save_model(tmp_path / "a.safetensors", network, facts)
    again = load_model(str(tmp_path / "a.safetensors"))[0].channel_limits
    assert all(torch.equal(a, b) for a, b in zip(again.hiddens, both.hiddens))
    with pytest.raises(ValueError, match=r"int8\.hiddens has the shape \(1, 32\), not \(4, 32\)"):
        ChannelLimits.from_tensors(
            {"int8.streams": torch.ones(4, 32), "int8.hiddens": torch.ones(1, 32)}, (4, 32)
        )
    with pytest.raises(ValueError, match="no examples"):
        measure_limits(network.prior, [])


def test_the_backend_reads_its_limits_from_the_file(arithmetic, monkeypatch):
    monkeypatch.setattr(lite_int8, "int8_is_supported", lambda: True)
    resolver = SuperResolver.load(
        backend="torch", device="cpu", precision="int8", strict_backend=True
    )
    exact = SuperResolver.load(backend="torch", device="cpu", precision="fp32")
    frame = SyntheticScene(48, 36, seed=5).frame(40)[0].astype(np.float32)
    low, high = measure_range(frame)
    error = np.abs(exact.upscale(frame) - resolver.upscale(frame)) * 255 / (high - low)
    assert resolver.info.precision == "int8"
    assert 0 < error.mean() < 1


def test_a_cpu_without_vnni_is_told_so(monkeypatch):
    monkeypatch.setattr(lite_int8, "int8_is_supported", lambda: False)
    with pytest.raises(BackendUnavailable, match="VNNI"):
        SuperResolver.load(backend="torch", device="cpu", precision="int8", strict_backend=True)
    with pytest.raises(BackendUnavailable, match="int8 is for CPUs"):
        check_int8(torch.device("cuda:0"))
