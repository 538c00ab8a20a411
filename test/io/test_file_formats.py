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

"""What files say of themselves is what is read: bits, samples, planes, maximum, photometric."""

from __future__ import annotations

import io
import struct
import zlib

import cv2
import numpy as np
import pytest
from PIL import Image

from difiisr_ros.errors import DataError
from difiisr_ros.io import once
from difiisr_ros.io.images import read_image
from difiisr_ros.io.numbers import to_computed
from difiisr_ros.io.open_stack import open_bytes, open_stack
from difiisr_ros.io.stack import ReadOptions
from support.tiff_files import packed_tiff

tifffile = pytest.importorskip("tifffile")

#: As a radiometric camera's frame: uint16, 29237 to 30261.
FRAME = np.random.default_rng(1).permutation(np.linspace(29237, 30261, 12 * 16)).astype(np.uint16)
FRAME = FRAME.reshape(12, 16)
BYTES = (FRAME - 29237 >> 3).astype(np.uint8)


def decode_image(data, name):
    with open_bytes(data, name, ReadOptions()) as stack:
        return to_computed(stack.read(0), name)


def as_tiff(image, **how):
    file = io.BytesIO()
    tifffile.imwrite(file, image, **how)
    return file.getvalue()


def patched(data, code, value):
    """A classic little-endian TIFF, another value in one of its tags."""
    changed = bytearray(data)
    with tifffile.TiffFile(io.BytesIO(data)) as tiff:
        struct.pack_into("<H", changed, tiff.pages[0].tags[code].valueoffset, value)
    return bytes(changed)


def lzw(image):
    """As OpenCV's libtiff writes it, with predictor."""
    return cv2.imencode(".tiff", image, [cv2.IMWRITE_TIFF_COMPRESSION, 5])[1].tobytes()


def packbits(image):
    """As Pillow's libtiff writes it; OpenCV 4.5 asks for a predictor, which PackBits has not."""
    file = io.BytesIO()
    Image.fromarray(image).save(file, "TIFF", compression="packbits")
    return file.getvalue()


def as_png(rows, width, depth, colour, extra=()):
    def chunk(kind, data):
        ends = struct.pack(">I", len(data)), struct.pack(">I", zlib.crc32(kind + data))
        return ends[0] + kind + data + ends[1]

    header = struct.pack(">IIBBBBB", width, len(rows), depth, colour, 0, 0, 0)
    pixels = zlib.compress(b"".join(b"\0" + row for row in rows))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        chunk(*c) for c in [(b"IHDR", header), *extra, (b"IDAT", pixels), (b"IEND", b"")]
    )


ALPHA = np.dstack([FRAME, np.full_like(FRAME, 65535)])
EXACT = {
    "gray with alpha, 16 bits": (as_tiff(ALPHA, photometric="minisblack", planarconfig="contig",
                                         extrasamples=["unassalpha"]), FRAME),
    "gray with alpha in planes": (as_tiff(np.moveaxis(ALPHA, 2, 0), photometric="minisblack",
                                          planarconfig="separate", extrasamples=["assocalpha"]),
                                  FRAME),
    "gray in three planes": (as_tiff(np.stack([FRAME] * 3), photometric="rgb",
                                     planarconfig="separate"), FRAME),
    "gray in RGB": (as_tiff(np.dstack([FRAME] * 3), photometric="rgb"), FRAME),
    "MinIsWhite, 16 bits": (as_tiff(FRAME, photometric="miniswhite"), FRAME),
    "MinIsWhite, 8 bits": (as_tiff(BYTES, photometric="miniswhite"), BYTES),
    "MinIsWhite, 16 bits, LZW": (patched(lzw(FRAME), 262, 0), FRAME),
    "MinIsWhite, 8 bits, LZW": (patched(lzw(BYTES), 262, 0), BYTES),
    "LZW": (lzw(FRAME), FRAME),
    "LZW, float": (lzw(FRAME.astype(np.float32) / 7), FRAME.astype(np.float32) / 7),
    "PackBits": (packbits(FRAME), FRAME),
    "deflate": (as_tiff(FRAME, compression="zlib"), FRAME),
    "deflate, predictor": (as_tiff(FRAME, compression="zlib", predictor=True), FRAME),
    "LZMA": (as_tiff(FRAME, compression="lzma"), FRAME),
    "tiles, big endian": (as_tiff(FRAME, tile=(16, 16), byteorder=">"), FRAME),
    "BigTIFF": (as_tiff(FRAME, bigtiff=True), FRAME),
    "one bit": (packed_tiff(FRAME % 2, 1), (FRAME % 2).astype(np.uint8)),
    "10 bits": (packed_tiff(FRAME % 1024, 10), FRAME % 1024),
    "12 bits": (packed_tiff(FRAME % 4096, 12), FRAME % 4096),
    "14 bits": (packed_tiff(FRAME % 16384, 14), FRAME % 16384),
    "half precision": (as_tiff(np.float16([[1.5, -2.25]])), np.float32([[1.5, -2.25]])),
    "PNG, gray with alpha, 16 bits": (
        as_png([row.astype(">u2").tobytes() for row in ALPHA], 16, 16, 4), FRAME),
    "PNG, transparent value": (
        as_png([row.astype(">u2").tobytes() for row in FRAME], 16, 16, 0,
               [(b"tRNS", struct.pack(">H", 30000))]), FRAME),
    "PNG, 4 bits": (as_png([bytes([0x01, 0x9F])], 4, 4, 0), np.uint8([[0, 1, 9, 15]])),
    "PNG, 2 bits": (as_png([bytes([0b00011011])], 4, 2, 0), np.uint8([[0, 1, 2, 3]])),
    "PNG, 1 bit": (as_png([bytes([0b01100000])], 4, 1, 0), np.uint8([[0, 1, 1, 0]])),
    "PGM, text, 200": (b"P2\n# made by hand\n3 2\n200\n0 100 200\n1 2 3\n",
                       np.uint8([[0, 100, 200], [1, 2, 3]])),
    "PGM, binary, 200": (b"P5 3 2 200\n" + bytes([0, 100, 200, 1, 2, 3]),
                         np.uint8([[0, 100, 200], [1, 2, 3]])),
    "PGM, 14 bits": (b"P5\n2 1\n16383\n" + struct.pack(">HH", 16383, 7), np.uint16([[16383, 7]])),
    "PGM, text, 16 bits": (b"P2 2 1 65535 30261 29237", np.uint16([[30261, 29237]])),
}  # fmt: skip


@pytest.mark.parametrize("case", EXACT)
def test_values_are_those_of_the_file(case):
    data, expected = EXACT[case]
    got = decode_image(data, case)
    assert got.dtype == expected.dtype
    np.testing.assert_array_equal(got, expected)


def test_colour_is_luma_of_its_own_bits_whatever_the_planes(monkeypatch):
    monkeypatch.setattr(once, "_warned", set())
    rgb = np.random.default_rng(2).integers(0, 65536, (9, 8, 3), dtype=np.uint16)
    exact = rgb @ np.array([0.299, 0.587, 0.114])
    for image, planes in ((rgb, "contig"), (np.moveaxis(rgb, 2, 0), "separate")):
        data = as_tiff(image, photometric="rgb", planarconfig=planes)
        assert np.abs(decode_image(data, "a") - exact).max() <= 2  # OpenCV's integer weights
    palette = np.zeros((3, 256), np.uint16)
    palette[:, 5] = np.uint16([200, 100, 50]) << 8
    data = as_tiff(np.full((3, 4), 5, np.uint8), photometric="palette", colormap=palette)
    assert np.abs(decode_image(data, "a").astype(float) - (59.8 + 58.7 + 5.7)).max() <= 0.51


REFUSED = {
    "LZW, gray with alpha": (
        patched(lzw(np.dstack([FRAME] * 3)), 262, 1), "compressed by LZW.*3 samples.*deflate"),
    "CMYK": (as_tiff(np.dstack([BYTES] * 4), photometric="separated"), "SEPARATED.*accepted"),
    "samples without names": (
        as_tiff(np.dstack([FRAME, FRAME + 1]), photometric="minisblack", planarconfig="contig"),
        "2 samples.*accepted"),
    "24 bits": (packed_tiff(FRAME.astype(np.int64), 24), "24 bits.*accepted"),
    "4 bits": (packed_tiff(FRAME % 16, 4), "4 bits.*accepted"),
    "complex": (as_tiff(FRAME.astype(np.complex64)), "format.*accepted"),
    "compression that nobody knows": (
        patched(as_tiff(FRAME), 259, 34712), "compressed by .*deflate|cannot be decoded"),
    "PGM, maximum 0": (b"P5 1 1 0\n\0", "maximum is 0.*1 to 65535"),
    "PGM, maximum 70000": (b"P5 1 1 70000\n\0\0\0", "70000"),
    "PGM, value above": (b"P2 2 1 200 3 201", "3 to 201, its maximum is 200"),
    "PGM, cut": (b"P5 3 2 200\n\0\0\0", "truncated, 3 of 6"),
    "PGM, no numbers": (b"P2 2 1 200 3 x", "whole numbers"),
    "too many pixels": (as_png([b"\0"], 1 << 30, 8, 0), "more than 268435456"),
    "BMP of 16 bits": (b"BM" + bytes(16) + struct.pack("<iiHH", 4, 4, 1, 16) + bytes(99),
                       "16 bits a pixel, accepted"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_what_would_be_read_wrongly_is_refused_by_name(case):
    data, said = REFUSED[case]
    with pytest.raises(DataError, match=f"the file.*({said})"):
        decode_image(data, "the file")


NUMBERS = {
    "int8": (np.int8([[-128, 127]]), np.float32),
    "int16": (np.int16([[-32768, 32767]]), np.float32),
    "int16, none below 0": (np.int16([[0, 30261]]), np.float32),
    "int32 that fits": (np.int32([[29237, 65535]]), np.uint16),
    "int32": (np.int32([[-12345, 1 << 24]]), np.float32),
    "uint32": (np.uint32([[0, 1 << 24]]), np.float32),
    "int64": (np.int64([[-5, 70000]]), np.float32),
    "float64, centi-degrees": (np.float64([[-4000.0, 2350.0]]), np.float32),
    "float64, specials": (np.float64([[np.nan, np.inf, -np.inf]]), np.float32),
    "big endian": (np.array([[-7, 8]], ">i2"), np.float32),
}


@pytest.mark.parametrize("suffix", [".npy", ".npz", ".tiff"])
@pytest.mark.parametrize("case", NUMBERS)
def test_numbers_are_exact(tmp_path, case, suffix):
    stored, dtype = NUMBERS[case]
    path = tmp_path / f"a{suffix}"
    if suffix == ".npy":
        np.save(path, stored)
    elif suffix == ".npz":
        np.savez(path, stored)
    else:
        path.write_bytes(as_tiff(stored))
    got = read_image(path)
    assert got.dtype == dtype
    np.testing.assert_array_equal(got, stored)


@pytest.mark.parametrize(
    ("stored", "said"),
    [
        (np.uint32([[0, 1 << 24 | 1]]), "uint32 values from 0 to 16777217.*accepted"),
        (np.int32([[-(1 << 25), 0]]), "int32 values from -33554432 to 0.*accepted"),
        (np.float64([[1e39, 0]]), "beyond float32"),
        (np.array([[1j]]), "complex.*accepted"),
        (np.array([["a"]]), "accepted"),
        (np.array([[None]], object), "cannot be read"),
        (np.zeros((4,), np.uint8), r"shape \(4,\).*H x W"),
        (np.zeros((0, 4, 4), np.uint8), "no frame"),
        (np.zeros((9, 8, 3), np.uint8), "looks like channels"),
    ],
)
def test_numbers_that_would_not_stay_are_refused(tmp_path, stored, said):
    np.save(tmp_path / "a.npy", stored)
    with pytest.raises(DataError, match=f"a.npy.*{said}"):
        read_image(tmp_path / "a.npy")


@pytest.mark.parametrize(
    "text",
    [
        "1.5,-2\n3,4e2\n", "1.5;-2\n3;400\n", "1,5;-2\n3;400,0\n", "1.5\t-2\r\n3\t400",
        "\ufeff1.5, -2,\n3, 400,\n\n",
    ],
)  # fmt: skip
def test_text_of_numbers(tmp_path, text):
    (tmp_path / "a.csv").write_text(text, encoding="utf-8")
    got = read_image(tmp_path / "a.csv")
    assert got.dtype == np.float32
    np.testing.assert_array_equal(got, np.float32([[1.5, -2], [3, 400]]))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("1,2\n3\n", "row 2 has 1 numbers, the first has 2"),
        ("1,2\n3,hot\n", "row 2, column 2 is 'hot', not a number"),
        ("", "empty|no numbers"),
        ("1,1e39\n", "beyond float32"),
    ],
)
def test_text_that_is_no_frame(tmp_path, text, said):
    (tmp_path / "a.csv").write_text(text)
    with pytest.raises(DataError, match=f"a.csv.*({said})"):
        read_image(tmp_path / "a.csv")


def test_pages_and_what_is_beside_them(tmp_path):
    path = tmp_path / "a.tiff"
    with tifffile.TiffWriter(path, bigtiff=True) as tiff:
        tiff.write(FRAME, metadata=None)
        tiff.write(FRAME[::2, ::2], subfiletype=1, metadata=None)
        tiff.write(FRAME[::-1], extratags=[(65000, 3, 1, 7, True)], metadata=None)
    with open_stack(path, ReadOptions()) as stack:
        np.testing.assert_array_equal(list(stack.frames()), [FRAME, FRAME[::-1]])
        assert stack.unused[0] == "1 thumbnails or masks" and "65000" in stack.unused[1]


def test_arrays_of_an_archive_in_order_and_again(tmp_path):
    stacks = np.stack([FRAME, FRAME[::-1]])
    np.savez_compressed(tmp_path / "a.npz", first=stacks, flat=FRAME, names=np.array(["x"]))
    with open_stack(tmp_path / "a.npz", ReadOptions()) as stack:
        assert [(p.key, p.count) for p in stack.parts] == [("first", 2), ("flat", 1)]
        for index in (0, 1, 2, 1):
            np.testing.assert_array_equal(stack.read(index), [*stacks, FRAME][index])
        assert stack.unused == ["array names"]


@pytest.mark.parametrize("order", ["C", "F"])
def test_an_array_in_either_order(tmp_path, order):
    np.save(tmp_path / "a.npy", np.array(np.stack([FRAME, FRAME + 1]), order=order))
    with open_stack(tmp_path / "a.npy", ReadOptions()) as stack:
        np.testing.assert_array_equal(stack.read(1), FRAME + 1)


def with_segment(jpeg, marker, content):
    head = bytes([0xFF, marker]) + struct.pack(">H", len(content) + 2)
    return jpeg[:2] + head + content + jpeg[2:]


@pytest.mark.parametrize("where", ["segments", "after"])
def test_a_jpeg_with_a_raw_frame_is_not_read_as_its_preview_unasked(tmp_path, where):
    preview = cv2.imencode(".jpg", np.full((16, 16), 90, np.uint8))[1].tobytes()
    raw = bytes(2 * 16 * 16 + 3)
    path = tmp_path / "dji.jpg"
    path.write_bytes(with_segment(preview, 0xE3, raw) if where == "segments" else preview + raw)
    with pytest.raises(DataError, match=r"dji.jpg: is a radiometric JPEG.*--allow-preview"):
        read_image(path)
    with open_stack(path, ReadOptions(allow_preview=True)) as stack:
        assert np.abs(stack.read(0).astype(int) - 90).max() <= 2
        assert "8-bit preview" in stack.unused[0]


def test_a_jpeg_with_exif_is_read_and_says_so(tmp_path):
    plain = cv2.imencode(".jpg", np.full((16, 16), 90, np.uint8))[1].tobytes()
    (tmp_path / "a.jpg").write_bytes(with_segment(plain, 0xE1, b"Exif\0\0" + bytes(20)))
    with open_stack(tmp_path / "a.jpg", ReadOptions()) as stack:
        assert stack.unused == ["EXIF"]
