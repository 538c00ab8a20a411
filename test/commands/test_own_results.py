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

"""A user's files survive every command: replaced is what an earlier run of its own has written."""

from __future__ import annotations

import argparse
import json
import os
import shutil

import numpy as np
import pytest

from difiisr_ros.cli import main
from difiisr_ros.commands.own_results import OwnResults, refuse_inputs
from difiisr_ros.errors import DataError
from difiisr_ros.io.images import read_image, write_image
from support.frames import write_noise


def results(folder):
    return OwnResults(folder, "demo")


def take(folder, files, inputs=()):
    own = results(folder)
    with own.staged() as stage:
        for name, text in files.items():
            path = stage / name
            path.parent.mkdir(exist_ok=True)
            path.write_text(text)
        own.take(stage, inputs)


def visible(folder):
    return sorted(p.name for p in folder.iterdir() if p.name != ".difiisr_demo.json")


def test_only_what_the_last_run_wrote_is_replaced_or_removed(tmp_path):
    user = {"frame_0001.png": "recorded", "flight.log": "flown", "bag.mcap": "mine"}
    for name, text in user.items():
        (tmp_path / name).write_text(text)
    take(tmp_path, {"frame_1.png": "old", "frame_2.png": "old", "bag/bag.mcap": "old"})
    take(tmp_path, {"frame_1.png": "new"})
    assert visible(tmp_path) == sorted([*user, "frame_1.png"])
    assert (tmp_path / "frame_1.png").read_text() == "new"
    assert {name: (tmp_path / name).read_text() for name in user} == user


def in_the_way(folder, name, how):
    """A user's file or folder under the name of a result."""
    path = folder / name
    if how == "another's":
        path.write_text("treasure")
    elif how == "changed":
        take(folder, {name: "result"})
        path.write_text("treasure")
    elif how == "in our folder":
        take(folder, {f"{name}/bag.mcap": "result"})
        path = path / "treasure.txt"
        path.write_text("treasure")
    elif how == "link":
        (folder / "elsewhere").write_text("treasure")
        path.symlink_to("elsewhere")
    elif how == "list lost":
        take(folder, {name: "treasure"})
        (folder / ".difiisr_demo.json").write_text("[]")
    return path


@pytest.mark.parametrize("how", ["another's", "changed", "in our folder", "link", "list lost"])
def test_what_is_not_ours_is_in_the_way(tmp_path, how):
    path = in_the_way(tmp_path, "result", how)
    with pytest.raises(DataError, match="result: is in the way, and no result of an earlier run"):
        results(tmp_path).check(["result"])
    with pytest.raises(DataError, match="in the way"):
        take(tmp_path, {"result": "new"})
    assert path.read_text() == "treasure"
    assert not [p for p in tmp_path.glob(".difiisr_*") if p.is_dir()]  # no stage is left


def test_a_changed_result_that_is_not_replaced_stays(tmp_path):
    take(tmp_path, {"a": "result", "b": "result"})
    (tmp_path / "a").write_text("notes of the user")
    take(tmp_path, {"c": "new"})
    assert visible(tmp_path) == ["a", "c"]


def test_an_error_leaves_the_last_results(tmp_path):
    take(tmp_path, {"a": "result"})
    own = results(tmp_path)
    with pytest.raises(KeyboardInterrupt), own.staged() as stage:
        (stage / "a").write_text("half")
        raise KeyboardInterrupt
    assert visible(tmp_path) == ["a"] and (tmp_path / "a").read_text() == "result"
    take(tmp_path, {"a": "again"})


def test_inputs_are_neither_replaced_nor_removed(tmp_path):
    take(tmp_path, {"bag/bag.mcap": "recorded", "a": "result"})
    with pytest.raises(DataError, match="bag: is an input"):
        results(tmp_path).check(["bag"], [tmp_path / "bag" / "bag.mcap"])
    take(tmp_path, {"a": "new"}, inputs=[tmp_path / "bag"])
    assert visible(tmp_path) == ["a", "bag"]
    take(tmp_path, {"a": "newest"})  # still on the list
    assert visible(tmp_path) == ["a"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_cannot_be_written(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(DataError, match="cannot be written"), results(tmp_path).staged():
        pytest.fail("there is no folder to work in")


def test_outputs_that_are_inputs(tmp_path):
    frame = tmp_path / "in" / "a.png"
    write_image(frame, np.zeros((4, 4), np.uint8))
    for output, inputs in (
        (frame, [frame]),
        (frame, [tmp_path / "in"]),
        (tmp_path / "new.json", [tmp_path / "new.json"]),
    ):
        with pytest.raises(DataError, match="is an input"):
            refuse_inputs(output, inputs)
    refuse_inputs(tmp_path / "in" / "results.json", [tmp_path / "in"])


# ---- the commands ------------------------------------------------------------------------------


@pytest.fixture
def frames(tmp_path):
    return write_noise(tmp_path / "in", 6, (32, 40))


def contents(folder):
    return {p: p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def fake_demo(monkeypatch, fail=None):
    """The demo without processes: writes what they would write."""
    from difiisr_ros.commands import demo

    def run(self):
        for name in (*self._names()[1:], "node.log"):
            path = self._stage / name
            if name == "bag":
                path.mkdir()
                path /= "bag.mcap"
            path.write_text("of the demo")
        if fail is not None:
            raise demo.DemoFailed(f"the end of {self._stage / 'node.log'}: {fail}")
        return {"left_out": {}}

    monkeypatch.setattr(demo.Demo, "_run", run)
    monkeypatch.setattr("difiisr_ros.commands.demo_report.summary_text", lambda summary: "done")
    monkeypatch.setattr(demo, "load_engine", lambda *a, **k: argparse.Namespace(close=lambda: None))
    monkeypatch.setattr(demo.importlib.util, "find_spec", lambda name: name)


def test_the_demo_leaves_recorded_frames_and_logs_alone(tmp_path, frames, monkeypatch, capsys):
    fake_demo(monkeypatch)
    out = tmp_path / "flight"
    for i in range(8):
        write_image(out / f"frame_{i:04d}.png", np.full((4, 4), i, np.uint8))
    (out / "flight.log").write_text("flown")
    (out / "camera.yaml").write_text("blur: 0.4\n")
    before = contents(out)
    arguments = ["demo", "--input", str(frames), "--out", str(out)]
    for _ in range(2):
        assert main(arguments) == 0
        assert before.items() <= contents(out).items()
    assert main([*arguments[:1], "--out", str(out)]) == 2  # the synthetic scene has a profile
    assert "camera.yaml: is in the way" in capsys.readouterr().err
    assert before.items() <= contents(out).items()


def test_a_demo_that_fails_leaves_the_last_results_and_its_own_logs(
    tmp_path, frames, monkeypatch, capsys
):
    out = tmp_path / "out"
    arguments = ["demo", "--input", str(frames), "--out", str(out)]
    fake_demo(monkeypatch)
    assert main(arguments) == 0
    good = contents(out)
    del good[out / ".difiisr_demo.json"]
    fake_demo(monkeypatch, fail="no memory")
    for _ in range(2):
        assert main(arguments) == 1
        assert good.items() <= contents(out).items()
        assert f"the end of {out / 'failed' / 'node.log'}: no memory" in capsys.readouterr().err
        assert (out / "failed" / "node.log").is_file()
    fake_demo(monkeypatch)
    assert main(arguments) == 0 and not (out / "failed").exists()


@pytest.mark.parametrize("out", [".", "x", "sub/x"])
def test_the_demo_does_not_write_into_its_input(frames, monkeypatch, capsys, out):
    fake_demo(monkeypatch)
    before = contents(frames)
    assert main(["demo", "--input", str(frames), "--out", str(frames / out)]) == 2
    assert "is the input or in it" in capsys.readouterr().err
    assert contents(frames) == before


def test_evaluate_replaces_its_own_results_alone(tmp_path, frames, capsys):
    pytest.importorskip("skimage")
    out = tmp_path / "out"
    out.mkdir()
    (out / "results.json").write_text("of another program")
    arguments = ["evaluate", str(frames), "--out", str(out), "--backend", "bicubic"]
    assert main(arguments) == 2
    assert "results.json: is in the way" in capsys.readouterr().err
    assert (out / "results.json").read_text() == "of another program"
    assert sorted(p.name for p in out.iterdir()) == ["results.json"]
    (out / "results.json").unlink()
    assert main(arguments) == 0 and main(arguments) == 0
    assert json.loads((out / "results.json").read_text())["frames"] == 6


def test_evaluate_knows_results_of_a_run_that_ended_half_way(tmp_path, frames, monkeypatch):
    pytest.importorskip("skimage")
    arguments = ["evaluate", str(frames), "--out", str(tmp_path / "out"), "--backend", "bicubic"]

    def full(*_):
        raise DataError("no space is left")

    with monkeypatch.context() as broken:
        broken.setattr("difiisr_ros.commands.evaluate.write_csv", full)
        assert main(arguments) == 2
    assert (tmp_path / "out" / "results.json").exists()
    assert main(arguments) == 0


def test_evaluate_takes_no_foreign_file_for_its_state(tmp_path, frames, capsys):
    state = tmp_path / "r.json.state"
    state.write_text("of another program\n")
    arguments = ["evaluate", str(frames), "--json", str(tmp_path / "r.json")]
    assert main([*arguments, "--backend", "bicubic"]) == 2
    assert "no state of an evaluation" in capsys.readouterr().err
    assert state.read_text() == "of another program\n"


@pytest.mark.parametrize(
    "arguments",
    [
        ["evaluate", "{in}", "--json", "{in}/0.png"],
        ["evaluate", "{in}", "--json", "{out}/r", "--csv", "{out}/r"],
        ["calibrate", "{in}", "--out", "{in}/0.png"],
        ["detect", "{in}", "--draw", "{in}"],
        ["detect", "{in}", "--draw", "{in}/boxes"],
        ["detect", "{in}", "--json", "{in}/0.png"],
        ["upscale", "{in}", "{out}/x4", "--json", "{in}/0.png"],
        ["upscale", "{in}/0.png", "{out}/x.png", "--json", "{out}/x.png"],
    ],
    ids=" ".join,
)
def test_no_output_replaces_an_input_or_another_output(tmp_path, frames, arguments, capsys):
    out = tmp_path / "out"
    out.mkdir()
    before = contents(frames)
    texts = [part.format(**{"in": frames, "out": out}) for part in arguments]
    assert main(texts) == 2
    assert "difiisr: error: " in capsys.readouterr().err
    assert contents(frames) == before and contents(out) == {}


@pytest.mark.needs("torch")
def test_drawn_frames_replace_no_pictures_but_their_own(tmp_path, frames, capsys):
    draw = tmp_path / "drawn"
    arguments = ["detect", str(frames), "--draw", str(draw)]
    assert main(arguments) == 0 and main(arguments) == 0
    shutil.copy(frames / "0.png", draw / "3.png")
    before = contents(draw)
    assert main(arguments) == 2
    assert "3.png: is in the way" in capsys.readouterr().err and contents(draw) == before


def test_upscale_replaces_what_is_there_when_told_so(tmp_path, frames, capsys):
    out = tmp_path / "other_flight"  # with frames of the same names
    for i in (0, 3):
        write_image(out / f"{i}.png", np.full((8, 8), i, np.uint16))
    before = contents(out)
    arguments = ["upscale", str(frames), str(out), "--backend", "bicubic"]
    assert main(arguments) == 2
    said = capsys.readouterr().err
    assert "0.png: is there already, and 1 more are; --overwrite replaces" in said
    assert contents(out) == before
    single = ["upscale", str(frames / "0.png"), str(out / "3.png"), "--backend", "bicubic"]
    assert main(single) == 2 and contents(out) == before
    assert main([*arguments, "--overwrite"]) == 0
    assert read_image(out / "0.png").shape == (128, 160)
    assert main([*single, "--overwrite"]) == 0
    with pytest.raises(SystemExit):
        main([*arguments, "--overwrite", "--skip-existing"])


def test_frames_count_once_on_the_way(tmp_path, frames, monkeypatch):
    """The bar of an evaluation that keeps its state showed 580 of 120 frames."""
    import tqdm

    from difiisr_ros.lab.evaluation import score_stream

    bars = []

    class Bar(tqdm.tqdm):
        def __init__(self, *args, **kwargs):
            super().__init__(*args, **{**kwargs, "disable": False})
            bars.append(self)

    monkeypatch.setattr(tqdm, "tqdm", Bar)
    monkeypatch.setattr(score_stream, "BATCH_PERIOD_S", 0.0)  # a batch for every frame
    arguments = ["evaluate", str(frames), "--out", str(tmp_path / "out"), "--backend", "bicubic"]
    assert main(arguments) == 0
    assert [(bar.n, bar.total) for bar in bars] == [(6, 6)]
