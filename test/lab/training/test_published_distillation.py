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

"""Distilling a published model: the embedded one comes nearer to its results."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch

from difiisr_ros import cli
from difiisr_ros.core.condition import WIDTH
from difiisr_ros.core.resample import upsample_folded
from difiisr_ros.errors import OptionError
from difiisr_ros.lab.training.data import CropSampler, load_frames
from difiisr_ros.lab.training.distill import Teacher
from difiisr_ros.lab.training.train import Trainer, TrainSettings
from difiisr_ros.models.checkpoint import load_model
from difiisr_ros.models.published.files import save_published
from support.published_goldens import Little

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def goldens():
    return Little()


@pytest.fixture(scope="module")
def model_file(goldens, tmp_path_factory):
    path = tmp_path_factory.mktemp("teacher") / "small.safetensors"
    states = goldens.state("unet_small"), goldens.state("vq_small")
    save_published(path, states, goldens.config(), {"licence": "none"})
    return path


@pytest.fixture(scope="module")
def frames(tmp_path_factory):
    folder = tmp_path_factory.mktemp("frames")
    rng = np.random.default_rng(0)
    for i in range(4):
        image = cv2.GaussianBlur(rng.random((96, 128)).astype(np.float32), (0, 0), 3)
        image = 40 + 170 * (image - image.min()) / np.ptp(image)
        cv2.imwrite(str(folder / f"{i}.png"), image.astype(np.uint8))
    return folder


@pytest.fixture(scope="module")
def teacher(model_file):
    return Teacher(str(model_file), CPU, pool=8, precision="fp32")


def test_pool_is_filled_once_and_then_renewed_piece_by_piece(teacher, frames):
    sampler, generator = CropSampler(load_frames(frames, 64), 64, 0), torch.Generator()
    asked = []
    answer = teacher.answer
    teacher.answer = lambda lr, g: asked.append(len(lr)) or answer(lr, g)
    try:
        for _ in range(3):
            lr, hr, camera = teacher.examples(sampler, 4, "reduced", generator)
    finally:
        del teacher.answer
    assert asked == [4, 1, 1]
    assert lr.shape == (4, 1, 16, 16)
    assert hr.shape == (4, 16, 16, 16)
    assert camera.shape == (4, WIDTH)


def test_answers_are_the_models_results_on_that_crop(teacher, frames):
    sampler, generator = CropSampler(load_frames(frames, 64), 64, 1), torch.Generator()
    lr, hr, _ = teacher.examples(sampler, 2, "reduced", generator)
    mean = hr.mean(dim=1, keepdim=True)
    assert float((mean - lr).abs().mean()) < 0.2  # a picture of the same crop
    assert float((hr - upsample_folded(lr)).abs().mean()) > 0.05  # and not bicubic


def test_the_student_comes_nearer_to_the_teacher(model_file, frames, tmp_path):
    settings = TrainSettings(
        batch=2,
        crop=64,
        warmup_steps=1,
        learning_rate=2e-3,
        precision="fp32",
        spectrum_weight=0.0,
        feature_weight=0.0,
    )
    teacher = Teacher(str(model_file), CPU, fresh=0, precision="fp32")
    trainer = Trainer(frames, tmp_path, settings, initial="lite", teacher=teacher)
    lr, answers, camera = trainer._examples()

    def distance() -> float:
        with torch.no_grad():
            x0 = upsample_folded(lr) + trainer.model.predict_prior(lr, camera)
            return float((x0 - answers).square().mean())

    before = distance()
    losses = [trainer._train_step() for _ in range(60)]
    assert np.mean(losses[-8:]) < 0.95 * np.mean(losses[:8])
    assert distance() < 0.95 * before


def test_the_command_writes_where_the_look_comes_from(model_file, frames, tmp_path):
    arguments = ["train", str(frames), "--out", str(tmp_path), "--minutes", "0.02"]
    arguments += ["--distill", str(model_file), "--crop", "64", "--batch", "2"]
    assert cli.main([*arguments, "--prior-share", "1", "--few-step-share", "0"]) == 0
    facts = load_model(str(tmp_path / "model.safetensors"))[1]
    assert facts["distilled_from"]["name"] == model_file.name
    assert facts["distilled_from"]["num_steps"] == 1
    assert facts["distilled_from"]["facts"] == {"licence": "none"}


def test_other_models_are_no_teachers():
    with pytest.raises(OptionError, match="lite is none"):
        Teacher("lite", CPU)


def test_steps_beyond_the_schedule(model_file):
    with pytest.raises(OptionError, match=r"1\.\.15 steps, got 16"):
        Teacher(str(model_file), CPU, num_steps=16)


def test_bad_number_of_fresh_answers(model_file, frames, tmp_path, capsys):
    arguments = ["train", str(frames), "--out", str(tmp_path), "--distill", str(model_file)]
    assert cli.main([*arguments, "--crop", "64", "--distill-fresh", "99"]) == 2
    assert "--distill-fresh must be in 1..8" in capsys.readouterr().err
