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

"""Recordings, arrays and pages are to every command the frames that they hold."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest

from difiisr_ros.cli import main
from difiisr_ros.errors import DataError
from difiisr_ros.io.images import read_image, write_image
from difiisr_ros.lab.frames.degrade import degrade_bicubic
from difiisr_ros.lab.frames.folder_stream import FolderStream
from difiisr_ros.lab.frames.streams import StreamOptions
from support.detection_scenes import CLASSES, write_set
from support.flir_files import container
from support.frames import smooth_frame

REDUCED = ["--degradation", "reduced", "--backend", "bicubic"]


def hr_frames(count=4):
    return [smooth_frame(np.uint16, (64, 80), seed) for seed in range(count)]


def as_files_and_as_stack(folder, frames):
    for index, frame in enumerate(frames):
        write_image(folder / "files" / f"{index}.png", frame)
    (folder / "stack").mkdir()
    np.save(folder / "stack" / "all.npy", np.stack(frames))
    return folder / "files", folder / "stack"


def scores(data, out, *words):
    """Every frame's numbers, without times, and the frames' names."""
    assert main(["evaluate", str(data), "--csv", str(out), *REDUCED, *words]) == 0
    with out.open() as file:
        rows = list(csv.DictReader(file))
    numbers = [
        {k: v for k, v in row.items() if "psnr" in k or "ssim" in k or "consistency" in k}
        for row in rows
    ]
    return numbers, list(dict.fromkeys(row["frame"] for row in rows))


def test_evaluate_scores_a_stack_as_its_frames(tmp_path):
    files, stack = as_files_and_as_stack(tmp_path, hr_frames())
    expected, names = scores(files, tmp_path / "a.csv")
    assert names == ["0.png", "1.png", "2.png", "3.png"] and expected[0]
    for data in (stack, stack / "all.npy"):
        found, names = scores(data, tmp_path / f"{data.name}.csv")
        assert found == expected
        assert names == ["all.npy#1", "all.npy#2", "all.npy#3", "all.npy#4"]
    every, names = scores(stack, tmp_path / "b.csv", "--every", "2")
    assert names == ["all.npy#1", "all.npy#3"]
    assert every == [row for i, row in enumerate(expected) if i // (len(expected) // 4) in (0, 2)]


def test_evaluate_takes_a_recording_as_frames_in_time(tmp_path):
    recording = tmp_path / "a.seq"
    recording.write_bytes(b"".join(container(frame) for frame in hr_frames(2)))
    stream = FolderStream(recording, StreamOptions())
    assert stream.in_time and len(stream) == 2
    for sample, frame in zip(stream.samples(), hr_frames(2), strict=True):
        np.testing.assert_array_equal(sample.hr, frame)
    np.testing.assert_array_equal(stream.frame(1, -1).hr, hr_frames(2)[1])
    assert len(stream.fingerprint()) == 1
    assert not FolderStream(tmp_path, StreamOptions()).in_time  # perhaps of several recordings


def test_pairs_of_stacks_are_paired_by_number(tmp_path):
    frames = hr_frames(3)
    for name in ("HR", "LR"):
        (tmp_path / name).mkdir()
    np.save(tmp_path / "HR" / "a.npy", np.stack(frames))
    np.save(tmp_path / "LR" / "ax4.npy", np.stack([degrade_bicubic(f) for f in frames]))
    samples = list(FolderStream(tmp_path, StreamOptions()).samples())
    assert [sample.name for sample in samples] == ["a.npy#1", "a.npy#2", "a.npy#3"]
    for sample, frame in zip(samples, frames, strict=True):
        np.testing.assert_array_equal(sample.hr, frame)
        np.testing.assert_array_equal(sample.lr, degrade_bicubic(frame))
    np.save(tmp_path / "LR" / "ax4.npy", np.stack([degrade_bicubic(f) for f in frames[:2]]))
    with pytest.raises(DataError, match=r"a\.npy: frames are paired by number, it has 3 and .* 2"):
        FolderStream(tmp_path, StreamOptions())


def boxed_stack(tmp_path):
    """The same frames and boxes as files and as a stack."""
    files = write_set(tmp_path / "files", 3)
    content = json.loads((tmp_path / "files.json").read_text())
    (tmp_path / "stack").mkdir()
    np.save(tmp_path / "stack" / "all.npy", [read_image(files / f"{i}.png") for i in range(3)])
    for number, image in enumerate(content["images"], 1):
        image["file_name"] = f"all.npy#{number}"
    (tmp_path / "stack.json").write_text(json.dumps(content))
    return files, tmp_path / "stack"


def test_boxes_of_frames_in_a_stack_are_named_by_number(tmp_path):
    pytest.importorskip("torch")
    from difiisr_ros.lab.detection.boxes import read_boxes
    from difiisr_ros.lab.detection.data import load_frames

    files, stack = boxed_stack(tmp_path)
    expected = load_frames(read_boxes(files, tmp_path / "files.json", CLASSES))
    for folder in (stack, stack / "all.npy"):
        found = load_frames(read_boxes(folder, tmp_path / "stack.json", CLASSES))
        for one, other in zip(found, expected, strict=True):
            np.testing.assert_array_equal(one.pixels, other.pixels)
            np.testing.assert_array_equal(one.boxes, other.boxes)
    for name, said in (("all.npy#4", "all.npy has 3 frames"), ("b.npy#1", "no such image")):
        text = (tmp_path / "stack.json").read_text().replace("all.npy#3", name)
        (tmp_path / "bad.json").write_text(text)
        with pytest.raises(DataError, match=said):
            read_boxes(stack, tmp_path / "bad.json", CLASSES)
    text = (tmp_path / "stack.json").read_text().replace("all.npy#1", "all.npy")
    (tmp_path / "stack.json").write_text(text)
    plain = read_boxes(stack, tmp_path / "stack.json", CLASSES)
    assert plain.images[0].place.name == "all.npy#1"  # the first


def test_evaluate_finds_the_boxes_of_a_stack(tmp_path):
    pytest.importorskip("torch")
    pytest.importorskip("pycocotools")
    means = {}
    for folder in boxed_stack(tmp_path):
        content = json.loads(folder.with_suffix(".json").read_text())
        names = ["person", "car", "bicycle", "other_vehicle"]
        content["categories"] = [{"id": 10 + i, "name": name} for i, name in enumerate(names)]
        (tmp_path / "boxes.json").write_text(json.dumps(content))
        out = tmp_path / f"{folder.name}.out.json"
        words = ["--boxes", str(tmp_path / "boxes.json"), "--json", str(out), *REDUCED]
        assert main(["evaluate", str(folder), *words]) == 0
        report = json.loads(out.read_text())
        assert report["settings"]["detection"]["frames_with_boxes_known"] == 3
        means[folder.name] = report["methods"]["bicubic"]["map50"]
    assert means["files"] == means["stack"] > 0


def test_detect_lists_the_frames_of_a_stack(tmp_path, drone_frames, capsys):
    pytest.importorskip("torch")
    files, stack = as_files_and_as_stack(tmp_path, [read_image(f) for f in drone_frames[:2]])
    write_image(stack / "all#1.png", read_image(drone_frames[2]))
    (stack / "notes.txt").write_text("x")
    found = {}
    for folder in (files, stack):
        report = tmp_path / f"{folder.name}.json"
        words = ["--json", str(report), "--draw", str(tmp_path / f"{folder.name}_drawn")]
        assert main(["detect", str(folder), *words]) == 0
        found[folder.name] = json.loads(report.read_text())["frames"]
    assert list(found["stack"]) == ["all#1.png", "all.npy#1", "all.npy#2"]
    assert found["files"]["0.png"] and found["stack"]["all.npy#1"] == found["files"]["0.png"]
    assert found["stack"]["all.npy#2"] == found["files"]["1.png"]
    drawn = {path.name for path in (tmp_path / "stack_drawn").glob("*.png")}
    assert drawn == {"all#1.png", "all#1_npy.png", "all#2.png"}
    assert main(["detect", str(stack / "all.npy")]) == 0
    assert capsys.readouterr().out.count("all.npy#2: ") == 2


def test_detect_says_what_it_did_not_use(tmp_path, caplog):
    pytest.importorskip("torch")
    write_image(tmp_path / "a.png", hr_frames(1)[0])
    (tmp_path / "notes.txt").write_text("x")
    assert main(["detect", str(tmp_path)]) == 0
    assert f"{tmp_path}: not used: .txt files: notes.txt" in caplog.messages


def test_a_training_has_the_frames_of_a_stack(tmp_path, caplog):
    pytest.importorskip("torch")
    from difiisr_ros.lab.training.data import load_frames

    files, stack = as_files_and_as_stack(tmp_path, hr_frames())
    (stack / "notes.txt").write_text("x")
    expected = load_frames(files, 64)
    for data in (stack, stack / "all.npy"):
        for one, other in zip(load_frames(data, 64), expected, strict=True):
            np.testing.assert_array_equal(one.pixels, other.pixels)
            assert (one.low, one.high) == (other.low, other.high)
    assert caplog.messages == [f"{stack}: not used: .txt files: notes.txt"]


def test_a_stack_that_breaks_off_loses_its_broken_frames_alone(tmp_path):
    """FLIR's recordings of a camera that lost power."""
    data = b"".join(container(frame) for frame in hr_frames(3))
    (tmp_path / "a.seq").write_bytes(data[:-3000])
    stream = FolderStream(tmp_path, StreamOptions())
    assert [sample.name for sample in stream.samples()] == ["a.seq#1", "a.seq#2"]
    assert any("a.seq, frame 3" in notice for notice in stream.notices)
