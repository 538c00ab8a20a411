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

"""`difiisr upscale`: images, folders and bags; nothing lost, nothing overwritten."""

from __future__ import annotations

import json

import cv2
import numpy as np
import pytest

from difiisr_ros import SuperResolver
from difiisr_ros.cli import main
from difiisr_ros.io.images import read_image, write_image

BICUBIC = ["--backend", "bicubic"]


@pytest.fixture(scope="module")
def expected():
    resolver = SuperResolver.load(backend="bicubic")
    yield resolver.upscale
    resolver.close()


def smooth(seed, dtype=np.uint16, shape=(13, 17)):
    noise = np.random.default_rng(seed).normal(size=shape).astype(np.float32)
    unit = cv2.GaussianBlur(noise, (0, 0), 2.0)
    unit = (unit - unit.min()) / np.ptp(unit)
    scale = {np.uint8: (20, 200), np.uint16: (29000, 2500), np.float32: (290.0, 25.0)}[dtype]
    return (scale[0] + scale[1] * unit).astype(dtype)


def run(*arguments):
    return main(["upscale", *map(str, arguments), *BICUBIC])


@pytest.mark.parametrize(
    ("dtype", "suffix"),
    [
        (np.uint8, ".png"),
        (np.uint16, ".png"),
        pytest.param(np.float32, ".tiff", marks=pytest.mark.needs("tifffile")),
    ],
)
def test_an_image(tmp_path, expected, dtype, suffix, capsys):
    frame = smooth(1, dtype)
    write_image(tmp_path / f"in{suffix}", frame)
    assert run(tmp_path / f"in{suffix}", tmp_path / f"out{suffix}") == 0
    out = read_image(tmp_path / f"out{suffix}")
    assert out.shape == (52, 68) and out.dtype == dtype
    np.testing.assert_array_equal(out, expected(frame))
    np.testing.assert_array_equal(read_image(tmp_path / f"in{suffix}"), frame)
    assert "1 frame -> " in capsys.readouterr().out


@pytest.mark.needs("tifffile")
def test_an_image_into_a_folder(tmp_path, expected):
    write_image(tmp_path / "a.tiff", smooth(2))
    assert run(tmp_path / "a.tiff", tmp_path / "made") == 0
    np.testing.assert_array_equal(read_image(tmp_path / "made" / "a.tiff"), expected(smooth(2)))


@pytest.mark.needs("tifffile")
def test_a_folder_keeps_names_and_lossy_formats_become_png(tmp_path, expected):
    source = tmp_path / "in"
    write_image(source / "a.png", smooth(1, np.uint8))
    write_image(source / "a.jpg", smooth(2, np.uint8))
    write_image(source / "b.bmp", smooth(3, np.uint8))
    write_image(source / "c.tiff", smooth(4))
    report = tmp_path / "report.json"
    assert run(source, tmp_path / "out", "--json", report) == 0
    names = sorted(p.name for p in (tmp_path / "out").iterdir())
    assert names == ["a.png", "a_jpg.png", "b.png", "c.tiff"]
    for name in names:
        assert read_image(tmp_path / "out" / name).shape == (52, 68)
    np.testing.assert_array_equal(read_image(tmp_path / "out" / "c.tiff"), expected(smooth(4)))
    written = json.loads(report.read_text())
    assert written["frames"] == 4 and written["failed"] == []
    assert written["engine"]["backend"] == "bicubic"


def test_bad_files_are_left_out_and_named(tmp_path, capsys, caplog):
    source = tmp_path / "in"
    write_image(source / "good1.png", smooth(1))
    (source / "bad.png").write_text("no picture")
    (source / "cut.png").write_bytes((source / "good1.png").read_bytes()[:99])
    write_image(source / "good2.png", smooth(2))
    report = tmp_path / "report.json"
    assert run(source, tmp_path / "out", "--json", report) == 0
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["good1.png", "good2.png"]
    written = json.loads(report.read_text())
    assert written["frames"] == 2
    assert [f["name"].rpartition("/")[2] for f in written["failed"]] == ["bad.png", "cut.png"]
    assert "bad.png: is not an image" in caplog.text and "cut.png: is truncated" in caplog.text
    assert "2 left out" in capsys.readouterr().err
    assert run(source, tmp_path / "again", "--strict") == 2
    for name in ("good1.png", "good2.png"):
        (source / name).unlink()
    assert run(source, tmp_path / "none") == 2  # nothing is left
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("nowhere", "out"), "nowhere: no such file or folder"),
        (("a.png", "a.png"), "never overwritten"),
        (("folder", "folder"), "never overwritten"),
        (("folder", "a.png"), "is a file, but the results of a folder need a folder"),
        (("a.png", "b.xyz"), "unknown image format .xyz"),
        (("text.png", "out.png"), "text.png: is not an image"),
        pytest.param(
            ("wide.tiff", "out.png"),
            "wide.tiff: .*not float32",
            marks=pytest.mark.needs("tifffile"),
        ),
        (("empty", "out"), "no image in this folder"),
        (("a.png", "out.png", "--num-steps", "0"), "num_steps must be"),
        (("a.png", "out.png", "--range-mode", "fixed"), "range_min and range_max"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line_with_exit_code_2(
    tmp_path, monkeypatch, capsys, arguments, said
):
    monkeypatch.chdir(tmp_path)
    write_image("a.png", smooth(1))
    write_image("folder/a.png", smooth(1))
    write_image("wide.tiff", smooth(1, np.float32))
    (tmp_path / "text.png").write_text("no picture")
    (tmp_path / "empty").mkdir()
    before = {p: p.read_bytes() for p in tmp_path.rglob("*.*") if p.is_file()}
    assert run(*arguments) == 2
    captured = capsys.readouterr().err.strip()
    import re

    assert re.search(said, captured), captured
    assert len(captured.splitlines()) == 1 and "Traceback" not in captured
    assert {p: p.read_bytes() for p in tmp_path.rglob("*.*") if p.is_file()} == before


# ---- bags --------------------------------------------------------------------------------------


@pytest.fixture
def bag(tmp_path):
    pytest.importorskip("rosbags", reason="bags need rosbags: pip install rosbags")
    from difiisr_ros.io.bags import CAMERA_INFO, COMPRESSED_IMAGE, BagWriter
    from support.bag_messages import camera_info, compressed, header

    path = tmp_path / "bag"
    with BagWriter(path, "sqlite3") as writer:
        writer.add_topic("/cam/image_raw", "sensor_msgs/msg/Image", reliable=False)
        for i in range(4):
            t = 10**18 + i * 10**8
            head = header(5 * 10**9 + i)
            writer.write_image("/cam/image_raw", t, smooth(i), head, "16UC1")
            writer.write("/cam/camera_info", CAMERA_INFO, t, camera_info(head, 17, 13))
            png = compressed(head, smooth(i), "mono16; png compressed")
            writer.write("/zip/image_raw/compressed", COMPRESSED_IMAGE, t, png)
    return path


def contents(path):
    from difiisr_ros.io.bags import BagReader

    with BagReader(path) as reader:
        return [(c.topic, c.msgtype, t, bytes(d)) for c, t, d in reader.read_raw()]


def test_a_bag_gets_results_beside_untouched_originals(tmp_path, bag, expected):
    from difiisr_ros.io.bags import BagReader

    out = tmp_path / "out"
    assert run(bag, out) == 0
    assert next(out.glob("*.db3"), None)  # stored as the input is
    old, new = contents(bag), contents(out)
    topics = {"/cam/image_raw", "/cam/camera_info", "/zip/image_raw/compressed"}
    assert [m for m in new if m[0] in topics] == old
    with BagReader(out) as reader:
        assert reader.image_topics() == [
            "/cam/image_raw",
            "/cam/sr/image_raw",
            "/zip/image_raw/compressed",
            "/zip/sr/image_raw",
        ]
        for topic, encoding in (("/cam/sr/image_raw", "16UC1"), ("/zip/sr/image_raw", "mono16")):
            records = list(reader.read_images(topic))
            assert len(records) == 4
            for i, record in enumerate(records):
                assert record.log_time_ns == 10**18 + i * 10**8
                assert record.message.encoding == encoding
                stamp = record.message.header.stamp
                assert (stamp.sec, stamp.nanosec) == (5, i)
                assert record.message.header.frame_id == "flir"
                np.testing.assert_array_equal(record.frame, expected(smooth(i)))
        info = reader.first_camera_info("/cam/sr/camera_info")
        assert (info.width, info.height) == (68, 52)
        assert list(info.k[[0, 2, 4, 5]]) == [80.0, 33.5, 80.0, 25.5]
        by_topic = {c.topic: c for c in reader.connections}
        assert (
            by_topic["/cam/sr/image_raw"].ext.offered_qos_profiles
            == by_topic["/cam/image_raw"].ext.offered_qos_profiles
        )


def test_topics_namespace_and_storage_can_be_chosen(tmp_path, bag):
    out = tmp_path / "out"
    assert run(bag, out, "--topic", "/cam/image_raw", "--namespace", "x4", "--storage", "mcap") == 0
    assert next(out.glob("*.mcap"), None)
    assert {m[0] for m in contents(out)} - {m[0] for m in contents(bag)} == {
        "/cam/x4/image_raw",
        "/cam/x4/camera_info",
    }


def test_unusable_messages_are_copied_and_reported(tmp_path, bag, caplog):
    from difiisr_ros.io.bags import IMAGE, BagWriter
    from support.bag_messages import header, image

    broken = image(header(), smooth(0), encoding="nonsense")
    source = tmp_path / "source"
    with BagWriter(source) as writer:
        writer.write("/a/image_raw", IMAGE, 1, broken)
        writer.write_image("/a/image_raw", 2, smooth(0))
    assert run(source, tmp_path / "out") == 0
    assert run(source, tmp_path / "strict", "--strict") == 2
    assert [m[0] for m in contents(tmp_path / "out")] == [
        "/a/image_raw",
        "/a/image_raw",
        "/a/sr/image_raw",
    ]
    assert "nonsense" in caplog.text


def test_bags_that_cannot_be_upscaled(tmp_path, bag, capsys):
    def says(words, *arguments):
        assert run(*arguments) == 2
        assert words in capsys.readouterr().err

    says("never overwritten", bag, bag)
    says("never overwritten", bag, bag / "x4")
    says("--recursive is for files", bag, tmp_path / "x", "--recursive")
    says("no images on /other; it has /cam/image_raw", bag, tmp_path / "x", "--topic", "/other")
    assert run(bag, tmp_path / "out") == 0
    capsys.readouterr()
    says("exists already", bag, tmp_path / "out")
    says("has /cam/sr/image_raw already", tmp_path / "out", tmp_path / "y")
    assert not (tmp_path / "x").exists() and not (tmp_path / "y").exists()
    assert not list(tmp_path.glob(".*"))  # no half-made bag either


def test_a_wide_colour_message_keeps_its_channels(tmp_path, expected):
    pytest.importorskip("rosbags", reason="bags need rosbags: pip install rosbags")
    from difiisr_ros.io.bags import BagReader, BagWriter

    gray = smooth(1, np.uint8)
    with BagWriter(tmp_path / "in") as writer:
        writer.write_image("/a/image_raw", 1, np.dstack([gray] * 3), None, "rgb8")
    assert run(tmp_path / "in", tmp_path / "out") == 0
    with BagReader(tmp_path / "out") as reader:
        (record,) = reader.read_images("/a/sr/image_raw")
    assert (record.message.encoding, record.message.step) == ("rgb8", 3 * 68)
    np.testing.assert_array_equal(record.frame, expected(gray))


def test_what_is_known_of_the_camera_and_the_bound_reach_the_engine(tmp_path):
    pytest.importorskip("torch", reason="the model needs torch")
    profile, frame = tmp_path / "camera.yaml", smooth(1)
    profile.write_text("noise: 20\nblur: 0.6\n")
    write_image(tmp_path / "in.png", frame)
    torch = ["--backend", "torch", "--camera", str(profile), "--overshoot", "0.1"]
    assert main(["upscale", str(tmp_path / "in.png"), str(tmp_path / "out.png"), *torch]) == 0
    engine = SuperResolver.load(backend="torch", camera=profile, overshoot=0.1)
    result = engine.upscale(frame)
    np.testing.assert_array_equal(read_image(tmp_path / "out.png"), result)
    assert (result != SuperResolver.load(backend="torch", camera=profile).upscale(frame)).any()
    assert (result != SuperResolver.load(backend="torch", overshoot=0.1).upscale(frame)).any()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--camera", "/nowhere.yaml"], "/nowhere.yaml: the camera profile cannot be read"),
        (["--overshoot", "2"], "overshoot"),
    ],
)
def test_a_camera_or_a_bound_that_cannot_be_is_named(tmp_path, capsys, options, said):
    write_image(tmp_path / "in.png", smooth(1))
    assert run(tmp_path / "in.png", tmp_path / "out.png", *options) == 2
    assert said in capsys.readouterr().err
    assert not (tmp_path / "out.png").exists()
