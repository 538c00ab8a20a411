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

"""Frames through a published model by the ordinary way: sizes, dtypes, radiometry, noise, tiles."""

from __future__ import annotations

from dataclasses import asdict, replace

import numpy as np
import pytest
import torch
from PIL import Image

from difiisr_ros import SuperResolver
from difiisr_ros.core.camera_profile import resolve_camera
from difiisr_ros.core.resample import fold, upsample_folded
from difiisr_ros.core.visual_guidance import ring_amplitudes, ring_responses, thermal_spectrum
from difiisr_ros.errors import BackendUnavailable, OptionError
from difiisr_ros.models.published.files import load_published, save_published
from difiisr_ros.models.published.frames import latent_noise, upscale_frames
from difiisr_ros.options import UpscaleOptions
from support.frames import smooth_frame
from support.published_goldens import Drawn, Little, find


@pytest.fixture(scope="module")
def goldens(data_folder):
    return find(data_folder)


def _save(path, networks):
    states = networks.state("unet_small"), networks.state("vq_small")
    save_published(path, states, networks.config(), {}, half=True)
    return path


@pytest.fixture(scope="module")
def model_file(tmp_path_factory):
    return _save(tmp_path_factory.mktemp("published") / "little.safetensors", Little())


@pytest.fixture(scope="module")
def published(model_file):
    resolver = SuperResolver.load(model=str(model_file), precision="fp32")
    yield resolver
    resolver.close()


@pytest.fixture(scope="module")
def recorded(goldens, tmp_path_factory):
    """The networks of which outputs were recorded."""
    path = _save(tmp_path_factory.mktemp("published") / "small.safetensors", goldens)
    resolver = SuperResolver.load(model=str(path), precision="fp32")
    yield resolver
    resolver.close()


@pytest.fixture(autouse=True)
def _defaults(published):
    published.configure(**asdict(UpscaleOptions()))


def test_info_tells_what_runs(published, model_file):
    info = published.info
    assert (info.model, info.backend, info.precision) == (str(model_file), "torch", "fp32")
    assert published.max_steps == 15


@pytest.mark.parametrize(
    ("dtype", "shape"),
    [
        (np.uint8, (5, 3)),
        (np.uint16, (1, 1)),
        (np.uint16, (5, 3)),
        (np.uint16, (24, 70)),
        (np.float32, (5, 3)),
    ],
)
def test_gray_in_gray_out_of_any_size_and_type(published, dtype, shape):
    frame = np.resize(smooth_frame(np.uint8), shape).astype(dtype)
    result = published.upscale(frame)
    assert result.shape == (4 * shape[0], 4 * shape[1])
    assert result.dtype == dtype


def test_8_bit_range_gives_the_mean_of_the_recorded_channels(recorded, goldens):
    """With the release's own range, only seeded noise separates a frame from its pipeline."""
    io = goldens.arrays("pipeline_small")
    noise = io["pad_noise_0"]
    lr = io["pad_in_u8"].numpy()
    backend = recorded._backend
    network = backend._network
    lq = torch.from_numpy(lr).float()[None, None] / 255
    from difiisr_ros.models.published.network import pad

    with torch.inference_mode():
        padded = pad(lq * 2 - 1, 64).expand(-1, 3, -1, -1)
        out = network(padded, [noise], network.config.schedule().respaced(1))[..., :160, :288]
    expected = io["pad_out_u8"].numpy()[..., ::-1]
    ours = ((out[0] * 0.5 + 0.5).clamp(0, 1) * 255).round().byte().permute(1, 2, 0).numpy()
    assert (ours == expected).mean() > 0.995

    images = np.zeros((1, 160, 288), np.float32)
    result = backend.run(lq.numpy(), images, 1, 0)
    assert result.shape == (1, 1, 160, 288)


@pytest.mark.parametrize("exact", [False, True])
@pytest.mark.parametrize("scale", [2, 1])
def test_other_scales_are_the_mean_of_the_result(published, exact, scale):
    """Without the bound, which is on what comes out."""
    network = published._backend._network
    lr = torch.rand(1, 1, 7, 9, generator=torch.Generator().manual_seed(0))
    how = network.config.schedule().respaced(1), 1
    noise = torch.zeros(1, 1, 28, 36)
    with torch.inference_mode():
        whole, found = (
            upscale_frames(network, lr, noise, *how, exact=exact, scale=s) for s in (4, scale)
        )
    expected = torch.nn.functional.avg_pool2d(whole, 4 // scale)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)
    published.configure(scale=scale)
    assert published.upscale(smooth_frame()).shape == (24 * scale, 32 * scale)


@pytest.mark.parametrize("num_steps", [1, 3])
def test_same_frame_same_bytes_whatever_came_before(published, model_file, num_steps):
    published.configure(num_steps=num_steps)
    frame = smooth_frame()
    first = published.upscale(frame)
    published.upscale(smooth_frame(np.uint8, (17, 9), 5))
    assert first.tobytes() == published.upscale(frame).tobytes()
    published.configure(seed=1)
    assert first.tobytes() != published.upscale(frame).tobytes()


def test_number_of_steps_is_limited_by_the_schedule(published):
    published.configure(num_steps=15)
    with pytest.raises(OptionError, match=r"num_steps must be an integer in 1\.\.15, got 16"):
        published.configure(num_steps=16)


def _ring_distance(resolver: SuperResolver, frame: np.ndarray) -> float:
    """How far the result's amplitudes are from what thermal frames have, in the mean logarithm."""
    result = torch.from_numpy(resolver.upscale(frame))[None, None]
    lr = torch.from_numpy(frame)[None, None]
    residual = fold(result) - upsample_folded(lr)
    found = ring_amplitudes(residual, ring_responses(residual))
    expected = thermal_spectrum().expect(lr, found)
    return float((found / expected).log().abs().mean())


def test_visual_guidance_works_without_anything_fitted(published):
    published.configure(range_mode="fixed", range_min=0.0, range_max=1.0, consistency=0)
    frame = ((smooth_frame(np.float32, (48, 64)) - 29_000) / 2_000).astype(np.float32)
    plain = published.upscale(frame)
    published.configure(visual_scale=0.0)
    assert published.upscale(frame).tobytes() == plain.tobytes()
    before = _ring_distance(published, frame)
    published.configure(visual_scale=0.5)
    assert published.info.guidance == "visual 0.5 (closed_form)"
    half = _ring_distance(published, frame)
    published.configure(visual_scale=1.0)
    assert _ring_distance(published, frame) < half < before


def test_guidance_acts_once_on_the_last_step(published):
    published.configure(num_steps=3, consistency=1)
    frame = smooth_frame(np.float32, (24, 32))
    plain = published.upscale(frame)
    published.configure(visual_scale=1.0)
    guided = published.upscale(frame)
    assert 0 < np.abs(guided - plain).mean() < 0.1 * np.ptp(frame)


def test_guidance_that_needs_a_fit_or_the_networks_gradient_is_refused(published):
    with pytest.raises(OptionError, match=r"perceptual guidance .* it can do: visual"):
        published.configure(perceptual_scale=1.0)
    with pytest.raises(OptionError, match="no exact gradients; accepted: closed_form"):
        published.configure(visual_scale=1.0, guidance_gradient="exact")


def test_consistency_pulls_the_result_to_the_measurement(published):
    """Exactly, where frames were reduced and not taken by a camera."""
    frame, errors = smooth_frame(shape=(48, 64)), []
    for consistency in (0, 1, 2):
        published.configure(consistency=consistency, overshoot=1.0)
        result = published.upscale(frame, camera=resolve_camera("reduced")).astype(np.float32)
        down = Image.fromarray(result).resize((64, 48), Image.BICUBIC)
        errors.append(float(np.abs(np.asarray(down) - frame).mean()))
    assert errors == sorted(errors, reverse=True)
    assert errors[1] < 0.2 * errors[0]


def test_a_cameras_frames_are_pulled_in_wide_means(recorded, goldens):
    if isinstance(goldens, Drawn):
        pytest.skip("the drawn network is off by little, of which the bound takes more back")
    frame, errors = smooth_frame(shape=(48, 64)).astype(np.float32), []
    for consistency in (0, 1):
        recorded.configure(consistency=consistency, overshoot=1.0)
        result = recorded.upscale(frame)
        means = result.reshape(48, 4, 64, 4).mean(axis=(1, 3)) - frame
        errors.append(abs(float(means[8:-8, 8:-8].mean())))
    assert errors[1] < 0.85 * errors[0]  # of which the bound takes a part back


@pytest.mark.parametrize("camera", ["auto", "reduced"])
def test_results_are_bounded_by_the_cameras_pixels(published, camera):
    frame = smooth_frame(np.float32)
    published.configure(overshoot=0.0)
    result = published.upscale(frame, camera=resolve_camera(camera))
    around = np.lib.stride_tricks.sliding_window_view(np.pad(frame, 1, mode="edge"), (3, 3))
    low, high = (np.kron(f(around, axis=(2, 3)), np.ones((4, 4))) for f in (np.min, np.max))
    assert (result >= low - 0.1).all() and (result <= high + 0.1).all()


def test_hot_target_keeps_its_counts_and_leaves_the_rest_alone(published):
    published.configure(range_mode="fixed", range_min=29_000.0, range_max=31_000.0, consistency=0)
    frame = smooth_frame(np.float32)
    hot = frame.copy()
    hot[10:14, 10:14] = 60_000
    clipped = np.minimum(hot, np.float32(31_000))
    extra = published.upscale(hot) - published.upscale(clipped)
    assert np.abs(extra[44:52, 44:52] - 29_000).max() < 0.15 * 29_000  # what was cut off is back
    assert np.abs(extra[:, 80:]).max() < 1  # and the network never saw it


def test_batch_equals_single_frames(published):
    frames = [smooth_frame(seed=i) for i in range(2)]
    for single, batched in zip(map(published.upscale, frames), published.upscale_batch(frames)):
        np.testing.assert_array_equal(single, batched)


def test_tiles_cover_a_frame_and_share_its_noise(published):
    frame = smooth_frame(shape=(50, 100))
    published.configure(tile_size=64, tile_overlap=24)
    result = published.upscale(frame)
    assert result.shape == (200, 400)
    assert result.tobytes() == published.upscale(frame).tobytes()


def test_latent_noise_of_a_window_is_the_window_of_the_noise():
    image = torch.randn(1, 4 * 64, 4 * 128, generator=torch.Generator().manual_seed(0))
    whole = latent_noise(image, 64)
    assert whole.shape == (1, 3, 64, 128)
    window = latent_noise(image[..., 4 * 8 :, 4 * 16 : 4 * 80], 8)
    assert torch.equal(window, whole[..., 8:, 16:80])


def test_latent_noise_is_normal_and_the_padding_repeats_none_of_it():
    image = torch.randn(1, 4 * 50, 4 * 60, generator=torch.Generator().manual_seed(0))
    noise = latent_noise(image, 64)
    assert noise.shape == (1, 3, 64, 64)
    assert abs(float(noise.mean())) < 0.03
    assert abs(float(noise.std()) - 1) < 0.03
    inside, below = noise[..., 35:49, :60], noise[..., 50:, :60].flip(2)
    assert abs(float((inside * below).mean())) < 0.1  # 1 if the padding mirrored it
    assert torch.equal(noise[..., :50, :60], fold(image[None])[:, :3])


def test_autoencoder_without_padding(published, tmp_path):
    """The same where nothing is padded; elsewhere another result, of any size."""
    path = tmp_path / "unpadded.safetensors"
    networks = Little()
    config = replace(networks.config(), pad_autoencoder=False)
    states = networks.state("unet_small"), networks.state("vq_small")
    save_published(path, states, config, {}, half=True)
    unpadded = SuperResolver.load(model=str(path), precision="fp32")
    assert load_published(str(path))[0].config == config
    whole, part = smooth_frame(np.float32, (64, 64)), smooth_frame(np.float32, (40, 50))
    np.testing.assert_allclose(unpadded.upscale(whole), published.upscale(whole), atol=0.05)
    difference = np.abs(unpadded.upscale(part) - published.upscale(part))
    assert 0.1 < difference.mean() < 400  # of a range of 2,000: other codes, with random weights
    assert unpadded.upscale(part[:1, :1]).shape == (4, 4)
    unpadded.close()


@pytest.mark.slow
def test_bfloat16_is_near(model_file, published):
    """Where it picks another of these 64 codes, far from each other, single pixels differ much."""
    half = SuperResolver.load(model=str(model_file), precision="bf16")
    published.configure(consistency=0)
    half.configure(consistency=0)
    frame = smooth_frame(np.float32, (64, 64))
    error = np.abs(published.upscale(frame) - half.upscale(frame))
    half.close()
    assert np.median(error) < 0.02 * 2000
    assert error.mean() > 0


def test_other_backends_fall_back_to_torch_loudly(model_file, caplog):
    resolver = SuperResolver.load(model=str(model_file), backend="onnx")
    assert resolver.info.backend == "torch"
    assert "exported graphs" in str(resolver.info.fallback)
    resolver.close()
    with pytest.raises(BackendUnavailable, match="exported graphs"):
        SuperResolver.load(model=str(model_file), backend="onnx", strict_backend=True)


def test_close_is_final(model_file):
    resolver = SuperResolver.load(model=str(model_file))
    resolver.close()
    resolver.close()
    with pytest.raises(BackendUnavailable, match="closed"):
        resolver.upscale(smooth_frame())


def test_int8_is_refused(model_file):
    with pytest.raises(BackendUnavailable, match="int8 is not for this model; use bf16 or fp32"):
        SuperResolver.load(model=str(model_file), precision="int8", strict_backend=True)
