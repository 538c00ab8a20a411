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

"""A bag to files, and files to a bag, as the ending of OUT says."""

from __future__ import annotations

import json

import numpy as np
import pytest

pytest.importorskip("rosbags", reason="bags need rosbags: pip install rosbags")

from difiisr_ros import SuperResolver
from difiisr_ros.cli import main
from difiisr_ros.io.bags import BagReader, BagWriter
from difiisr_ros.io.images import read_image, write_image

T0 = 1_700_000_000_123_456_789
STEP = 100_000_000


class Header:
    frame_id = "flir"

    def __init__(self, ns):
        self.stamp = type("Stamp", (), {"sec": ns // 10**9, "nanosec": ns % 10**9})


def frame(i):
    return np.random.default_rng(i).integers(29000, 30000, (12, 16)).astype(np.uint16)


def record(path, topics=("/cam/image_raw",), count=3):
    with BagWriter(path) as writer:
        for i in range(count):
            for number, topic in enumerate(topics):
                stamp = T0 + STEP * i
                writer.write_image(topic, stamp, frame(i + 100 * number), Header(stamp))
    return path


def run(*arguments):
    return main(["upscale", *map(str, arguments), "--backend", "bicubic"])


def test_what_is_no_frame_is_no_part_of_the_bag_and_named(tmp_path):
    write_image(tmp_path / "in" / "a.png", frame(0))
    np.save(tmp_path / "in" / "b.npy", np.stack([frame(1), frame(2)]))
    (tmp_path / "in" / "c.txt").write_text("x")
    assert run(tmp_path / "in", tmp_path / "out.mcap", "--json", tmp_path / "done.json") == 0
    done = json.loads((tmp_path / "done.json").read_text())
    assert done["not_used"] == [{"name": "c.txt", "what": ".txt files"}] and done["frames"] == 3


@pytest.fixture(scope="module")
def expected():
    resolver = SuperResolver.load(backend="bicubic")
    yield resolver.upscale
    resolver.close()


@pytest.mark.parametrize("ending", ["png", "tiff"])
def test_a_bag_to_files_and_back(tmp_path, expected, ending):
    bag = record(tmp_path / "bag")
    assert run(bag, tmp_path / "out" / f"f.{ending}") == 0
    names = sorted(p.name for p in (tmp_path / "out").iterdir())
    assert names == [f"f_1700000000_{123456789 + STEP * i}.{ending}" for i in range(3)]
    for i, name in enumerate(names):
        np.testing.assert_array_equal(read_image(tmp_path / "out" / name), expected(frame(i)))
    assert run(tmp_path / "out", tmp_path / "again.mcap") == 0
    with BagReader(tmp_path / "again.mcap") as reader:
        assert reader.image_topics() == ["/image_raw", "/sr/image_raw"]
        for i, record_ in enumerate(reader.read_images("/image_raw")):
            stamp = record_.message.header.stamp
            assert stamp.sec * 10**9 + stamp.nanosec == T0 + STEP * i == record_.log_time_ns
            np.testing.assert_array_equal(record_.frame, expected(frame(i)))
        assert next(reader.read_images("/sr/image_raw")).frame.shape == (192, 256)


def test_files_that_are_there_are_kept(tmp_path, capsys):
    bag, mine = record(tmp_path / "bag"), tmp_path / "f_0001.png"
    mine.write_text("treasure")
    assert run(bag, tmp_path / "f.png") == 2
    assert "f_0001.png: is there already" in capsys.readouterr().err
    assert mine.read_text() == "treasure" and not list(tmp_path.glob("f_17*"))


def test_one_topic_at_a_time_and_no_results_again(tmp_path, capsys):
    bag = record(tmp_path / "bag", ("/a/image_raw", "/b/image_raw"))
    assert run(bag, tmp_path / "f.png") == 2
    assert "name it by --topic; it has /a/image_raw, /b/image_raw" in capsys.readouterr().err
    assert run(bag, tmp_path / "f.png", "--topic", "/b/image_raw") == 0
    assert len(list(tmp_path.glob("f_*.png"))) == 3
    assert run(record(tmp_path / "one"), tmp_path / "sr") == 0
    assert run(tmp_path / "sr", tmp_path / "g.png") == 0
    assert len(list(tmp_path.glob("g_*.png"))) == 3
    assert "/cam/sr/image_raw" in capsys.readouterr().err


@pytest.mark.parametrize(("ending", "storage"), [("mcap", ".mcap"), ("db3", ".db3")])
def test_frames_without_stamps_come_at_the_rate(tmp_path, ending, storage, capsys):
    for i in range(3):
        write_image(tmp_path / "in" / f"{i}.png", frame(i))
    (tmp_path / "in" / "bad.png").write_text("no picture")
    (tmp_path / "in" / "notes.txt").write_text("text")
    out, report = tmp_path / f"out.{ending}", tmp_path / "r.json"
    assert run(tmp_path / "in", out, "--rate", 10, "--json", report) == 0
    found = json.loads(report.read_text())
    assert found["frames"] == 3 and [f["name"] for f in found["failed"]] == ["bad.png"]
    assert "notes.txt" in capsys.readouterr().err
    with BagReader(out) as reader:
        times = [record.log_time_ns for record in reader.read_images("/sr/image_raw")]
    assert np.diff(times).tolist() == [STEP, STEP]
    assert [p.suffix for p in out.iterdir() if p.suffix != ".yaml"] == [storage]
    assert run(tmp_path / "in", out) == 2 and "exists already" in capsys.readouterr().err


def test_what_cannot_be_done_leaves_nothing(tmp_path, capsys):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "bad.png").write_text("no picture")
    assert run(tmp_path / "in", tmp_path / "out.mcap") == 2
    assert run(tmp_path / "in", tmp_path / "in" / "out.mcap") == 2
    assert run(tmp_path / "nowhere", tmp_path / "out.mcap") == 2
    assert not list(tmp_path.glob("*.mcap"))
    assert [p.name for p in (tmp_path / "in").iterdir()] == ["bad.png"]
