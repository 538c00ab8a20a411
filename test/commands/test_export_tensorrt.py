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

"""difiisr export --format tensorrt, against the stand-in for TensorRT."""

from __future__ import annotations

import json
import sys

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

from difiisr_ros.backends.cache_folder import cache_folder  # noqa: E402
from difiisr_ros.backends.engine_cache import EngineShapes  # noqa: E402
from difiisr_ros.backends.engine_file import EngineFile  # noqa: E402
from difiisr_ros.cli import main  # noqa: E402
from support import fake_tensorrt  # noqa: E402

pytestmark = pytest.mark.usefixtures("simplified_once")


@pytest.fixture
def trt(monkeypatch):
    return fake_tensorrt.use(monkeypatch)


def export(*arguments: str) -> int:
    return main(["export", "--format", "tensorrt", *arguments])


def test_build_only_fills_the_cache(trt, tmp_path, capsys):
    report = tmp_path / "report.json"
    assert export("--build-only", "--size", "32x24", "--json", str(report)) == 0
    found = json.loads(report.read_text())
    assert found["key"]["precision"] == "fp16"
    assert found["key"]["shapes"]["best"] == [1, 24, 32]
    assert found["file"].startswith(str(cache_folder() / "tensorrt"))
    assert "1 to 4 frames of 8x8 to 640x640" in capsys.readouterr().out
    assert export("--build-only", "--size", "32x24") == 0
    assert trt.behaviour.builds == 1


def test_a_fixed_engine_and_a_file(trt, tmp_path, capsys):
    plan = tmp_path / "engine.plan"
    assert export(str(plan), "--fixed", "--size", "32x24", "--batch", "2") == 0
    assert plan.read_bytes().startswith(fake_tensorrt.MAGIC)
    assert EngineFile.read(plan).key.shapes.best == (2, 24, 32)
    assert trt.behaviour.shapes == [EngineShapes(*((2, 24, 32),) * 3)]
    assert "2 x 32x24 alone" in capsys.readouterr().out


def test_what_fails_is_said_and_is_not_0(trt, capsys):
    trt.behaviour.build_error = "no tactic for node Conv_0"
    assert export("--build-only", "--size", "40x24") == 2
    assert "no tactic for node Conv_0" in capsys.readouterr().err


def test_a_cache_that_cannot_be_written_is_a_failure(trt, tmp_path, monkeypatch, capsys):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("DIFIISR_CACHE", str(tmp_path / "file"))
    assert export("--build-only", "--size", "32x24") == 2
    assert "not kept" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--format", "tensorrt"], "--build-only"),
        (["--format", "tensorrt", "--build-only", "a.plan"], "to no file"),
        (["--format", "tensorrt", "a.onnx"], "NAME.plan"),
        (["a.onnx", "--fixed"], "--fixed needs --format tensorrt"),
        (["--build-only"], "--build-only needs --format tensorrt"),
        (["a.onnx", "--target", "sm86"], "--target needs --format tensorrt"),
        ([], "NAME.onnx"),
    ],
)
def test_arguments_that_do_not_go_together(arguments, reason, capsys):
    assert main(["export", *arguments]) == 2
    assert reason in capsys.readouterr().err


def test_without_tensorrt_it_says_so(monkeypatch, capsys):
    for name in ("tensorrt", "tensorrt_rtx"):
        monkeypatch.setitem(sys.modules, name, None)
    assert export("--build-only") == 2
    said = capsys.readouterr().err
    assert "tensorrt cannot be imported" in said and "tensorrt_rtx cannot be imported" in said


def test_targets_are_of_tensorrt_rtx(trt, capsys):
    assert export("--build-only", "--backend", "tensorrt", "--target", "sm86") == 2
    assert "for the GPU that builds them" in capsys.readouterr().err
