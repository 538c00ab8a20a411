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

"""`difiisr upscale --stream`: each camera's frames remembered, and no other's, as in Python."""

from __future__ import annotations

import json

import numpy as np
import pytest

from difiisr_ros import StreamMemory, SuperResolver
from difiisr_ros.cli import main
from difiisr_ros.io.images import read_image, write_image
from difiisr_ros.io.open_stack import open_stack
from difiisr_ros.io.stack import ReadOptions
from difiisr_ros.stream_memory import MemoryOptions
from support.still_stream import still_frames

ALL = MemoryOptions("auto", "running", "learn", "on")
SOME = MemoryOptions("auto", "running")
COUNT = 5
T0, STEP = 1_700_000_000_123_456_789, 100_000_000


@pytest.fixture(scope="module")
def resolver():
    with_nothing = SuperResolver.load(backend="bicubic")
    yield with_nothing
    with_nothing.close()


def in_python(resolver, frames, options: MemoryOptions = ALL) -> list[np.ndarray]:
    memory = StreamMemory(options)
    return [resolver.upscale(frame, memory=memory) for frame in frames]


def run(*arguments) -> int:
    return main(["upscale", *map(str, arguments), "--backend", "bicubic"])


def write_frames(folder, frames):
    for number, frame in enumerate(frames):
        write_image(folder / f"{number:03d}.png", frame)
    return folder


def results_in(folder) -> list[np.ndarray]:
    return [read_image(path) for path in sorted(folder.glob("*.png"))]


def assert_same(results, expected):
    assert len(results) == len(expected)
    for number, (result, of_python) in enumerate(zip(results, expected)):
        np.testing.assert_array_equal(result, of_python, err_msg=f"frame {number}")


@pytest.mark.parametrize(
    ("asked", "options", "said"),
    [
        (["--stream"], ALL, "still,noise,pattern,motion"),
        (["--stream", "still,noise"], SOME, "still,noise"),
        (["--stream", "still"], MemoryOptions("auto"), "still"),
        (["--stream", "noise, still"], SOME, "noise, still"),
        ([], MemoryOptions(), ""),
    ],
)
def test_the_frames_of_a_folder(tmp_path, resolver, asked, options, said):
    frames = still_frames(COUNT)
    source = write_frames(tmp_path / "in", frames)
    assert run(source, tmp_path / "out", "--json", tmp_path / "r.json", *asked) == 0
    expected = in_python(resolver, frames, options)
    assert_same(results_in(tmp_path / "out"), expected)
    alone = [resolver.upscale(frame) for frame in frames]
    assert (expected[-1] != alone[-1]).any() == (options.still == "auto")
    found = json.loads((tmp_path / "r.json").read_text())["settings"]["stream"]
    assert found == said


def test_sub_folders_are_cameras_of_their_own(tmp_path, resolver):
    of_folder = {name: still_frames(COUNT, seed) for seed, name in enumerate(("a", "b"))}
    for name, frames in of_folder.items():
        write_frames(tmp_path / "in" / name, frames)
    assert run(tmp_path / "in", tmp_path / "out", "--recursive", "--stream") == 0
    for name, frames in of_folder.items():
        assert_same(results_in(tmp_path / "out" / name), in_python(resolver, frames))


def test_the_pages_of_a_file_and_no_other_files(tmp_path, resolver):
    tifffile = pytest.importorskip("tifffile", reason="needs tifffile: pip install tifffile")
    (tmp_path / "in").mkdir()
    of_file = {name: still_frames(COUNT, seed) for seed, name in enumerate(("a.tif", "b.tif"))}
    for name, frames in of_file.items():
        tifffile.imwrite(tmp_path / "in" / name, np.stack(frames), photometric="minisblack")
    assert run(tmp_path / "in", tmp_path / "out", "--stream") == 0
    for name, frames in of_file.items():
        with open_stack(tmp_path / "out" / name, ReadOptions()) as stack:
            assert_same(list(stack.frames()), in_python(resolver, frames))


def record(path, **frames_of):
    """A bag of cameras whose messages alternate."""
    from difiisr_ros.io.bags import BagWriter

    with BagWriter(path) as writer:
        for i in range(COUNT):
            for name, frames in frames_of.items():
                writer.write_image(f"/{name}/image_raw", T0 + STEP * i, frames[i])
    return path


def test_the_topics_of_a_bag(tmp_path, resolver):
    pytest.importorskip("rosbags", reason="bags need rosbags: pip install rosbags")
    from difiisr_ros.io.bags import BagReader

    of_topic = {name: still_frames(COUNT, seed) for seed, name in enumerate(("front", "rear"))}
    bag = record(tmp_path / "bag", **of_topic)
    assert run(bag, tmp_path / "out", "--stream") == 0
    with BagReader(tmp_path / "out") as reader:
        for name, frames in of_topic.items():
            records = reader.read_images(f"/{name}/sr/image_raw")
            assert_same([record.frame for record in records], in_python(resolver, frames))


def test_a_bag_to_files(tmp_path, resolver):
    pytest.importorskip("rosbags", reason="bags need rosbags: pip install rosbags")
    frames = still_frames(COUNT)
    bag = record(tmp_path / "bag", front=frames)
    assert run(bag, tmp_path / "out" / "f.png", "--stream") == 0
    assert_same(results_in(tmp_path / "out"), in_python(resolver, frames))


def test_files_to_a_bag(tmp_path, resolver):
    pytest.importorskip("rosbags", reason="bags need rosbags: pip install rosbags")
    from difiisr_ros.io.bags import BagReader

    frames = still_frames(COUNT)
    source = write_frames(tmp_path / "in", frames)
    assert run(source, tmp_path / "out.mcap", "--stream") == 0
    with BagReader(tmp_path / "out.mcap") as reader:
        results = [record.frame for record in reader.read_images("/sr/image_raw")]
    assert_same(results, in_python(resolver, frames))


def test_a_part_that_does_not_exist_is_named(tmp_path, capsys):
    source = write_frames(tmp_path / "in", still_frames(1))
    assert run(source, tmp_path / "out", "--stream", "still,zoom") == 2
    said = capsys.readouterr().err
    assert "--stream still,zoom" in said and "'zoom'" in said and "still,noise,pattern" in said
    assert not (tmp_path / "out").exists()


def test_what_is_there_cannot_be_skipped(tmp_path, capsys):
    source = write_frames(tmp_path / "in", still_frames(2))
    assert run(source, tmp_path / "out", "--stream", "--skip-existing") == 2
    assert "--skip-existing is not for --stream" in capsys.readouterr().err
    assert run(source, tmp_path / "out", "--stream") == 0
    assert run(source, tmp_path / "out", "--stream", "--overwrite") == 0
