"""How a training ends: interrupted without a loss, judged against the shipped model."""

from __future__ import annotations

import json
import os
import signal
import stat

import numpy as np
import pytest

pytest.importorskip("torch")

import torch
from PIL import Image

from difiisr_ros.cli import main
from difiisr_ros.errors import DataError
from difiisr_ros.lab.training import train as training
from difiisr_ros.lab.training.interruption import interruption
from difiisr_ros.lab.training.train import Trainer, TrainSettings
from difiisr_ros.lab.training.verdict import against_shipped, judge
from difiisr_ros.models.checkpoint import load_model
from difiisr_ros.models.lite import EMBEDDED_CONFIGS, LiteConfig

SMALL = LiteConfig(prior_channels=8, prior_blocks=1, refiner_channels=8, refiner_blocks=1)


@pytest.fixture(scope="module")
def frames(tmp_path_factory):
    folder, rng = tmp_path_factory.mktemp("frames"), np.random.default_rng(0)
    for i in range(8):
        coarse = Image.fromarray(rng.random((12, 16)).astype(np.float32)).resize((128, 96))
        pixels = (29_000 + 900 * np.asarray(coarse)).astype(np.uint16)
        Image.fromarray(pixels).save(folder / f"{i}.png")
    return folder


def settings(**changes):
    return TrainSettings(
        **{"minutes": 60.0, "batch": 1, "crop": 64, "precision": "fp32", "config": SMALL, **changes}
    )


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_in_the_first_minutes_loses_no_step(frames, tmp_path, monkeypatch, number):
    trainer = Trainer(frames, tmp_path, settings())
    step = trainer._train_step

    def asked(elapsed):
        loss = step(elapsed)
        if trainer.step == 3:
            os.kill(os.getpid(), number)
        return loss

    monkeypatch.setattr(trainer, "_train_step", asked)
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    with pytest.raises(KeyboardInterrupt if number == signal.SIGINT else SystemExit) as ended:
        trainer.run()
    if number == signal.SIGTERM:
        assert ended.value.code == 143
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before
    again = Trainer(frames, tmp_path, settings())
    assert again.resume() and again.step == 3
    for key, value in again.ema.items():
        assert torch.equal(value, trainer.ema[key]), key


def test_a_second_signal_ends_at_once():
    with pytest.raises(KeyboardInterrupt), interruption() as asked:
        os.kill(os.getpid(), signal.SIGINT)
        assert asked.signal == signal.SIGINT
        os.kill(os.getpid(), signal.SIGINT)


def test_what_is_written_can_be_read_by_others(frames, tmp_path):
    mask = os.umask(0o027)
    try:
        Trainer(frames, tmp_path, settings())._save()
    finally:
        os.umask(mask)
    modes = {p.name: stat.S_IMODE(p.stat().st_mode) for p in tmp_path.iterdir()}
    assert modes == {"last.pt": 0o640, "model.safetensors": 0o640}


def test_another_architecture_is_one_line(frames, tmp_path, capsys):
    Trainer(frames, tmp_path, settings())._save()
    assert main(["train", str(frames), "--out", str(tmp_path), "--crop", "64"]) == 2
    said = capsys.readouterr().err.strip().splitlines()
    assert len(said) == 1 and "is of another architecture" in said[0] and len(said[0]) < 400


def test_a_model_that_no_training_here_has_written_is_left_alone(frames, tmp_path):
    (tmp_path / "model.safetensors").write_text("treasure")
    with pytest.raises(DataError, match="is in the way"):
        Trainer(frames, tmp_path, settings()).resume()
    assert (tmp_path / "model.safetensors").read_text() == "treasure"


@pytest.mark.parametrize(
    ("mean", "frames", "words"),
    [(0.3, 16, "better"), (-0.3, 16, "worse"), (0.0, 16, "undecided"), (0.3, 4, "undecided")],
)
def test_a_verdict_needs_an_interval_on_one_side_of_zero(mean, frames, words):
    differences = mean + 0.2 * np.linspace(-1, 1, frames)
    verdict = judge("lite", differences)
    assert verdict.words == words and verdict.difference == pytest.approx(mean)
    assert (verdict.low is None) == (frames < 6)
    assert "shipped lite" in verdict.sentence() and "held-out frames" in verdict.sentence()


def test_the_shipped_model_is_no_better_than_itself_and_beats_a_fresh_one(frames, tmp_path):
    nano, _ = load_model("nano")
    held_out = Trainer(frames, tmp_path, settings(), validation=frames).validation
    same = against_shipped(nano, held_out)
    assert (same.shipped, same.difference, same.words) == ("nano", 0.0, "undecided")
    with torch.no_grad():
        for weight in nano.parameters():
            weight.mul_(-1)
    worse = against_shipped(nano, held_out)
    assert worse.words == "worse" and worse.high < 0
    assert against_shipped(Trainer(frames, tmp_path, settings()).model, held_out) is None


def test_the_command_says_the_verdict(frames, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(training, "fit_guidance_priors", lambda *a, **k: training.GuidancePriors())
    monkeypatch.setattr(training, "measure_limits", lambda *a, **k: None)
    report = tmp_path / "r.json"
    arguments = ["--init", "nano", "--out", tmp_path / "run", "--minutes", 0.002, "--crop", 64]
    arguments += ["--batch", 1, "--validation", frames, "--json", report]
    assert main(["train", str(frames), *map(str, arguments)]) == 0
    assert "the shipped nano: " in capsys.readouterr().out.splitlines()[-1]
    found = json.loads(report.read_text())["against_shipped"]
    assert found["frames"] == 8 and found["words"] in ("better", "worse", "undecided")
    assert EMBEDDED_CONFIGS[found["shipped"]]
