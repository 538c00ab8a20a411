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

"""Trainings that are stopped, continued as something else, and judged."""

from __future__ import annotations

import os
import re
import signal

import numpy as np
import pytest
import torch
from PIL import Image

from difiisr_ros.cli import main
from difiisr_ros.commands.train import few_frames
from difiisr_ros.errors import DataError, Interrupted
from difiisr_ros.lab.training.data import load_frames
from difiisr_ros.lab.training.train import Trainer, TrainSettings
from difiisr_ros.lab.training.verdict import compare_with_shipped, judge
from difiisr_ros.models.checkpoint import load_model
from difiisr_ros.models.lite import LiteConfig, LiteDenoiser

SMALL = LiteConfig(prior_channels=8, prior_blocks=1, refiner_channels=8, refiner_blocks=1)
OTHER = LiteConfig(prior_channels=8, prior_blocks=2, refiner_channels=8, refiner_blocks=1)


@pytest.fixture(scope="module")
def frames_dir(tmp_path_factory):
    folder, rng = tmp_path_factory.mktemp("frames"), np.random.default_rng(0)
    for i in range(8):
        counts = 29_000 + 40 * rng.normal(size=(64, 64)).cumsum(0).cumsum(1)
        Image.fromarray(np.clip(counts, 0, 65_535).astype(np.uint16)).save(folder / f"{i}.png")
    return folder


def settings(config=SMALL):
    return TrainSettings(
        minutes=60, batch=2, crop=64, precision="fp32", validate_frames=1, config=config
    )


@pytest.fixture
def signals_itself(monkeypatch):
    """The process gets the signal in its third step; what a step learns is no matter."""

    def after_three_steps(number):
        learn = Trainer._train_step

        def step(self):
            loss = learn(self)
            if self.step == 3:
                os.kill(os.getpid(), number)
            assert self.step < 10
            return loss

        monkeypatch.setattr(Trainer, "_train_step", step)

    return after_three_steps


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stopped_run_is_saved_and_continued(frames_dir, tmp_path, signals_itself, number):
    signals_itself(number)
    before = signal.getsignal(number)
    mask = os.umask(0o027)
    try:
        with pytest.raises(Interrupted, match=r"stopped at step \d.*the same command continues"):
            Trainer(frames_dir, tmp_path, settings()).run()
    finally:
        os.umask(mask)
    assert signal.getsignal(number) is before
    modes = {path.name: path.stat().st_mode & 0o777 for path in tmp_path.iterdir()}
    assert modes == {"last.pt": 0o640, "model.safetensors": 0o640}
    again = Trainer(frames_dir, tmp_path, settings())
    assert again.resume()
    assert again.step >= 3
    assert load_model(str(tmp_path / "model.safetensors"))[1]["steps"] == again.step


def test_the_command_ends_as_an_interrupted_one(frames_dir, tmp_path, signals_itself, capsys):
    signals_itself(signal.SIGTERM)
    code = main(["train", str(frames_dir), "--out", str(tmp_path), "--crop", "64", "--batch", "2"])
    assert code == 130
    (line,) = [line for line in capsys.readouterr().err.splitlines() if "stopped" in line]
    assert str(tmp_path) in line


def test_another_architecture_is_told_in_one_line(frames_dir, tmp_path):
    Trainer(frames_dir, tmp_path, settings())._save()
    with pytest.raises(DataError, match="of another architecture") as error:
        Trainer(frames_dir, tmp_path, settings(OTHER)).resume()
    assert len(str(error.value).splitlines()) == 1


def test_what_torch_says_in_many_lines_is_told_in_one(frames_dir, tmp_path, monkeypatch):
    Trainer(frames_dir, tmp_path, settings())._save()

    def fail(*_a, **_k):
        raise RuntimeError("cannot be read:\n\tthis\n\tand that")

    monkeypatch.setattr(torch, "load", fail)
    with pytest.raises(DataError, match=r"cannot be continued \(cannot be read:\); remove"):
        Trainer(frames_dir, tmp_path, settings()).resume()


@pytest.mark.parametrize(
    ("gains", "words"),
    [
        ([0.2, 0.3, 0.25, 0.2, 0.3, 0.22, 0.28], r"^better than the shipped nano: \+0.25 dB"),
        ([-0.2, -0.3, -0.25, -0.2, -0.3, -0.22, -0.28], r"^worse than .*: -0.25 dB PSNR on 7 held"),
        ([-0.2, 0.3, -0.25, 0.2, -0.3, 0.22, 0.03], r"^no different from .*95 % interval -0"),
        ([0.2, 0.3], r"^against the shipped nano: \+0.25 dB PSNR on 2 .* too few"),
    ],
)
def test_the_verdict_is_that_of_the_interval(gains, words):
    assert re.search(words, judge("nano", np.array(gains)).sentence())


def test_a_model_is_compared_with_the_shipped_one_of_its_architecture(frames_dir):
    frames = load_frames(frames_dir, 64)
    nano, _ = load_model("nano")
    same = compare_with_shipped(nano, frames)
    assert (same.shipped, same.frames, same.gain_db) == ("nano", 8, 0.0)
    with torch.no_grad():
        for parameter in nano.prior.parameters():
            parameter.mul_(0.5)
    worse = compare_with_shipped(nano, frames)
    assert worse.interval_db[1] < 0
    assert "worse than the shipped nano" in worse.sentence()
    assert compare_with_shipped(LiteDenoiser(SMALL), frames) is None


def test_a_model_file_is_written_where_it_was_asked_for(frames_dir, tmp_path, capsys):
    file = tmp_path / "mine.safetensors"
    line = ["train", str(frames_dir), "--out", str(file), "--minutes", "0.02", "--batch", "1",
            "--crop", "64", "--architecture", "nano"]  # fmt: skip
    assert main(line) == 0
    printed = capsys.readouterr()
    assert f"wrote {file}" in printed.out and "warning" not in printed.err
    assert load_model(str(file))[1]["frames"] == 7
    assert file.read_bytes() == (tmp_path / "mine.run" / "model.safetensors").read_bytes()
    taken = tmp_path / "other.safetensors"
    taken.write_bytes(b"somebody's")
    assert main(["train", str(frames_dir), "--out", str(taken)]) == 2
    assert taken.read_bytes() == b"somebody's" and "is kept" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("frames", "minutes", "tuned", "warned"),
    [(8, 90, False, True), (8, 90, True, True), (60, 20, True, False), (60, 20, False, True),
     (1200, 90, False, False), (8, 0.05, False, False)],
)  # fmt: skip
def test_few_frames_are_warned_of(frames, minutes, tuned, warned):
    said = few_frames(frames, minutes, tuned=tuned)
    assert bool(said) == warned
    assert not warned or f"{frames} frames for {minutes} minutes" in said
