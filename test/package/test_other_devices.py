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

"""What runs on a device keeps to it, seen on torch's ``meta`` device.

No machine needs a GPU for this: ``meta`` tensors have shapes, types and a device, and no values.
An operation on them and on tensors of the CPU raises here, as it would on a GPU.
"""

from __future__ import annotations

import contextlib

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from difiisr_ros.backends.prior_terms import PriorTerms
from difiisr_ros.core.condition import NOTHING_KNOWN
from difiisr_ros.core.guidance import Guidance
from difiisr_ros.core.guided_step import closed_form, exact
from difiisr_ros.core.resample import upsample_folded
from difiisr_ros.lab.detection.losses import corners, heatmap_loss
from difiisr_ros.lab.detection.targets import Targets
from difiisr_ros.lab.training import distributed, losses
from difiisr_ros.lab.training.data import load_frames
from difiisr_ros.lab.training.guidance_priors import (
    fit_guidance_priors,
    lite_answer,
    published_answer,
)
from difiisr_ros.lab.training.recipe import STAGES, TrainSettings
from difiisr_ros.lab.training.train import Trainer
from difiisr_ros.lab.training.validate import validate
from difiisr_ros.models.checkpoint import load_model
from difiisr_ros.models.detector.checkpoint import load_detector
from difiisr_ros.models.features.load import load_features
from difiisr_ros.models.features.vgg import VggFeatures
from difiisr_ros.models.lite import LiteConfig, LiteDenoiser
from difiisr_ros.models.lite_frames import upscale_frames
from difiisr_ros.models.published import frames as published_frames
from difiisr_ros.models.published.network import PublishedModel, general_priors
from support.paths import DRONE_FRAMES

META = torch.device("meta")
SMALL = LiteConfig(prior_channels=8, prior_blocks=1, refiner_channels=8, refiner_blocks=1)


def _batch() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    camera = torch.from_numpy(NOTHING_KNOWN.values).expand(2, -1)
    return tuple(t.to(META) for t in (torch.rand(2, 1, 16, 16), torch.rand(2, 16, 16, 16), camera))


class OneDevice(TorchDispatchMode):
    """Refuses operations on tensors of several devices: ``meta`` itself lets products pass."""

    _ALLOWED = ("_to_copy", "copy_", "index", "index_put", "index_put_", "_index_put_impl_")

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        found = [x for x in tree_leaves((args, kwargs)) if isinstance(x, torch.Tensor)]
        devices = {x.device.type for x in found if x.dim() > 0}  # single numbers of the CPU may mix
        if len(devices) > 1 and func.overloadpacket.__name__ not in self._ALLOWED:
            raise RuntimeError(f"{func} got tensors of more than one device: {sorted(devices)}")
        return func(*args, **(kwargs or {}))


@pytest.fixture(autouse=True)
def _one_device():
    with OneDevice():
        yield


@pytest.fixture
def no_values(monkeypatch):
    """Let what asks for a value get one: on ``meta`` there is none, on a GPU there is.

    Nor is there autocast.
    """
    copied = torch.Tensor.cpu

    def cpu(tensor: torch.Tensor) -> torch.Tensor:
        return torch.ones(tensor.shape, dtype=tensor.dtype) if tensor.is_meta else copied(tensor)

    monkeypatch.setattr(torch.Tensor, "cpu", cpu)
    monkeypatch.setattr(torch.Tensor, "__float__", lambda _: 1.0)
    monkeypatch.setattr(torch, "autocast", lambda *_, **__: contextlib.nullcontext())


def test_the_device_refuses_tensors_of_the_cpu():
    """Without this the tests here could not fail."""
    with pytest.raises(RuntimeError, match="device"):
        torch.rand(3, 3) * torch.rand(3, 3).to(META)
    with pytest.raises(RuntimeError, match="device"):
        torch.rand(3, 3) @ torch.rand(3, 3).to(META)
    with pytest.raises(RuntimeError, match="device"):
        torch.nn.functional.conv2d(torch.rand(1, 1, 4, 4).to(META), torch.rand(1, 1, 3, 3))


@pytest.mark.parametrize("stochasticity", [0.0, 0.5])
@pytest.mark.parametrize("stage", ["prior", "guided", "refiner", "few_step"])
def test_losses_of_every_stage_stay_on_the_batchs_device(stage, stochasticity):
    config = LiteConfig(**{**SMALL.as_dict(), "stochasticity": stochasticity})
    model, generator = LiteDenoiser(config).to(META), torch.Generator().manual_seed(0)
    guided = losses.GuidedLoss(0.02, 0.2, META)
    if stage == "refiner":
        loss = losses.refiner_loss(model, *_batch(), generator)
    elif stage == "few_step":
        loss = losses.few_step_loss(model, *_batch(), 2, guided, generator)
    else:
        plain = losses.GuidedLoss(0.0, 0.0, META)
        loss = losses.prior_loss(model, *_batch(), guided if stage == "guided" else plain)
    assert loss.is_meta
    loss.backward()
    expert = model.refiner if stage in ("refiner", "few_step") else model.prior
    assert all(p.grad is not None and p.grad.is_meta for p in expert.parameters())


@pytest.mark.parametrize("stage", STAGES)
def test_a_training_step_stays_on_the_device(tmp_path, no_values, stage):
    settings = TrainSettings(
        crop=64, batch=2, precision="fp32", config=SMALL, guided_share=1.0, validate_frames=1
    )
    trainer = Trainer(DRONE_FRAMES, tmp_path, settings)
    trainer.device = META
    trainer.model.to(META)
    trainer.ema = {key: value.to(META) for key, value in trainer.ema.items()}
    trainer.guided, trainer.plain = losses.GuidedLoss(0.02, 0.2, META), trainer.plain
    trainer._begin(stage)
    for _ in range(2):
        trainer._train_step()
    assert trainer.step == 2
    assert all(p.is_meta for p in trainer.model.parameters())


def test_guidance_is_fitted_on_the_device(no_values):
    frames = load_frames(DRONE_FRAMES, 64)[:2]
    model = LiteDenoiser(SMALL).to(META).eval()
    priors = fit_guidance_priors(lite_answer(model), META, frames, count=2, largest=64)
    assert priors.terms == ("visual", "perceptual")
    assert all(tensor.device.type == "cpu" for tensor in priors.tensors().values())


def test_validation_stays_on_the_device(no_values):
    frames = load_frames(DRONE_FRAMES, 64)[:1]
    bicubic, ours = validate(LiteDenoiser(SMALL).to(META).eval(), frames, 2)
    assert bicubic == ours  # of nothing but ones


def test_a_published_model_and_the_fit_to_it_stay_on_the_device(no_values):
    with META:
        model = PublishedModel().eval()
    model = model.to(META)  # its index tables are always made on the CPU
    lr, _, camera = _batch()
    noise = torch.empty(1, 1, 64, 64, device=META)
    schedule = model.config.schedule().respaced(1)
    sr = published_frames.upscale_frames(
        model, lr, noise, schedule, 1, lambda x0: x0, exact=False, camera=camera
    )
    assert sr.is_meta
    frames = load_frames(DRONE_FRAMES, 64)[:1]
    priors = fit_guidance_priors(published_answer(model), META, frames, count=1, largest=64)
    assert priors.terms == ("visual", "perceptual")


@pytest.mark.parametrize("make_guide", [closed_form, exact])
@pytest.mark.parametrize("steps", [1, 4])
def test_frames_are_upscaled_on_the_device(steps, make_guide):
    network, _ = load_model("lite")
    guidance = Guidance(visual_scale=0.5, perceptual_scale=0.2)
    terms = PriorTerms(network.guidance_priors, META, torch.float32)
    network = network.to(META)
    lr, _, camera = _batch()
    full = network.config.schedule()
    noise = [torch.empty(1, 16, 16, 16, device=META)]
    for exact_projection in (False, True):
        sr = upscale_frames(
            network, lr, camera, noise, full, full.respaced(steps),
            consistency=1, exact=exact_projection,
            make_guide=lambda lr, y0: make_guide(
                terms.weighted(guidance, lr, y0, measured_band=True)
            ),
        )  # fmt: skip
        assert sr.is_meta
        assert sr.shape == (2, 1, 64, 64)


def test_expectations_of_frames_in_general_follow_the_frames():
    """Those of a published model, which nothing was fitted to."""
    lr = _batch()[0]
    terms = PriorTerms(general_priors(), META, torch.float32)
    guidance = Guidance(visual_scale=0.5)
    (visual,) = terms.weighted(guidance, lr, upsample_folded(lr), measured_band=True)
    assert visual.step(upsample_folded(lr)).is_meta


@pytest.mark.parametrize("name", ["thermal", "vgg16"])
def test_feature_maps_follow_the_frames(name):
    network = load_features() if name == "thermal" else VggFeatures([4] * 13)
    network = network.to(META)
    assert all(found.is_meta for found in network.maps(_batch()[0]))


def test_detector_and_its_losses_follow_the_frames():
    network, _ = load_detector("detector")
    found = network.to(META).train()(torch.rand(2, 1, 64, 64, device=META))
    boxes, weights = torch.rand(2, 4, 16, 16), torch.rand(2, 1, 16, 16)
    targets = Targets(torch.rand(found.logits.shape), boxes, weights, 1).to(META)
    loss = heatmap_loss(found.logits, targets) + corners(found.distances).mean()
    loss.backward()
    assert all(p.grad is None or p.grad.is_meta for p in network.parameters())


def test_every_process_of_torchrun_has_a_gpu_of_its_own(monkeypatch):
    """Else all compute on the first, and NCCL refuses to start."""
    taken = []
    monkeypatch.setenv("WORLD_SIZE", "4")
    monkeypatch.setenv("LOCAL_RANK", "3")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "set_device", taken.append)
    monkeypatch.setattr(distributed.dist, "init_process_group", lambda kind: taken.append(kind))
    monkeypatch.setattr(distributed.dist, "get_rank", lambda: 7)
    assert distributed.start() == (7, 4)
    assert taken == [3, "nccl"]
