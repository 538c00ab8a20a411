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

"""An interrupted evaluation continues where it was, with the figures of an uninterrupted one."""

from __future__ import annotations

import json

import cv2
import numpy as np
import pytest

pytest.importorskip("rosbags", reason="bags need rosbags: pip install rosbags")

from difiisr_ros import cli
from difiisr_ros.errors import DataError
from difiisr_ros.io.bags import BagWriter
from difiisr_ros.lab.evaluation import score_stream
from difiisr_ros.lab.evaluation.resume import RunState, run_identity
from difiisr_ros.lab.evaluation.stream_scores import Batch, StreamScores

T0 = 1_700_000_000_000_000_000
STEP = 50_000_000
FRAMES = 16


@pytest.fixture
def bag(tmp_path):
    """A still scene with noise, so that flicker is measured too."""
    rng = np.random.default_rng(0)
    coarse = rng.random((9, 12)).astype(np.float32)
    still = cv2.resize(coarse, (96, 64), interpolation=cv2.INTER_CUBIC).clip(0, 1) * 900 + 29000
    with BagWriter(tmp_path / "bag") as writer:
        for i in range(FRAMES):
            noisy = (still + rng.normal(scale=2, size=still.shape)).astype(np.uint16)
            writer.write_image("/cam", T0 + STEP * i, noisy)
    return tmp_path / "bag"


@pytest.fixture(autouse=True)
def hand_out_every_frame(monkeypatch):
    monkeypatch.setattr(score_stream, "BATCH_PERIOD_S", 0.0)


def run(*arguments) -> int:
    return cli.main(["evaluate", *map(str, arguments), "--backend", "bicubic"])


def interrupt_at(monkeypatch, number):
    """Ctrl-C while the n-th frame of this run is scored."""
    from difiisr_ros.lab.evaluation.scoring import FrameScorer

    scored = []
    original = FrameScorer.score

    def score(self, sample, results):
        if len(scored) == number:
            raise KeyboardInterrupt
        scored.append(sample.index)
        return original(self, sample, results)

    monkeypatch.setattr(FrameScorer, "score", score)
    return scored


def without_times(report):
    methods = {
        name: {k: v for k, v in values.items() if not k.startswith("time")}
        for name, values in report["methods"].items()
    }
    kept = ("frames", "intervals", "differences", "spectrum", "truth", "sources")
    return methods, {key: report[key] for key in kept}


def test_a_continued_run_has_the_figures_of_an_uninterrupted_one(
    bag, tmp_path, monkeypatch, capsys
):
    whole, out = tmp_path / "whole.json", tmp_path / "parts.json"
    assert run(bag, "--json", whole, "--degradation", "camera") == 0
    command = (bag, "--json", out, "--degradation", "camera")
    state = tmp_path / "parts.json.state"
    for stop in (5, 7):
        with monkeypatch.context() as patch:
            interrupt_at(patch, stop)
            assert run(*command) == 130
        assert state.is_file() and not out.exists()
    assert "stopped after 12 frames; the same command continues" in capsys.readouterr().err
    with monkeypatch.context() as patch:
        scored = interrupt_at(patch, -1)
        assert run(*command) == 0
    assert scored == [12, 13, 14, 15]  # nothing twice, nothing left out
    assert "continuing after 12 frames" in capsys.readouterr().err
    parts, at_once = json.loads(out.read_text()), json.loads(whole.read_text())
    assert without_times(parts) == without_times(at_once)
    assert "flicker" in parts["methods"]["difiisr"]
    assert any("interrupted and continued" in note for note in parts["notes"])
    assert not state.exists()


@pytest.mark.parametrize(
    "change", [["--every", "2"], ["--kelvin-per-count", "0.01"], ["--num-steps", "2"]]
)
def test_other_options_start_anew(bag, tmp_path, monkeypatch, capsys, change):
    out = tmp_path / "r.json"
    with monkeypatch.context() as patch:
        interrupt_at(patch, 5)
        assert run(bag, "--json", out) == 130
    assert run(bag, "--json", out, *change) == 0
    assert "is of another run" in capsys.readouterr().err
    assert json.loads(out.read_text())["frames"] == (8 if "--every" in change else FRAMES)


def test_changed_data_start_anew(bag, tmp_path, monkeypatch, capsys):
    out = tmp_path / "r.json"
    with monkeypatch.context() as patch:
        interrupt_at(patch, 5)
        assert run(bag, "--json", out) == 130
    (bag / "metadata.yaml").touch()
    assert run(bag, "--json", out) == 0
    assert "is of another run" in capsys.readouterr().err


def test_a_state_that_was_cut_off_while_it_was_written(bag, tmp_path, monkeypatch, capsys):
    out, state = tmp_path / "r.json", tmp_path / "r.json.state"
    monkeypatch.setattr("difiisr_ros.lab.evaluation.resume.FLUSH_PERIOD_S", 0.0)
    with monkeypatch.context() as patch:
        interrupt_at(patch, 9)
        assert run(bag, "--json", out) == 130
    with state.open("r+b") as file:
        file.truncate(state.stat().st_size - 200)
    assert run(bag, "--json", out) == 0
    assert "continuing after 8 frames" in capsys.readouterr().err
    report = json.loads(out.read_text())
    assert report["frames"] == FRAMES


def test_a_damaged_line_of_the_state_and_all_behind_it_are_done_again(
    bag, tmp_path, monkeypatch, capsys
):
    out, state = tmp_path / "r.json", tmp_path / "r.json.state"
    monkeypatch.setattr("difiisr_ros.lab.evaluation.resume.FLUSH_PERIOD_S", 0.0)
    with monkeypatch.context() as patch:
        interrupt_at(patch, 9)
        assert run(bag, "--json", out) == 130
    lines = state.read_bytes().splitlines(keepends=True)
    lines[4] = b"x" * (len(lines[4]) - 1) + b"\n"  # the fourth frame's
    state.write_bytes(b"".join(lines))
    with monkeypatch.context() as patch:
        interrupt_at(patch, 1)
        assert run(bag, "--json", out) == 130
    assert "continuing after 3 frames" in capsys.readouterr().err
    assert run(bag, "--json", out) == 0
    assert "continuing after 4 frames" in capsys.readouterr().err
    assert json.loads(out.read_text())["frames"] == FRAMES


def test_without_an_output_there_is_no_state(bag, tmp_path, monkeypatch):
    before = sorted(tmp_path.iterdir())
    with monkeypatch.context() as patch:
        interrupt_at(patch, 5)
        assert run(bag) == 130
    assert sorted(tmp_path.iterdir()) == before


def test_an_error_leaves_no_output_but_the_state(bag, tmp_path, monkeypatch, capsys):
    """Half a result must not lie around as if it were a whole one."""
    from difiisr_ros.lab.evaluation.scoring import FrameScorer

    def score(self, sample, results):
        raise DataError("the disk is gone")

    out = tmp_path / "out"
    monkeypatch.setattr(FrameScorer, "score", score)
    assert run(bag, "--json", out / "r.json", "--csv", out / "r.csv") == 2
    assert "the disk is gone" in capsys.readouterr().err
    assert [p.name for p in out.iterdir()] == ["r.json.state"]


def test_values_survive_the_file_to_the_last_bit(tmp_path):
    identity = run_identity({"a": 1})
    columns = [("m", "psnr"), ("m", "time_ms")]
    rng = np.random.default_rng(0)
    state = RunState(tmp_path / "s", identity)
    state.load([StreamScores(columns)])
    first = StreamScores(columns)
    for i in range(4):
        values = [float(rng.normal()), float("nan") if i == 2 else 1 / 3]
        batch = Batch(0, [[i, T0, T0, f"ä {i}", values]], {"m": [[0.1, 1 / 7], i + 1]})
        first.add(Batch(**json.loads(json.dumps(vars(batch)))))
        state.add(batch)
    state.close(finished=False)
    second = StreamScores(columns)
    again = RunState(tmp_path / "s", identity)
    assert again.load([second]) == 4
    again.close(finished=True)
    np.testing.assert_array_equal(first.values(), second.values())
    np.testing.assert_array_equal(first.curves["m"][0], second.curves["m"][0])
    assert second.names == [f"ä {i}" for i in range(4)] and not (tmp_path / "s").exists()
    assert run_identity({"a": 1}) != run_identity({"a": 2})
