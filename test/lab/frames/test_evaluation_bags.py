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

"""Bags as streams of frames to evaluate: cameras, windows, truth, and what is left out."""

from __future__ import annotations

import json
import re

import cv2
import numpy as np
import pytest

pytest.importorskip("rosbags", reason="bags need rosbags: pip install rosbags")


from difiisr_ros import cli
from difiisr_ros.errors import DataError, OptionError
from difiisr_ros.io.bags import CAMERA_INFO, COMPRESSED_IMAGE, BagWriter
from difiisr_ros.lab.frames.degrade import camera_frame, degrade_bicubic
from difiisr_ros.lab.frames.open_streams import open_streams
from difiisr_ros.lab.frames.streams import StreamOptions, first_samples
from support.bag_messages import TYPES, compressed, header

T0 = 1_700_000_000_000_000_000
STEP = 100_000_000  # 10 Hz


def scene(index: int, height: int = 48, width: int = 64, dtype=np.uint16) -> np.ndarray:
    coarse = np.random.default_rng(index).random((9, 12)).astype(np.float32)
    unit = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC).clip(0, 1)
    low, span = {np.uint8: (0, 255), np.uint16: (29000, 900), np.float32: (280, 20)}[dtype]
    return (unit * span + low).astype(dtype)


@pytest.fixture
def bag(tmp_path):
    """Ten frames of one camera; stamps lie 5 ms before the log times."""
    with BagWriter(tmp_path / "bag") as writer:
        for i in range(10):
            time = T0 + STEP * i
            writer.write_image("/cam/image_raw", time, scene(i), header(time - 5_000_000))
    return tmp_path / "bag"


def streams(path, **options):
    return open_streams([path], StreamOptions(**options))


def samples(path, **options):
    (stream,) = streams(path, **options)
    return list(stream.samples())


def run(*arguments) -> int:
    return cli.main(["evaluate", *map(str, arguments), "--backend", "bicubic"])


def test_recorded_frames_are_the_truth(bag):
    found = samples(bag, degradation="reduced")
    assert [s.index for s in found] == list(range(10))
    for i, sample in enumerate(found):
        np.testing.assert_array_equal(sample.hr, scene(i))
        np.testing.assert_array_equal(sample.lr, degrade_bicubic(scene(i)))
        assert sample.topic == "/cam/image_raw" and sample.name == f"/cam/image_raw {i}"
        assert sample.log_time_ns == T0 + STEP * i
        assert sample.stamp_ns == sample.log_time_ns - 5_000_000


def test_camera_degradation_does_not_depend_on_what_else_is_taken(bag):
    whole = samples(bag, degradation="camera", seed=3)
    part = samples(bag, degradation="camera", seed=3, every=4, start_s=0.0)
    for sample in part:
        np.testing.assert_array_equal(sample.lr, whole[sample.index].lr)
    assert (whole[0].lr != samples(bag, degradation="camera", seed=4)[0].lr).any()
    assert (whole[0].lr != degrade_bicubic(scene(0))).any()
    assert camera_frame(scene(0), 1)[0].dtype == np.uint16


def test_the_camera_is_the_default_and_its_noise_can_be_chosen(bag):
    plain = samples(bag, limit=1)[0].lr
    np.testing.assert_array_equal(plain, samples(bag, limit=1, degradation="camera")[0].lr)
    span = np.ptp(scene(0).astype(float))
    quiet, loud = (
        samples(bag, limit=1, noise_percent=noise)[0].lr.astype(float) for noise in (0, 20)
    )
    # Blur and pattern are the same, so that only the white noise is different.
    assert (loud - quiet).std() == pytest.approx(0.2 * span, rel=0.25)


def test_blur_and_pattern_belong_to_the_camera_and_noise_to_the_frame(tmp_path):
    with BagWriter(tmp_path / "bag") as writer:
        for i in range(3):
            for topic in ("/a", "/b"):
                writer.write_image(topic, T0 + STEP * i, scene(0))
    a, b = (
        [s.lr.astype(float) for s in stream.samples()]
        for stream in streams(tmp_path / "bag", noise_percent=0)
    )
    np.testing.assert_array_equal(a[0], a[2])
    assert np.abs(a[0] - b[0]).max() > 1
    noisy = samples(tmp_path / "bag", topics=("/a",))
    assert np.abs(noisy[0].lr.astype(float) - noisy[1].lr).mean() > 3


def test_window_every_and_limit(bag):
    def times(**options):
        return [round((s.log_time_ns - T0) / 1e9, 3) for s in samples(bag, **options)]

    assert times(start_s=0.25) == [0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9]
    assert times(start_s=0.25, duration_s=0.3) == [0.3, 0.4, 0.5]
    assert times(every=4) == [0.0, 0.4, 0.8]
    assert times(every=4, limit=2) == [0.0, 0.4]
    (stream,) = streams(bag, start_s=0.5, every=2)
    assert len(stream) in (2, 3)  # what the progress bar shows


def test_a_window_beyond_the_end_is_an_error(bag, capsys):
    assert run(bag, "--start", 60) == 2
    assert "has no frame to evaluate" in capsys.readouterr().err


def test_going_on_gives_the_rest(bag):
    (stream,) = streams(bag, every=2, limit=4)
    whole = list(stream.samples())
    assert [s.index for s in whole] == [0, 2, 4, 6]
    rest = list(stream.samples(after=2, done=2))
    assert [s.index for s in rest] == [4, 6]
    np.testing.assert_array_equal(rest[0].lr, whole[2].lr)
    again = stream.frame(4, whole[2].log_time_ns)
    assert (again.name, again.index) == (whole[2].name, 4)
    np.testing.assert_array_equal(again.lr, whole[2].lr)
    np.testing.assert_array_equal(again.hr, whole[2].hr)


def test_all_cameras_are_found_but_no_copies_results_depth_or_empty_topics(tmp_path):
    with BagWriter(tmp_path / "bag") as writer:
        for i in range(3):
            writer.write_image("/left/image_raw", T0 + i, scene(i))
            writer.write_image("/left/sr/image_raw", T0 + i, scene(i))
        raw = compressed(header(T0), scene(0), "16UC1; png compressed ")
        writer.write("/left/image_raw/compressed", COMPRESSED_IMAGE, T0, raw)
        writer.write("/right/image_raw/compressed", COMPRESSED_IMAGE, T0, raw)
        depth = compressed(header(T0), scene(0), "16UC1; compressedDepth png")
        writer.write("/depth/image/compressedDepth", COMPRESSED_IMAGE, T0, depth)
        writer.add_topic("/broken/image_raw", "sensor_msgs/msg/Image")
    found = streams(tmp_path / "bag")
    assert [s.topic for s in found] == ["/left/image_raw", "/right/image_raw/compressed"]
    (notice,) = found[0].notices
    for words in ("copy of", "super-resolved already", "(depth)", "(no messages)"):
        assert words in notice
    (right,) = found[1].samples()
    np.testing.assert_array_equal(right.hr, scene(0))
    chosen = streams(tmp_path / "bag", topics=("/left/sr/image_raw", "/left/image_raw"))
    assert [s.topic for s in chosen] == ["/left/sr/image_raw", "/left/image_raw"]


def test_cameras_are_listed_and_averaged(tmp_path, capsys):
    with BagWriter(tmp_path / "bag") as writer:
        for i in range(4):
            writer.write_image("/a/image_raw", T0 + STEP * i, scene(i))
            writer.write_image("/b/image_raw", T0 + STEP * i, scene(i + 50, 64, 80))
    out = tmp_path / "r.json"
    assert run(tmp_path / "bag", "--workers", 1, "--json", out) == 0
    report = json.loads(out.read_text())
    assert report["frames"] == 8
    assert [(s["topic"], s["frames"], s["lr_size"]) for s in report["sources"]] == [
        ("/a/image_raw", 4, "16x12"),
        ("/b/image_raw", 4, "20x16"),
    ]
    assert "/b/image_raw: 4 frames, 20x16 in" in capsys.readouterr().out


def test_paired_topics_are_matched_by_stamp(tmp_path):
    with BagWriter(tmp_path / "bag") as writer:
        for i in range(6):
            hr, stamp = scene(i), T0 + STEP * i
            # The truth comes late, 2 ms off, and is missing once.
            writer.write_image("/lr", stamp, degrade_bicubic(hr), header(stamp))
            if i != 3:
                late = stamp + 250_000_000
                writer.write_image("/hr", late, hr, header(stamp + 2_000_000))
    options = {"topics": ("/lr",), "reference_topic": "/hr"}
    (stream,) = streams(tmp_path / "bag", **options)
    found = list(stream.samples())
    assert stream.mode == "paired" and [s.index for s in found] == [0, 1, 2, 4, 5]
    for sample in found:
        np.testing.assert_array_equal(sample.hr, scene(sample.index))
        np.testing.assert_array_equal(sample.lr, degrade_bicubic(scene(sample.index)))
    assert any("1 messages have no partner" in n for n in stream.notices)
    again = stream.frame(4, found[3].log_time_ns)
    np.testing.assert_array_equal(again.hr, scene(4))
    with pytest.raises(DataError, match=r"nearest are 0\.002 s apart"):
        samples(tmp_path / "bag", **options, match_tolerance_s=0.001)


def test_a_reference_of_the_wrong_size(tmp_path, capsys):
    with BagWriter(tmp_path / "bag") as writer:
        writer.write_image("/lr", T0, scene(0, 16, 16))
        writer.write_image("/hr", T0, scene(0, 32, 32))
    assert run(tmp_path / "bag", "--topic", "/lr", "--reference-topic", "/hr") == 2
    error = capsys.readouterr().err
    assert "/hr 0: is 32x32, 4 times /lr 0 (16x16) is 64x64" in error


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"reference_topic": "/hr"}, "needs the one camera topic"),
        (
            {"reference_topic": "/hr", "topics": ("/cam/image_raw",), "no_reference": True},
            "exclude each other",
        ),
        ({"start_s": -1.0}, "start must be 0"),
        ({"duration_s": 0.0}, "duration above 0"),
        ({"match_tolerance_s": -1.0}, "tolerance"),
    ],
)
def test_options_that_make_no_sense(options, said):
    with pytest.raises(OptionError, match=said):
        StreamOptions(**options)


@pytest.mark.parametrize("arguments", [["--topic", "/no"], ["--topic", "/cam/image_raw"]])
def test_unknown_topics_are_named(bag, capsys, arguments):
    arguments += ["--reference-topic", "/hr"] if "/cam/image_raw" in arguments else []
    assert run(bag, *arguments) == 2
    assert "it has /cam/image_raw" in capsys.readouterr().err


def test_a_topic_of_another_type_is_named_with_it(tmp_path, capsys):
    text = TYPES["std_msgs/msg/String"](data="hello")
    with BagWriter(tmp_path / "bag") as writer:
        writer.write_image("/cam", T0, scene(0))
        writer.write("/chat", "std_msgs/msg/String", T0, text)
    assert run(tmp_path / "bag", "--topic", "/chat") == 2
    assert "/chat (std_msgs/msg/String only); it has /cam" in capsys.readouterr().err


def test_the_progress_bar_has_rate_and_remaining_time(bag, monkeypatch):
    import io
    import sys

    terminal = io.StringIO()
    terminal.isatty = lambda: True
    monkeypatch.setattr(sys, "stderr", terminal)
    assert run(bag) == 0
    shown = terminal.getvalue()
    assert "10/10" in shown and "frame/s" in shown and "PSNR" in shown
    assert re.search(r"\d\d:\d\d<", shown)  # elapsed<remaining


def test_a_bag_without_images(tmp_path, capsys):
    info = TYPES["std_msgs/msg/String"](data="hello")
    with BagWriter(tmp_path / "bag") as writer:
        writer.write("/chat", "std_msgs/msg/String", T0, info)
    assert run(tmp_path / "bag") == 2
    error = capsys.readouterr().err
    assert "has no image topic" in error and "/chat" in error
    assert CAMERA_INFO not in error


def test_mixed_sizes_and_types_of_one_camera_name_both_frames(tmp_path, capsys):
    with BagWriter(tmp_path / "sizes") as writer:
        writer.write_image("/cam", T0, scene(0))
        writer.write_image("/cam", T0 + STEP, scene(1, 64, 80))
    with BagWriter(tmp_path / "types") as writer:
        writer.write_image("/cam", T0, scene(0))
        writer.write_image("/cam", T0 + STEP, scene(1, dtype=np.uint8))
    with BagWriter(tmp_path / "encodings") as writer:  # both would be read as 16 bits
        writer.write_image("/cam", T0, scene(0))
        writer.write_image("/cam", T0 + STEP, scene(1), encoding="16UC1")
    out = tmp_path / "r.json"
    found = {"sizes": "80x64 mono16", "types": "64x48 mono8", "encodings": "64x48 16UC1"}
    for name, second in found.items():
        assert run(tmp_path / name, "--no-reference", "--json", out) == 2
        error = capsys.readouterr().err.splitlines()[-1]
        assert f"/cam 0 is 64x48 mono16, /cam 1 is {second};" in error
    assert not out.exists()


def test_cameras_of_different_types_are_not_averaged(tmp_path, capsys):
    with BagWriter(tmp_path / "bag") as writer:
        writer.write_image("/a", T0, scene(0))
        writer.write_image("/b", T0, scene(0, dtype=np.uint8))
    assert run(tmp_path / "bag", "--workers", 1) == 2
    error = capsys.readouterr().err
    assert "/a is uint16" in error and "/b is uint8" in error and "--topic" in error
    assert run(tmp_path / "bag", "--topic", "/b") == 0


def test_unusable_messages_are_left_out_and_said(tmp_path, capsys):
    with BagWriter(tmp_path / "bag") as writer:
        for i in range(8):
            frame = scene(i, dtype=np.float32)
            if i in (2, 5):
                frame[3, 4] = np.nan
            writer.write_image("/cam", T0 + STEP * i, frame)
    out = tmp_path / "r.json"
    assert run(tmp_path / "bag", "--json", out) == 0
    report = json.loads(out.read_text())
    assert report["frames"] == 6
    assert any("2 messages hold no usable frame" in n and "NaN" in n for n in report["notes"])
    assert "note: " in capsys.readouterr().out


def test_nothing_but_unusable_messages(tmp_path, capsys):
    with BagWriter(tmp_path / "bag") as writer:
        writer.write_image("/cam", T0, np.full((48, 64), np.nan, np.float32))
    assert run(tmp_path / "bag") == 2
    error = capsys.readouterr().err
    assert "has no frame to evaluate" in error and "NaN" in error


@pytest.mark.parametrize("storage", ["mcap", "sqlite3"])
def test_a_cut_off_bag_is_evaluated_as_far_as_it_goes(tmp_path, storage, capsys):
    rng = np.random.default_rng(0)
    with BagWriter(tmp_path / "bag", storage) as writer:
        for i in range(60):
            noisy = (scene(i, 120, 160) + rng.integers(0, 5, (120, 160))).astype(np.uint16)
            writer.write_image("/cam", T0 + STEP * i, noisy)
    (file,) = (p for p in (tmp_path / "bag").iterdir() if p.suffix in (".mcap", ".db3"))
    with file.open("r+b") as handle:
        handle.truncate(int(file.stat().st_size * 0.7))
    out = tmp_path / "r.json"
    assert run(tmp_path / "bag", "--json", out) == 0
    report = json.loads(out.read_text())
    assert 20 <= report["frames"] < 45
    assert any("readable messages" in note for note in report["notes"])
    assert "cannot be read by its index" in capsys.readouterr().out


def test_flicker_is_that_of_still_regions(tmp_path):
    """A still scene with noise: flicker is the noise, and what blurs it away has less."""
    rng = np.random.default_rng(1)
    still = scene(0, 96, 128).astype(float)
    with BagWriter(tmp_path / "bag") as writer:
        for i in range(12):
            frame = (still + rng.normal(scale=2, size=still.shape)).astype(np.uint16)
            writer.write_image("/cam", T0 + STEP * i, frame)
    out = tmp_path / "r.json"
    how = ("--degradation", "reduced")
    assert run(tmp_path / "bag", *how, "--json", out, "--csv", tmp_path / "f.csv") == 0
    report = json.loads(out.read_text())
    # |difference| of two normal variables of standard deviation 2 (and rounding down)
    assert report["truth"]["flicker"] == pytest.approx(2 * 2 / np.pi**0.5, rel=0.1)
    assert report["methods"]["bicubic"]["flicker"] < 0.5 * report["truth"]["flicker"]
    first = (tmp_path / "f.csv").read_text().splitlines()[1].split(",")
    head = (tmp_path / "f.csv").read_text().splitlines()[0].split(",")
    assert first[head.index("flicker")] == ""  # the first frame has none before it


def test_a_moving_picture_has_no_flicker(bag, tmp_path, capsys):
    out = tmp_path / "r.json"
    assert run(bag, "--json", out) == 0
    assert "flicker" not in json.loads(out.read_text())["methods"]["bicubic"]
    assert "note: no flicker" in capsys.readouterr().out


def test_several_bags_at_once(bag, tmp_path):
    with BagWriter(tmp_path / "other", "sqlite3") as writer:
        for i in range(4):
            writer.write_image("/cam/image_raw", T0 + STEP * i, scene(i + 20))
    out = tmp_path / "r.json"
    assert run(bag, tmp_path / "other", "--workers", 1, "--json", out) == 0
    report = json.loads(out.read_text())
    assert [s["frames"] for s in report["sources"]] == [10, 4]
    assert report["frames"] == 14


def test_frames_that_are_no_truth_and_frames_that_are_cannot_be_mixed(bag, tmp_path):
    from difiisr_ros.io.images import write_image

    write_image(tmp_path / "pairs" / "HR" / "a.png", scene(0))
    write_image(tmp_path / "pairs" / "LR" / "a.png", degrade_bicubic(scene(0)))
    with pytest.raises(DataError, match=r"self_referenced.*paired"):
        open_streams([bag, tmp_path / "pairs"], StreamOptions())


def test_the_first_frames_are_looked_at_before_the_work(bag):
    (sample,) = first_samples(streams(bag))
    assert sample.index == 0
