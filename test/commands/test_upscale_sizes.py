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

"""`difiisr upscale` at other scales, at a size that was asked for, and of a part of each frame."""

from __future__ import annotations

import json

import numpy as np
import pytest

from difiisr_ros.cli import build_parser, main
from difiisr_ros.commands.unread_options import unread
from difiisr_ros.io.images import read_image, write_image

tifffile = pytest.importorskip("tifffile")


def frame(height=20, width=30):
    y, x = np.mgrid[:height, :width]
    return (29_000 + 40 * y + 25 * x + 300 * np.sin(x / 3)).astype(np.uint16)


def upscaled(tmp_path, *arguments, name="in.tiff"):
    target = tmp_path / "out.tiff"
    assert main(["upscale", str(tmp_path / name), str(target), "--overwrite", *arguments]) == 0
    return read_image(target)


@pytest.fixture
def given(tmp_path):
    write_image(tmp_path / "in.tiff", frame())
    return tmp_path


def test_scales_sizes_and_regions_of_one_file(given):
    whole = upscaled(given)
    assert whole.shape == (80, 120)
    half = upscaled(given, "--scale", "2")
    means = whole.reshape(40, 2, 60, 2).mean(axis=(1, 3))
    assert half.shape == (40, 60) and np.abs(half - means).mean() < 1
    assert upscaled(given, "--scale", "1").shape == (20, 30)
    assert upscaled(given, "--output-size", "64x0").shape == (43, 64)
    assert upscaled(given, "--output-size", "64x64", "--output-fit", "letterbox").shape == (64, 64)
    part = upscaled(given, "--roi", "7,3,12,9")
    assert np.abs(part.astype(int) - whole[12:48, 28:76]).max() <= 1


def test_a_region_that_reaches_beyond_the_frame_is_said_once(tmp_path, caplog):
    tifffile.imwrite(tmp_path / "in.tiff", np.stack([frame(), frame() + 1]))
    upscaled(tmp_path, "--roi", "22,3,12,9", "--scale", "1")
    assert tifffile.imread(tmp_path / "out.tiff").shape == (2, 9, 8)
    words = "the region 12x9 at (22, 3) is clipped to 8x9 at (22, 3), the frame has 30x20 pixels"
    assert caplog.text.count(words) == 1
    caplog.clear()
    upscaled(tmp_path, "--roi", "22,3,8,9", "--scale", "1")
    assert "clipped" not in caplog.text


def test_what_has_no_effect_is_said(given, caplog):
    upscaled(given, "--output-size", "60x40", "--scale", "2")
    assert "not used: --scale 2, which --output-size decides" in caplog.text
    upscaled(given, "--output-size", "60x0", "--output-fit", "crop")
    assert "not used: --output-fit crop" in caplog.text


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("--range-min 5 --range-max 9", "not used: --range-max 9.0, which is for --range-mode f"),
        ("--range-mode minmax", "not used: --range-mode minmax, which is for published models"),
        ("--guidance-gradient exact", "not used: --guidance-gradient exact, which is for --visual"),
        ("--topic /a --topic /b", "not used: --topic /a /b, which is for a bag"),
        ("--rate 9", "not used: --rate 9.0, which is for files that become a bag"),
        ("--storage mcap", "not used: --storage mcap, which is for a bag that becomes a bag"),
        ("--namespace up", "not used: --namespace up, which is for a bag that becomes a bag"),
        ("--recursive", "not used: --recursive, which is for a folder"),
    ],
)
def test_an_option_for_something_else_is_said(given, caplog, arguments, words):
    upscaled(given, *arguments.split(), "--json", str(given / "done.json"))
    assert words in caplog.text
    assert any(
        words in notice for notice in json.loads((given / "done.json").read_text())["notices"]
    )


def test_an_option_that_is_read_is_not_called_unread():
    def said(line, bags=(False, False)):
        return list(unread(build_parser("upscale").parse_args(["upscale", *line.split()]), bags))

    fixed = "a b --range-mode fixed --range-min 5 --range-max 9"
    assert said(f"{fixed} --model published.safetensors") == []
    assert said(fixed) != []
    assert said("a b --guidance-gradient exact --quality balanced") == []
    assert said("a b --topic /a --storage mcap --namespace up", (True, True)) == []
    assert said("a b.png --topic /a", (True, False)) == []
    assert said("a b.mcap --rate 9", (False, True)) == []
    assert said("a b --rate 9", (True, True)) != []
    assert said("a b.mcap --topic /a", (False, True)) != []


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--scale", "3"), "choose from 4, 2, 1"),
        (("--output-size", "640"), "invalid size WxH value: '640'"),
        (("--output-size=-3x4",), "output_size must be two integers"),
        (("--output-size", "20000x20000"), "at most 67108864"),
        (("--roi", "1,2,3"), "invalid region X,Y,W,H value"),
        (("--roi", "1,2,0,3"), "at least one pixel, got 0x3 at (1, 2)"),
        (("--roi", "40,2,5,5"), "5x5 at (40, 2) lies outside the frame of 30x20"),
    ],
)
def test_what_cannot_be_ends_with_2_and_writes_nothing(given, capsys, arguments, words):
    target = given / "out.tiff"
    with pytest.raises(SystemExit) as ended:
        raise SystemExit(main(["upscale", str(given / "in.tiff"), str(target), *arguments]))
    assert ended.value.code == 2
    assert words in capsys.readouterr().err
    assert not target.exists()


GEO_KEYS = (1, 1, 0, 2, 1024, 0, 1, 1, 1025, 0, 1, 1)
POINT_KEYS = (*GEO_KEYS[:-1], 2)


@pytest.mark.parametrize("keys", [GEO_KEYS, POINT_KEYS])
@pytest.mark.parametrize(
    "arguments",
    [
        ("--scale", "2"),
        ("--output-size", "45x45", "--output-fit", "letterbox"),
        ("--roi", "5,4,20,10"),
        ("--roi", "5,4,20,10", "--output-size", "50x40", "--crop", "left 2"),
    ],
)
def test_a_geotiff_stays_at_its_place_on_the_ground(tmp_path, keys, arguments):
    """The place of the frame's pixel (9, 8), by the tags of the frame and of the result."""
    matrix = (0.5, 0.1, 0, 4000, -0.1, -0.5, 0, 7000, 0, 0, 0, 0, 0, 0, 0, 1)
    tags = [(34735, 3, len(keys), keys, True), (34264, 12, 16, tuple(map(float, matrix)), True)]
    spot = np.full((20, 30), 29_000, np.uint16)
    spot[8, 9] = 30_000
    tifffile.imwrite(tmp_path / "in.tiff", spot, extratags=tags)
    result = upscaled(tmp_path, "--backend", "bicubic", *arguments).astype(np.float64)
    with tifffile.TiffFile(tmp_path / "out.tiff") as written:
        found = np.reshape(written.pages[0].tags[34264].value, (4, 4))
    weight = np.clip(result - 29_500, 0, None)
    weight[(result == result[0, 0]) & (result > 29_400)] = 0  # bars
    rows, columns = np.mgrid[: result.shape[0], : result.shape[1]]
    half = 0.0 if keys is POINT_KEYS else 0.5
    place = [(weight * n).sum() / weight.sum() + half for n in (columns, rows)]
    expected = np.reshape(matrix, (4, 4)) @ [9 + half, 8 + half, 0, 1]
    assert found @ [*place, 0, 1] == pytest.approx(expected, abs=0.1)
