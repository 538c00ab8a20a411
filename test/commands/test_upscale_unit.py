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

"""`difiisr upscale --unit`: temperatures of files and bags whose counts a profile knows."""

from __future__ import annotations

import json

import numpy as np
import pytest

from difiisr_ros import SuperResolver
from difiisr_ros.cli import main
from difiisr_ros.core.camera_profile import CameraProfile
from difiisr_ros.io.images import read_image, write_image
from support.frames import smooth_frame

tifffile = pytest.importorskip("tifffile")

FRAME = smooth_frame()  # 29000..31000 counts
PROFILE = "kelvin_per_count: 0.01\nkelvin_offset: 5\n"
HOLE = np.zeros(FRAME.shape, bool)
HOLE[3, 4] = True


@pytest.fixture
def camera(tmp_path):
    path = tmp_path / "camera.yaml"
    path.write_text(PROFILE)
    return path


@pytest.fixture(scope="module")
def counts():
    resolver = SuperResolver.load(backend="bicubic")
    yield lambda frame, **how: resolver.upscale(frame, **how).astype(np.float64)
    resolver.close()


def run(*arguments):
    return main(["upscale", *map(str, arguments), "--backend", "bicubic"])


@pytest.mark.parametrize(("unit", "offset"), [("kelvin", 5.0), ("celsius", 5.0 - 273.15)])
@pytest.mark.parametrize("name", ["a.png", "a.tiff", "a.npy", "a.pgm"])
def test_files_are_in_the_unit_asked_for(tmp_path, camera, counts, name, unit, offset):
    if name == "a.npy":
        np.save(tmp_path / name, FRAME)
    else:
        write_image(tmp_path / name, FRAME)
    report = ["--json", tmp_path / "done.json"]
    assert run(tmp_path / name, tmp_path / "out", "--unit", unit, "--camera", camera, *report) == 0
    written = tmp_path / "out" / ("a.npy" if name == "a.npy" else "a.tiff")
    result = np.load(written) if name == "a.npy" else read_image(written)
    assert result.dtype == np.float32
    np.testing.assert_allclose(result, 0.01 * counts(FRAME) + offset, atol=2e-5)
    assert json.loads((tmp_path / "done.json").read_text())["settings"]["unit"] == unit


def test_counts_are_the_default_whatever_the_profile_knows(tmp_path, camera, counts):
    write_image(tmp_path / "a.png", FRAME)
    assert run(tmp_path / "a.png", tmp_path / "b.png", "--camera", camera) == 0
    result = read_image(tmp_path / "b.png")
    assert result.dtype == np.uint16
    np.testing.assert_array_equal(result, counts(FRAME))


def test_without_constants_a_unit_is_refused_by_name(tmp_path, capsys):
    write_image(tmp_path / "a.png", FRAME)
    assert run(tmp_path / "a.png", tmp_path / "b.tiff", "--unit", "kelvin") == 2
    said = capsys.readouterr().err
    assert "--unit kelvin" in said and "kelvin_per_count in the camera's profile" in said
    assert not (tmp_path / "b.tiff").exists()


def test_a_file_of_whole_numbers_cannot_hold_them(tmp_path, camera, capsys):
    write_image(tmp_path / "a.png", FRAME)
    words = ["--unit", "celsius", "--camera", camera]
    assert run(tmp_path / "a.png", tmp_path / "b.png", *words) == 2
    assert ".png holds whole numbers" in capsys.readouterr().err


def test_names_stay_apart_where_endings_become_one(tmp_path, camera, counts):
    write_image(tmp_path / "in" / "a.png", FRAME)
    write_image(tmp_path / "in" / "a.tiff", FRAME + 100)
    assert run(tmp_path / "in", tmp_path / "out", "--unit", "kelvin", "--camera", camera) == 0
    for name, frame in (("a_png.tiff", FRAME), ("a.tiff", FRAME + 100)):
        result = read_image(tmp_path / "out" / name)
        np.testing.assert_allclose(result, 0.01 * counts(frame) + 5, atol=2e-5)


def test_missing_pixels_are_nan_and_nodata_says_so(tmp_path, camera, counts):
    frame = np.where(HOLE, 0, FRAME).astype(np.uint16)
    nodata = [(42113, 2, 0, "0", True)]
    pages = np.stack([frame, np.zeros_like(frame)])
    tifffile.imwrite(tmp_path / "a.tif", pages, metadata=None, extratags=nodata)
    words = ["--unit", "kelvin", "--camera", camera, "--preview"]
    assert run(tmp_path / "a.tif", tmp_path / "b.tif", *words) == 0
    with tifffile.TiffFile(tmp_path / "b.tif") as tiff:
        first, second = (page.asarray() for page in tiff.pages)
        assert tiff.pages[0].tags[42113].value == "nan"
    holes = np.kron(HOLE, np.ones((4, 4))) > 0
    assert np.isnan(first[holes]).all() and np.isnan(second).all()
    expected = 0.01 * counts(frame, camera=CameraProfile(missing=0)) + 5
    np.testing.assert_allclose(first[~holes], expected[~holes], atol=2e-5)


def a_bag(path):
    pytest.importorskip("rosbags", reason="bags need rosbags: pip install rosbags")
    from types import SimpleNamespace

    from difiisr_ros.io.bags import BagWriter

    with BagWriter(path) as writer:
        for i in (1, 2):
            header = SimpleNamespace(stamp=SimpleNamespace(sec=i, nanosec=0), frame_id="a")
            stored = np.where(HOLE, 0, FRAME).astype(np.uint16)
            writer.write_image("/cam/image_raw", i * 10**9, stored, header)
    return path


def test_results_of_a_bag_are_published_as_float(tmp_path, camera, counts):
    bag = a_bag(tmp_path / "bag")
    words = ["--unit", "celsius", "--camera", camera, "--missing", "0"]
    assert run(bag, tmp_path / "out", *words) == 0
    from difiisr_ros.io.bags import BagReader

    with BagReader(tmp_path / "out") as reader:
        records = [
            (r.message.encoding, np.array(r.frame)) for r in reader.read_images("/cam/sr/image_raw")
        ]
    assert run(bag, tmp_path / "files" / "f.tiff", *words) == 0
    records += [("32FC1", read_image(f)) for f in sorted((tmp_path / "files").iterdir())]
    expected = 0.01 * counts(FRAME, missing=HOLE) + 5 - 273.15
    assert len(records) == 4
    holes = np.kron(HOLE, np.ones((4, 4))) > 0
    for encoding, frame in records:
        assert encoding == "32FC1" and np.isnan(frame[holes]).all()
        np.testing.assert_allclose(frame[~holes], expected[~holes], atol=0.02)


@pytest.mark.parametrize(
    ("out", "profile", "words"),
    [
        ("out", "noise: 1\n", "nothing says what a count of"),
        ("f.png", PROFILE, ".png holds whole numbers"),
    ],
)
def test_a_bag_in_a_unit_that_cannot_be_is_refused(tmp_path, camera, capsys, out, profile, words):
    camera.write_text(profile)
    bag = a_bag(tmp_path / "bag")
    assert run(bag, tmp_path / out, "--unit", "kelvin", "--camera", camera) == 2
    assert words in capsys.readouterr().err and not (tmp_path / out).exists()


def test_files_that_become_a_bag_stay_counts(tmp_path, camera, capsys):
    write_image(tmp_path / "in" / "a.png", FRAME)
    words = ["--unit", "kelvin", "--camera", camera]
    assert run(tmp_path / "in", tmp_path / "out.mcap", *words) == 2
    assert "is not for files that become a bag" in capsys.readouterr().err


def test_files_become_a_bag_in_the_order_that_was_asked_for(tmp_path, counts):
    pytest.importorskip("rosbags", reason="bags need rosbags: pip install rosbags")
    from difiisr_ros.io.bags import BagReader

    write_image(tmp_path / "in" / "a.png", FRAME.byteswap())
    assert run(tmp_path / "in", tmp_path / "out.mcap", "--byte-order", "little") == 0
    with BagReader(tmp_path / "out.mcap") as reader:
        (found,) = [np.array(r.frame) for r in reader.read_images("/image_raw")]
    np.testing.assert_array_equal(found, FRAME)


def test_an_evaluation_is_in_kelvin_where_the_profile_knows(tmp_path, camera):
    write_image(tmp_path / "in" / "a.png", FRAME)
    words = ["--no-reference", "--backend", "bicubic", "--camera", camera]
    words += ["--json", tmp_path / "done.json"]
    assert main(["evaluate", str(tmp_path / "in"), *map(str, words)]) == 0
    assert json.loads((tmp_path / "done.json").read_text())["settings"]["kelvin_per_count"] == 0.01
