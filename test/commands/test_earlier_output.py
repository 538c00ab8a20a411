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

"""A file that a command is to write and that is there: its own is replaced, any other refused."""

from __future__ import annotations

import json

import numpy as np
import pytest

from difiisr_ros import CameraProfile
from difiisr_ros.cli import main
from difiisr_ros.commands.export_tensorrt import refuse_others
from difiisr_ros.core.bad_pixels import write_bad_pixels
from difiisr_ros.core.fixed_pattern import FixedPattern
from difiisr_ros.errors import DataError
from difiisr_ros.io.images import write_image
from support.frames import street

FRAMES = [street().frame(i)[0] for i in range(0, 60, 20)]


@pytest.fixture
def frames(tmp_path):
    for i, frame in enumerate(FRAMES):
        write_image(tmp_path / "in" / f"{i}.png", frame)
    return tmp_path / "in"


def writers(frames, out):
    """Commands, and the option whose file is looked at."""
    quick = ["--backend", "bicubic"]
    upscale = ["upscale", frames, out.parent / "out", *quick, "--skip-existing"]
    evaluate = ["evaluate", frames, *quick, "--limit", "1"]
    yield "--json", upscale
    yield "--json", evaluate
    yield "--csv", evaluate
    yield "--report", evaluate
    yield "--json", ["calibrate", frames]
    yield "--report", ["calibrate", frames]


@pytest.mark.parametrize("which", range(6))
def test_the_same_command_twice_replaces_its_own_and_nothing_else(frames, tmp_path, capsys, which):
    target = tmp_path / "notes"
    option, command = list(writers(frames, target))[which]
    command = [str(word) for word in [*command, option, target]]
    assert main(command) == 0
    first = target.read_bytes()
    assert main(command) == 0 and target.read_bytes()
    for text in (
        "my notes\n",
        '{"my": "settings"}',
        "<!DOCTYPE html>\n<title>My page</title>",
        "a,b",
    ):
        target.write_text(text)
        capsys.readouterr()
        assert main(command) == 2
        assert f"{target}: is there already and is no" in capsys.readouterr().err
        assert target.read_text() == text
    target.write_bytes(b"")  # as mktemp makes it
    assert main(command) == 0 and target.read_bytes()[:20] == first[:20]


@pytest.mark.parametrize(
    "command",
    [
        ["bench", "--quick"],
        ["doctor"],
        ["detect", "in"],
        ["train", "in"],
        ["train-detector", "in", "--validation", "in"],
        ["export", "a.onnx"],
    ],
)
def test_nothing_is_begun_where_the_json_is_not_its_own(
    frames, tmp_path, monkeypatch, capsys, command
):
    if command[0] in ("train", "train-detector", "export"):
        pytest.importorskip("torch")
        pytest.importorskip("pycocotools", reason="the detector's training scores with it")
    monkeypatch.chdir(tmp_path)
    np.save(tmp_path / "k32.npy", FRAMES[0])
    assert main([*command, "--json", "k32.npy"]) == 2
    assert "k32.npy: is there already and is no JSON" in capsys.readouterr().err
    np.testing.assert_array_equal(np.load(tmp_path / "k32.npy"), FRAMES[0])


def test_overwrite_replaces_whatever_is_there(frames, tmp_path):
    (tmp_path / "notes.txt").write_text("my notes")
    words = [frames, tmp_path / "out", "--backend", "bicubic", "--json", tmp_path / "notes.txt"]
    assert main(["upscale", *map(str, words), "--overwrite"]) == 0
    assert json.loads((tmp_path / "notes.txt").read_text())["frames"] == 3


def calibrate(frames, tmp_path, *more):
    return main(["calibrate", str(frames), "--out", str(tmp_path / "E40.yaml"), *map(str, more)])


def test_a_profile_that_is_calibrated_again_keeps_what_is_not_measured(frames, tmp_path, capsys):
    assert calibrate(frames, tmp_path) == 0
    path = tmp_path / "E40.yaml"
    measured = CameraProfile.read(path)
    path.write_text("noise: 77\nkelvin_per_count: 0.04\nmissing: '0'\ncrop: {bottom: 2}\n")
    capsys.readouterr()
    assert calibrate(frames, tmp_path) == 0
    assert "which is there: kelvin_per_count, missing, crop" in capsys.readouterr().out
    again = CameraProfile.read(path)
    assert (again.kelvin_per_count, again.missing, again.crop.bottom) == (0.04, ((0, 0),), 2)
    assert again.noise == pytest.approx(measured.noise, rel=0.1)
    assert calibrate(frames, tmp_path, "--crop", "0,4,0,0") == 0
    again = CameraProfile.read(path)
    assert (again.kelvin_per_count, again.crop.bottom) == (0.04, 4)


def test_what_another_profile_would_lose_is_named(frames, tmp_path, capsys):
    CameraProfile(noise=1.0, kelvin_per_count=0.04).write(tmp_path / "E40.yaml")
    CameraProfile(noise=1.0).write(tmp_path / "other.yaml")
    before = (tmp_path / "E40.yaml").read_bytes()
    assert calibrate(frames, tmp_path, "--camera", tmp_path / "other.yaml") == 2
    assert "E40.yaml: is there already and has kelvin_per_count, wh" in capsys.readouterr().err
    assert (tmp_path / "E40.yaml").read_bytes() == before
    CameraProfile(kelvin_per_count=0.05).write(tmp_path / "other.yaml")
    assert calibrate(frames, tmp_path, "--camera", tmp_path / "other.yaml") == 0
    assert CameraProfile.read(tmp_path / "E40.yaml").kelvin_per_count == 0.05
    assert calibrate(frames, tmp_path, "--camera", tmp_path / "other.yaml") == 0


@pytest.mark.parametrize(
    "content", [b"\x89PNG\r\n\x1a\n\0\0", b"my notes\n", b"driver: {rate: 9}\n"]
)
def test_what_is_no_profile_does_not_become_one(frames, tmp_path, capsys, content):
    (tmp_path / "E40.yaml").write_bytes(content)
    assert calibrate(frames, tmp_path) == 2
    assert "it is there already, and a camera profile alone is" in capsys.readouterr().err
    assert (tmp_path / "E40.yaml").read_bytes() == content


def test_files_beside_the_profile_are_kept_where_they_are_something_else(frames, tmp_path, capsys):
    mask, pattern = tmp_path / "E40_bad_pixels.png", tmp_path / "E40_pattern.npz"
    write_image(mask, FRAMES[0])
    assert calibrate(frames, tmp_path) == 2
    assert "E40_bad_pixels.png: is there already and is no mask" in capsys.readouterr().err
    write_bad_pixels(mask, np.eye(120, 160) > 0)
    np.savez(pattern, frames=FRAMES[0])
    assert calibrate(frames, tmp_path) == 2
    assert "E40_pattern.npz: is there already and is no fixed" in capsys.readouterr().err
    FixedPattern(np.zeros((120, 160), np.float32), 3).write(pattern)
    assert calibrate(frames, tmp_path) == 0


@pytest.mark.parametrize("name", ["a.onnx", "b.safetensors"])
def test_graphs_and_models_of_others_are_kept(frames, tmp_path, capsys, name):
    pytest.importorskip("torch")
    pytest.importorskip("onnx")
    path = tmp_path / name
    path.write_text("my notes\n")
    if name == "a.onnx":
        command = ["export", path]
    else:
        command = ["fit-guidance", "lite", frames, "--out", path]
    assert main(list(map(str, command))) == 2
    assert f"{path}: is there already and is no" in capsys.readouterr().err
    assert path.read_text() == "my notes\n"


def test_only_another_fit_of_the_same_model_is_replaced(tmp_path):
    pytest.importorskip("torch")
    from difiisr_ros.lab.training.fit_file import is_fitted
    from difiisr_ros.models.model_files import model_path
    from difiisr_ros.models.tensor_file import read_tensors, write_tensors

    tensors, metadata = read_tensors(model_path("nano"))
    facts = json.loads(metadata["facts"]) | {"guidance_fitted_to": "9 frames of mine"}
    write_tensors(tmp_path / "a.safetensors", tensors, {**metadata, "facts": json.dumps(facts)})
    assert is_fitted(tmp_path / "a.safetensors", model_path("nano"))
    assert not is_fitted(tmp_path / "a.safetensors", model_path("lite"))


def test_an_engine_goes_by_the_file_beside_it(tmp_path):
    plan, facts = tmp_path / "a.plan", tmp_path / "a.json"
    refuse_others(plan)
    plan.write_bytes(b"engine")
    with pytest.raises(DataError, match=r"a\.plan: is there already"):
        refuse_others(plan)
    facts.write_text("{}")
    with pytest.raises(DataError, match=r"a\.json: is there already"):
        refuse_others(plan)
    facts.write_text('{"key": {}, "plan_bytes": 6}')
    refuse_others(plan)
