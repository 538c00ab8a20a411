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

"""Training: degradations, crops, both stages, resuming, several processes."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import difiisr_ros
from difiisr_ros.cli import main
from difiisr_ros.core.camera_profile import CameraProfile
from difiisr_ros.core.condition import NOISE, Conditions
from difiisr_ros.core.resample import fold
from difiisr_ros.errors import DataError
from difiisr_ros.lab.training import distributed, guidance_losses, losses
from difiisr_ros.lab.training.data import Batch, CropSampler, Frame, load_frames
from difiisr_ros.lab.training.degradation import degrade
from difiisr_ros.lab.training.muon import orthogonal
from difiisr_ros.lab.training.targets import FAR_CONTRAST, draw_target
from difiisr_ros.lab.training.train import Trainer, TrainSettings
from difiisr_ros.lab.training.validate import validate
from difiisr_ros.models.checkpoint import load_model, save_model
from difiisr_ros.models.features.efficientnet import EfficientNetLite0
from difiisr_ros.models.lite import LiteConfig, LiteDenoiser
from difiisr_ros.scene.street import SyntheticScene

SMALL = LiteConfig(prior_channels=8, prior_blocks=1, refiner_channels=8, refiner_blocks=1)


@pytest.fixture(scope="module")
def frames_dir(tmp_path_factory):
    """Six frames of smooth blobs and edges, 16-bit."""
    folder, rng = tmp_path_factory.mktemp("frames"), np.random.default_rng(0)
    y, x = np.mgrid[:96, :128]
    for i in range(6):
        scene = np.zeros((96, 128))
        for _ in range(12):
            cx, cy, r = rng.uniform(0, 128), rng.uniform(0, 96), rng.uniform(4, 20)
            scene += rng.uniform(100, 900) * ((x - cx) ** 2 + (y - cy) ** 2 < r * r)
        Image.fromarray((29_000 + scene).astype(np.uint16)).save(folder / f"{i}.png")
    return folder


def _settings(**changes) -> TrainSettings:
    defaults = dict(
        minutes=0.05,
        prior_share=0.5,
        batch=4,
        crop=64,
        precision="fp32",
        warmup_steps=5,
        validate_frames=1,
        config=SMALL,
    )
    return TrainSettings(**{**defaults, **changes})


def _generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize(("precision", "rounds"), [
    ("auto", [True, True, False]), ("bf16", [True] * 3), ("fp32", [False] * 3),
])  # fmt: skip
def test_a_stage_ends_in_fp32(frames_dir, tmp_path, monkeypatch, precision, rounds):
    """Else the network's own rounding stays in its weights, as texture where there is none."""
    monkeypatch.setattr("difiisr_ros.lab.training.loop.has_native_bf16", lambda: True)
    trainer = Trainer(frames_dir, tmp_path, _settings(precision=precision))
    if trainer.device.type != "cpu":
        pytest.skip("looks at the CPU's precision")
    found = []
    for done in (0.0, 0.79, 0.81):
        monkeypatch.setattr(trainer, "_done", lambda done=done: done)
        with trainer._in_precision():
            found.append((torch.ones(2, 2) @ torch.ones(2, 2)).dtype == torch.bfloat16)
    assert found == rounds


def test_reduced_crops_are_pillows_bicubic_rounded_to_counts_and_told_so():
    counts = np.random.default_rng(0).integers(0, 256, (32, 48)).astype(np.float32)
    expected = np.asarray(Image.fromarray(counts).resize((12, 8), Image.BICUBIC))
    hr = torch.from_numpy(counts / 200)[None, None]
    batch = Batch(hr, torch.zeros_like(hr), torch.tensor([1 / 200]))
    for _ in range(5):  # some are rounded to larger counts, or not at all
        made = degrade(batch, "reduced", _generator())
        np.testing.assert_allclose(made.lr[0, 0].numpy() * 200, expected, atol=200 * 0.0126)
        assert torch.equal(made.hr, hr)
    known = Conditions.of(CameraProfile(source="reduced"), [0.0]).values
    np.testing.assert_array_equal(made.camera[0, 2:5], known[0, 2:5])


def test_cameras_differ_and_what_is_told_fits():
    hr = torch.full((256, 1, 64, 64), 0.5)
    batch = Batch(hr, torch.zeros_like(hr), torch.full((256,), 1e-5))

    def with_stuck_pixels(seed: int) -> torch.Tensor:
        made = degrade(batch, "camera", _generator(seed))
        return (made.hr - hr).flatten(1).abs().amax(dim=1) > 0

    # So few that one draw of 256 tells little of their share.
    assert 4 < np.mean([int(with_stuck_pixels(seed).sum()) for seed in range(4)]) < 26
    made, stuck = degrade(batch, "camera", _generator()), with_stuck_pixels(0)
    lr, camera = made.lr[~stuck], made.camera[~stuck]
    assert lr.shape[1:] == (1, 16, 16)
    # Of flat crops only pattern and noise are left; differences along both ways take the pattern.
    noise = lr.diff(dim=-1).diff(dim=-2).std(dim=(1, 2, 3)) / 2
    true = camera[:, NOISE]
    noisy = true > 0.01
    assert 40 < int(noisy.sum()) < 120
    ratio = (noise / true)[noisy]
    assert 0.8 < float(ratio.median()) < 1.15
    told = camera[:, 3] == 0.0
    assert 90 < int(told.sum()) < 160
    assert torch.equal(degrade(batch, "camera", _generator()).lr, made.lr)


def test_stuck_pixels_are_left_to_bicubic():
    hr = torch.full((256, 1, 64, 64), 0.5)
    batch = Batch(hr, torch.zeros_like(hr), torch.full((256,), 1e-5))
    made = degrade(batch, "camera", _generator())
    added = fold(made.hr - hr)
    found = [crop for crop in range(256) if float(added[crop].abs().max()) > FAR_CONTRAST[0] / 2]
    assert found
    for crop in found:
        where = added[crop].abs().amax(dim=0)
        row, column = divmod(int(where.argmax()), 16)
        # The frame itself is off there too, by as much as bicubic carries.
        off = float((made.lr[crop, 0, row, column] - 0.5).abs())
        assert 0.5 * float(where.max()) < off < 2 * float(where.max())


def test_a_sharp_target_is_not_blurred_by_the_optics():
    hr, target = torch.full((64, 1, 64, 64), 0.5), torch.zeros(64, 1, 64, 64)
    target[..., 24:40, 24:40] = 3.0

    def steepest(sharp: torch.Tensor) -> float:
        made = degrade(Batch(hr + target, sharp, torch.full((64,), 1e-5)), "camera", _generator())
        return float(made.lr.diff(dim=-1).abs().amax(dim=(1, 2, 3)).median())

    assert steepest(target) > 1.1 * steepest(torch.zeros_like(target))


def test_targets_reach_far_outside_the_range():
    rng = np.random.default_rng(0)
    targets = [draw_target((64, 64), rng) for _ in range(60)]
    contrast = [float(np.abs(target).max()) for target in targets]
    assert max(contrast) > 100
    assert min(contrast) < 2
    assert any(target.min() < 0 for target in targets)


def test_orthogonal_steps_have_singular_values_near_one():
    torch.manual_seed(0)
    values = torch.linalg.svdvals(orthogonal(torch.randn(16, 144) * 1e-3))
    assert 0.6 < float(values.min()) <= float(values.max()) < 1.3


def test_crops_are_deterministic_sized_and_roughly_in_range(frames_dir):
    frames = load_frames(frames_dir, 64)
    a, b = (CropSampler(frames, 64, seed=5).draw(16) for _ in range(2))
    assert torch.equal(a.hr, b.hr)
    assert a.hr.shape == (16, 1, 64, 64)
    assert -1.5 < float(a.hr.median()) < 1.5
    assert not torch.equal(a.hr, CropSampler(frames, 64, seed=6).draw(16).hr)
    sampler = CropSampler(frames, 64, seed=5)
    sampler.draw(3)
    state = sampler.state()
    expected = sampler.draw(2).hr
    other = CropSampler(frames, 64, seed=9)
    other.set_state(state)
    assert torch.equal(other.draw(2).hr, expected)


def test_files_that_cannot_be_read_are_left_out_unless_strict(frames_dir, tmp_path, caplog):
    data = tmp_path / "data"
    shutil.copytree(frames_dir, data)
    (data / "bad.png").write_text("no picture")
    assert len(load_frames(data, 64)) == len(load_frames(frames_dir, 64))
    assert "left out: " in caplog.text and "bad.png" in caplog.text
    trainer = Trainer(data, tmp_path / "run", _settings())
    (left_out,) = trainer.left_out.sentences()
    assert "bad.png: is not an image" in left_out
    with pytest.raises(DataError, match=r"bad\.png"):
        Trainer(data, tmp_path / "run", _settings(), strict=True)


def test_too_small_frames_are_said(frames_dir, tmp_path):
    with pytest.raises(DataError, match="at least 192x192"):
        load_frames(frames_dir, 192)


@pytest.mark.parametrize("stage", ["prior", "guided", "refiner", "few_step"])
def test_all_losses_fall_and_only_touch_their_expert(frames_dir, stage):
    torch.manual_seed(0)
    model = LiteDenoiser(SMALL)
    sampler, generator = CropSampler(load_frames(frames_dir, 64), 64, 0), _generator()
    made = degrade(sampler.draw(8), "camera", generator)
    lr, hr, camera = made.lr, fold(made.hr), made.camera
    plain = losses.GuidedLoss(0.0, 0.0, torch.device("cpu"))
    guided = losses.GuidedLoss(0.02, 0.2, torch.device("cpu"))

    def loss() -> torch.Tensor:
        if stage == "refiner":
            return losses.refiner_loss(model, lr, hr, camera, _generator())
        if stage == "few_step":
            return losses.few_step_loss(model, lr, hr, camera, 2, guided, _generator())
        return losses.prior_loss(model, lr, hr, camera, guided if stage == "guided" else plain)

    optimizer = torch.optim.Adam(model.parameters(), 3e-3)
    first = loss().item()
    fall = 0.03 * abs(first) if stage in ("prior", "refiner") else 0.01  # of a logarithm
    for _ in range(40):
        optimizer.zero_grad()
        loss().backward()
        optimizer.step()
    assert loss().item() < first - fall
    other = model.prior if stage in ("refiner", "few_step") else model.refiner
    assert all(p.grad is None for p in other.parameters())


def test_a_validation_before_leaves_training_with_the_spectrum_possible():
    """Its constants may be made in inference mode; what is made there cannot be trained with."""
    guidance_losses._window.cache_clear()
    guidance_losses._rings.cache_clear()
    image = torch.rand(1, 1, 64, 64)
    with torch.inference_mode():
        guidance_losses.spectrum_loss(image, image)
    leaf = torch.rand(1, 1, 64, 64, requires_grad=True)
    guidance_losses.spectrum_loss(leaf, image).backward()
    assert leaf.grad is not None


def test_validation_says_what_a_told_camera_is_worth():
    """Three of five crops of a training are told nothing, which the others' gain says little of."""
    model, _ = load_model("nano")
    scene = SyntheticScene(160, 120).frame(0)[1]
    frames = [Frame(scene, float(scene.min()), float(scene.max()))]
    told, auto = (validate(model, frames, 1, tell_blur=tell)[1] for tell in (True, False))
    assert told.psnr > auto.psnr + 0.05


def test_a_run_writes_a_model_and_continues_where_it_stopped(frames_dir, tmp_path):
    trainer = Trainer(frames_dir, tmp_path, _settings())
    path = trainer.run()
    stages = [h["stage"] for h in trainer.history]
    assert all(h["gain_auto"] != h["gain"] for h in trainer.history)
    assert list(dict.fromkeys(stages)) == ["prior", "refiner", "few_step"]
    model, facts = load_model(str(path))
    assert model.config == SMALL
    assert facts["steps"] == trainer.step >= 2
    assert facts["frames"] == 5  # one is held out
    assert model.guidance_priors.terms == ("visual", "perceptual")

    longer = Trainer(frames_dir, tmp_path, _settings(minutes=0.08))
    assert longer.resume()
    assert longer.step == trainer.step
    for key, value in longer.ema.items():
        assert torch.equal(value, trainer.ema[key]), key
    longer.run()
    assert longer.step > trainer.step


def test_a_run_by_the_features_of_another_network(frames_dir, tmp_path):
    """In its loss, and in what its model's guidance sees through."""
    torch.save(EfficientNetLite0().state_dict(), tmp_path / "w.pth")
    features = f"efficientnet_lite0:{tmp_path / 'w.pth'}"
    settings = _settings(features=features, prior_share=0.0, few_step_share=1.0)
    trainer = Trainer(frames_dir, tmp_path / "run", settings)
    model, facts = load_model(str(trainer.run()))
    assert trainer.step >= 1 and facts["settings"]["features"] == features
    assert model.guidance_priors.features.spec.startswith(features)


def test_after_a_resume_every_process_draws_crops_and_noise_of_its_own(
    frames_dir, tmp_path, monkeypatch
):
    def trainer(rank: int, step: int | None = None) -> Trainer:
        monkeypatch.setattr(distributed, "start", lambda: (rank, 3))
        made = Trainer(frames_dir, tmp_path, _settings())
        if step is not None:
            assert made.resume()
            assert made.step == step
        return made

    def draws(trainer: Trainer) -> tuple[torch.Tensor, torch.Tensor]:
        return trainer.sampler.draw(2).hr, torch.randn(8, generator=trainer.generator)

    first = trainer(0)
    begun = [draws(first), draws(trainer(1)), draws(trainer(2))]
    first.step = 7
    first._save()
    continued = [draws(trainer(rank, step=7)) for rank in range(3)]
    for ours, uninterrupted in zip(continued[0], draws(first)):
        assert torch.equal(ours, uninterrupted)
    everything = begun + continued
    for kind in (0, 1):
        seen = {drawn[kind].numpy().tobytes() for drawn in everything}
        assert len(seen) == len(everything)
    again = draws(trainer(1, step=7))
    assert all(torch.equal(a, b) for a, b in zip(again, continued[1]))
    first.step = 9
    first._save()
    assert not torch.equal(draws(trainer(1, step=9))[1], continued[1][1])


def test_training_can_start_from_a_model(frames_dir, tmp_path):
    torch.manual_seed(3)
    start, path = LiteDenoiser(SMALL), tmp_path / "start.safetensors"
    save_model(path, start, {"trained_on": "nothing"}, half=False)
    trainer = Trainer(frames_dir, tmp_path / "run", _settings(config=LiteConfig()), None, str(path))
    assert trainer.settings.config == SMALL
    for key, value in start.state_dict().items():
        assert torch.equal(trainer.model.state_dict()[key], value), key
        assert torch.equal(trainer.ema[key], value), key
    _, facts = load_model(str(trainer.run()))
    assert facts["started_from"] == {"trained_on": "nothing"}


def test_damaged_state_is_named_and_kept(frames_dir, tmp_path):
    (tmp_path / "last.pt").write_bytes(b"half a file")
    with pytest.raises(DataError, match=r"last.pt cannot be continued.*remove it"):
        Trainer(frames_dir, tmp_path, _settings()).resume()
    assert (tmp_path / "last.pt").read_bytes() == b"half a file"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nowhere"], "nowhere: no such file or folder"),
        (["{frames}", "--degradation", "rain"], "camera, reduced"),
        (["{frames}", "--crop", "60"], "multiple of 8"),
        (["{frames}", "--minutes", "0"], "--minutes must be above 0"),
        (["{frames}", "--prior-share", "2"], "--prior-share must be in [0, 1]"),
        (["{frames}", "--few-step-share", "0.6"], "are at most 1 together, got 0.6 and 0.6"),
        (["{frames}", "--spectrum-weight", "-1"], "--spectrum-weight must be in [0, 100]"),
        (["{frames}", "--guided-share", "-1"], "--guided-share must be in [0, 1]"),
        (["{frames}", "--init", "none.safetensors"], "'none.safetensors' is neither"),
        (["{frames}"], "at least 192x192"),
    ],
)
def test_command_refuses_bad_input_with_exit_code_2(frames_dir, tmp_path, capsys, arguments, said):
    filled = [a.format(frames=frames_dir) for a in arguments]
    assert main(["train", *filled, "--out", str(tmp_path)]) == 2
    assert said in capsys.readouterr().err


def test_command_trains_and_reports(frames_dir, tmp_path, capsys):
    report = tmp_path / "history.json"
    code = main(
        [
            "train",
            str(frames_dir),
            "--out",
            str(tmp_path / "run"),
            "--minutes",
            "0.04",
            "--crop",
            "64",
            "--batch",
            "2",
            "--json",
            str(report),
            "--data-name",
            "blobs",
            "--degradation",
            "reduced",
        ]
    )
    assert code == 0
    model_file = json.loads(report.read_text())["model"]
    assert load_model(model_file)[1]["trained_on"] == "blobs"
    assert f"wrote {model_file}" in capsys.readouterr().out


@pytest.mark.slow
def test_two_processes_under_torchrun_hold_the_same_weights(frames_dir, tmp_path):
    script = tmp_path / "run.py"
    script.write_text(
        "import sys, torch\n"
        "from pathlib import Path\n"
        "from difiisr_ros.models.lite import LiteConfig\n"
        "from difiisr_ros.lab.training.train import Trainer, TrainSettings\n"
        "torch.set_num_threads(1)\n"
        "config = LiteConfig(prior_channels=8, prior_blocks=1, refiner_channels=8,"
        " refiner_blocks=1)\n"
        "settings = TrainSettings(minutes=0.01, prior_share=1.0, batch=2, crop=64,"
        " precision='fp32', config=config)\n"
        "trainer = Trainer(Path(sys.argv[1]), Path(sys.argv[2]), settings)\n"
        "trainer.run()\n"
        "torch.save(trainer.model.state_dict(), f'{sys.argv[2]}/rank{trainer.rank}.pt')\n"
    )
    sources = str(Path(difiisr_ros.__file__).parents[1])
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": sources}
    subprocess.run(
        [
            sys.executable,
            "-m",
            "torch.distributed.run",
            "--nproc_per_node=2",
            "--standalone",
            str(script),
            str(frames_dir),
            str(tmp_path),
        ],
        check=True,
        env=environment,
        timeout=150,
        capture_output=True,
    )
    first, second = (torch.load(tmp_path / f"rank{r}.pt", weights_only=True) for r in (0, 1))
    assert all(torch.equal(first[key], second[key]) for key in first)
    assert (tmp_path / "model.safetensors").is_file()
