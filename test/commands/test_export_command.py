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

"""`difiisr export`: a checked file and its figures, or one line that says what was wrong."""

from __future__ import annotations

import json
import sys

import pytest

pytest.importorskip("onnxruntime", reason="needs ONNX Runtime: pip install difiisr_ros[onnx]")
pytest.importorskip("onnx", reason="needs onnx: pip install difiisr_ros[onnx]")

import onnx

from difiisr_ros import cli
from difiisr_ros.export import check
from difiisr_ros.export.onnx_writer import read_facts
from support.graph_models import save_variant

pytestmark = pytest.mark.usefixtures("simplified_once")


def test_a_graph_of_any_size(tmp_path, capsys):
    out, report = tmp_path / "new" / "two.onnx", tmp_path / "report.json"
    assert cli.main(["export", "--steps", "2", "--json", str(report), str(out)]) == 0
    printed = capsys.readouterr().out
    assert "TensorRT takes all operators" in printed and "3 x 18x31:" in printed
    facts = read_facts(out.read_bytes(), "")
    assert (facts.num_steps, facts.precision, facts.guidance) == (2, "fp32", "")
    assert facts.projection == "wide"
    found = json.loads(report.read_text())
    assert found["agrees"] is True and found["refused_by_tensorrt"] == []
    assert found["bytes"] == out.stat().st_size
    assert found["metadata"]["num_steps"] == "2"
    assert {(c["batch"], c["width"], c["height"]) for c in found["checks"]} >= {(1, 33, 25)}
    assert all(0 <= c["mean"] <= c["largest"] <= c["tolerance"] == 1e-4 for c in found["checks"])


def test_a_fixed_graph_with_guidance_in_fp16(tmp_path):
    model = save_variant(tmp_path / "m.safetensors", spectrum=True)
    out = tmp_path / "fixed.onnx"
    options = "--size 32x24 --batch 2 --precision fp16 --consistency 0 --guidance visual"
    options += " --projection exact"
    assert cli.main(["export", "--model", model, *options.split(), str(out)]) == 0
    graph = onnx.load(out).graph
    shapes = {v.name: [d.dim_value for d in v.type.tensor_type.shape.dim] for v in graph.input}
    assert shapes == {"lr": [2, 1, 24, 32], "visual_scale": [], "camera": [2, 7]}
    facts = read_facts(out.read_bytes(), "")
    assert (facts.consistency, facts.precision, facts.guidance) == (0, "fp16", "visual")
    assert facts.projection == "exact"
    assert facts.model == "m.safetensors"


def test_a_graph_that_differs_is_said_and_counted(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(check.TOLERANCE, "fp32", -1.0)
    report = tmp_path / "r.json"
    assert cli.main(["export", "--json", str(report), str(tmp_path / "x.onnx")]) == 1
    assert "TOO FAR" in capsys.readouterr().out
    assert json.loads(report.read_text())["agrees"] is False


def test_without_onnx_runtime_it_is_written_and_said(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    assert cli.main(["export", str(tmp_path / "x.onnx")]) == 0
    assert "not run: ONNX Runtime is not installed" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["model.plan"], "must be named NAME.onnx, got model.plan"),
        (["--steps", "16", "x.onnx"], "num_steps must be an integer in 1..15, got 16"),
        (["--opset", "30", "x.onnx"], "opset must be in 17..20, got 30"),
        (["--size", "0x4", "x.onnx"], "width must be 1 or more, got 0"),
        (["--batch", "0", "x.onnx"], "batch must be 1 or more, got 0"),
        (["--guidance", "visual", "x.onnx"], "no prior for visual guidance"),
        (["--model", "none.safetensors", "x.onnx"], "'none.safetensors' is neither 'lite' nor"),
        (["/proc/x.onnx"], "/proc"),
    ],
)
def test_mistakes_are_named(arguments, said, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    if "visual" in arguments:
        arguments = ["--model", save_variant(tmp_path / "m.safetensors"), *arguments]
    assert cli.main(["export", *arguments]) == 2
    assert said in capsys.readouterr().err
    assert not list(tmp_path.glob("*.onnx"))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--size", "12", "x.onnx"], "invalid size WxH value: '12'"),
        (["--batch", "many", "x.onnx"], "invalid batch value: 'many'"),
        (["--dynamic", "--size", "4x4", "x.onnx"], "not allowed with argument --dynamic"),
    ],
)
def test_words_that_do_not_parse(arguments, said, capsys):
    with pytest.raises(SystemExit) as stop:
        cli.main(["export", *arguments])
    assert stop.value.code == 2
    assert said in capsys.readouterr().err
