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

"""``difiisr bench``: cells, stages, roofline, table, and the JSON of the whole."""

from __future__ import annotations

import json
import subprocess
import sys
import time

import numpy as np
import pytest

from difiisr_ros import cli
from difiisr_ros.core import radiometry
from difiisr_ros.errors import OptionError
from difiisr_ros.lab.bench import table
from difiisr_ros.lab.bench.cell import Cell, example_frames, measure
from difiisr_ros.lab.bench.message import image_cdr
from difiisr_ros.lab.bench.roofline_limit import limit_ms, near_limit
from difiisr_ros.lab.bench.stages import STAGES, StageClock, watched
from difiisr_ros.pipeline import SuperResolver


def test_a_cell_says_latency_stages_start_and_memory():
    cell = measure(Cell({"backend": "bicubic"}, (32, 24), batch=2, seconds=0.01, least=5))
    latency = cell["latency_ms"]
    assert 0 < latency["min"] <= latency["p50"] <= latency["p99"]
    assert cell["fps"] == pytest.approx(2e3 / latency["p50"], rel=0.01)
    assert cell["frames"] >= 5
    # Interpolation computes all of the time that it is let, on one thread or more.
    assert 0.02 * latency["min"] < cell["cpu_ms"] < 100 * latency["p99"]
    assert set(cell["stages_ms"]) == set(STAGES)
    stages = cell["stages_ms"]
    assert all(stages[name] > 0 for name in STAGES if name != "project")
    assert stages["project"] == 0  # interpolation projects nothing
    assert sum(stages.values()) < 3 * latency["p50"]
    assert cell["info"]["backend"] == "bicubic"


def test_projection_is_told_from_the_network(monkeypatch):
    pytest.importorskip("torch")
    from difiisr_ros.models import lite_frames

    project = lite_frames.pull_wide

    def late(folded, lr, iterations, *more, **how):
        time.sleep(0.05 * iterations)
        return project(folded, lr, iterations, *more, **how)

    monkeypatch.setattr(lite_frames, "pull_wide", late)
    engine = {"backend": "torch", "precision": "fp32"}
    cell = measure(Cell({**engine, "consistency": 2}, (16, 12), 1, 0.01, 5))
    assert cell["stages_ms"]["project"] == pytest.approx(100, abs=90)
    assert cell["info"]["precision"] == "fp32"
    none = measure(Cell({**engine, "consistency": 0}, (16, 12), 1, 0.01, 5))
    assert none["stages_ms"]["project"] == 0


def test_stages_are_those_of_the_pipeline_itself():
    resolver = SuperResolver.load(backend="bicubic")
    clock, before = StageClock(), radiometry.normalize
    frame = example_frames((16, 12), 1)[0]
    slow = resolver._backend.run

    def late(*args):
        time.sleep(0.05)
        return slow(*args)

    resolver._backend.run = late
    with watched(resolver._backend, clock):
        resolver.upscale(frame)
        seconds = clock.take()
    assert seconds["network"] >= 0.05 > seconds["normalise"] > 0
    assert clock.take() == {}
    # Everything is as it was: nothing is timed any more.
    assert radiometry.normalize is before
    resolver.upscale(frame)
    assert clock.take() == {}


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_the_message_is_what_ros_reads(dtype):
    rosbags = pytest.importorskip("rosbags.typesys", reason="bags need rosbags")
    store = rosbags.get_typestore(rosbags.Stores.ROS2_JAZZY)
    image = np.arange(35, dtype=dtype).reshape(5, 7)
    raw = bytes(image_cdr(image[:, ::-1], 12 * 10**9 + 345, "mono16"))
    message = store.deserialize_cdr(raw, "sensor_msgs/msg/Image")
    assert (message.height, message.width, message.encoding) == (5, 7, "mono16")
    assert (message.header.stamp.sec, message.header.stamp.nanosec) == (12, 345)
    assert message.step == 7 * image.itemsize
    assert (message.data.view(dtype).reshape(5, 7) == image[:, ::-1]).all()


def printed_by(code: str) -> str:
    """By a process of its own."""
    command = [sys.executable, "-c", code]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def test_peak_memory_is_this_programs_own():
    # A child of a large process: getrusage would count the parent's memory as the child's.
    code = (
        "import subprocess, sys; hold = b'x' * 400_000_000\n"
        "child = 'from difiisr_ros.lab.bench.memory import peak_rss_mb; print(peak_rss_mb())'\n"
        "print(subprocess.run([sys.executable, '-c', child], capture_output=True, text=True,"
        " check=True).stdout)"
    )
    assert 1 < float(printed_by(code)) < 200


def test_peak_memory_keeps_what_was_held_and_let_go():
    # In a process of its own: tests before may have held more here than this one does.
    code = (
        "from difiisr_ros.lab.bench.memory import peak_rss_mb\n"
        "before = peak_rss_mb(); hold = b'x' * 200_000_000\n"
        "held = peak_rss_mb(); del hold\n"
        "print(held - before, peak_rss_mb() - before)"
    )
    grown, kept = map(float, printed_by(code).split())
    assert 150 < grown < 250
    assert kept == pytest.approx(grown, abs=5)  # the kernel counts in batches of pages


def test_the_limit_is_the_slower_of_computing_and_moving():
    rates = {"matmul_gflops": 100.0, "conv_gflops": 200.0, "copy_gb_s": 10.0}
    rates["core_gflops"] = 110.0
    assert limit_ms({"gflop": 2.0, "least_mb": 5.0}, rates) == {"compute": 10.0, "memory": 0.5}
    cell = {
        "size": (160, 120),
        "latency_ms": {"p50": 25.0},
        "cpu_ms": 40.0,
        "info": {"backend": "torch", "device": "cpu", "precision": "bf16", "num_steps": 2},
    }
    work = {"gflop": 2.0, "least_mb": 5.0, "operator_mb": 9.0}
    measured = {
        "rates": {"cpu bf16": rates},
        "work": [{"size": [160, 120], "num_steps": 2, **work}],
    }
    (near,) = near_limit([cell], measured)
    assert near["distance"] == pytest.approx(2.5)
    assert near["cpu_distance"] == pytest.approx(40 / (2000 / 110))


def test_work_is_counted_by_the_operator():
    torch = pytest.importorskip("torch")
    from difiisr_ros.lab.bench.roofline import machine_rates, work

    one = work("lite", (32, 24), 1, 1, "bf16")
    # Four blocks of two convolutions of 32 channels, and the others.
    blocks = 2 * 8 * 9 * 32 * 32 * (32 * 24) / 1e9
    assert blocks < one["gflop"] < 1.2 * blocks
    assert one["least_mb"] < one["operator_mb"]
    twice = work("lite", (64, 24), 1, 1, "bf16")
    assert twice["gflop"] == pytest.approx(2 * one["gflop"], rel=0.01)
    assert work("lite", (32, 24), 2, 1, "bf16")["gflop"] > 1.3 * one["gflop"]
    rates = machine_rates("cpu", "fp32", 0.01)
    assert all(rate > 0 for rate in rates.values())
    assert torch.is_grad_enabled()


@pytest.mark.parametrize("scale", [2, 1])
def test_work_of_another_scale_has_another_result_to_write(scale):
    pytest.importorskip("torch")
    from difiisr_ros.lab.bench.roofline import work

    full, less = (work("lite", (32, 24), 1, 1, "fp32", s) for s in (4, scale))
    # 16-bit pixels; one step reads no noise.
    assert full["least_mb"] - less["least_mb"] == pytest.approx(2e-6 * (16 - scale**2) * 32 * 24)
    assert less["gflop"] < full["gflop"] and less["operator_mb"] < full["operator_mb"]
    # The sampler works at x4 whatever is asked of it.
    steps = [work("lite", (32, 24), 2, 1, "fp32", s)["gflop"] for s in (4, scale)]
    assert steps[1] == pytest.approx(steps[0], rel=0.01)


def test_the_command_measures_at_a_scale(tmp_path, capsys, monkeypatch):
    pytest.importorskip("torch", reason="times the torch backend")
    from difiisr_ros.commands import bench

    asked = []
    original = bench._in_own_process

    def noted(module, argument):
        asked.append((module.rpartition(".")[2], json.loads(argument)))
        return original(module, argument)

    monkeypatch.setattr(bench, "_in_own_process", noted)
    out = tmp_path / "bench.json"
    assert cli.main(["bench", "--quick", "--backend", "bicubic", "--json", str(out)]) == 0
    assert "backend, x4 " in capsys.readouterr().out
    assert json.loads(out.read_text())["scale"] == 4
    command = ["bench", "--sizes", "32x24", "--batches", "1", "--num-steps", "1", "--scale", "2"]
    command += ["--seconds", "0.05", "--backend", "torch", "--precision", "fp32"]
    assert cli.main([*command, "--json", str(out)]) == 0
    shown = capsys.readouterr().out
    assert "backend, x2 " in shown and "x4" not in shown
    result = json.loads(out.read_text())
    assert result["scale"] == result["cells"][0]["info"]["scale"] == 2
    assert asked[1][1]["engine"]["scale"] == 2
    assert (asked[2][0], asked[2][1]["scale"]) == ("roofline", 2)


def test_the_command_prints_a_table_and_writes_json(tmp_path, capsys):
    out = tmp_path / "bench.json"
    assert cli.main(["bench", "--quick", "--backend", "bicubic", "--json", str(out)]) == 0
    shown = capsys.readouterr().out
    assert "bicubic cpu fp32" in shown
    assert "160x120" in shown
    result = json.loads(out.read_text())
    (cell,) = result["cells"]
    assert cell["batch"] == 1
    assert cell["memory_mb"]["rss"] > 10
    assert result["machine"]["cpus"] >= 1


def test_the_command_measures_the_distance_to_the_limit(tmp_path, capsys):
    pytest.importorskip("torch")
    out = tmp_path / "bench.json"
    arguments = ["bench", "--sizes", "32x24", "--batches", "1", "--num-steps", "2"]
    arguments += ["--seconds", "0.05", "--backend", "torch", "--json", str(out)]
    assert cli.main(arguments) == 0
    roofline = json.loads(out.read_text())["roofline"]
    assert [c["num_steps"] for c in roofline["cells"]] == [2]
    assert all(c["distance"] > 0.1 and c["cpu_distance"] > 0.5 for c in roofline["cells"])
    assert "32x24, 2 step(s)" in capsys.readouterr().out


def test_a_backend_that_does_not_run_is_named_with_the_reason(monkeypatch, capsys):
    from difiisr_ros.commands import bench

    monkeypatch.setattr(bench, "_in_own_process", lambda *_: {"unavailable": "no such card"})
    assert cli.main(["bench", "--quick", "--backend", "torch"]) == 2
    printed = capsys.readouterr()
    assert "not run: torch: no such card" in printed.out
    assert "no backend that was asked for runs here" in printed.err


def test_a_provider_is_onnx_runtimes_alone(monkeypatch, capsys):
    from difiisr_ros.commands import bench

    asked = []

    def measured(_module, argument):
        asked.append(json.loads(argument)["engine"])
        return {"unavailable": "no such card"}

    monkeypatch.setattr(bench, "_in_own_process", measured)
    assert cli.main(["bench", "--quick", "--provider", "webgpu", "--device", "gpu:1"]) == 2
    assert [(e["backend"], e["provider"], e["device"]) for e in asked] == [
        ("onnx", "webgpu", "gpu:1")
    ]
    assert "not run: onnx: no such card" in capsys.readouterr().out


def test_there_is_no_limit_for_a_device_that_torch_does_not_have(monkeypatch):
    from difiisr_ros.commands import bench

    cell = {"info": {"model": "lite", "device": "gpu:0", "precision": "fp32"}, "batch": 1}
    monkeypatch.setattr(bench, "_in_own_process", lambda *_: pytest.fail("nothing to measure"))
    assert bench._roofline({}, [cell], 1.0) == {"rates": {}, "cells": []}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--sizes", "160"], "WIDTHxHEIGHT"),
        (["--batches", "0"], "--batches takes whole numbers"),
        (["--num-steps", "1,x"], "--num-steps takes whole numbers"),
        (["--seconds", "0"], "--seconds must be above 0"),
        (
            ["--provider", "webgpu", "--backend", "torch"],
            "error: provider webgpu needs backend onnx",
        ),
        (["--num-steps", "2", "--quality", "detail"], "decides --num-steps"),
        pytest.param(
            ["--backend", "torch", "--num-steps", "999"],
            "num_steps must be an integer in 1..15, got 999",
            marks=pytest.mark.needs("torch"),
        ),
    ],
)
def test_wrong_arguments_say_what_is_accepted(arguments, message, capsys):
    assert cli.main(["bench", *arguments]) == 2
    assert message in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["auto", "fp32"])
def test_one_step_of_the_largest_camera_can_do_with_700_mb(precision):
    """What it needs: the least of some runs, as how the heap is cut up adds 100 MB to some."""
    pytest.importorskip("torch")
    engine = {"backend": "torch", "device": "cpu", "precision": precision}
    cell = Cell(engine, (640, 512), 1, 0.01, 3)
    command = [sys.executable, "-m", "difiisr_ros.lab.bench.cell", cell.as_json()]
    peaks: list[float] = []
    while not peaks or (peaks[-1] >= 700 and len(peaks) < 4):
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        peaks.append(json.loads(done.stdout.splitlines()[-1])["memory_mb"]["rss"])
    assert 100 < min(peaks) < 700, peaks


def test_a_row_shows_what_cannot_be_told_apart():
    cell = measure(Cell({"backend": "bicubic"}, (16, 12), 1, 0.01, 5))
    cell = {**cell, "size": (16, 12), "batch": 1, "num_steps": 1}
    cell["stages_ms"]["project"] = None
    fields = table.row(cell).split()
    assert fields[:4] == ["bicubic", "cpu", "fp32", "16x12"]
    assert fields[-3] == "-"
    assert (
        len(table.heading(4).split()) == len(fields) - 2 + 5
    )  # "x4", "p50 ms", "p99 ms", "CPU ms", "RSS MB"


@pytest.mark.needs("torch")
def test_options_that_no_engine_takes_are_an_error():
    with pytest.raises(OptionError, match="num_steps"):
        measure(Cell({"backend": "torch", "num_steps": 999}, (16, 12), 1, 0.01, 5))
