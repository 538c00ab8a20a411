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

"""Folders of frames to evaluate on: degradation, pairing, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from difiisr_ros.errors import DataError, OptionError
from difiisr_ros.io.images import read_image, write_image
from difiisr_ros.lab.frames.degrade import camera_frame, degrade_bicubic
from difiisr_ros.lab.frames.folder_stream import FolderStream
from difiisr_ros.lab.frames.open_streams import open_streams
from difiisr_ros.lab.frames.streams import StreamOptions, first_samples


def _open(path, **options) -> FolderStream:
    return FolderStream(path, StreamOptions(**options))


def _samples(path, **options) -> list:
    return list(_open(path, **options).samples())


def _frame(height=64, width=80, dtype=np.uint8, seed=0) -> np.ndarray:
    smooth = np.random.default_rng(seed).random((height // 8 + 1, width // 8 + 1))
    image = Image.fromarray(smooth.astype(np.float32)).resize((width, height), Image.BICUBIC)
    top = {np.uint8: 200, np.uint16: 3000, np.float32: 20}[dtype]
    base = {np.uint8: 20, np.uint16: 29000, np.float32: 280}[dtype]
    return (np.asarray(image).clip(0, 1) * top + base).astype(dtype)


@pytest.fixture
def pairs(tmp_path):
    for index in range(3):
        hr = _frame(seed=index)
        write_image(tmp_path / "HR" / f"f{index}.png", hr)
        write_image(tmp_path / "LR" / f"f{index}x4.png", degrade_bicubic(hr))
    return tmp_path


@pytest.mark.parametrize(
    "dtype, ending",
    [
        (np.uint8, "png"),
        (np.uint16, "png"),
        pytest.param(np.float32, "tif", marks=pytest.mark.needs("tifffile")),
    ],
)
def test_hr_frames_are_degraded_in_their_own_type(tmp_path, dtype, ending):
    hr = _frame(dtype=dtype)
    write_image(tmp_path / f"a.{ending}", hr)
    (sample,) = _samples(tmp_path, degradation="reduced")
    assert sample.name == f"a.{ending}"
    assert sample.hr.dtype == sample.lr.dtype == dtype
    assert sample.lr.shape == (16, 20)
    np.testing.assert_array_equal(sample.hr, hr)
    exact = np.asarray(Image.fromarray(hr.astype(np.float32)).resize((20, 16), Image.BICUBIC))
    # Half a count of rounding, and Pillow's 8-bit arithmetic rounds between its two passes.
    tolerance = {np.uint8: 1.0, np.uint16: 0.501, np.float32: 0.0}[dtype]
    assert np.abs(sample.lr - exact).max() <= tolerance


def test_8_bit_lr_is_pillows_own():
    hr = _frame()
    expected = np.asarray(Image.fromarray(hr).resize((20, 16), Image.BICUBIC))
    np.testing.assert_array_equal(degrade_bicubic(hr), expected)


def test_published_lr_frames_are_reproduced(data_dir):
    files = sorted((data_dir / "m3fd" / "HR").glob("*.png"))
    assert files
    for file in files:
        lr = read_image(data_dir / "m3fd" / "LR" / f"{file.stem}x4.png")
        np.testing.assert_array_equal(degrade_bicubic(read_image(file)), lr)


def test_16_bit_degradation_does_not_wrap_at_the_limits():
    hr = np.zeros((32, 32), np.uint16)
    hr[:, 16:] = 65535
    lr = degrade_bicubic(hr)
    assert lr[:, :3].max() < 3000 and lr[:, -3:].min() > 62000


def test_odd_sizes_are_cropped_and_it_is_said(tmp_path):
    hr = _frame(67, 83)
    write_image(tmp_path / "a.png", hr)
    frames = _open(tmp_path)
    (sample,) = frames.samples()
    np.testing.assert_array_equal(sample.hr, hr[:64, :80])
    assert "multiple of 4" in frames.settings["hr_crop"]


def test_pairs_with_and_without_x4_in_the_name(pairs):
    (pairs / "LR" / "f1x4.png").rename(pairs / "LR" / "f1.png")
    samples = _samples(pairs)
    assert [sample.name for sample in samples] == ["f0.png", "f1.png", "f2.png"]
    for sample in samples:
        np.testing.assert_array_equal(sample.lr, degrade_bicubic(sample.hr))


def test_missing_lr_partner(pairs):
    (pairs / "LR" / "f1x4.png").unlink()
    with pytest.raises(DataError, match=r"f1\.png: has no partner in .*LR"):
        _open(pairs)


def test_missing_hr_partner(pairs):
    (pairs / "HR" / "f2.png").unlink()
    with pytest.raises(DataError, match=r"f2x4\.png: has no partner in .*HR"):
        _open(pairs)


def test_two_files_of_one_stem(pairs):
    write_image(pairs / "HR" / "f1.tif", _frame())
    with pytest.raises(DataError, match="which one"):
        _open(pairs)


def test_wrong_size_names_both_files_and_the_right_size(pairs):
    write_image(pairs / "LR" / "f1x4.png", _frame(16, 16))
    with pytest.raises(DataError, match=r"f1\.png: is 80x64, 4 times .*f1x4\.png .16x16. is 64x64"):
        _samples(pairs)


def test_pair_of_different_types(pairs):
    write_image(pairs / "LR" / "f0x4.png", _frame(16, 20, np.uint16))
    with pytest.raises(DataError, match=r"uint8.*uint16"):
        _samples(pairs)


def test_only_one_of_hr_and_lr(pairs):
    for file in (pairs / "LR").iterdir():
        file.unlink()
    (pairs / "LR").rmdir()
    with pytest.raises(DataError, match="no LR/ beside HR/"):
        _open(pairs)


def test_mixed_types_are_refused(tmp_path):
    write_image(tmp_path / "a.png", _frame())
    write_image(tmp_path / "b.png", _frame(dtype=np.uint16))
    with pytest.raises(DataError, match=r"a\.png is uint8, b\.png is uint16"):
        _samples(tmp_path)


def test_files_that_cannot_be_read_are_left_out_and_named(tmp_path):
    for name in ("a.png", "c.png", "d.png"):
        write_image(tmp_path / name, _frame())
    (tmp_path / "b.png").write_text("not a picture")
    (stream,) = open_streams([tmp_path], StreamOptions())
    assert [s.name for s in stream.samples()] == ["a.png", "c.png", "d.png"]
    list(stream.samples())
    (notice,) = stream.notices  # once, however often it is gone through
    assert notice.startswith("left out: ") and "b.png: is not an image" in notice
    # an interrupted run, continued: what it had left out is still said
    (again,) = open_streams([tmp_path], StreamOptions())
    assert [s.name for s in again.samples(2, 2)] == ["d.png"]
    assert again.notices == [notice]
    with pytest.raises(DataError, match=r"b\.png"):
        list(open_streams([tmp_path], StreamOptions(strict=True))[0].samples())


def test_what_is_no_frame_is_named(tmp_path):
    write_image(tmp_path / "a.png", _frame())
    np.save(tmp_path / "b.npy", _frame())
    assert _open(tmp_path).notices == []
    (tmp_path / "notes.txt").write_text("notes")
    np.savez(tmp_path / "c.npz", frames=_frame(), gains=np.ones(3))
    stream = _open(tmp_path)
    assert [s.name for s in stream.samples()] == ["a.png", "b.npy", "c.npz"]
    assert stream.notices == [
        f"{tmp_path}: not used: .txt files: notes.txt",
        f"{tmp_path}: not used: array gains: {tmp_path / 'c.npz'}",
    ]


def test_a_pair_with_a_file_that_cannot_be_read_is_left_out(tmp_path):
    for i in range(2):
        write_image(tmp_path / "HR" / f"f{i}.png", _frame())
        write_image(tmp_path / "LR" / f"f{i}.png", _frame()[::4, ::4].copy())
    (tmp_path / "LR" / "f0.png").write_text("not a picture")
    (stream,) = open_streams([tmp_path], StreamOptions())
    assert [s.name for s in stream.samples()] == ["f1.png"]
    assert len(stream.notices) == 1


@pytest.mark.needs("tifffile")
def test_non_finite_truth_is_refused(tmp_path):
    hr = _frame(dtype=np.float32)
    hr[3, 5] = np.nan
    write_image(tmp_path / "a.tif", hr)
    stream = _open(tmp_path)
    assert list(stream.samples()) == []
    assert "a.tif: has NaN" in stream.notices[0]
    with pytest.raises(DataError, match=r"a\.tif: has NaN"):
        first_samples([stream])
    with pytest.raises(DataError, match=r"a\.tif: has NaN"):
        _samples(tmp_path, strict=True)


def test_too_small(tmp_path):
    write_image(tmp_path / "a.png", _frame(64, 15))
    with pytest.raises(DataError, match="12x64 is too small"):
        _samples(tmp_path)


def test_empty_and_missing_folder(tmp_path):
    with pytest.raises(DataError, match="no image in this folder"):
        _open(tmp_path)
    with pytest.raises(DataError, match="no such file or folder"):
        _open(tmp_path / "nowhere")


def test_a_bag_is_named_as_one(tmp_path):
    (tmp_path / "bag").mkdir()
    (tmp_path / "bag" / "metadata.yaml").write_text("rosbag2_bagfile_information:\n")
    with pytest.raises(DataError, match=r"bag: metadata\.yaml does not name the bag's files"):
        open_streams([tmp_path / "bag"], StreamOptions())


def test_every_and_limit(tmp_path):
    for index in range(7):
        write_image(tmp_path / f"f{index}.png", _frame(16, 16))
    frames = _open(tmp_path, every=2, limit=3)
    assert len(frames) == 3
    assert [sample.name for sample in frames.samples()] == ["f0.png", "f2.png", "f4.png"]
    for bad in ({"every": 0}, {"limit": 0}):
        with pytest.raises(OptionError):
            _open(tmp_path, **bad)


def test_no_reference_takes_the_frames_as_they_are(tmp_path, pairs):
    write_image(tmp_path / "plain" / "a.png", _frame(13, 17, np.uint16))
    (sample,) = _samples(tmp_path / "plain", no_reference=True)
    assert sample.hr is None and sample.lr.shape == (13, 17)
    assert len(_open(pairs, no_reference=True)) == 3


def test_camera_degradation_is_seeded_and_noisy(tmp_path):
    hr = _frame(dtype=np.uint16)
    a, b, c = camera_frame(hr, 1)[0], camera_frame(hr, 1)[0], camera_frame(hr, 2)[0]
    np.testing.assert_array_equal(a, b)
    assert (a != c).any()
    assert a.dtype == np.uint16 and a.shape == (16, 20)
    error = a.astype(float) - degrade_bicubic(hr)
    assert 0 < np.abs(error).mean() < 0.1 * (hr.max() - hr.min())


def test_camera_noise_does_not_depend_on_the_other_frames(tmp_path):
    for index in range(4):
        write_image(tmp_path / f"f{index}.png", _frame(seed=index))
    whole = {s.name: s.lr for s in _samples(tmp_path, degradation="camera", seed=5)}
    part = {s.name: s.lr for s in _samples(tmp_path, degradation="camera", seed=5, every=3)}
    assert sorted(part) == ["f0.png", "f3.png"]
    for name, lr in part.items():
        np.testing.assert_array_equal(lr, whole[name])
    other = {s.name: s.lr for s in _samples(tmp_path, degradation="camera", seed=6)}
    assert any((other[name] != whole[name]).any() for name in whole)


def test_degradation_of_given_lr_frames_is_refused(pairs):
    with pytest.raises(OptionError, match="has its own LR frames, so degradation 'reduced'"):
        _open(pairs, degradation="reduced")
    with pytest.raises(OptionError, match="has its own LR frames, so noise_percent"):
        _open(pairs, noise_percent=2.0)


@pytest.mark.parametrize(
    "options, message",
    [
        ({"degradation": "blur"}, "one of camera, reduced, got 'blur'"),
        ({"degradation": "bicubic"}, "'bicubic' is called 'reduced' now"),
        ({"degradation": "reduced", "noise_percent": 2.0}, "noise belongs to"),
        ({"noise_percent": -1.0}, "noise must be in 0..50"),
        ({"noise_percent": float("nan")}, "noise must be in 0..50"),
    ],
)
def test_degradation_that_cannot_be(options, message):
    with pytest.raises(OptionError, match=message):
        StreamOptions(**options)
