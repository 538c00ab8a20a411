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

"""What the demo makes of a run: figures, PSNR, pictures."""

from __future__ import annotations

import numpy as np
import pytest

from difiisr_ros.commands import demo_report
from difiisr_ros.commands.demo_picture import PANEL_WIDTH, Box, Panel, compose
from difiisr_ros.commands.demo_report import (
    INPUT,
    OUTPUT,
    compare,
    count_found,
    draw,
    finder,
    node_figures,
    read_pairs,
    spaced,
    stream_figures,
    summary_text,
)
from difiisr_ros.lab.evaluation.methods import bicubic_upscale
from difiisr_ros.lab.frames.degrade import truth_at
from difiisr_ros.models.detector.boxes import Detections
from difiisr_ros.scene.street import SyntheticScene

S = 10**9


def test_figures_come_from_what_was_sent_and_what_arrived():
    played = {"stamps_ns": [i * S // 10 for i in range(50)]}
    stamps = [s for i, s in enumerate(played["stamps_ns"]) if i != 7]
    measured = {
        "output_stamps_ns": [*stamps, 12345],  # the last has a stamp that nobody sent
        "latencies_ms": [10.0] * 48 + [30.0] + [0.0],
    }
    figures = stream_figures(played, measured)
    assert (figures["frames_in"], figures["frames_out"], figures["dropped"]) == (50, 49, 1)
    assert figures["unmatched_outputs"] == 1
    assert figures["latency_ms"] == {"p50": 10.0, "p95": 10.0, "p99": 30.0}
    assert figures["fps"] == pytest.approx(48 / 4.92, abs=0.01)


def test_nothing_out_is_no_division_by_zero():
    figures = stream_figures({"stamps_ns": [1, 2]}, {"output_stamps_ns": [], "latencies_ms": []})
    assert (figures["frames_out"], figures["fps"]) == (0, 0.0)
    assert figures["latency_ms"]["p99"] is None


def test_diagnostics_are_understood_and_may_be_missing():
    figures = node_figures(
        {
            "inference": {"latency p99 (ms)": "12.50", "noise (counts)": "7.006"},
            "backend": {
                "backend": "torch",
                "num_steps": "2",
                "fallback": "",
                "camera": "noise 7 counts",
            },
        }
    )
    assert figures["node_latency_ms"] == {"p50": None, "p95": None, "p99": 12.5}
    assert (figures["backend"], figures["num_steps"], figures["fallback"]) == ("torch", 2, None)
    assert (figures["camera"], figures["noise_counts"]) == ("noise 7 counts", 7.006)
    assert node_figures({})["backend"] is None
    assert node_figures({})["noise_counts"] is None


@pytest.mark.parametrize(("length", "wanted"), [(0, 4), (1, 4), (3, 4), (10, 4), (600, 40)])
def test_spaced_indices_are_distinct_and_spread(length, wanted):
    indices = spaced(length, wanted)
    assert len(set(indices)) == min(length, wanted)
    assert all(0 <= i < length for i in indices)
    if length > wanted:
        assert max(np.diff(indices)) - min(np.diff(indices)) <= 1


@pytest.fixture(scope="module")
def scene():
    return SyntheticScene(48, 36)


def test_gain_is_zero_for_bicubic_and_positive_for_something_better(scene):
    def pairs(make):
        frames = [scene.frame(i) for i in (10, 20)]
        return [demo_report.Pair(i, lr, make(lr, hr)) for i, (lr, hr) in enumerate(frames)]

    truths = [scene.truth(10), scene.truth(20)]
    plain = compare(pairs(lambda lr, hr: bicubic_upscale(lr)), lambda s: truths[s])
    assert plain["psnr_gain_db"] == 0.0 and plain["frames_compared"] == 2

    def halfway(lr, hr):
        return ((bicubic_upscale(lr).astype(float) + hr) / 2).astype(np.uint16)

    # half the error is 20 log10(2) = 6.02 dB more
    better = compare(pairs(halfway), lambda s: truths[s])
    assert better["psnr_gain_db"] == pytest.approx(6.02, abs=0.05)
    unknown = compare(pairs(halfway), lambda s: None)
    assert unknown["psnr_gain_db"] is None and unknown["frames_compared"] == 0


@pytest.mark.parametrize("scale", [2, 1])
def test_results_of_other_scales_are_compared_at_theirs(scene, tmp_path, scale):
    lr, hr = scene.frame(10)
    truth, plain = truth_at(scene.truth(10), scale), bicubic_upscale(lr, scale)
    halfway = ((plain.astype(float) + truth) / 2).round().astype(np.uint16)
    pair = demo_report.Pair(10, lr, halfway)
    found = compare([pair], lambda s: scene.truth(s))
    assert found["psnr_gain_db"] == pytest.approx(6.02, abs=0.05)
    assert found["frames_compared"] == 1
    assert draw([pair], lambda s: scene.truth(s), "ours", tmp_path) == ["frame_1.png"]
    other = compare([pair], lambda s: hr[:-4])  # a truth of other frames
    assert other["frames_compared"] == 0


def test_pairs_are_matched_by_stamp(tmp_path, scene):
    pytest.importorskip("rosbags", reason="bags need rosbags: pip install rosbags")
    from difiisr_ros.io.bags import BagWriter

    lrs = [scene.frame(i)[0] for i in range(6)]
    with BagWriter(tmp_path / "bag") as writer:
        for i, lr in enumerate(lrs):
            writer.write_image(INPUT, 1000 + i, lr)
        for i in (5, 1, 3):  # some results are missing, and they may come in any order
            writer.write_image(OUTPUT, 1000 + i, bicubic_upscale(lrs[i]))
    pairs = read_pairs(tmp_path / "bag", 40)
    assert [p.stamp for p in pairs] == [1001, 1003, 1005]
    for pair in pairs:
        np.testing.assert_array_equal(pair.lr, lrs[pair.stamp - 1000])
        np.testing.assert_array_equal(pair.sr, bicubic_upscale(pair.lr))


def test_pictures_show_all_panels_alike(tmp_path):
    lr, truth = SyntheticScene().frame(125)
    pair = demo_report.Pair(0, lr, bicubic_upscale(lr))
    with_truth = draw([pair], lambda s: truth, "ours", tmp_path)
    assert with_truth == ["frame_1.png"]
    import cv2

    sheet = cv2.imread(str(tmp_path / "frame_1.png"))
    assert sheet.shape[1] > 4 * 480 and sheet.shape[0] > 2 * 360
    draw([pair], lambda s: None, "ours", tmp_path / "no_truth")
    narrower = cv2.imread(str(tmp_path / "no_truth" / "frame_1.png"))
    assert sheet.shape[1] - narrower.shape[1] > 480
    # the same tones: the mean of every panel's whole-frame part is nearly the same
    panels = [sheet[40:380, i * 486 + 2 : i * 486 + 478].mean() for i in range(4)]
    assert max(panels) - min(panels) < 6
    # and of the enlarged details the truth's is the sharpest
    sharpness = [
        np.abs(cv2.Laplacian(sheet[400:740, i * 486 + 4 : i * 486 + 470, 0], cv2.CV_32F)).mean()
        for i in (1, 3)
    ]
    assert sharpness[1] > 1.3 * sharpness[0]


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize("shape", [(1, 1), (3, 5), (40, 30)])
def test_any_frame_can_be_drawn(dtype, shape):
    frame = np.arange(shape[0] * shape[1]).reshape(shape).astype(dtype)
    if dtype is np.float32:
        frame[0, 0] = np.nan
    sheet = compose([Panel("a", frame), Panel("b", bicubic_upscale(frame))])
    assert sheet.dtype == np.uint8 and sheet.shape[2] == 3


def test_boxes_are_drawn_on_the_panel_that_they_were_found_in():
    frame = np.zeros((30, 40), np.uint8)
    frame[10:14, 20:24] = 200
    large = bicubic_upscale(frame)
    whole = Box((0.0, 0.0, 159.0, 119.0), "")
    plain = compose([Panel("a", frame), Panel("b", large), Panel("c", large)])
    sheet = compose([Panel("a", frame), Panel("b", large), Panel("c", large, [whole])])
    changed = np.argwhere((plain != sheet).any(axis=2))
    rows, columns = changed.min(axis=0), changed.max(axis=0)
    panel = 2 * (PANEL_WIDTH + 6)  # the third
    assert rows.tolist() == [30, panel] and columns[1] - panel == 3 * 159


def test_boxes_in_the_detail_are_where_the_object_is():
    frame = np.zeros((60, 80), np.uint8)
    frame[20:24, 40:48] = 200
    large = bicubic_upscale(frame)
    box = Box((160.0, 80.0, 192.0, 96.0), "")
    plain = compose([Panel("a", frame), Panel("b", large)])
    sheet = compose([Panel("a", frame), Panel("b", large, [box])])
    below = 30 + 360 + 6  # the detail's first row
    changed = np.argwhere((plain != sheet).any(axis=2)[below:])
    (top, left), (bottom, right) = changed.min(axis=0), changed.max(axis=0)
    # The detail is 80 pixels of 320 wide, enlarged six times.
    assert (right - left, bottom - top) == (32 * 6, 16 * 6)
    inside = plain[below + top : below + bottom, left:right, 0]
    assert inside.mean() > 150


def test_what_a_detector_finds_is_drawn_and_counted(tmp_path, scene):
    class Bright:
        """Finds one object in every frame that has a wider range than bicubic's."""

        classes = ("car",)

        def detect(self, pixels, min_score):
            found = int(pixels.max() == 65535)
            return Detections(
                np.array([[4, 4, 30, 20]], np.float32)[:found],
                np.array([0.5], np.float32)[:found],
                np.zeros(found, np.int64),
            )

    lr = scene.frame(0)[0]
    sr = bicubic_upscale(lr)
    sr[0, 0] = 65535
    pairs = [demo_report.Pair(1, lr, sr)]
    find = finder(Bright())
    assert find(sr) == [Box((4.0, 4.0, 30.0, 20.0), "car 0.50")]
    assert count_found(pairs, find) == {"bicubic": 0, "ours": 1}
    draw(pairs, lambda stamp: None, "ours", tmp_path)
    plain = (tmp_path / "frame_1.png").read_bytes()
    draw(pairs, lambda stamp: None, "ours", tmp_path, find)
    assert (tmp_path / "frame_1.png").read_bytes() != plain


def test_the_summary_says_what_matters():
    summary = {
        "frames_in": 600, "frames_out": 598, "dropped": 2, "fps": 29.97,
        "latency_ms": {"p50": 9.1, "p95": 12.0, "p99": 15.5},
        "node_latency_ms": {"p50": None, "p95": None, "p99": None},
        "backend": "bicubic", "model": "none", "device": "cpu", "precision": "fp32",
        "num_steps": 1, "camera": "noise 7 counts, blur 0.45 px (camera.yaml)",
        "fallback": "torch is missing", "psnr_gain_db": 1.5,
        "psnr_db": {"ours": 36.5, "bicubic": 35.0}, "frames_compared": 40,
        "pictures": ["frame_1.png"], "bag": {"megabytes": 390.2}, "out": "out/demo",
        "notes": ["node ended with exit code 1"],
        "left_out": {name: f"{name}: is not an image" for name in "abcde"},
    }  # fmt: skip
    text = summary_text(summary)
    for words in (
        "left out  5: a: is not an image; b: is not an image; c: is not an image; 2 more in player",
        "600 in, 598 out, 2 dropped",
        "p99 15.5",
        "told      noise 7 counts, blur 0.45 px (camera.yaml)",
        "torch is missing",
        "+1.50 dB",
        "35.00 -> 36.50",
        "bag/ (390 MB)",
        "exit code 1",
        "unknown ms in the node",
    ):
        assert words in text
