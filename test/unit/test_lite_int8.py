"""The prior expert in 8-bit integers: near the float one at any size, exact in its arithmetic."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torch")

import torch
import torch.nn.functional as F

from difiisr_ros import SuperResolver
from difiisr_ros.backends import int8_prior as int8_prior_file
from difiisr_ros.core.radiometry import measure_range, normalize
from difiisr_ros.errors import BackendUnavailable
from difiisr_ros.io.synthetic_scene import SyntheticScene
from difiisr_ros.models.checkpoint import load_model
from difiisr_ros.models.lite_int8 import Int8Conv, Int8Prior, int8_is_supported

pytestmark = pytest.mark.skipif(not int8_is_supported(), reason="this CPU has no VNNI")


def test_the_integer_convolution_is_a_convolution_of_the_integers():
    generator = torch.Generator().manual_seed(0)
    weight = torch.randn(64, 64, 3, 3, generator=generator)
    bias = torch.randn(64, generator=generator)
    x = torch.randint(0, 256, (1, 64, 9, 10), generator=generator).to(torch.uint8)
    x = x.contiguous(memory_format=torch.channels_last)
    scale = weight.abs().amax((1, 2, 3), keepdim=True) / 127
    rounded = (weight / scale).round() * scale
    for zero in (0, 128):
        conv = Int8Conv(weight, bias, zero)
        # Outside the image is 0, that is `zero` in bytes: the border is where this goes wrong.
        expected = F.conv2d(x.float() - zero, rounded, bias, padding=1)
        total = torch.ones(1, 64, 9, 10).contiguous(memory_format=torch.channels_last)
        with torch.inference_mode():
            assert torch.allclose(conv.relu(x, torch.float32), expected.relu(), rtol=1e-4, atol=0.1)
            added = conv.add_to(total.clone(memory_format=torch.preserve_format), x)
        assert torch.allclose(added, expected + 1, rtol=1e-4, atol=0.1)


@pytest.mark.parametrize("size", [(160, 120), (47, 33), (8, 8)])
def test_int8_is_near_float(size):
    frame = SyntheticScene(*size, seed=5).frame(40)[0].astype(np.float32)
    exact, reduced = (
        SuperResolver.load(backend="torch", device="cpu", precision=p, strict_backend=True)
        for p in ("fp32", "int8")
    )
    assert reduced.info.precision == "int8"
    low, high = measure_range(frame)
    error = np.abs(exact.upscale(frame) - reduced.upscale(frame)) * 255 / (high - low)
    assert 0 < error.mean() < 0.2
    assert np.quantile(error, 0.999) < 2
    bicubic = SuperResolver.load(backend="bicubic").upscale(frame)
    residual = np.abs(exact.upscale(frame) - bicubic) * 255 / (high - low)
    assert error.mean() < 0.15 * residual.mean()


def test_a_batch_and_more_steps_run_in_int8():
    resolver = SuperResolver.load(backend="torch", device="cpu", precision="int8", num_steps=2)
    frames = [SyntheticScene(32, 24, seed=s).frame(0)[0] for s in (1, 2)]
    both = resolver.upscale_batch(frames)
    alone = [resolver.upscale(frame) for frame in frames]
    for a, b in zip(both, alone):
        assert np.abs(a.astype(int) - b.astype(int)).max() <= 0.01 * np.ptp(b)


def test_a_hot_target_stays_hot():
    frame = np.full((24, 32), 29_000, np.uint16)
    frame[10:14, 15:19] = 45_000
    resolver = SuperResolver.load(backend="torch", device="cpu", precision="int8")
    hot = resolver.upscale(frame)[40:56, 60:76]
    assert abs(hot.mean() - 45_000) < 0.02 * 16_000


def test_gradients_are_those_of_the_float_network():
    network, _ = load_model("lite")
    frame, _ = SyntheticScene(32, 24).frame(0)
    lr = torch.from_numpy(normalize(frame, measure_range(frame))[None, None])
    gradients = []
    for prior in (network.prior, Int8Prior(network.prior, torch.float32, [lr])):
        network.prior = prior
        read = lr.clone().requires_grad_()
        network.predict_prior(read).square().sum().backward()
        gradients.append(read.grad)
    assert gradients[0].abs().max() > 0
    assert torch.allclose(gradients[0], gradients[1], rtol=1e-3, atol=1e-6)


def test_a_cpu_without_vnni_is_told_so(monkeypatch):
    monkeypatch.setattr(int8_prior_file, "int8_is_supported", lambda: False)
    with pytest.raises(BackendUnavailable, match="VNNI"):
        SuperResolver.load(backend="torch", device="cpu", precision="int8", strict_backend=True)
    with pytest.raises(BackendUnavailable, match="int8 is for CPUs"):
        int8_prior_file.check_int8(torch.device("cuda:0"))
