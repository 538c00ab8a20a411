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

"""`difiisr evaluate --scale 2` and `1`: truth, baselines, words, and what is refused."""

from __future__ import annotations

import json
import re
from html import escape

import cv2
import numpy as np
import pytest

from difiisr_ros import cli
from difiisr_ros.io.images import write_image
from difiisr_ros.lab.evaluation import score_stream
from difiisr_ros.lab.evaluation.methods import AS_IT_IS, MethodPlan, make_methods
from difiisr_ros.lab.evaluation.run import Request, evaluate
from difiisr_ros.lab.evaluation.scoring import FrameScorer
from difiisr_ros.lab.frames.degrade import degrade_bicubic
from difiisr_ros.lab.frames.streams import Sample, StreamOptions
from difiisr_ros.lab.scores import metrics

SHAPE = (80, 96)


def _frame(index: int) -> np.ndarray:
    coarse = np.random.default_rng(index).random((14, 16)).astype(np.float32)
    large = cv2.resize(coarse, SHAPE[::-1], interpolation=cv2.INTER_CUBIC).clip(0, 1)
    return (large * 900 + 29000).astype(np.uint16)


@pytest.fixture
def folder(tmp_path):
    for index in range(7):
        write_image(tmp_path / "data" / f"f{index}.png", _frame(index))
    return tmp_path / "data"


def _run(*arguments) -> int:
    return cli.main(["evaluate", *map(str, arguments), "--backend", "bicubic"])


def _report(tmp_path, *arguments) -> dict:
    out = tmp_path / "r.json"
    assert _run(*arguments, "--json", out) == 0
    return json.loads(out.read_text())


def _means(hr: np.ndarray, side: int) -> np.ndarray:
    height, width = (length // side for length in hr.shape)
    return np.rint(hr.reshape(height, side, width, side).mean(axis=(1, 3))).astype(hr.dtype)


@pytest.mark.parametrize(("scale", "side"), [(4, 1), (2, 2), (1, 4)])
def test_figures_are_of_area_means_and_of_bicubic_at_that_scale(folder, tmp_path, scale, side):
    report = _report(tmp_path, folder, "--scale", scale, "--degradation", "reduced")
    expected = []
    for index in range(7):
        hr = _frame(index)
        lr, truth = degrade_bicubic(hr), _means(hr, side)
        size = truth.shape[::-1]
        sr = cv2.resize(lr.astype(np.float32), size, interpolation=cv2.INTER_CUBIC)
        expected.append(metrics.psnr(truth, np.rint(sr).astype(np.uint16), float(np.ptp(truth))))
    assert report["methods"]["bicubic"]["psnr"] == pytest.approx(np.mean(expected))
    assert report["scale"] == report["settings"]["scale"] == scale
    assert report["settings"]["engine"]["scale"] == scale
    kernels = ["bicubic"] if scale == 1 else ["bicubic", "bicubic_pillow", "lanczos"]
    assert list(report["methods"]) == [*kernels, "difiisr"]
    assert report["settings"].get("truth", "1x1") in (
        "1x1" if scale == 4 else f"means of {side}x{side} pixels of the HR frame"
    )
    assert ("--scale" in report["command"]) == (scale != 4)


def test_pictures_are_of_that_scale(folder):
    engine = (("backend", "bicubic"), ("num_threads", 0), ("scale", 2))
    request = Request((folder,), StreamOptions(), MethodPlan(engine=engine))
    with evaluate(request) as evaluation:
        pictures = evaluation.frame(0)
        assert evaluation.scale == 2
        np.testing.assert_array_equal(pictures.hr, _means(_frame(0), 2))
        assert {sr.shape for sr in pictures.methods.values()} == {(40, 48)}
        again = metrics.psnr(
            pictures.hr, pictures.methods["difiisr"], metrics.data_range(pictures.hr)
        )
        assert again == evaluation.methods["difiisr"].values["psnr"][0]


def test_at_x1_the_frame_itself_is_what_is_compared_with(folder, tmp_path, capsys):
    report = _report(tmp_path, folder, "--scale", 1, "--report", tmp_path / "r.html")
    printed, page = capsys.readouterr().out, (tmp_path / "r.html").read_text()
    assert report["settings"]["methods"]["bicubic"]["resampling"] == AS_IT_IS
    assert report["methods"]["bicubic"]["consistency"] == 0
    assert report["settings"]["consistency"] == "mean |SR - LR|"
    assert "results are x1, compared with means of 4x4 pixels" in printed
    assert f"difiisr against {AS_IT_IS}: mean difference" in printed
    for key, title in (("detail", "detail level"), ("spectrum_distance", "spectrum distance")):
        assert key not in report["methods"]["difiisr"]
        assert f"not measured: {title}: is of what is finer" in printed
    assert "results are ×1, compared with means of 4×4" in page and escape(AS_IT_IS) in page
    assert "Nyquist frequency of the camera" not in page


def test_the_report_says_the_scale(folder, tmp_path, capsys):
    page = tmp_path / "r.html"
    assert _run(folder, "--scale", 2, "--report", page) == 0
    printed, text = capsys.readouterr().out, page.read_text()
    assert "results are x2, compared with means of 2x2 pixels of the truth\n" in printed
    assert "results are ×2, compared with means of 2×2 pixels of the truth." in text
    assert "Nyquist frequency of the camera" in text
    assert "12 camera pixels" not in text and "Details are 24 pixels wide" in text
    assert "<td>scale" not in text and re.search(r"scale</th><td>2<", text)


@pytest.mark.parametrize("scale", [2, 1])
def test_without_a_truth(folder, tmp_path, capsys, scale):
    report = _report(tmp_path, folder, "--scale", scale, "--no-reference")
    assert "results are x" in capsys.readouterr().out
    ours = report["methods"]["difiisr"]
    assert ours["noise_gain"] > 0 and (scale == 1 or ours["consistency"] > 0)
    assert {"noise_above_nyquist", "lattice"} & set(report["missing"]) == (
        {"noise_above_nyquist", "lattice"} if scale == 1 else set()
    )
    assert "truth" not in report["settings"]


def test_a_limit_on_what_x1_cannot_have_is_refused(folder, capsys):
    assert _run(folder, "--scale", 1, "--fail-above", "spectrum_distance=3") == 2
    assert "spectrum_distance is not measured in this run" in capsys.readouterr().err


@pytest.mark.parametrize("scale", [2, 1])
def test_onnx_models_are_compared_at_their_own_scale(folder, capsys, scale):
    assert _run(folder, "--scale", scale, "--compare", "other.onnx") == 2
    said = capsys.readouterr().err
    assert (
        "other.onnx" in said and f"--scale 4, which is what they make; got --scale {scale}" in said
    )


def test_a_model_file_is_compared_at_the_scale_that_is_asked_for(tmp_path):
    pytest.importorskip("torch")
    from difiisr_ros.models.model_files import model_path

    engine = (
        ("backend", "bicubic"),
        ("device", "cpu"),
        ("num_threads", 0),
        ("precision", "fp32"),
        ("scale", 2),
    )
    sample = Sample("a", 0, _frame(0)[:16, :24].copy(), None)
    plan = MethodPlan(engine=engine, compare=(model_path("nano"),))
    with make_methods(plan, sample) as methods:
        shapes = {method.name: method.run(sample)[0].shape for method in methods}
    assert "nano" in shapes and set(shapes.values()) == {(32, 48)}


def test_a_folder_too_small_for_x1_is_named_at_once(folder, tmp_path, monkeypatch, capsys):
    write_image(tmp_path / "d" / "small.png", _frame(0)[:40, :48])
    assert _run(tmp_path / "d", "--scale", 2) == 0
    # Before the frames of the other folder are scored.
    monkeypatch.setattr(FrameScorer, "score", lambda *_: pytest.fail("scored"))
    assert _run(folder, tmp_path / "d", "--scale", 1) == 2
    assert "small.png: its truth at x1 is 12x10, too small" in capsys.readouterr().err


def test_a_state_of_another_scale_is_not_continued(folder, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(score_stream, "BATCH_PERIOD_S", 0.0)
    out, scored = tmp_path / "r.json", []
    original = FrameScorer.score

    def interrupted(self, sample, results):
        if len(scored) == 3:
            raise KeyboardInterrupt
        scored.append(sample.index)
        return original(self, sample, results)

    with monkeypatch.context() as patch:
        patch.setattr(FrameScorer, "score", interrupted)
        assert _run(folder, "--json", out) == 130
    assert _run(folder, "--json", out, "--scale", 2) == 0
    said = capsys.readouterr().err
    assert "is of another run" in said and "continuing" not in said
    assert json.loads(out.read_text())["frames"] == 7


def test_an_interrupted_run_continues_at_its_scale(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(score_stream, "BATCH_PERIOD_S", 0.0)
    folder, rng = tmp_path / "still", np.random.default_rng(0)
    for index in range(6):  # flicker compares with the frame before the interruption
        write_image(folder / f"{index}.png", _frame(0) + rng.integers(0, 3, SHAPE, np.uint16))
    whole = _report(tmp_path, folder, "--sequence", "--scale", 2)
    out, scored = tmp_path / "parts.json", []
    original = FrameScorer.score

    def interrupted(self, sample, results):
        if len(scored) == 3:
            raise KeyboardInterrupt
        scored.append(sample.index)
        return original(self, sample, results)

    with monkeypatch.context() as patch:
        patch.setattr(FrameScorer, "score", interrupted)
        assert _run(folder, "--sequence", "--scale", 2, "--json", out) == 130
    assert _run(folder, "--sequence", "--scale", 2, "--json", out) == 0
    assert "continuing after 3 frames" in capsys.readouterr().err
    parts = json.loads(out.read_text())["methods"]["difiisr"]
    assert parts["flicker"] > 0
    for key, value in whole["methods"]["difiisr"].items():
        if not key.startswith("time"):
            assert parts[key] == value


def test_recorded_results_of_another_scale_are_named(tmp_path, capsys):
    pytest.importorskip("rosbags", reason="bags need rosbags: pip install rosbags")
    from difiisr_ros.io.bags import BagWriter

    t0, step = 1_700_000_000_000_000_000, 50_000_000
    with BagWriter(tmp_path / "bag") as bag, BagWriter(tmp_path / "results") as results:
        for i in range(6):
            bag.write_image("/cam/image_raw", t0 + i * step, _frame(i))
            recorded = _means(_frame(i), 2)
            results.write_image("/cam/sr/image_raw", t0 + i * step, recorded)
    asked = (tmp_path / "bag", "--results", f"node={tmp_path / 'results'}:/cam/sr/image_raw")
    report = _report(tmp_path, *asked, "--scale", 2)
    assert report["methods"]["node"]["psnr"] == metrics.MAX_PSNR_DB
    assert _run(*asked) == 2
    said = capsys.readouterr().err
    assert "node made 48x40 uint16" in said and "expected is 96x80" in said
    assert "results of x2 are compared at --scale 2" in said
