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

"""`difiisr upscale --preview`: a picture to look at beside results that viewers show black."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from difiisr_ros.cli import main
from difiisr_ros.commands.preview import write_preview
from difiisr_ros.io.images import read_image, write_image


def frame(dtype=np.uint16):
    rows, columns = np.mgrid[:24, :32]
    return (29000 + 10 * rows + 3 * columns).astype(dtype) if dtype != np.uint8 else (
        rows + columns
    ).astype(dtype)  # fmt: skip


def run(*arguments):
    return main(["upscale", *map(str, arguments), "--backend", "bicubic"])


@pytest.mark.needs("tifffile")
def test_beside_results_of_more_than_8_bits(tmp_path):
    source, out = tmp_path / "in", tmp_path / "out"
    write_image(source / "a.png", frame())
    write_image(source / "b.tiff", frame(np.float32))
    write_image(source / "c.png", frame(np.uint8))
    assert run(source, out, "--preview") == 0
    names = sorted(p.name for p in out.iterdir())
    assert names == ["a.png", "a_preview.png", "b.tiff", "b_preview.png", "c.png"]
    for name in ("a", "b"):
        picture = cv2.imread(str(out / f"{name}_preview.png"), cv2.IMREAD_UNCHANGED)
        assert picture.shape == (96, 128, 3) and picture.dtype == np.uint8
        light = cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY)
        assert light[2, 2] < 15 and light[-3, -3] > 200  # the whole range of the colours
    assert read_image(out / "a.png").dtype == np.uint16  # the result itself is as without
    plain = tmp_path / "plain"
    assert run(source, plain) == 0
    assert (plain / "a.png").read_bytes() == (out / "a.png").read_bytes()


def test_a_users_picture_of_that_name_is_kept(tmp_path, capsys):
    write_image(tmp_path / "a.png", frame())
    mine = tmp_path / "x_preview.png"
    mine.write_text("treasure")
    assert run(tmp_path / "a.png", tmp_path / "x.png", "--preview") == 2
    assert "x_preview.png: is there already" in capsys.readouterr().err
    assert mine.read_text() == "treasure" and not (tmp_path / "x.png").exists()
    assert run(tmp_path / "a.png", tmp_path / "x.png", "--preview", "--skip-existing") == 0
    assert mine.read_text() == "treasure"
    (tmp_path / "x.png").unlink()
    assert run(tmp_path / "a.png", tmp_path / "x.png", "--preview", "--overwrite") == 0
    assert cv2.imread(str(mine)).shape == (96, 128, 3)


def test_a_name_that_would_be_both_is_refused(tmp_path, capsys):
    source = tmp_path / "in"
    write_image(source / "a.png", frame())
    write_image(source / "a_preview.png", frame())
    assert run(source, tmp_path / "out", "--preview") == 2
    assert "would be a result and a preview" in capsys.readouterr().err


@pytest.mark.parametrize("nodata", [None, 0.0])
def test_what_is_missing_is_gray_and_leaves_the_range_alone(tmp_path, nodata):
    values = frame().astype(np.float32)
    plain = tmp_path / "plain.png"
    write_preview(plain, values, None)
    values[:4, :4] = np.nan if nodata is None else nodata
    write_preview(tmp_path / "p.png", values, nodata)
    picture, whole = cv2.imread(str(tmp_path / "p.png")), cv2.imread(str(plain))
    assert (picture[:4, :4] == 90).all()
    assert np.abs(picture[5:].astype(int) - whole[5:]).mean() < 5
    write_preview(tmp_path / "none.png", np.full((4, 4), np.nan, np.float32), None)
    assert (cv2.imread(str(tmp_path / "none.png")) == 90).all()
