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

"""`difiisr evaluate` on folders: its figures, its JSON, CSV and text, its limits and errors."""

from __future__ import annotations

import csv
import json
import re
import shlex

import cv2
import numpy as np
import pytest

from difiisr_ros import cli
from difiisr_ros.io.images import write_image
from difiisr_ros.lab.evaluation.methods import MethodPlan, bicubic_upscale
from difiisr_ros.lab.evaluation.run import Request, evaluate
from difiisr_ros.lab.frames.degrade import degrade_bicubic, known_camera
from difiisr_ros.lab.frames.folder_stream import FolderStream
from difiisr_ros.lab.frames.streams import StreamOptions
from difiisr_ros.lab.scores import metrics
from difiisr_ros.lab.scores.metric_table import METRICS

WITH_TRUTH = {
    "psnr", "ssim", "gmsd", "spectrum_distance", "mae", "bias", "consistency",
    "consistency_bias", "detail", "time_ms_p50", "time_ms_p99",
}  # fmt: skip


def _scene(index: int, height: int = 64, width: int = 80) -> np.ndarray:
    coarse = np.random.default_rng(index).random((12, 14)).astype(np.float32)
    return cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC).clip(0, 1)


@pytest.fixture
def folder(tmp_path):
    for index in range(8):
        write_image(tmp_path / "data" / f"f{index}.png", (_scene(index) * 255).astype(np.uint8))
    return tmp_path / "data"


def _run(*arguments) -> int:
    return cli.main(["evaluate", *map(str, arguments)])


@pytest.mark.needs("torch")
def test_json_and_exit_code(folder, tmp_path, capsys):
    out = tmp_path / "numbers" / "report.json"
    assert _run(folder, "--backend", "bicubic", "--num-steps", "1,3", "--json", out) == 0
    report = json.loads(out.read_text())
    assert {"frames", "methods", "settings"} <= set(report)
    assert report["frames"] == 8 and report["mode"] == "self_referenced"
    names = ["bicubic", "bicubic_pillow", "lanczos", "difiisr", "difiisr@3"]
    assert list(report["methods"]) == names
    for values in report["methods"].values():
        assert set(values) == WITH_TRUTH
    settings = report["settings"]
    assert settings["data"] == "hr" and settings["degradation"] == "camera"
    assert settings["noise_percent"] == 1.0 and settings["options"]["camera"] == "auto"
    assert settings["dtype"] == "uint8" and settings["data_range"] == 255
    assert settings["lr_sizes"] == ["20x16"]
    assert settings["engine"]["backend"] == "bicubic"
    assert settings["methods"]["difiisr@3"]["num_steps"] == 3
    assert "INTER_CUBIC" in settings["methods"]["bicubic"]["resampling"]
    assert settings["ssim"]["sigma"] == 1.5
    assert report["sources"][0]["path"] == str(folder)
    assert {"numpy", "torch", "opencv", "difiisr_ros"} <= set(report["versions"])
    assert set(report["intervals"]["difiisr"]) == WITH_TRUTH - {"time_ms_p50", "time_ms_p99"}
    low, high = report["intervals"]["bicubic"]["psnr"]
    assert low < report["methods"]["bicubic"]["psnr"] < high
    curves = report["spectrum"]["decibel"]
    assert {*names, "truth", "input"} == set(curves)
    assert all(len(c) == len(report["spectrum"]["cycles_per_pixel"]) for c in curves.values())
    assert "lpips" in report["missing"] and "flicker" in report["missing"]
    assert [p.name for p in out.parent.iterdir()] == ["report.json"]  # no state is left behind


def test_the_model_is_told_that_frames_are_reduced(folder, tmp_path):
    out = tmp_path / "r.json"
    assert _run(folder, "--backend", "bicubic", "--degradation", "reduced", "--json", out) == 0
    settings = json.loads(out.read_text())["settings"]
    assert settings["options"]["camera"] == settings["degradation"] == "reduced"
    assert "noise_percent" not in settings
    # What was asked for is what is told; of frames that came as they are nothing is known.
    assert known_camera("my.yaml", "reduced") == "my.yaml"
    assert known_camera(None, None) == known_camera(None, "camera") == "auto"


def test_text_shows_all_methods_and_differences(folder, capsys):
    assert _run(folder, "--backend", "bicubic", "--num-steps", "1,3") == 0
    printed = capsys.readouterr().out
    assert "8 frames" in printed and "difiisr@3" in printed
    lines = printed.splitlines()
    (means,) = [line for line in lines if line.startswith("PSNR [dB]") and "highest" in line]
    assert len(means.split()) == 3 + 5
    assert "difiisr against bicubic" in printed and "difiisr@3 against bicubic" in printed
    # The bicubic backend has another kernel: a difference, and a small one.
    (difference, _) = [line for line in lines if line.startswith("PSNR [dB]") and "[" in line[9:]]
    assert difference.endswith(("better", "worse", "undecided"))
    assert "not measured: LPIPS: " in printed
    assert "not measured: flicker: needs consecutive frames" in printed


def test_figures_are_means_of_the_metrics(folder):
    with evaluate(Request((folder,), methods=MethodPlan(engine=_engine()))) as evaluation:
        found = evaluation.methods["bicubic"]
        rows = []
        for sample in FolderStream(folder, StreamOptions()).samples():
            sr = bicubic_upscale(sample.lr)
            rows.append(
                (
                    metrics.psnr(sample.hr, sr, 255.0),
                    metrics.Ssim(sample.hr, 255.0)(sr),
                    metrics.consistency(sample.lr, sr),
                    np.abs(sample.hr.astype(float) - sr).mean(),
                    (sr.astype(float) - sample.hr).mean(),
                )
            )
        expected = np.array(rows)
        for column, key in enumerate(("psnr", "ssim", "consistency", "mae", "bias")):
            np.testing.assert_allclose(found.values[key], expected[:, column])
            assert found.means[key].mean == pytest.approx(expected[:, column].mean())
        assert evaluation.frames.names == [f"f{i}.png" for i in range(8)]


def _engine(**options):
    return tuple(sorted({"backend": "bicubic", "num_threads": 0, **options}.items()))


def test_pictures_of_a_frame_can_be_made_again(folder):
    frames = StreamOptions(degradation="reduced")
    with evaluate(Request((folder,), frames, MethodPlan(engine=_engine()))) as evaluation:
        psnr = evaluation.methods["bicubic"].values["psnr"]
        worst = int(psnr.argmin())
        pictures = evaluation.frame(worst)
        assert pictures.name == evaluation.frames.names[worst]
        np.testing.assert_array_equal(pictures.lr, degrade_bicubic(pictures.hr))
        assert list(pictures.methods) == list(evaluation.methods)
        again = metrics.psnr(pictures.hr, pictures.methods["bicubic"], 255.0)
        assert again == psnr[worst]


def test_csv_has_a_line_for_every_frame_and_method(folder, tmp_path):
    out, numbers = tmp_path / "frames.csv", tmp_path / "r.json"
    assert _run(folder, "--backend", "bicubic", "--csv", out, "--json", numbers) == 0
    with out.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 8 * 4
    assert {row["frame"] for row in rows} == {f"f{i}.png" for i in range(8)}
    ours = [float(row["psnr"]) for row in rows if row["method"] == "difiisr"]
    means = json.loads(numbers.read_text())["methods"]
    assert np.mean(ours) == pytest.approx(means["difiisr"]["psnr"], rel=1e-6)
    assert all(row["stamp_ns"] == "" and float(row["time_ms"]) > 0 for row in rows)


def test_the_command_in_the_report_does_the_same_again(folder, tmp_path):
    out = tmp_path / "a b.json"
    options = ["--backend", "bicubic", "--every", "2", "--fail-below", "psnr_gain_db=-9"]
    assert _run(folder, *options, "--steps", "2,4", "--json", out) == 0
    first = json.loads(out.read_text())
    words = shlex.split(first["command"])
    assert words[:2] == ["difiisr", "evaluate"]
    out.unlink()
    assert cli.main(words[1:]) == 0
    second = json.loads(out.read_text())
    assert second["command"] == first["command"]
    for name, values in first["methods"].items():
        for key in set(values) - {"time_ms_p50", "time_ms_p99"}:
            assert second["methods"][name][key] == values[key]


def test_a_folder_for_all_outputs(folder, tmp_path):
    pytest.importorskip("difiisr_ros.lab.report.page")
    assert _run(folder, "--backend", "bicubic", "--out", tmp_path / "out") == 0
    names = sorted(p.name for p in (tmp_path / "out").iterdir() if p.name[0] != ".")
    assert names == ["frames.csv", "report.html", "results.json"]


@pytest.mark.parametrize(
    "limits, code, said",
    [
        (["--fail-below", "psnr_gain_db=-5"], 0, ""),
        (["--fail-below", "psnr_gain_db=5"], 1, "psnr_gain_db of difiisr is"),
        (["--fail-below", "bicubic:psnr_db=99"], 1, "psnr_db of bicubic is"),
        (["--fail-below", "lanczos:gmsd_gain=0.5"], 1, "below 0.5"),
        (["--fail-above", "consistency_counts=0"], 1, "above 0"),
        (["--fail-above", "time_ms_p99=100000"], 0, ""),
        (["--fail-below", "ssim=0", "--fail-below", "ssim_gain=1"], 1, "ssim_gain"),
    ],
)
def test_limits_decide_the_exit_code(folder, capsys, limits, code, said):
    assert _run(folder, "--backend", "bicubic", *limits) == code
    captured = capsys.readouterr()
    assert said in captured.err
    assert "PSNR" in captured.out  # the table is there in any case
    assert ("failed" in captured.err) == (code == 1)


@pytest.mark.parametrize(
    "option, message",
    [
        ("--fail-below=psnr", "NAME=VALUE"),
        ("--fail-below=psnr_gain_db=much", "not a number"),
        ("--fail-below=psnr_gain_db=nan", "not a number"),
        ("--fail-below=prettiness=1", "'prettiness' is not known"),
        ("--fail-below=detail_gain=1", "only describes"),
        ("--fail-below=lpips=1", "lpips is not measured"),
        ("--fail-below=esrgan:psnr=1", "no method 'esrgan'"),
    ],
)
def test_a_limit_that_cannot_be_checked_is_refused_before_the_work(
    folder, tmp_path, capsys, option, message
):
    out = tmp_path / "r.json"
    assert _run(folder, "--backend", "bicubic", option, "--json", out) == 2
    assert message in capsys.readouterr().err
    assert not out.exists()


def test_16_bit_frames_state_their_data_range(tmp_path, capsys):
    hr = np.add.outer(np.arange(64), np.arange(80)).astype(np.uint16) * 8 + 29000
    write_image(tmp_path / "d" / "a.png", hr)
    out = tmp_path / "r.json"
    assert _run(tmp_path / "d", "--backend", "bicubic", "--json", out) == 0
    own = json.loads(out.read_text())
    assert own["settings"]["data_range"] == "max - min of each HR frame"
    assert _run(tmp_path / "d", "--backend", "bicubic", "--data-range", 65535, "--json", out) == 0
    full = json.loads(out.read_text())
    assert full["settings"]["data_range"] == 65535
    difference = full["methods"]["bicubic"]["psnr"] - own["methods"]["bicubic"]["psnr"]
    assert difference == pytest.approx(20 * np.log10(65535 / (8 * 142)), abs=1e-6)
    assert "uint16" in capsys.readouterr().out


def test_kelvin(tmp_path, capsys):
    scene = (_scene(0) * 900 + 29000).astype(np.uint16)
    write_image(tmp_path / "d" / "a.png", scene)
    counts, kelvin = tmp_path / "c.json", tmp_path / "k.json"
    assert _run(tmp_path / "d", "--backend", "bicubic", "--json", counts) == 0
    options = ["--kelvin-per-count", "0.01", "--json", kelvin]
    assert _run(tmp_path / "d", "--backend", "bicubic", *options) == 0
    a, b = (json.loads(path.read_text()) for path in (counts, kelvin))
    assert (a["unit"], b["unit"]) == ("counts", "K")
    for key, value in a["methods"]["bicubic"].items():
        if key.startswith("time"):
            continue
        factor = 0.01 if METRICS[key].unit == "counts" else 1
        assert b["methods"]["bicubic"][key] == pytest.approx(factor * value)
    assert "radiometric MAE [K]" in capsys.readouterr().out


def test_no_reference_reports_what_needs_no_truth(tmp_path):
    write_image(tmp_path / "d" / "a.png", np.full((6, 7), 30000, np.uint16))
    out = tmp_path / "r.json"
    assert _run(tmp_path / "d", "--no-reference", "--backend", "bicubic", "--json", out) == 0
    report = json.loads(out.read_text())
    assert report["mode"] == "no_reference"
    times = {"time_ms_p50", "time_ms_p99"}
    # A flat frame has no edge whose blur could be measured.
    assert set(report["methods"]["difiisr"]) == {
        "consistency",
        "consistency_bias",
        "detail",
        *times,
    }
    assert report["methods"]["difiisr"]["consistency"] == 0
    assert "data_range" not in report["settings"]


def test_no_reference_measures_sharpness(tmp_path):
    for index in range(3):
        write_image(tmp_path / "d" / f"{index}.png", (_scene(index) * 255).astype(np.uint8))
    out = tmp_path / "r.json"
    assert _run(tmp_path / "d", "--no-reference", "--backend", "bicubic", "--json", out) == 0
    report = json.loads(out.read_text())
    blur = {name: values["blur"] for name, values in report["methods"].items()}
    assert blur["lanczos"] < blur["bicubic_pillow"]
    assert report["input"]["blur"] < blur["bicubic"]
    assert {"detail", "consistency"} <= set(report["methods"]["bicubic"])
    assert "psnr" not in report["missing"]  # nobody asked for it


def test_too_few_frames_have_no_interval_and_no_verdict(tmp_path, capsys):
    for index in range(5):
        write_image(tmp_path / "d" / f"{index}.png", (_scene(index) * 255).astype(np.uint8))
    out = tmp_path / "r.json"
    assert _run(tmp_path / "d", "--backend", "bicubic", "--json", out) == 0
    report = json.loads(out.read_text())
    assert report["intervals"]["bicubic"] == {}
    differences = report["differences"]["lanczos"].values()
    assert {d["verdict"] for d in differences} == {"undecided", None}
    assert "too few for intervals" in capsys.readouterr().out


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["nowhere"], "no such file or folder"),
        ([".", "--num-steps", "0"], "num_steps"),
        ([".", "--consistency", "7"], "consistency"),
        ([".", "--every", "0"], "every"),
        ([".", "--data-range", "0"], "--data-range"),
        ([".", "--kelvin-per-count", "-1"], "kelvin_per_count"),
        ([".", "--confidence", "95"], "confidence"),
        ([".", "--range-mode", "fixed"], "range_min"),
        pytest.param(
            [".", "--model", "none.safetensors", "--backend", "torch"],
            "none.safetensors",
            marks=pytest.mark.needs("torch"),
        ),
        ([".", "--topic", "/image"], "is not a bag, so topics"),
        ([".", "--duration", "3"], "is not a bag, so duration_s"),
        ([".", "--metrics", "beauty"], "unknown metric 'beauty'"),
        ([".", "--compare", "none.onnx"], "none.onnx: no such model file"),
        ([".", "--compare", "none.pth"], "none.pth: no such model file"),
        ([".", "--results", "x"], "NAME=BAG"),
        ([".", "--results", "x=bag"], "one camera of one bag"),
        ([".", "."], "named twice"),
        ([".", "--workers", "0"], "workers"),
    ],
)
def test_bad_input_is_one_line_and_exit_2(folder, monkeypatch, capsys, arguments, message):
    monkeypatch.chdir(folder)
    if "--backend" not in arguments:
        arguments = [*arguments, "--backend", "bicubic"]
    assert _run(*arguments) == 2
    error = capsys.readouterr().err
    assert error.startswith("difiisr: error: ") and error.count("\n") == 1
    assert message in error


@pytest.mark.parametrize("steps", ["1,1", "two", ""])
def test_bad_list_of_steps(folder, capsys, steps):
    with pytest.raises(SystemExit) as stop:
        _run(folder, "--num-steps", steps)
    assert stop.value.code == 2
    assert "--num-steps" in capsys.readouterr().err


@pytest.mark.parametrize("option", ["--json", "--csv", "--report"])
def test_an_output_that_cannot_be_written_is_known_before_the_work(
    folder, tmp_path, capsys, monkeypatch, option
):
    def too_late(*_arguments):
        raise AssertionError("frames were read first")

    monkeypatch.setattr("difiisr_ros.lab.evaluation.run.open_streams", too_late)
    blocker = tmp_path / "file"
    blocker.write_text("")
    assert _run(folder, "--backend", "bicubic", option, blocker / "r") == 2
    assert str(blocker / "r") in capsys.readouterr().err
    assert _run(folder, "--backend", "bicubic", option, folder) == 2
    assert "is a folder" in capsys.readouterr().err


def test_bicubic_on_the_published_pairs(data_dir):
    """A wrong kernel, alignment or rounding shows at once in the baseline's known figures."""
    request = Request((data_dir / "m3fd",), methods=MethodPlan(engine=_engine()))
    with evaluate(request) as evaluation:
        means = {name: m.means for name, m in evaluation.methods.items()}
    assert means["bicubic"]["psnr"].mean == pytest.approx(36.56, abs=0.02)
    assert means["bicubic_pillow"]["psnr"].mean == pytest.approx(36.33, abs=0.02)
    assert means["bicubic"]["ssim"].mean == pytest.approx(0.944, abs=0.002)
    assert evaluation.mode == "paired"


def test_the_documentation_names_every_metric_and_option(repository):
    text = (repository / "docs" / "evaluation.md").read_text()
    for key in (*METRICS, "time_ms_p50", "time_ms_p99"):
        assert f"`{key}`" in text, key
    parser = cli.build_parser("evaluate")
    known = {
        word
        for action in parser._subparsers._group_actions[0].choices["evaluate"]._actions
        for word in action.option_strings
    }
    for option in set(re.findall(r"--[a-z][a-z-]+", text)):
        assert option in known, option
