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

"""`difiisr evaluate --stream`: what is remembered of a stream, beside each frame by itself."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from difiisr_ros import cli
from difiisr_ros.io.images import write_image
from difiisr_ros.lab.evaluation import score_stream
from difiisr_ros.lab.evaluation.methods import DIFIISR, SINGLE, MethodPlan
from difiisr_ros.lab.evaluation.run import Request, evaluate
from difiisr_ros.lab.evaluation.scoring import FrameScorer
from difiisr_ros.lab.frames.streams import StreamOptions
from difiisr_ros.stream_memory import MemoryOptions
from support.still_stream import SPAN, still_scene

COUNT = 14
SHAPE = 192, 256
T0, STEP = 1_700_000_000_000_000_000, 50_000_000


def truths(count: int = COUNT, seed: int = 0) -> list[np.ndarray]:
    """A still scene; a target stands in it for five frames, jumps, and is gone."""
    frames = []
    for number in range(count):
        frame = still_scene(SHAPE, seed)
        if number < 10:
            left = 40 if number < 5 else 160
            frame[60:110, left : left + 40] += SPAN / 2
        frames.append(np.rint(frame).astype(np.uint16))
    return frames


@pytest.fixture
def folder(tmp_path) -> Path:
    for number, frame in enumerate(truths()):
        write_image(tmp_path / "still" / f"{number:03d}.png", frame)
    return tmp_path / "still"


def run(*arguments) -> int:
    return cli.main(["evaluate", *map(str, arguments), "--backend", "bicubic"])


def report_of(out: Path, *arguments) -> dict:
    assert run(*arguments, "--json", out) == 0
    return json.loads(out.read_text())


def without_times(values: dict) -> dict:
    return {key: value for key, value in values.items() if not key.startswith("time")}


def interrupt_at(monkeypatch, number: int) -> None:
    """Ctrl-C while the n-th frame of this run is scored."""
    scored, original = [], FrameScorer.score

    def score(self, sample, results):
        if len(scored) == number:
            raise KeyboardInterrupt
        scored.append(sample.index)
        return original(self, sample, results)

    monkeypatch.setattr(FrameScorer, "score", score)


def test_a_single_frame_is_what_there_is_without_a_stream(folder, tmp_path):
    stream = report_of(tmp_path / "s.json", folder, "--stream")
    plain = report_of(tmp_path / "p.json", folder, "--sequence")
    assert SINGLE not in plain["methods"]
    assert without_times(stream["methods"][SINGLE]) == without_times(plain["methods"][DIFIISR])
    ours = stream["methods"][DIFIISR]
    assert without_times(ours) != without_times(plain["methods"][DIFIISR])
    assert "still='auto'" in stream["settings"]["methods"][DIFIISR]["stream"]
    assert "stream" not in stream["settings"]["methods"][SINGLE]


def test_a_still_scene_gains_and_what_has_gone_leaves_no_wake(folder, tmp_path):
    methods = report_of(tmp_path / "r.json", folder, "--stream", "still", "--noise", 2)["methods"]
    ours, single = methods[DIFIISR], methods[SINGLE]
    assert ours["psnr"] > single["psnr"] + 1
    assert ours["flicker"] < 0.5 * single["flicker"]
    assert 0 < ours["wake"] <= 1.05 * single["wake"]


@pytest.mark.parametrize("stop", [3, 7, 12])
def test_interrupted_and_continued_is_as_uninterrupted(folder, tmp_path, monkeypatch, capsys, stop):
    """Also where the target has moved shortly before: the wake is of the frames before, too."""
    monkeypatch.setattr(score_stream, "BATCH_PERIOD_S", 0.0)
    whole = report_of(tmp_path / "whole.json", folder, "--stream")
    with monkeypatch.context() as patch:
        interrupt_at(patch, stop)
        assert run(folder, "--stream", "--json", tmp_path / "parts.json") == 130
    parts = report_of(tmp_path / "parts.json", folder, "--stream")
    assert f"continuing after {stop} frames" in capsys.readouterr().err
    assert parts["methods"].keys() == whole["methods"].keys()
    for name, values in whole["methods"].items():
        assert without_times(parts["methods"][name]) == without_times(values), name
    assert parts["methods"][DIFIISR]["wake"] > 0


def test_what_follows_a_moving_camera_continues_as_uninterrupted(tmp_path, monkeypatch):
    """Results before are not remembered but made again."""
    monkeypatch.setattr(score_stream, "BATCH_PERIOD_S", 0.0)
    wide = still_scene((SHAPE[0], 2 * SHAPE[1]), 3)
    for number in range(10):
        part = wide[:, 12 * number : 12 * number + SHAPE[1]]
        write_image(tmp_path / "pan" / f"{number:03d}.png", np.rint(part).astype(np.uint16))
    asked = tmp_path / "pan", "--stream", "--noise", 2
    whole = report_of(tmp_path / "whole.json", *asked)
    with monkeypatch.context() as patch:
        interrupt_at(patch, 6)
        assert run(*asked, "--json", tmp_path / "parts.json") == 130
    parts = report_of(tmp_path / "parts.json", *asked)
    for name, values in whole["methods"].items():
        assert without_times(parts["methods"][name]) == without_times(values), name
    ours, single = (whole["methods"][name] for name in (DIFIISR, "single_frame"))
    assert ours["psnr"] > single["psnr"] + 0.3


def test_another_memory_is_another_run(folder, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(score_stream, "BATCH_PERIOD_S", 0.0)
    out = tmp_path / "r.json"
    with monkeypatch.context() as patch:
        interrupt_at(patch, 5)
        assert run(folder, "--stream", "still", "--json", out) == 130
    assert run(folder, "--stream", "noise", "--json", out) == 0
    assert "is of another run" in capsys.readouterr().err


def test_pictures_of_a_late_frame_are_those_of_the_run(folder, monkeypatch):
    seen, original = {}, FrameScorer.score

    def score(self, sample, results):
        seen[sample.index] = results
        return original(self, sample, results)

    monkeypatch.setattr(FrameScorer, "score", score)
    engine = tuple(sorted({"backend": "bicubic"}.items()))
    plan = MethodPlan(engine=engine, memory=MemoryOptions("auto", "running"))
    request = Request((folder,), StreamOptions(sequence=True), methods=plan)
    with evaluate(request) as evaluation:
        for row in (12, 3, 13):  # in any order
            pictures = evaluation.frame(row).methods
            assert pictures.keys() == seen[row].keys()
            for name, picture in pictures.items():
                np.testing.assert_array_equal(picture, seen[row][name], err_msg=f"{row} {name}")
        assert (seen[12][DIFIISR] != seen[12][SINGLE]).any()


def test_each_camera_of_a_bag_starts_anew(tmp_path):
    pytest.importorskip("rosbags", reason="bags need rosbags: pip install rosbags")
    from difiisr_ros.io.bags import BagWriter

    first, second = truths(8, seed=0), truths(8, seed=1)
    with BagWriter(tmp_path / "both") as both, BagWriter(tmp_path / "one") as one:
        for i, frames in enumerate(zip(first, second)):
            for topic, frame in zip(("/a/image_raw", "/b/image_raw"), frames):
                both.write_image(topic, T0 + STEP * i, frame)
            one.write_image("/b/image_raw", T0 + STEP * i, frames[1])

    def rows(name: str) -> list[dict[str, str]]:
        out = tmp_path / f"{name}.csv"
        assert run(tmp_path / name, "--stream", "--csv", out) == 0
        found = [r for r in csv.DictReader(out.open()) if "/b/image_raw" in str(r.values())]
        kept = ("method", "psnr", "mae", "flicker", "wake")
        return [{key: row[key] for key in kept} for row in found]

    assert len(rows("both")) == 8 * 5
    assert rows("both") == rows("one")


def test_a_part_that_does_not_exist_is_named(folder, capsys):
    assert run(folder, "--stream", "zoom") == 2
    assert "'zoom'" in capsys.readouterr().err
