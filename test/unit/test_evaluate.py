"""`difiisr evaluate`: its figures, its JSON, its errors."""

from __future__ import annotations

import json

import cv2
import numpy as np
import pytest

from difiisr_ros import cli
from difiisr_ros.evaluation import metrics
from difiisr_ros.evaluation.datasets import degrade_bicubic, open_frames
from difiisr_ros.evaluation.evaluate import evaluate
from difiisr_ros.evaluation.methods import (
    Method,
    bicubic_method,
    bicubic_upscale,
    pillow_method,
    pillow_upscale,
    super_resolver_methods,
)
from difiisr_ros.evaluation.report import table
from difiisr_ros.io.images import write_image


@pytest.fixture
def folder(tmp_path):
    rng = np.random.default_rng(0)
    for index in range(3):
        coarse = rng.random((12, 14)).astype(np.float32)
        hr = cv2.resize(coarse, (80, 64), interpolation=cv2.INTER_CUBIC).clip(0, 1) * 255
        write_image(tmp_path / "data" / f"f{index}.png", hr.astype(np.uint8))
    return tmp_path / "data"


def _run(*arguments) -> int:
    return cli.main(["evaluate", *map(str, arguments)])


def test_json_table_and_exit_code(folder, tmp_path, capsys):
    out = tmp_path / "numbers" / "report.json"
    assert _run(folder, "--backend", "bicubic", "--num-steps", "1,3", "--json", out) == 0
    report = json.loads(out.read_text())
    assert set(report) == {"frames", "methods", "settings"}
    assert report["frames"] == 3
    assert list(report["methods"]) == ["bicubic", "bicubic_pillow", "difiisr", "difiisr@3"]
    for values in report["methods"].values():
        assert set(values) == {
            "psnr", "ssim", "spectrum_distance", "consistency", "time_ms_p50",
        }  # fmt: skip
    settings = report["settings"]
    assert settings["data"] == "hr" and settings["degradation"] == "bicubic"
    assert settings["dtype"] == "uint8" and settings["data_range"] == 255
    assert settings["lr_sizes"] == ["20x16"]
    assert settings["engine"]["backend"] == "bicubic"
    assert settings["methods"]["difiisr@3"] == {"num_steps": 3}
    assert "INTER_CUBIC" in settings["methods"]["bicubic"]["resampling"]
    assert settings["ssim"]["sigma"] == 1.5
    printed = capsys.readouterr().out
    assert "3 frames" in printed and "difiisr@3" in printed and "(+0.00)" in printed


def test_figures_are_means_of_the_metrics(folder):
    frames = open_frames(folder)
    report = evaluate(frames, [bicubic_method()])
    psnr, ssim, consistency = [], [], []
    for sample in open_frames(folder):
        sr = bicubic_upscale(sample.lr)
        psnr.append(metrics.psnr(sample.hr, sr, 255.0))
        ssim.append(metrics.ssim(sample.hr, sr, 255.0))
        consistency.append(metrics.consistency(sample.lr, sr))
    values = report["methods"]["bicubic"]
    assert values["psnr"] == pytest.approx(np.mean(psnr))
    assert values["ssim"] == pytest.approx(np.mean(ssim))
    assert values["consistency"] == pytest.approx(np.mean(consistency))


def test_a_better_method_has_a_gain(folder):
    truth = {degrade_bicubic(s.hr).tobytes(): s.hr for s in open_frames(folder)}

    def nearly_perfect(lr: np.ndarray) -> np.ndarray:
        return np.maximum(truth[lr.tobytes()], 1) - 1

    report = evaluate(open_frames(folder), [bicubic_method(), Method("difiisr", nearly_perfect)])
    ours, baseline = report["methods"]["difiisr"], report["methods"]["bicubic"]
    assert ours["psnr"] > baseline["psnr"]
    gain = f"{ours['psnr']:.2f} ({ours['psnr'] - baseline['psnr']:+.2f})"
    assert gain in table(report)


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


def test_no_reference_reports_what_needs_no_truth(tmp_path):
    write_image(tmp_path / "d" / "a.png", np.full((6, 7), 30000, np.uint16))
    out = tmp_path / "r.json"
    assert _run(tmp_path / "d", "--no-reference", "--backend", "bicubic", "--json", out) == 0
    report = json.loads(out.read_text())
    assert set(report["methods"]["difiisr"]) == {"consistency", "time_ms_p50"}
    assert report["methods"]["difiisr"]["consistency"] == 0
    assert "data_range" not in report["settings"]


def test_times_leave_out_the_first_call_of_each_size():
    calls = []
    method = Method("probe", lambda lr: calls.append(lr.shape) or lr)
    for shape in ((4, 4), (4, 4), (2, 2)):
        method(np.zeros(shape, np.uint8))
    assert len(method.milliseconds) == 3
    assert calls == [(4, 4), (4, 4), (4, 4), (2, 2), (2, 2)]


def test_each_method_upscales_with_its_own_number_of_steps(folder):
    class Resolver:
        steps = 0

        def configure(self, num_steps):
            self.steps = num_steps

        def upscale(self, lr):
            return np.full((lr.shape[0] * 4, lr.shape[1] * 4), self.steps, lr.dtype)

    methods = super_resolver_methods(Resolver(), [1, 4, 2])
    assert [m.name for m in methods] == ["difiisr", "difiisr@4", "difiisr@2"]
    for _ in range(2):
        results = [int(method(np.zeros((2, 2), np.uint8))[0, 0]) for method in methods]
        assert results == [1, 4, 2]


@pytest.mark.parametrize("bicubic", [bicubic_upscale, pillow_upscale])
def test_the_baselines_keep_pixel_centres_and_the_dtypes_limits(bicubic):
    ramp = np.tile(np.arange(0, 160, 8, dtype=np.uint8), (8, 1))
    sr = bicubic(ramp)
    assert sr.shape == (32, 80) and sr.dtype == np.uint8
    inside = slice(8, -8)
    expected = ((np.arange(80) + 0.5) / 4 - 0.5) * 8  # LR pixel i is centred on HR 4 i + 1.5
    assert np.abs(sr[16, inside] - expected[inside]).max() <= 0.5 + 1e-3
    edge = np.zeros((8, 8), np.uint16)
    edge[:, 4:] = 65535
    out = bicubic(edge)
    assert out.min() == 0 and out.max() == 65535
    assert out[16, 6] < 10000 and out[16, -6] > 55000


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["nowhere"], "no such folder"),
        ([".", "--num-steps", "0"], "num_steps"),
        ([".", "--consistency", "7"], "consistency"),
        ([".", "--every", "0"], "every"),
        ([".", "--data-range", "0"], "--data-range"),
        ([".", "--range-mode", "fixed"], "range_min"),
        ([".", "--model", "none.safetensors", "--backend", "torch"], "none.safetensors"),
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


def test_json_that_cannot_be_written(folder, tmp_path, capsys):
    blocker = tmp_path / "file"
    blocker.write_text("")
    assert _run(folder, "--backend", "bicubic", "--json", blocker / "r.json") == 2
    assert str(blocker / "r.json") in capsys.readouterr().err


def test_bicubic_on_the_published_pairs(data_dir):
    """A wrong kernel, alignment or rounding shows at once in the baseline's known figures."""
    report = evaluate(open_frames(data_dir / "m3fd"), [bicubic_method(), pillow_method()])
    values = report["methods"]["bicubic"]
    assert values["psnr"] == pytest.approx(36.56, abs=0.02)
    assert report["methods"]["bicubic_pillow"]["psnr"] == pytest.approx(36.33, abs=0.02)
    assert values["ssim"] == pytest.approx(0.944, abs=0.002)
