"""FLIR's container, built here by its documented layout, and the temperatures of its counts."""

from __future__ import annotations

import struct
import sys
import types

import cv2
import numpy as np
import pytest

from difiisr_ros.cli import main
from difiisr_ros.errors import DataError
from difiisr_ros.io.flir import decode_fff
from difiisr_ros.io.images import read_image
from difiisr_ros.io.open_stack import open_stack
from difiisr_ros.io.stack import ReadOptions

COUNTS = (13000 + np.add.outer(np.arange(12) * 40, np.arange(16) * 25)).astype(np.uint16)
#: Offset -> (format, value), as ExifTool's documentation of the camera record has them.
CAMERA = {
    0x20: ("f", 0.95), 0x24: ("f", 3.0), 0x28: ("f", 293.15), 0x2C: ("f", 291.15),
    0x30: ("f", 292.15), 0x34: ("f", 0.9), 0x3C: ("f", 0.5), 0x58: ("f", 14906.216),
    0x5C: ("f", 1396.5), 0x60: ("f", 1.0), 0x70: ("f", 0.006569), 0x74: ("f", 0.01262),
    0x78: ("f", -0.002276), 0x7C: ("f", -0.00667), 0x80: ("f", 1.9), 0x308: ("i", -7261),
    0x30C: ("f", 0.010956882),
}  # fmt: skip
BLACK = {0x20: ("f", 1.0), 0x24: ("f", 0.0), 0x34: ("f", 1.0)}


def container(counts=COUNTS, *, header=">", record="<", raw="plain", camera=None, size=None):
    height, width = size or counts.shape
    if raw == "plain":
        pixels = counts.astype(f"{record}u2").tobytes()
    elif raw == "jpeg-ls":
        pixels = pytest.importorskip(
            "imagecodecs", reason="imagecodecs is not installed"
        ).jpegls_encode(counts)
    else:
        image = counts if raw == "png" else counts.byteswap()
        pixels = cv2.imencode(".png", image)[1].tobytes()
    frame = struct.pack(f"{record}HHH", 2, width, height).ljust(0x20, b"\0") + pixels
    info = bytearray(0x400)
    struct.pack_into(f"{record}H", info, 0, 2)
    for at, (kind, value) in {**CAMERA, **(camera or {})}.items():
        struct.pack_into(f"{record}{kind}", info, at, value)
    records = [(0, b""), (1, frame), (0x20, bytes(info))]
    start = 64 + 32 * len(records)
    head = b"FFF\0" + b"CAMERA".ljust(16, b"\0") + struct.pack(f"{header}III", 101, 64, 3)
    directory, body = b"", b""
    for kind, content in records:
        entry = struct.pack(f"{header}HHIIII", kind, 0, 100, 1, start + len(body), len(content))
        directory += entry.ljust(32, b"\0")
        body += content
    return head.ljust(64, b"\0") + directory + body


def radiometric_jpeg(data, chunk=300):
    plain = cv2.imencode(".jpg", np.full((48, 64), 90, np.uint8))[1].tobytes()
    parts = [data[i : i + chunk] for i in range(0, len(data), chunk)]
    segments = b""
    for number, part in enumerate(parts):
        content = b"FLIR\0\x01" + bytes([number, len(parts) - 1]) + part
        segments += b"\xff\xe1" + struct.pack(">H", len(content) + 2) + content
    return plain[:2] + segments + plain[2:]


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
