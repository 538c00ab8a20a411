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

"""FLIR's container, built here by its documented layout, and the temperatures of its counts."""

from __future__ import annotations

import sys
import types

import numpy as np
import pytest

from difiisr_ros.cli import main
from difiisr_ros.errors import DataError
from difiisr_ros.io.flir import decode_fff
from difiisr_ros.io.images import read_image
from difiisr_ros.io.open_stack import open_stack
from difiisr_ros.io.stack import ReadOptions
from support.flir_files import CAMERA, COUNTS, container, radiometric_jpeg

BLACK = {0x20: ("f", 1.0), 0x24: ("f", 0.0), 0x34: ("f", 1.0)}


def decoded(data, unit="counts"):
    return decode_fff(data, "a.fff", ReadOptions(unit=unit))


@pytest.mark.parametrize("header", "<>")
@pytest.mark.parametrize("record", "<>")
@pytest.mark.parametrize("raw", ["plain", "png", "swapped png"])
def test_counts_are_read_in_every_byte_order(header, record, raw):
    got = decoded(container(header=header, record=record, raw=raw))
    assert got.dtype == np.uint16
    np.testing.assert_array_equal(got, COUNTS)


def test_a_black_body_nearby_has_the_temperature_of_planck_s_law():
    kelvin = np.linspace(253.15, 393.15, 192).reshape(12, 16)
    r1, b, f = (CAMERA[at][1] for at in (0x58, 0x5C, 0x60))
    offset, r2 = CAMERA[0x308][1], CAMERA[0x30C][1]
    counts = r1 / (r2 * (np.exp(b / kelvin) - f)) - offset
    data = container(np.rint(counts).astype(np.uint16), camera=BLACK)
    assert np.abs(decoded(data, "kelvin") - kelvin).max() < 0.02
    celsius = decoded(data, "celsius")
    assert celsius.dtype == np.float32
    assert np.abs(celsius - (kelvin - 273.15)).max() < 0.02


def test_emissivity_air_and_window_add_up_to_what_the_sensor_sees():
    """All at one temperature look as a black body of it, whatever shares they have."""
    kelvin = 300.0
    same = {at: ("f", kelvin) for at in (0x28, 0x2C, 0x30)}
    r1, b, f = (CAMERA[at][1] for at in (0x58, 0x5C, 0x60))
    count = r1 / (CAMERA[0x30C][1] * (np.exp(b / kelvin) - f)) - CAMERA[0x308][1]
    data = container(np.full((4, 6), round(count), np.uint16), camera=same)
    assert np.abs(decoded(data, "kelvin") - kelvin).max() < 0.02
    # what a colder surrounding takes away, the object must have: it is warmer than it looks
    cold = container(np.full((4, 6), round(count), np.uint16), camera={0x28: ("f", 250.0)})
    assert (decoded(cold, "kelvin") > kelvin + 1).all()


def test_counts_below_what_any_temperature_gives_are_nan():
    data = container(np.uint16([[1, 20000]]), camera=BLACK)
    assert np.isnan(decoded(data, "kelvin")).tolist() == [[True, False]]


@pytest.mark.parametrize(
    ("data", "unit", "said"),
    [
        (b"FFF\0" + bytes(80), "counts", "unknown version"),
        (container()[:150], "counts", "truncated|without a raw frame"),
        (container()[:400], "counts", "truncated"),
        (container(size=(99, 99)), "counts", "truncated"),
        (container(raw="png", size=(99, 99)), "counts", "says 99x99"),
        (container(camera={0x58: ("f", 0.0)}), "kelvin", "planck_r1 is 0.*--unit counts"),
        (container(camera={0x20: ("f", 7.0)}), "kelvin", "emissivity is 7"),
        (container(size=(60000, 60000)), "counts", "more than 268435456"),
    ],
)
def test_what_is_damaged_is_named(data, unit, said):
    with pytest.raises(DataError, match=f"a.fff: .*({said})"):
        decoded(data, unit)


def test_a_radiometric_jpeg_is_its_raw_frame(tmp_path):
    path = tmp_path / "a.jpg"
    path.write_bytes(radiometric_jpeg(container(raw="swapped png")))
    np.testing.assert_array_equal(read_image(path), COUNTS)
    with open_stack(path, ReadOptions(allow_preview=True)) as stack:
        assert stack.read(0).shape == (48, 64) and "preview" in stack.unused[0]
    path.write_bytes(radiometric_jpeg(b"AFF\0" + bytes(400)))
    with pytest.raises(DataError, match=r"a\.jpg.*--allow-preview"):
        read_image(path)


@pytest.mark.needs("tifffile")
@pytest.mark.parametrize("name", ["a.jpg", "a.fff"])
@pytest.mark.parametrize("unit", ["counts", "celsius"])
def test_upscaled_files_are_in_the_unit_asked_for(tmp_path, name, unit):
    data = container()
    (tmp_path / name).write_bytes(radiometric_jpeg(data) if name == "a.jpg" else data)
    arguments = [str(tmp_path / name), str(tmp_path / "out"), "--unit", unit]
    assert main(["upscale", *arguments, "--backend", "bicubic"]) == 0
    result = read_image(tmp_path / "out" / "a.tiff")
    truth = decoded(data, unit)
    assert result.dtype == truth.dtype and result.shape == (48, 64)
    assert abs(float(result.mean()) - float(truth.mean())) < 0.01 * float(np.ptp(truth))


@pytest.mark.needs("tifffile")
def test_a_recording_is_all_its_frames(tmp_path):
    frames = [COUNTS, COUNTS + 7, COUNTS[::-1].copy()]
    data = b"".join(container(f, raw="swapped png") for f in frames)
    (tmp_path / "a.seq").write_bytes(data)
    with open_stack(tmp_path / "a.seq", ReadOptions()) as stack:
        np.testing.assert_array_equal(list(stack.frames()), frames)
    arguments = [str(tmp_path / "a.seq"), str(tmp_path / "out"), "--unit", "kelvin"]
    assert main(["upscale", *arguments, "--backend", "bicubic"]) == 0
    with open_stack(tmp_path / "out" / "a.tiff", ReadOptions()) as stack:
        results = list(stack.frames())
    truth = [decoded(container(f), "kelvin") for f in frames]
    assert [r.shape for r in results] == [(48, 64)] * 3
    assert np.abs(np.mean(results, (1, 2)) - np.mean(truth, (1, 2))).max() < 0.1
    (tmp_path / "a.seq").write_bytes(data[:-200])
    assert main(["upscale", *arguments, "--backend", "bicubic"]) == 2


def test_a_recording_compressed_by_jpeg_ls(tmp_path):
    frames = [COUNTS, COUNTS + 7]
    data = b"".join(container(frame, raw="jpeg-ls") for frame in frames)
    (tmp_path / "a.csq").write_bytes(data)
    with open_stack(tmp_path / "a.csq", ReadOptions()) as stack:
        for read, frame in zip(stack.frames(), frames):
            np.testing.assert_array_equal(read, frame)


def test_jpeg_ls_without_its_library_names_it(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "imagecodecs", None)
    data = container().replace(COUNTS.astype("<u2").tobytes()[:4], b"\xff\xd8\xff\xf7")
    (tmp_path / "a.csq").write_bytes(data)
    with pytest.raises(DataError, match=r"a\.csq.*JPEG-LS.*pip install imagecodecs"):
        read_image(tmp_path / "a.csq")


def test_damaged_jpeg_ls_is_refused(tmp_path, monkeypatch):
    codec = types.SimpleNamespace(jpegls_decode=lambda data: (_ for _ in ()).throw(ValueError("x")))
    monkeypatch.setitem(sys.modules, "imagecodecs", codec)
    data = container().replace(COUNTS.astype("<u2").tobytes()[:4], b"\xff\xd8\xff\xf7")
    (tmp_path / "a.csq").write_bytes(data)
    with pytest.raises(DataError, match=r"a\.csq.*cannot be decoded as JPEG-LS: x"):
        read_image(tmp_path / "a.csq")
