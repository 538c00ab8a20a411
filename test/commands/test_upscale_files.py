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

"""`difiisr upscale` on files as people have them: nothing left out without a word."""

from __future__ import annotations

import errno
import json
import os
import struct
import subprocess
import sys

import cv2
import numpy as np
import pytest

from difiisr_ros import SuperResolver
from difiisr_ros.cli import main
from difiisr_ros.io.images import read_image, write_image
from difiisr_ros.io.open_stack import open_stack
from difiisr_ros.io.stack import ReadOptions

tifffile = pytest.importorskip("tifffile")


@pytest.fixture(scope="module")
def expected():
    resolver = SuperResolver.load(backend="bicubic")
    yield resolver.upscale
    resolver.close()


def frame(seed=0, dtype=np.uint16, low=29237, span=1024):
    noise = np.random.default_rng(seed).normal(size=(13, 17)).astype(np.float32)
    smooth = cv2.GaussianBlur(noise, (0, 0), 2.0)
    return (low + span * (smooth - smooth.min()) / np.ptp(smooth)).astype(dtype)


def run(*arguments):
    return main(["upscale", *map(str, arguments), "--backend", "bicubic"])


def frames_of(path):
    with open_stack(path, ReadOptions()) as stack:
        return [np.array(image) for image in stack.frames()]


STACK = np.stack([frame(0), frame(1), frame(2)])


def test_all_pages_of_a_tiff(tmp_path, expected, capsys):
    tifffile.imwrite(tmp_path / "a.tif", STACK, bigtiff=True, photometric="minisblack")
    assert run(tmp_path / "a.tif", tmp_path / "b.tif") == 0
    np.testing.assert_array_equal(frames_of(tmp_path / "b.tif"), [expected(f) for f in STACK])
    assert "3 frames -> " in capsys.readouterr().out
    assert run(tmp_path / "a.tif", tmp_path / "b.npy") == 0
    np.testing.assert_array_equal(np.load(tmp_path / "b.npy"), [expected(f) for f in STACK])
    capsys.readouterr()
    assert run(tmp_path / "a.tif", tmp_path / "b.png") == 2
    assert "b.png: .png holds one frame, there are 3; use" in capsys.readouterr().err
    assert not (tmp_path / "b.png").exists()


@pytest.mark.parametrize("how", [{"imagej": True}, {"photometric": "minisblack"}])
def test_frames_behind_the_only_page(tmp_path, expected, how):
    tifffile.imwrite(tmp_path / "a.tif", STACK, truncate=True, **how)
    with tifffile.TiffFile(tmp_path / "a.tif") as tiff:
        assert len(tiff.pages) == 1
    assert run(tmp_path / "a.tif", tmp_path / "b.tif") == 0
    np.testing.assert_array_equal(frames_of(tmp_path / "b.tif"), [expected(f) for f in STACK])
    data = (tmp_path / "a.tif").read_bytes()
    (tmp_path / "c.tif").write_bytes(data[:-900])
    assert run(tmp_path / "c.tif", tmp_path / "d.tif") == 2
    assert not (tmp_path / "d.tif").exists()


def test_stacks_of_numpy(tmp_path, expected):
    np.save(tmp_path / "a.npy", STACK)
    np.save(tmp_path / "flat.npy", STACK[0])
    np.savez(tmp_path / "b.npz", one=STACK, two=STACK[:2].astype(np.float32), flat=STACK[1])
    for name in ("a.npy", "flat.npy", "b.npz"):
        assert run(tmp_path / name, tmp_path / "out") == 0
    whole = [expected(f) for f in STACK]
    np.testing.assert_array_equal(np.load(tmp_path / "out" / "a.npy"), whole)
    np.testing.assert_array_equal(np.load(tmp_path / "out" / "flat.npy"), whole[0])
    archive = np.load(tmp_path / "out" / "b.npz")
    assert list(archive) == ["one", "two", "flat"]
    np.testing.assert_array_equal(archive["one"], whole)
    assert archive["two"].dtype == np.float32 and archive["two"].shape == (2, 52, 68)
    np.testing.assert_array_equal(archive["flat"], whole[1])


def test_pages_that_a_tiff_says_it_has_and_has_not_are_named(tmp_path, capsys):
    with tifffile.TiffWriter(tmp_path / "a.tif") as writer:
        for page in STACK:
            writer.write(page, contiguous=False, metadata=None)
    with tifffile.TiffFile(tmp_path / "a.tif") as file:
        end = file.pages[2].offset
    (tmp_path / "a.tif").write_bytes((tmp_path / "a.tif").read_bytes()[:end])
    arguments = (tmp_path / "a.tif", tmp_path / "b.tif", "--json", tmp_path / "done.json")
    assert run(*arguments) == 0 and len(frames_of(tmp_path / "b.tif")) == 2
    (said,) = json.loads((tmp_path / "done.json").read_text())["notices"]
    assert said.endswith("a.tif: says that it has more than 2 pages, which are not there")
    assert run(*arguments, "--overwrite", "--strict") == 2


def test_every_ending_that_would_do_is_named(tmp_path, capsys):
    np.save(tmp_path / "a.npy", frame(3, np.float32, 280.0, 30))
    assert run(tmp_path / "a.npy", tmp_path / "b.png") == 2
    said = capsys.readouterr().err
    assert "holds uint8, uint16, not float32; use .tif, .tiff, .npy, .npz" in said
    assert run(tmp_path / "a.npy", tmp_path / "b.npz") == 0


def test_text_becomes_a_float_tiff(tmp_path, expected):
    values = frame(3, np.float32, -12.0, 30)
    np.savetxt(tmp_path / "a.csv", values, delimiter=";", fmt="%.9g")
    assert run(tmp_path / "a.csv", tmp_path / "out") == 0
    np.testing.assert_array_equal(read_image(tmp_path / "out" / "a.tiff"), expected(values))


@pytest.mark.parametrize("dtype", [np.int8, np.int16, np.int32, np.uint32, np.float64])
def test_other_numbers_come_back_in_their_type(tmp_path, expected, dtype):
    small = dtype == np.int8
    low = 0 if dtype == np.uint32 else -100 if small else -4000
    values = frame(4, np.float32, low, 200 if small else 100_000 if dtype == np.uint32 else 6000)
    values = values.astype(dtype)
    tifffile.imwrite(tmp_path / "a.tif", values)
    assert run(tmp_path / "a.tif", tmp_path / "out") == 0
    (result,) = frames_of(tmp_path / "out" / "a.tif")
    exact = expected(values.astype(np.float32))
    if dtype == np.float64:
        assert result.dtype == np.float32
        np.testing.assert_array_equal(result, exact)
    else:
        assert result.dtype == dtype
        limits = np.iinfo(dtype)
        np.testing.assert_array_equal(result, np.clip(np.rint(exact), limits.min, limits.max))


def test_what_would_not_stay_exact_is_refused(tmp_path, capsys):
    tifffile.imwrite(tmp_path / "a.tif", np.full((8, 8), (1 << 24) + 1, np.uint32))
    assert run(tmp_path / "a.tif", tmp_path / "b.tif") == 2
    assert "a.tif: holds uint32 values from 16777217" in capsys.readouterr().err
    assert not (tmp_path / "b.tif").exists()


GEO_KEYS = (1, 1, 0, 2, 1024, 0, 1, 1, 1025, 0, 1, 1)
GEO_POINTS = (1, 1, 0, 2, 1024, 0, 1, 1, 1025, 0, 1, 2)


def geotiff(path, image, keys=GEO_KEYS, tie=(0.0, 0.0, 0.0, 500000.0, 4600000.0, 0.0), more=()):
    tifffile.imwrite(
        path, image, resolution=((72, 1), (72, 1)), description="a flight",
        datetime="2026:01:02 03:04:05", metadata=None,
        extratags=[
            (33550, 12, 3, (0.5, 0.5, 0.0), True), (33922, 12, 6, tie, True),
            (34735, 3, len(keys), keys, True), *more,
        ],
    )  # fmt: skip


def tags_of(path, page=0):
    with tifffile.TiffFile(path) as tiff:
        return {tag.code: tag.value for tag in tiff.pages[page].tags}


def test_tags_are_taken_over_fitted_to_the_finer_pixels(tmp_path, capsys):
    private = (65000, 3, 1, 7, True)
    geotiff(tmp_path / "a.tif", STACK[0], more=[private, (42113, 2, 0, "-9999", True)])
    assert run(tmp_path / "a.tif", tmp_path / "b.tif", "--json", tmp_path / "r.json") == 0
    tags = tags_of(tmp_path / "b.tif")
    assert tags[33550] == (0.125, 0.125, 0.0)
    assert tags[33922] == (0.0, 0.0, 0.0, 500000.0, 4600000.0, 0.0)
    assert tags[34735] == GEO_KEYS and tags[42113] == "-9999"
    assert tags[270] == "a flight" and tags[306] == "2026:01:02 03:04:05"
    assert tags[282] == tags[283] == (288, 1) and tags[296] == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1 and "not used: tags unknown (65000)" in err
    (entry,) = json.loads((tmp_path / "r.json").read_text())["not_used"]
    assert "65000" in entry["what"] and entry["name"].endswith("a.tif")


def test_tie_points_off_the_corner_and_rasters_of_points(tmp_path):
    geotiff(tmp_path / "a.tif", STACK[0], tie=(2.0, 3.0, 0.0, 7.0, 8.0, 0.0))
    geotiff(tmp_path / "p.tif", STACK[0], keys=GEO_POINTS)
    for name in ("a.tif", "p.tif"):
        assert run(tmp_path / name, tmp_path / "out") == 0
    assert tags_of(tmp_path / "out" / "a.tif")[33922] == (8.0, 12.0, 0.0, 7.0, 8.0, 0.0)
    # the centre of the first pixel is between the second and the third of the finer ones
    assert tags_of(tmp_path / "out" / "p.tif")[33922][:2] == (1.5, 1.5)


def test_the_matrix_of_a_geotiff_maps_the_same_places(tmp_path):
    matrix = np.array([[0.5, 0.1, 0, 1000], [0.2, -0.5, 0, 2000], [0, 0, 0, 0], [0, 0, 0, 1.0]])
    tifffile.imwrite(
        tmp_path / "a.tif", STACK[0], metadata=None,
        extratags=[(34264, 12, 16, tuple(matrix.ravel()), True),
                   (34735, 3, 12, GEO_POINTS, True)],
    )  # fmt: skip
    assert run(tmp_path / "a.tif", tmp_path / "b.tif") == 0
    fine = np.reshape(tags_of(tmp_path / "b.tif")[34264], (4, 4))
    for column, row in ((0, 0), (5, 2)):
        place = fine @ [4 * column + 1.5, 4 * row + 1.5, 0, 1]
        np.testing.assert_allclose(place, matrix @ [column, row, 0, 1])


@pytest.mark.parametrize(("dtype", "nodata"), [(np.int16, -9999), (np.uint16, 0)])
def test_places_without_a_measurement_stay_so_and_do_not_bleed(tmp_path, dtype, nodata):
    image = frame(5, dtype, 1000, 200)
    image[4:9, 5:11] = nodata
    more = [(42113, 2, 0, str(nodata), True)]
    tifffile.imwrite(tmp_path / "a.tif", np.stack([image, np.full_like(image, nodata)]),
                     metadata=None, extratags=more)  # fmt: skip
    assert run(tmp_path / "a.tif", tmp_path / "b.tif") == 0
    result, empty = frames_of(tmp_path / "b.tif")
    assert (result[16:36, 20:44] == nodata).all() and (empty == nodata).all()
    rest = result[result != nodata]
    assert result.dtype == dtype and rest.size == result.size - 20 * 24
    assert rest.min() > 900 and rest.max() < 1300


def test_a_frame_without_any_measurement_is_named(tmp_path, caplog):
    values = frame(3, np.float32, 280.0, 30)
    nothing = np.full_like(values, np.nan)
    np.save(tmp_path / "a.npy", nothing)
    assert run(tmp_path / "a.npy", tmp_path / "b.npy", "--json", tmp_path / "done.json") == 0
    assert np.isnan(np.load(tmp_path / "b.npy")).all()
    (said,) = json.loads((tmp_path / "done.json").read_text())["notices"]
    assert said in caplog.text and "a.npy: no pixel of the frame is a measurement; the" in said
    np.save(tmp_path / "a.npy", np.stack([values, nothing, nothing]))
    assert run(tmp_path / "a.npy", tmp_path / "c.npy") == 0
    assert "a.npy#2: no pixel of the frame is a measurement, nor of 1 more; the" in caplog.text
    caplog.clear()
    np.save(tmp_path / "a.npy", values)
    assert run(tmp_path / "a.npy", tmp_path / "d.npy") == 0 and not caplog.text


def test_tags_of_other_types_than_usual_do_no_harm(tmp_path):
    strange = [(33550, 2, 0, "x", True), (34735, 3, 1, 7, True), (271, 3, 2, (1, 2), True),
               (272, 2, 0, "caf\u00e9".encode(), True)]  # fmt: skip
    tifffile.imwrite(tmp_path / "a.tif", STACK[0], metadata=None, extratags=strange,
                     description="caf\u00e9".encode())  # fmt: skip
    assert run(tmp_path / "a.tif", tmp_path / "b.tif") == 0
    tags = tags_of(tmp_path / "b.tif")
    assert 33550 not in tags and 271 not in tags
    assert tags[270] == tags[272] == tags_of(tmp_path / "a.tif")[272]


def test_colour_is_named(tmp_path, capsys):
    picture = np.random.default_rng(0).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    cv2.imwrite(str(tmp_path / "a.png"), picture)
    tifffile.imwrite(tmp_path / "b.tif", picture, photometric="rgb")
    for name in ("a.png", "b.tif"):
        assert run(tmp_path / name, tmp_path / "out") == 0
        assert f"not used: colour (luma was taken): {tmp_path / name}" in capsys.readouterr().err


def test_min_is_white_stays_so(tmp_path, expected):
    tifffile.imwrite(tmp_path / "a.tif", STACK[0], photometric="miniswhite")
    assert run(tmp_path / "a.tif", tmp_path / "b.tif") == 0
    (result,) = frames_of(tmp_path / "b.tif")
    np.testing.assert_array_equal(result, expected(STACK[0]))
    assert tags_of(tmp_path / "b.tif")[262] == 0


@pytest.fixture
def folder(tmp_path):
    source = tmp_path / "in"
    write_image(source / "a.png", STACK[0])
    write_image(source / "sub" / "deep" / "b.tiff", STACK[1])
    np.save(source / "sub" / "c.npy", STACK)
    np.savetxt(source / "a.csv", STACK[0], delimiter=",", fmt="%d")
    (source / "flight.xyz").write_bytes(b"RIFF")
    (source / "notes.txt").write_text("notes")
    return source


def files_below(path):
    return sorted(str(p.relative_to(path)) for p in path.rglob("*") if p.is_file())


def test_what_of_a_folder_is_not_used_is_said_in_one_line(tmp_path, folder, capsys):
    assert run(folder, tmp_path / "out", "--json", tmp_path / "r.json") == 0
    assert files_below(tmp_path / "out") == ["a.png", "a.tiff"]
    (line,) = capsys.readouterr().err.strip().splitlines()
    for words in (".xyz files: flight.xyz", ".txt files: notes.txt", "sub-folders (--recursive"):
        assert words in line
    names = [e["name"] for e in json.loads((tmp_path / "r.json").read_text())["not_used"]]
    assert sorted(names) == ["flight.xyz", "notes.txt", "sub"]


def test_sub_folders_are_mirrored_and_results_that_are_there_stay(tmp_path, folder, capsys):
    out = tmp_path / "out"
    assert run(folder, out, "--recursive") == 0
    assert files_below(out) == ["a.png", "a.tiff", "sub/c.npy", "sub/deep/b.tiff"]
    (out / "a.png").write_text("mine")
    (out / "sub" / "c.npy").unlink()
    capsys.readouterr()
    report = tmp_path / "r.json"
    assert run(folder, out, "--recursive", "--skip-existing", "--json", report) == 0
    assert (out / "a.png").read_text() == "mine" and (out / "sub" / "c.npy").exists()
    assert "3 files were there already" in capsys.readouterr().out
    written = json.loads(report.read_text())
    assert (written["skipped"], written["frames"]) == (3, 3)


def test_no_two_results_have_one_name(tmp_path):
    source = tmp_path / "in"
    for name in ("a.tiff", "a_csv.tiff", "a.d/x.png"):
        write_image(source / name, STACK[0])
    np.savetxt(source / "a.csv", STACK[0], delimiter=",", fmt="%d")
    assert run(source, tmp_path / "out", "--recursive") == 0
    assert files_below(tmp_path / "out") == ["a.d/x.png", "a.tiff", "a_csv.tiff", "a_csv_.tiff"]


def test_tags_that_the_result_s_format_has_no_place_for_are_named(tmp_path, capsys):
    geotiff(tmp_path / "a.tif", STACK[0])
    assert run(tmp_path / "a.tif", tmp_path / "b.png") == 0
    assert "not used: TIFF's tags, which only a TIFF holds" in capsys.readouterr().err
    tifffile.imwrite(tmp_path / "plain.tif", STACK[0])
    assert run(tmp_path / "plain.tif", tmp_path / "c.png") == 0
    assert capsys.readouterr().err == ""


def test_a_folder_with_frames_in_sub_folders_alone_says_how_to_take_them(tmp_path, folder, capsys):
    for name in ("a.png", "a.csv"):
        (folder / name).unlink()
    assert run(folder, tmp_path / "out") == 2
    assert "--recursive" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", ["results.2024/", "x.npy/"])
def test_a_slash_at_the_end_says_that_it_is_a_folder(tmp_path, name, capsys):
    write_image(tmp_path / "a.png", frame())
    assert run(tmp_path / "a.png", f"{tmp_path}/{name}") == 0
    assert (tmp_path / name / "a.png").is_file()
    assert run(tmp_path / "a.png", tmp_path / "x.2024") == 2
    assert "unknown image format .2024" in (said := capsys.readouterr().err)
    assert "x.2024/ makes a folder of this name" in said
    assert run(tmp_path / "a.png", f"{tmp_path}/a.png/") == 2
    assert "a.png is a file, not a folder" in capsys.readouterr().err


def test_a_folder_does_not_become_a_folder_that_is_named_as_a_file(tmp_path, folder, capsys):
    assert run(folder, tmp_path / "one.png") == 2
    assert "one.png: is named as a file, but the results of a folder" in capsys.readouterr().err
    assert not (tmp_path / "one.png").exists()
    assert run(folder, f"{tmp_path}/one.png/") == 0
    assert (tmp_path / "one.png").is_dir()
    assert run(folder, tmp_path / "one.png", "--overwrite") == 0
    assert run(folder, tmp_path / "out.2024") == 0 and (tmp_path / "out.2024").is_dir()


@pytest.mark.parametrize("out", [".", "out", "sub/x4"])
def test_an_output_in_the_input_is_refused(folder, out, capsys):
    before = files_below(folder)
    assert run(folder, folder / out, "--recursive") == 2
    assert "is the input or in it" in capsys.readouterr().err
    assert files_below(folder) == before


def test_a_full_disk_ends_it_at_the_first_frame(tmp_path, folder, capsys, monkeypatch):
    tried = []

    def full(source, target):
        tried.append(target)
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    assert run(folder, tmp_path / "out", "--recursive") == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert "cannot be written: No space left on device" in line
    assert len(tried) == 1 and files_below(tmp_path / "out") == []


@pytest.mark.parametrize("name", ["x.tif", "x.npy", "x.npz"])
def test_a_disk_that_gets_full_within_a_file_leaves_nothing(tmp_path, name):
    """In a process of its own, whose files may have 20 KB; the result has three times as much."""
    noise = np.random.default_rng(0).integers(0, 65536, (6, 16, 16), dtype=np.uint16)
    np.save(tmp_path / "a.npy", noise)
    limit = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (20480, 20480))"
    code = f"{limit}\nimport sys\nfrom difiisr_ros.cli import main\nsys.exit(main(sys.argv[1:]))"
    out = tmp_path / "out"
    arguments = ["upscale", str(tmp_path / "a.npy"), str(out / name), "--backend", "bicubic"]
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True)
    assert done.returncode == 2, done.stderr
    (line,) = done.stderr.strip().splitlines()
    assert f"{name}: cannot be written: File too large" in line
    assert list(out.iterdir()) == []


def test_a_target_that_cannot_be_written_is_known_before_anything_is_computed(
    tmp_path, folder, capsys, monkeypatch
):
    (tmp_path / "file").write_text("x")
    monkeypatch.setattr(SuperResolver, "load", None)  # would fail
    assert run(folder, tmp_path / "file" / "out") == 2
    assert "is a file, not a folder" in capsys.readouterr().err
    monkeypatch.setattr(os, "access", lambda *_: False)
    assert run(folder, tmp_path / "out") == 2
    assert "no permission to write" in capsys.readouterr().err


def test_a_page_that_is_damaged_leaves_its_file_out_whole(tmp_path, folder, caplog):
    with tifffile.TiffWriter(folder / "z.tif") as tiff:
        for image in STACK:
            tiff.write(image, compression="zlib", metadata=None)
    data = bytearray((folder / "z.tif").read_bytes())
    with tifffile.TiffFile(folder / "z.tif") as tiff:
        at = tiff.pages[1].dataoffsets[0]
    data[at : at + 20] = bytes(20)
    (folder / "z.tif").write_bytes(data)
    assert run(folder, tmp_path / "out") == 0
    assert "z.tif, page 2" in caplog.text
    assert files_below(tmp_path / "out") == ["a.png", "a.tiff"]


def test_larger_frames_and_smaller_tiles_on_request(tmp_path, capsys):
    write_image(tmp_path / "a.png", np.tile(STACK[0], (10, 10)))
    size = 130 * 170
    assert run(tmp_path / "a.png", tmp_path / "b.png", "--max-input-pixels", size - 1) == 2
    assert f"170x130 pixels are more than {size - 1} (--max-input-pixels" in capsys.readouterr().err
    arguments = ("--max-input-pixels", size, "--tile-size", 64)
    assert run(tmp_path / "a.png", tmp_path / "b.png", *arguments) == 0
    assert read_image(tmp_path / "b.png").shape == (520, 680)
    assert run(tmp_path / "a.png", tmp_path / "c.png", "--tile-size", 8) == 2
    assert "--tile-size must be 0, or 32 or more" in capsys.readouterr().err


def test_temperatures_are_asked_of_files_that_have_none(tmp_path, capsys):
    write_image(tmp_path / "a.png", STACK[0])
    assert run(tmp_path / "a.png", tmp_path / "b.tiff", "--unit", "celsius") == 2
    assert "no constants for --unit celsius" in capsys.readouterr().err


def test_exif_of_many_files_is_one_entry(tmp_path, capsys):
    plain = cv2.imencode(".jpg", np.full((16, 16), 90, np.uint8))[1].tobytes()
    exif = b"\xff\xe1" + struct.pack(">H", 28) + b"Exif\0\0" + bytes(20)
    (tmp_path / "in").mkdir()
    for i in range(3):
        (tmp_path / "in" / f"{i}.jpg").write_bytes(plain[:2] + exif + plain[2:])
    assert run(tmp_path / "in", tmp_path / "out") == 0
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert "not used: EXIF: 3, as " in line
