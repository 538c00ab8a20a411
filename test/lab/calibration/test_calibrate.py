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

"""difiisr calibrate: known cameras are found, and what cannot be known is not guessed."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from functools import lru_cache

import cv2
import numpy as np
import pytest

from difiisr_ros.cli import main
from difiisr_ros.core.camera_profile import CameraProfile
from difiisr_ros.errors import DataError
from difiisr_ros.io.images import write_image
from difiisr_ros.lab.calibration.blur import BlurFit
from difiisr_ros.lab.calibration.measure import Sample, _blur, calibrate, sample_frames
from difiisr_ros.lab.calibration.noise import block_energies
from difiisr_ros.lab.calibration.record import as_lines

SCALE = 4


def _canvas(seed: int = 3) -> np.ndarray:
    """Hard-edged shapes of many temperatures and directions, without a blur of its own."""
    random = np.random.default_rng(seed)
    canvas = np.full((2 * 640, 2 * 800), 4000.0, np.float32)
    for _ in range(12):
        centre, size = random.uniform([100, 100], [1500, 1180]), random.uniform(90, 240, 2)
        turn = random.uniform(0, np.pi)
        axes = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
        corners = (np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) * size) @ axes.T + centre
        cv2.fillPoly(canvas, [corners.astype(np.int32)], float(random.uniform(3000, 5500)))
    return cv2.resize(canvas, (800, 640), interpolation=cv2.INTER_AREA)


CANVAS = _canvas()


@lru_cache
def _blurred(blur: float) -> np.ndarray:
    return cv2.GaussianBlur(CANVAS, (0, 0), blur * SCALE)


def camera(
    count: int = 5, *, blur: float = 0.5, noise: float = 8.0, still: bool = False, seed: int = 0
) -> list[np.ndarray]:
    """Frames of 160 x 120 whole counts, the camera moving over the canvas."""
    random, frames = np.random.default_rng(seed), []
    soft = _blurred(blur)
    for i in range(count):
        down, right = (0, 0) if still else ((37 * i) % 160, (53 * i) % 160)
        part = soft[down : down + 480, right : right + 640]
        frame = cv2.resize(part, (160, 120), interpolation=cv2.INTER_AREA)
        frame = frame + noise * random.standard_normal(frame.shape)
        frames.append(np.rint(frame).astype(np.uint16))
    return frames


def measure(frames: list[np.ndarray]):
    return calibrate(sample_frames(frames))


@lru_cache
def _usual():
    return measure(camera())


@pytest.mark.parametrize("blur, noise", [(0.3, 5.0), (0.5, 20.0), (0.9, 50.0)])
def test_a_known_camera_is_found(blur, noise):
    found = measure(camera(8, blur=blur, noise=noise))
    assert found.noise == pytest.approx(noise, rel=0.1)
    assert abs(found.noise - noise) < 4 * found.noise_error
    assert found.blur == pytest.approx(blur, abs=0.08)
    assert abs(found.blur - blur) < 3 * found.blur_error
    assert found.blur_fit.edges >= 30 and not found.notes


def test_noise_of_real_scenes_is_found(drone_frames):
    from difiisr_ros.io.images import read_image

    random, frames = np.random.default_rng(2), []
    for path in drone_frames:
        hr = cv2.GaussianBlur(read_image(path).astype(np.float32), (0, 0), 1.2)
        clean = 40 * cv2.resize(hr, (160, 128), interpolation=cv2.INTER_AREA)
        frames.append(np.rint(clean + 60 * random.standard_normal(clean.shape)).astype(np.uint16))
    found = measure(frames)
    assert found.noise == pytest.approx(60, rel=0.1)
    # The frames themselves are blurred by about one of their pixels, half of one here.
    assert found.blur == pytest.approx(np.hypot(0.6, 0.5), abs=0.1)


def test_frames_in_steps_of_several_counts_are_not_noisier():
    frames = [np.rint(frame / 16).astype(np.uint16) * 16 for frame in camera(noise=10.0)]
    found = measure(frames)
    assert found.step == 16
    assert found.noise == pytest.approx(10.0, rel=0.06)


def test_noise_that_rounding_hides_in_part_is_left_out():
    frames = [np.rint(frame / 16).astype(np.uint16) * 16 for frame in camera(noise=6.0)]
    found = measure(frames)
    assert found.noise is None or abs(found.noise - 6) < 3 * found.noise_error


def test_offsets_of_columns_and_rows_are_found_and_are_no_noise():
    random = np.random.default_rng(4)
    columns, rows = 12 * random.standard_normal((1, 160)), 4 * random.standard_normal((120, 1))
    frames = [np.rint(f + columns + rows).astype(np.uint16) for f in camera(count=10, noise=6.0)]
    found = measure(frames)
    assert found.columns.sigma == pytest.approx(12, rel=0.35)
    assert found.columns.fixed == pytest.approx(12, rel=0.35)
    assert found.rows.sigma == pytest.approx(4, rel=0.35)
    assert found.noise == pytest.approx(6.0, rel=0.1)
    without = _usual()
    assert without.columns.sigma < 1.0 and without.rows.sigma < 1.0


def test_levels_and_lines_are_in_no_band():
    columns, rows = np.random.default_rng(0).normal(size=(2, 64, 1)).astype(np.float32)
    levels = np.kron(np.arange(64).reshape(8, 8), np.ones((8, 8))).astype(np.float32)
    energies = block_energies(levels + columns.T + rows)
    assert len(energies) >= 60 and energies.max() < 1e-9


def test_stuck_pixels_are_found_and_disturb_nothing():
    frames = camera()
    places = [(20, 30), (60, 80), (100, 140), (0, 0)]
    for frame in frames:
        for (row, column), value in zip(places, (65535, 0, 9000, 65535), strict=True):
            frame[row, column] = value
    found, clean = measure(frames), _usual()
    assert sorted(map(tuple, found.stuck.tolist())) == sorted(places)
    assert found.stuck_certain
    assert found.noise == pytest.approx(clean.noise, rel=0.05)
    assert found.blur == pytest.approx(clean.blur, abs=0.02)
    assert len(clean.stuck) == 0


def test_small_hot_targets_are_not_stuck_pixels():
    frames = camera()
    for i, frame in enumerate(frames):
        frame[20 + 3 * i, 40] = 60000
    assert len(measure(frames).stuck) == 0


def test_noise_that_stays_is_told_from_noise_that_changes():
    fixed = 8 * np.random.default_rng(9).standard_normal((120, 160))
    frames = [np.rint(f + fixed).astype(np.uint16) for f in camera(count=6, noise=3.0, still=True)]
    found = measure(frames)
    assert found.noise == pytest.approx(np.hypot(8, 3), rel=0.1)
    assert found.noise_changing == pytest.approx(3.0, rel=0.1)


def test_frames_that_are_repeated_do_not_count_as_without_noise():
    frames = [frame for frame in camera(count=4, noise=8.0, still=True) for _ in range(2)]
    assert measure(frames).noise_changing == pytest.approx(8.0, rel=0.1)


def test_the_same_edge_again_is_no_second_edge():
    one, many = (measure(camera(count=n, still=True)) for n in (1, 6))
    assert len(many.edges) < 1.5 * len(one.edges)


def test_one_frame_says_nothing_of_what_changes():
    found = measure(camera(count=1))
    assert found.noise_changing is None and "one frame" in found.reasons["changing noise"]
    assert found.noise == pytest.approx(8.0, rel=0.15)
    assert not found.stuck_certain


def test_what_is_not_sure_is_said_without_claims():
    reasons: dict[str, str] = {}
    assert _blur(None, BlurFit(0.5, 9.0, 1.97, 0.10, 12), 1.0, 100.0, reasons) == (None, 0.0)
    assert "a blur of 0.10 to 1.97 px" in reasons["blur"]
    found = replace(measure(camera(count=1)), stuck=np.array([[3, 4]]))
    (line,) = (line for line in as_lines(found, "") if line.startswith("stuck pixels"))
    assert line.endswith("the frames are too few or too much alike to tell them from small targets")


def _flat(noise: float, count: int = 6) -> list[np.ndarray]:
    random = np.random.default_rng(1)
    return [
        np.rint(4000 + noise * random.standard_normal((120, 160))).astype(np.uint16)
        for _ in range(count)
    ]


def test_a_flat_scene_has_noise_and_no_blur():
    found = measure(_flat(5.0))
    assert found.noise == pytest.approx(5.0, rel=0.05)
    assert found.blur is None and "0 usable edges, 30 are needed" in found.reasons["blur"]


def test_a_constant_frame_says_nothing():
    found = measure([np.full((120, 160), 300, np.uint16)] * 4)
    assert found.noise is None and found.blur is None


def test_frames_of_different_noise_have_no_one_noise():
    found = measure([*_flat(3.0, 2), *_flat(12.0, 5)])
    assert found.noise is None and "gain" in found.reasons["noise"]


def test_noise_below_rounding_is_not_guessed():
    found = measure(camera(noise=0.0))
    assert found.noise is None and "cannot be told" in found.reasons["noise"]


def test_noise_that_hides_all_edges_leaves_the_blur_out():
    found = measure(camera(noise=600.0))
    assert found.blur is None and "usable edges" in found.reasons["blur"]
    assert found.noise == pytest.approx(600.0, rel=0.1)


def test_a_clipped_camera_is_told_of():
    frames = [np.clip(frame, 3990, 4010) for frame in camera()]
    found = measure(frames)
    assert found.blur is None
    assert any("clipped" in note for note in found.notes)


def test_missing_pixels_and_float_frames():
    frames = [frame.astype(np.float32) * 0.01 for frame in camera(noise=8.0)]
    for frame in frames:
        frame[:20] = np.nan
        frame[70, 90] = np.inf
    found = measure(frames)
    assert found.step == 0
    assert found.noise == pytest.approx(0.08, rel=0.1)
    assert found.blur == pytest.approx(0.5, abs=0.08)


def test_samples_are_spread_evenly_with_the_frame_after_each():
    frames = [np.full((24, 24), i, np.uint16) for i in range(1000)]
    sample = sample_frames(iter(frames), most=10)
    firsts = [int(frame[0, 0]) for frame in sample.frames]
    assert len(firsts) == 10 and sample.total == 1000
    assert firsts[0] == 0 and firsts[-1] > 850 and max(np.diff(firsts)) < 200
    assert [int(f[0, 0]) for f in sample.followers if f is not None] == [f + 1 for f in firsts]
    few = sample_frames(frames[:3])
    assert [None if f is None else int(f[0, 0]) for f in few.followers] == [1, 2, None]


def test_frames_of_another_size_are_left_out_and_said():
    frames = camera(count=4)
    found = measure([*frames, frames[0][:100], frames[1].astype(np.float32)])
    assert len(found.sample.frames) == 4
    assert found.notes == ["2 frames of another size or type were left out"]


@pytest.mark.parametrize("frames, words", [([], "no frame"), ([np.ones((9, 90))], "too small")])
def test_nothing_to_measure_is_an_error(frames, words):
    with pytest.raises(DataError, match=words):
        sample_frames(frames)


def test_the_same_frames_give_the_same_numbers():
    frames = camera(count=3)
    one, two = (calibrate(Sample(frames, [None] * 3, 3, 0)) for _ in range(2))
    assert (one.noise, one.blur, one.blur_error) == (two.noise, two.blur, two.blur_error)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("frames")
    for i, frame in enumerate(camera(count=5)):
        write_image(path / f"{i}.png", frame)
    return path


def test_the_command_writes_profile_numbers_and_report(folder, tmp_path, capsys):
    out, numbers, report = (tmp_path / n for n in ("camera.yaml", "c.json", "c.html"))
    code = main(
        [
            "calibrate",
            str(folder),
            "--out",
            str(out),
            "--json",
            str(numbers),
            "--report",
            str(report),
        ]
    )
    printed = capsys.readouterr().out
    assert code == 0
    profile = CameraProfile.read(out)
    assert profile.noise == pytest.approx(8.0, rel=0.1)
    assert profile.blur == pytest.approx(0.5, abs=0.08) and profile.blur_error > 0
    record = profile.calibration
    assert record["frames"] == 5 and record["size"] == "160x120" and record["edges"] >= 30
    found = json.loads(numbers.read_text())
    assert found["noise"] == profile.noise and found["edges"] == record["edges"]
    assert f"--camera {out}" in printed and "edges in 5 frames" in printed
    page = report.read_text(encoding="utf-8")
    assert page.count("data:image/png;base64,") == 6
    assert not re.findall(r'(?:src|href)="(?!data:)', page) and "<script" not in page
    assert "stuck pixels" in page and "none found" in page


def test_a_bag_is_measured_as_its_frames_are(folder, tmp_path, capsys):
    pytest.importorskip("rosbags", reason="bags need rosbags: pip install rosbags")
    from difiisr_ros.io.bags import BagWriter

    with BagWriter(tmp_path / "bag") as writer:
        for i, frame in enumerate(camera(count=5)):
            writer.write_image("/thermal/image_raw", 10**18 + i * 10**8, frame)
    assert main(["calibrate", str(tmp_path / "bag"), "--out", str(tmp_path / "bag.yaml")]) == 0
    assert main(["calibrate", str(folder), "--out", str(tmp_path / "folder.yaml")]) == 0
    bag, images = (CameraProfile.read(tmp_path / f"{name}.yaml") for name in ("bag", "folder"))
    assert (bag.noise, bag.blur) == (images.noise, images.blur)
    assert main(["calibrate", str(tmp_path / "bag"), "--topic", "/no"]) == 2
    assert "has no images on /no" in capsys.readouterr().err


def test_a_name_in_the_report_is_text(tmp_path):
    folder = tmp_path / "<b>x"
    write_image(folder / "0.png", camera(count=1)[0])
    assert main(["calibrate", str(folder), "--report", str(tmp_path / "c.html")]) in (0, 1)
    assert "<b>x" not in (tmp_path / "c.html").read_text()


def test_nothing_known_is_no_profile_and_exit_1(tmp_path, capsys):
    write_image(tmp_path / "in" / "0.png", np.full((120, 160), 300, np.uint16))
    report = tmp_path / "c.html"
    code = main(
        [
            "calibrate",
            str(tmp_path / "in"),
            "--out",
            str(tmp_path / "c.yaml"),
            "--report",
            str(report),
        ]
    )
    assert code == 1 and not (tmp_path / "c.yaml").exists() and report.exists()
    assert "neither noise, blur nor pattern is known" in capsys.readouterr().out


@pytest.mark.parametrize(
    "arguments, words",
    [
        (["nowhere"], "nowhere: no such file or folder"),
        (["{folder}", "--frames", "0"], "--frames must be 1 or more, got 0"),
        (["{empty}"], "no image in this folder"),
        (["{text}"], "is neither a folder, a bag"),
        (["{folder}", "--out", "{text}/camera.yaml"], "cannot be written"),
    ],
)
def test_bad_input_is_one_line_and_exit_2(folder, tmp_path, capsys, arguments, words):
    (tmp_path / "empty").mkdir()
    (tmp_path / "a.txt").write_text("x")
    names = {"folder": folder, "empty": tmp_path / "empty", "text": tmp_path / "a.txt"}
    assert main(["calibrate", *(a.format(**names) for a in arguments)]) == 2
    error = capsys.readouterr().err
    assert words in error and error.count("\n") == 1
