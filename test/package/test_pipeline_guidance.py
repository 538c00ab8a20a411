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

"""Guidance through SuperResolver: off is off, on keeps every promise of an upscale."""

from __future__ import annotations

import numpy as np
import pytest

from difiisr_ros import CameraProfile, SuperResolver
from difiisr_ros.errors import ModelError, OptionError
from difiisr_ros.models.checkpoint import load_model, save_model
from difiisr_ros.models.guidance_priors import GuidancePriors
from difiisr_ros.models.lite import LiteConfig, LiteDenoiser

SCALES = {"visual_scale": 0.7, "perceptual_scale": 0.7}
OFF = {"visual_scale": 0.0, "perceptual_scale": 0.0, "guidance_gradient": "closed_form"}


@pytest.fixture(scope="module")
def resolver():
    loaded = SuperResolver.load(backend="torch", precision="fp32")
    yield loaded
    loaded.close()


@pytest.fixture(autouse=True)
def _off(resolver):
    resolver.configure(num_steps=1, consistency=1, tile_size=640, **OFF)


def _frame(height: int = 40, width: int = 52, seed: int = 0) -> np.ndarray:
    """Smooth structures of some counts on a 16-bit background."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width]
    scene = sum(
        rng.uniform(50, 400)
        * np.exp(
            -((x - rng.uniform(0, width)) ** 2 + (y - rng.uniform(0, height)) ** 2)
            / rng.uniform(4, 60)
        )
        for _ in range(12)
    )
    return (29_000 + scene + rng.normal(0, 2, scene.shape)).astype(np.uint16)


@pytest.mark.parametrize("num_steps", [1, 2, 4])
def test_scale_0_is_no_guidance_bit_for_bit(resolver, num_steps):
    frame = _frame()
    resolver.configure(num_steps=num_steps)
    plain = resolver.upscale(frame)
    resolver.configure(guidance_gradient="exact")
    np.testing.assert_array_equal(resolver.upscale(frame), plain)
    resolver.configure(**SCALES)
    assert not np.array_equal(resolver.upscale(frame), plain)
    resolver.configure(**OFF)
    np.testing.assert_array_equal(resolver.upscale(frame), plain)


@pytest.mark.parametrize("gradient", ["closed_form", "exact"])
@pytest.mark.parametrize("term", ["visual_scale", "perceptual_scale"])
def test_each_term_moves_the_result_a_little_and_the_same_every_time(resolver, term, gradient):
    frame = _frame()
    plain = resolver.upscale(frame).astype(float)
    resolver.configure(**{term: 1.0}, guidance_gradient=gradient)
    guided = resolver.upscale(frame)
    resolver.upscale(_frame(seed=1))
    np.testing.assert_array_equal(resolver.upscale(frame), guided)
    assert guided.dtype == np.uint16
    moved = np.abs(guided - plain)
    assert 0 < moved.mean() < 0.1 * np.ptp(frame)


@pytest.mark.parametrize("num_steps", [1, 4])
def test_guided_frames_of_a_batch_are_those_alone(resolver, num_steps):
    """Every frame has its own expectation, its own norm, its own step."""
    frames = [_frame(seed=0), _frame(seed=1)]
    resolver.configure(num_steps=num_steps, **SCALES)
    alone = [resolver.upscale(f) for f in frames]
    for one, other in zip(resolver.upscale_batch(frames), alone):
        assert np.abs(one.astype(int) - other.astype(int)).max() <= 2


@pytest.mark.parametrize("num_steps", [1, 2, 4])
def test_a_guided_result_still_averages_to_the_measurement(resolver, num_steps):
    from difiisr_ros.lab.frames.degrade import degrade_bicubic

    frame = _frame()
    resolver.configure(num_steps=num_steps, visual_scale=2.0, perceptual_scale=2.0)
    reduced = CameraProfile(source="reduced")
    back = degrade_bicubic(resolver.upscale(frame, camera=reduced)).astype(float)
    assert np.abs(back - frame).mean() < 1.0


def test_guided_tiles_and_float_frames(resolver):
    frame = _frame(72, 96).astype(np.float32)
    frame[3, 5] = np.nan
    resolver.configure(tile_size=48, tile_overlap=16, **SCALES)
    result = resolver.upscale(frame)
    assert result.shape == (288, 384)
    assert np.isnan(result).sum() == 16
    resolver.configure(tile_overlap=48, tile_size=640)


def test_what_runs_is_said(resolver):
    assert resolver.info.guidance == "none"
    resolver.configure(**SCALES)
    assert resolver.info.guidance == "visual 0.7, perceptual 0.7 (closed_form)"


def test_a_model_without_expectations_refuses_guidance(tmp_path):
    small = LiteConfig(prior_channels=8, prior_blocks=1, refiner_channels=8, refiner_blocks=1)
    path = tmp_path / "plain.safetensors"
    save_model(path, LiteDenoiser(small), {})
    loaded = SuperResolver.load(str(path))
    with pytest.raises(OptionError, match=r"visual guidance \(scale 0.5\).*it can do: none"):
        loaded.configure(visual_scale=0.5)
    assert loaded.options.visual_scale == 0.0  # the refused change left nothing behind
    with pytest.raises(OptionError, match="perceptual guidance"):
        SuperResolver.load(str(path), perceptual_scale=0.5)


def test_bicubic_stands_in_without_it():
    loaded = SuperResolver.load(backend="bicubic", visual_scale=0.5)
    assert loaded.info.guidance == "none"
    loaded.upscale(_frame())


def test_expectations_travel_in_the_model_file_unrounded(tmp_path):
    model, facts = load_model("lite")
    path = tmp_path / "copy.safetensors"
    save_model(path, model, facts)
    again, _ = load_model(str(path))
    ours, theirs = model.guidance_priors.tensors(), again.guidance_priors.tensors()
    assert set(ours) == set(theirs) and len(ours) == 1 + 3 * 3
    for key, value in ours.items():
        np.testing.assert_array_equal(value.numpy(), theirs[key].numpy())


def test_damaged_expectations_are_refused(tmp_path):
    model, facts = load_model("lite")
    entries = model.guidance_priors.tensors()
    for wrong in (
        {**entries, "guidance.spectrum": entries["guidance.spectrum"][:2]},
        {k: v for k, v in entries.items() if not k.endswith("1.std")},
        {**entries, "guidance.sound": entries["guidance.spectrum"]},
    ):
        with pytest.raises(ValueError):
            GuidancePriors.from_tensors(wrong)
    from difiisr_ros.models import checkpoint

    path = tmp_path / "wrong.safetensors"
    checkpoint.write_weights(
        path,
        model.state_dict(),
        checkpoint.FORMAT,
        model.config.as_dict(),
        facts,
        True,
        exact={"guidance.sound": entries["guidance.spectrum"]},
    )
    with pytest.raises(ModelError, match=r"unknown entry guidance\.sound"):
        load_model(str(path))
