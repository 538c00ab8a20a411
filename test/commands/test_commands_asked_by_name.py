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

"""Commands do what was asked for by name, or end with exit code 2 before anything is written."""

from __future__ import annotations

import json

import pytest

from difiisr_ros.cli import main
from difiisr_ros.errors import BackendUnavailable
from difiisr_ros.io.images import read_image
from difiisr_ros.pipeline import SuperResolver
from support.frames import write_noise

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.skipif(torch.cuda.is_available(), reason="what a GPU has is had")


@pytest.fixture
def frames(tmp_path):
    return write_noise(tmp_path / "in", 3, (16, 20))


ASKED = [
    ("--device", "cuda"),
    ("--precision", "fp16"),
    ("--backend", "bicubic", "--device", "cuda"),
    ("--backend", "tensorrt"),
]


@pytest.mark.parametrize("asked", ASKED, ids=" ".join)
def test_upscale_refuses_or_is_allowed_to_fall_back(tmp_path, frames, asked, capsys, caplog):
    out, report = tmp_path / "out", tmp_path / "report.json"
    arguments = ["upscale", str(frames), str(out), "--model", "nano", *asked]
    assert main(arguments) == 2
    assert "(--allow-fallback runs what there is)" in capsys.readouterr().err
    assert not out.exists() and not caplog.text
    assert main([*arguments, "--allow-fallback", "--json", str(report)]) == 0
    assert len(list(out.iterdir())) == 3
    engine = json.loads(report.read_text())["engine"]
    assert engine["backend"] != "bicubic" or "bicubic" in asked
    assert caplog.text.count("not available") == 1, caplog.text  # said once
    assert engine["fallback"] in caplog.text


@pytest.mark.parametrize(
    "command",
    [
        ("evaluate", "{frames}", "--out", "{out}", "--precision", "fp16"),
        ("bench", "--quick", "--json", "{out}", "--backend", "torch", "--device", "cuda"),
        ("demo", "--out", "{out}", "--device", "cuda"),
    ],
    ids=lambda c: c[0],
)
def test_the_others_refuse(tmp_path, frames, command, capsys):
    if command[0] == "demo":
        pytest.importorskip("rclpy")
    out = tmp_path / "out"
    arguments = [part.format(frames=frames, out=out) for part in command]
    assert main(arguments) == 2
    assert "difiisr: error: " in capsys.readouterr().err
    assert not out.exists() or not [p for p in out.rglob("*") if p.is_file()]


def test_an_engine_that_gives_up_at_work_ends_it(tmp_path, frames, monkeypatch, capsys):
    """It is no fault of the file, and the next one would fare no better."""
    tried = []

    def gives_up(self, frame, **how):
        tried.append(frame)
        raise BackendUnavailable("the driver is gone")

    monkeypatch.setattr(SuperResolver, "upscale", gives_up)
    out = tmp_path / "out"
    assert main(["upscale", str(frames), str(out), "--backend", "bicubic"]) == 2
    assert len(tried) == 1 and "the driver is gone" in capsys.readouterr().err
    assert not out.exists() or not list(out.iterdir())


def test_all_engines_write_more_than_bicubic(tmp_path, frames):
    """The mistake that this is about: bicubic's pixels where a model was asked for."""
    for name, arguments in (("a", ["--backend", "bicubic"]), ("b", ["--precision", "fp32"])):
        out = tmp_path / name
        assert main(["upscale", str(frames), str(out), "--model", "nano", *arguments]) == 0
    assert (read_image(tmp_path / "a/0.png") != read_image(tmp_path / "b/0.png")).any()
