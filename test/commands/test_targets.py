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

"""A target that cannot be written ends a command before its work: one line, exit code 2."""

from __future__ import annotations

import os
from types import SimpleNamespace

import numpy as np
import pytest

from difiisr_ros.cli import main
from difiisr_ros.errors import DataError
from difiisr_ros.io import write_stack
from difiisr_ros.io.images import write_image


@pytest.fixture
def frames(tmp_path):
    folder = tmp_path / "frames"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for i in range(3):
        write_image(folder / f"{i}.png", rng.integers(29000, 30000, (64, 64)).astype(np.uint16))
    return folder


def commands(frames, out):
    bicubic = ["--backend", "bicubic"]
    yield "upscale", [frames, out / "x", *bicubic]
    yield "upscale", [frames / "0.png", out / "x.png", *bicubic]
    yield "evaluate", [frames, "--out", out / "x", *bicubic]
    yield "evaluate", [frames, "--json", out / "x.json", *bicubic]
    yield "calibrate", [frames, "--out", out / "x.yaml"]
    yield "train", [frames, "--out", out / "x"]
    yield "export", [out / "x.onnx"]
    yield "bench", ["--json", out / "x.json"]
    yield "demo", ["--out", out / "x", *bicubic]


def bag_command(frames, out):
    pytest.importorskip("rosbags", reason="bags need rosbags: pip install rosbags")
    from difiisr_ros.io.bags import BagWriter

    with BagWriter(frames.parent / "bag") as writer:
        writer.write_image("/cam/image_raw", 1, np.zeros((8, 8), np.uint16))
    return "upscale", [frames.parent / "bag", out / "x", "--backend", "bicubic"]


def fails(words, command, arguments, capsys, out):
    capsys.readouterr()
    assert main([command, *map(str, arguments)]) == 2, command
    said = capsys.readouterr()
    (line,) = [line for line in said.err.splitlines() if line.startswith("difiisr: error:")]
    assert words in line and str(out) in line, command
    assert list(out.iterdir()) == [], command


@pytest.mark.parametrize(
    ("words", "space"),
    [
        ("read-only", {"f_flag": os.ST_RDONLY}),
        ("no space is left", {"f_bavail": 1}),
    ],
)
def test_a_read_only_or_full_target_ends_before_the_work(
    frames, tmp_path, capsys, monkeypatch, words, space
):
    out = tmp_path / "out"
    out.mkdir()
    usual = {"f_flag": 0, "f_bavail": 1 << 20, "f_frsize": 4096, "f_blocks": 1 << 20}
    state = SimpleNamespace(**{**usual, **space})
    tried = [*commands(frames, out), bag_command(frames, out)]
    monkeypatch.setattr(write_stack.os, "statvfs", lambda _path: state)
    # No work is begun: no model is loaded, no frame is read.
    monkeypatch.setattr("difiisr_ros.pipeline.SuperResolver.load", lambda *_a, **_k: 1 / 0)
    for command, arguments in tried:
        fails(words, command, arguments, capsys, out)


def test_a_folder_in_place_of_a_file_and_a_file_in_place_of_a_folder(frames, tmp_path, capsys):
    out = tmp_path / "out"
    (tmp_path / "file").write_text("")
    out.mkdir()
    fails("is a folder", "calibrate", [frames, "--out", out], capsys, out)
    code = main(["upscale", str(frames), str(tmp_path / "file" / "x"), "--backend", "bicubic"])
    assert code == 2 and "is a file, not a folder" in capsys.readouterr().err


def test_a_disk_that_is_full_when_a_training_saves_is_named(frames, tmp_path, monkeypatch):
    torch = pytest.importorskip("torch", reason="training needs torch")
    from difiisr_ros.lab.training.train import Trainer, TrainSettings
    from difiisr_ros.models.lite import LiteConfig

    def full(*_a, **_k):
        raise RuntimeError("PytorchStreamWriter failed writing file data/0: file write failed")

    small = LiteConfig(prior_channels=8, prior_blocks=1, refiner_channels=8, refiner_blocks=1)
    trainer = Trainer(frames, tmp_path / "run", TrainSettings(crop=64, config=small))
    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(DataError, match="run: cannot be written: PytorchStreamWriter failed"):
        trainer._save()
    assert list((tmp_path / "run").iterdir()) == []
