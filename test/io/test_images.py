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

"""Image files in and out: what is read, what is refused, and that nothing is altered silently."""

from __future__ import annotations

import logging
import os

import cv2
import numpy as np
import pytest
from PIL import Image

from difiisr_ros.errors import DataError
from difiisr_ros.io import once
from difiisr_ros.io.images import list_files, read_image, write_image


@pytest.fixture
def frames():
    rng = np.random.default_rng(3)
    return {
        "uint8": rng.integers(0, 256, (37, 51), dtype=np.uint8),
        "uint16": rng.integers(0, 65536, (37, 51), dtype=np.uint16),
        "float32": rng.normal(300.0, 20.0, (37, 51)).astype(np.float32),
    }


@pytest.mark.parametrize(
    ("suffix", "dtype"),
    [
        (".png", "uint8"),
        (".png", "uint16"),
        (".pgm", "uint8"),
        (".pgm", "uint16"),
        pytest.param(".tif", "uint8", marks=pytest.mark.needs("tifffile")),
        pytest.param(".tiff", "uint16", marks=pytest.mark.needs("tifffile")),
        pytest.param(".tiff", "float32", marks=pytest.mark.needs("tifffile")),
        (".bmp", "uint8"),
    ],
)
def test_written_files_read_back_exactly(tmp_path, frames, suffix, dtype):
    path = tmp_path / "made" / f"frame{suffix}"
    write_image(path, frames[dtype])
    back = read_image(path)
    assert back.dtype == frames[dtype].dtype
    np.testing.assert_array_equal(back, frames[dtype])
    assert [p.name for p in path.parent.iterdir()] == [path.name]  # no temporary left behind


def test_jpeg_is_near_and_eight_bit(tmp_path):
    smooth = np.add.outer(np.arange(64), np.arange(64)).astype(np.uint8)
    write_image(tmp_path / "a.jpg", smooth)
    assert np.abs(read_image(tmp_path / "a.jpg").astype(int) - smooth).max() <= 4


def test_a_pgm_or_tiff_from_another_endianness_reads_the_same(tmp_path, frames):
    tifffile = pytest.importorskip("tifffile")
    for order in "<>":
        tifffile.imwrite(tmp_path / "a.tiff", frames["uint16"], byteorder=order)
        np.testing.assert_array_equal(read_image(tmp_path / "a.tiff"), frames["uint16"])


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_three_equal_channels_are_one(tmp_path, frames, dtype, caplog, monkeypatch):
    monkeypatch.setattr(once, "_warned", set())
    frame = frames[dtype]
    cv2.imwrite(str(tmp_path / "a.png"), np.dstack([frame] * 3))
    alpha = np.full_like(frame, 7)
    cv2.imwrite(str(tmp_path / "b.png"), np.dstack([frame] * 3 + [alpha]))
    for name in ("a.png", "b.png"):
        np.testing.assert_array_equal(read_image(tmp_path / name), frame)
    assert caplog.records == []  # it is not taken for colour


def test_colour_becomes_bt601_luma_with_one_warning(tmp_path, caplog, monkeypatch):
    monkeypatch.setattr(once, "_warned", set())
    rng = np.random.default_rng(5)
    bgr = rng.integers(0, 256, (20, 30, 3), dtype=np.uint8)
    cv2.imwrite(str(tmp_path / "a.png"), bgr)
    with caplog.at_level(logging.WARNING):
        gray = read_image(tmp_path / "a.png")
        read_image(tmp_path / "a.png")
    assert ["BT.601" in r.getMessage() for r in caplog.records] == [True]
    exact = 0.114 * bgr[..., 0] + 0.587 * bgr[..., 1] + 0.299 * bgr[..., 2]
    assert np.abs(gray - exact).max() <= 0.51


def test_wide_integers_are_taken_when_they_fit_and_refused_when_not(tmp_path, frames):
    tifffile = pytest.importorskip("tifffile")
    for dtype in (np.int32, np.uint32):
        tifffile.imwrite(tmp_path / "a.tiff", frames["uint16"].astype(dtype))
        back = read_image(tmp_path / "a.tiff")
        assert back.dtype == np.uint16
        np.testing.assert_array_equal(back, frames["uint16"])
    tifffile.imwrite(tmp_path / "b.tiff", np.array([[-5, 70000]], np.int32))
    np.testing.assert_array_equal(read_image(tmp_path / "b.tiff"), np.float32([[-5, 70000]]))
    tifffile.imwrite(tmp_path / "b.tiff", np.array([[-5, 1 << 24 | 1]], np.int32))
    with pytest.raises(DataError, match=r"b\.tiff.*int32.*-5 to 16777217.*accepted"):
        read_image(tmp_path / "b.tiff")


@pytest.mark.needs("tifffile")
def test_float_specials_survive(tmp_path):
    frame = np.array([[np.nan, np.inf, -np.inf, 1.5]], np.float32)
    write_image(tmp_path / "a.tiff", frame)
    np.testing.assert_array_equal(read_image(tmp_path / "a.tiff"), frame)


def test_several_pages_warn(tmp_path, frames, caplog, monkeypatch):
    monkeypatch.setattr(once, "_warned", set())
    tifffile = pytest.importorskip("tifffile")
    tifffile.imwrite(tmp_path / "a.tiff", np.stack([frames["uint8"], frames["uint8"][::-1]]))
    with caplog.at_level(logging.WARNING):
        np.testing.assert_array_equal(read_image(tmp_path / "a.tiff"), frames["uint8"])
    assert "pages" in caplog.text


@pytest.mark.parametrize("colour", [False, True])
def test_jpeg_is_written_at_quality_95(tmp_path, colour):
    """By the tables in the file, which are those of the JPEG standard scaled by the quality."""
    rng = np.random.default_rng(0)
    frame = rng.integers(0, 256, (32, 48, 3) if colour else (32, 48), dtype=np.uint8)
    write_image(tmp_path / "ours.jpg", frame)
    Image.fromarray(frame).save(tmp_path / "pillow.jpg", quality=95)
    with Image.open(tmp_path / "ours.jpg") as ours, Image.open(tmp_path / "pillow.jpg") as expected:
        assert ours.quantization == expected.quantization


@pytest.mark.parametrize("suffix", [".png", ".tiff", ".jpg", ".bmp", ".pgm"])
@pytest.mark.parametrize("kept", [0.05, 0.5, 0.97])
def test_truncated_files_are_refused(tmp_path, frames, suffix, kept, capfd):
    path = tmp_path / f"cut{suffix}"
    write_image(path, frames["uint8"])
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * kept)])
    with pytest.raises(DataError, match=f"cut\\{suffix}"):
        read_image(path)
    assert (
        len(capfd.readouterr().err.split("\n")) <= 3
    )  # a line and an empty one, not a page of the decoder's own words
    if suffix in (".png", ".jpg", ".tiff"):
        # Some decoders give half a picture, so ours must know by itself.
        with pytest.raises(DataError, match=rf"cut\{suffix}: .*truncated"):
            read_image(path)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", r"empty"),
        (b"hello, I am text\n", r"not an image.*hello.*accepted"),
        (b"\x89PNG\r\n\x1a\n" + b"\0" * 40, r"cannot be decoded|truncated"),
        (b"GIF89a" + b"\0" * 20, r"not an image"),
    ],
)
def test_what_is_not_an_image_is_named(tmp_path, content, said):
    path = tmp_path / "notes.png"
    path.write_bytes(content)
    with pytest.raises(DataError, match=f"notes\\.png: .*{said}"):
        read_image(path)


def test_missing_files_and_folders(tmp_path):
    with pytest.raises(DataError, match=r"gone\.png: no such file"):
        read_image(tmp_path / "gone.png")
    with pytest.raises(DataError, match=r"no such folder: .*nowhere"):
        read_image(tmp_path / "nowhere" / "a.png")
    with pytest.raises(DataError, match="is a folder"):
        read_image(tmp_path)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root reads all files")
def test_unreadable_file(tmp_path):
    path = tmp_path / "a.png"
    write_image(path, np.zeros((2, 2), np.uint8))
    path.chmod(0)
    with pytest.raises(DataError, match="cannot be read"):
        read_image(path)


@pytest.mark.parametrize(
    ("name", "dtype", "said"),
    [
        ("a.png", "float32", r"\.png holds uint8, uint16, not float32; use \.tif"),
        ("a.jpg", "uint16", r"\.jpg holds uint8, not uint16; use \.png"),
        ("a.bmp", "uint16", r"not uint16"),
        ("a.xyz", "uint8", r"cannot write \.xyz"),
        ("a", "uint8", r"without an ending"),
    ],
)
def test_a_format_that_cannot_hold_the_frame_is_refused(tmp_path, frames, name, dtype, said):
    with pytest.raises(DataError, match=said):
        write_image(tmp_path / name, frames[dtype])
    assert list(tmp_path.iterdir()) == []


def test_shapes_that_are_not_frames_are_refused(tmp_path):
    for shape in ((0, 4), (2, 2, 2), (3,)):
        with pytest.raises(DataError, match="shape"):
            write_image(tmp_path / "a.png", np.zeros(shape, np.uint8))


def test_a_failed_write_leaves_the_old_file_and_no_litter(tmp_path, frames, monkeypatch):
    path = tmp_path / "a.png"
    write_image(path, frames["uint8"])

    def full_disk(*_args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full_disk)
    with pytest.raises(DataError, match=r"a\.png: cannot be written: No space left"):
        write_image(path, frames["uint16"])
    monkeypatch.undo()
    np.testing.assert_array_equal(read_image(path), frames["uint8"])
    assert [p.name for p in tmp_path.iterdir()] == ["a.png"]


def test_list_files_orders_numbers_as_numbers(tmp_path):
    for name in ("f10.png", "f2.PNG", "f1.tiff", "f3.npy", ".hidden.png", "notes.txt"):
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / "sub.png").mkdir()
    assert [p.name for p in list_files(tmp_path)] == ["f1.tiff", "f2.PNG", "f3.npy", "f10.png"]


def test_list_files_says_what_is_missing(tmp_path):
    with pytest.raises(DataError, match="no such file or folder"):
        list_files(tmp_path / "nowhere")
    (tmp_path / "notes.txt").write_bytes(b"x")
    with pytest.raises(DataError, match=r"no image in this folder.*it has \.txt files: notes\.txt"):
        list_files(tmp_path)
    assert list_files(tmp_path / "notes.txt") == [tmp_path / "notes.txt"]
