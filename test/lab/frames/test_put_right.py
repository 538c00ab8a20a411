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

"""Frames that `evaluate` reads: cropped, filled in, in the right order; what looks odd is named."""

from __future__ import annotations

import json

import numpy as np
import pytest

from difiisr_ros.cli import main
from difiisr_ros.core.bad_pixels import write_bad_pixels
from difiisr_ros.core.camera_profile import CameraProfile
from difiisr_ros.errors import FrameError
from difiisr_ros.io.images import write_image
from difiisr_ros.lab.frames.open_streams import open_streams
from difiisr_ros.lab.frames.put_right import put_right
from difiisr_ros.lab.frames.streams import StreamOptions
from support.frames import street

FRAME = street().frame(0)[0][:64, :96].copy()
WORDS = np.random.default_rng(0).integers(0, 65536, (2, 96)).astype(np.uint16)
HOLES = np.zeros(FRAME.shape, bool)
HOLES[5, 6] = HOLES[40:42, 30] = True


def with_holes(value=0):
    frame = FRAME.copy()
    frame[HOLES] = value
    return frame


def test_what_is_all_measurement_is_not_copied():
    assert put_right(FRAME, CameraProfile()) is FRAME
    assert put_right(FRAME, CameraProfile(missing=0)) is FRAME


def test_holes_get_what_is_near_in_the_frames_own_type(tmp_path):
    write_bad_pixels(tmp_path / "bad.png", HOLES)
    camera = CameraProfile(bad_pixels=str(tmp_path / "bad.png"))
    for found in (put_right(with_holes(), CameraProfile(missing=0)), put_right(FRAME, camera)):
        assert found.dtype == np.uint16
        np.testing.assert_array_equal(found[~HOLES], FRAME[~HOLES])
        assert abs(found[HOLES].astype(int) - FRAME[HOLES]).max() < 500
    with pytest.raises(FrameError, match="no pixel of the frame is a measurement"):
        put_right(np.zeros_like(FRAME), CameraProfile(missing=0))


def write(path, frame, is_bigendian=0):
    """A folder of images, or a bag, of three times the same frame."""
    if path.suffix != ".bag":
        path.mkdir()
        for name in "abc":
            write_image(path / f"{name}.png", frame.byteswap() if is_bigendian else frame)
        return path
    pytest.importorskip("rosbags", reason="bags need rosbags: pip install rosbags")
    from rosbags.typesys import Stores, get_typestore

    from difiisr_ros.io.bags import IMAGE, BagWriter

    types = get_typestore(Stores.ROS2_JAZZY).types
    with BagWriter(path.with_suffix("")) as writer:
        for i in range(3):
            stamp = types["builtin_interfaces/msg/Time"](i + 1, 0)
            header = types["std_msgs/msg/Header"](stamp=stamp, frame_id="a")
            message = types[IMAGE](
                header=header, height=frame.shape[0], width=frame.shape[1], encoding="mono16",
                is_bigendian=is_bigendian, step=2 * frame.shape[1],
                data=frame.view(np.uint8).ravel(),
            )  # fmt: skip
            writer.write("/cam/image_raw", IMAGE, 10**9 * (i + 1), message)
    return path.with_suffix("")


def samples(path, camera=None, **options):
    (stream,) = open_streams([path], StreamOptions(pixels=camera or CameraProfile(), **options))
    return list(stream.samples()), stream.notices


@pytest.mark.parametrize("name", ["folder", "a.bag"])
@pytest.mark.parametrize(
    ("frame", "camera"),
    [
        (np.vstack([FRAME, WORDS]), CameraProfile(crop=(0, 2, 0, 0))),
        (np.pad(FRAME, ((0, 0), (3, 0))), CameraProfile(crop=(0, 0, 3, 0))),
        (FRAME, CameraProfile(missing=0)),
    ],
)
def test_streams_hand_out_what_is_picture(tmp_path, name, frame, camera):
    path = write(tmp_path / name, frame)
    found, notices = samples(path, camera, no_reference=True)
    assert len(found) == 3 and notices == []
    for sample in found:
        np.testing.assert_array_equal(sample.lr, FRAME)
    (first, *_), _ = samples(path, camera)
    np.testing.assert_array_equal(first.hr, FRAME)


@pytest.mark.parametrize("name", ["folder", "a.bag"])
def test_the_order_of_bytes_that_was_asked_for(tmp_path, name):
    path = write(tmp_path / name, FRAME, is_bigendian=1)
    found, notices = samples(path, no_reference=True)
    np.testing.assert_array_equal(found[0].lr, FRAME.byteswap())
    assert len(notices) == 1 and "look swapped" in notices[0]
    found, notices = samples(path, CameraProfile(byte_order="little"), no_reference=True)
    np.testing.assert_array_equal(found[0].lr, FRAME)
    assert notices == []


@pytest.mark.parametrize("name", ["folder", "a.bag"])
def test_frames_without_a_measurement_are_left_out(tmp_path, name):
    found, notices = samples(write(tmp_path / name, np.zeros_like(FRAME)), CameraProfile(missing=0))
    assert found == [] and any("no pixel of the frame is a measurement" in n for n in notices)


def test_of_pairs_the_truth_is_cropped_as_its_frame(tmp_path):
    for folder, size in (("HR", 4), ("LR", 1)):
        (tmp_path / folder).mkdir()
        large = np.kron(FRAME[:30, :40], np.ones((size, size))).astype(np.uint16)
        write_image(tmp_path / folder / "a.png", large)
    (sample,), _ = samples(tmp_path, CameraProfile(crop=(1, 0, 2, 3)))
    np.testing.assert_array_equal(sample.lr, FRAME[1:30, 2:37])
    assert sample.hr.shape == (4 * 29, 4 * 35) and sample.hr[0, 0] == sample.lr[0, 0]


def run(*arguments):
    return main(["evaluate", *map(str, arguments), "--backend", "bicubic"])


@pytest.mark.parametrize("name", ["folder", "a.bag"])
def test_evaluate_names_once_what_nobody_declared(tmp_path, name, capsys):
    path = write(tmp_path / name, np.vstack([with_holes(), WORDS]))
    assert run(path, "--json", tmp_path / "a.json") == 0
    said = json.loads((tmp_path / "a.json").read_text())["notes"]
    for words in ("crop (bottom 2) leaves them out", "missing (0)"):
        assert sum(words in note for note in said) == 1
        assert words in capsys.readouterr().out or words == "missing (0)"
    more = ["--crop", "bottom 2", "--missing", "0"]
    assert run(path, "--json", tmp_path / "b.json", *more) == 0
    right = json.loads((tmp_path / "b.json").read_text())
    assert not any("looks" in note or "far outside" in note for note in right["notes"])
    assert run(write(tmp_path / f"good_{name}", FRAME), "--json", tmp_path / "c.json") == 0
    good = json.loads((tmp_path / "c.json").read_text())
    for method in ("bicubic", "difiisr"):
        found, expected = right["methods"][method]["psnr"], good["methods"][method]["psnr"]
        assert found == pytest.approx(expected, abs=0.3)
