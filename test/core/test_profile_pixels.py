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

"""Keys of the camera profile on what is no measurement: what may stand there, what may not."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from difiisr_ros.core.bad_pixels import read_bad_pixels, write_bad_pixels
from difiisr_ros.core.camera_profile import CameraProfile, profile_keys, resolve_camera
from difiisr_ros.core.crop import Crop, parse_crop
from difiisr_ros.core.fixed_pattern import FixedPattern
from difiisr_ros.errors import DataError, OptionError

OFFSETS = np.where(np.eye(6, 8) > 0, 5, [1, -1, 1, -1, 1, -1, 1, -1]).astype(np.float32)


def profile(folder, text):
    path = folder / "camera.yaml"
    path.write_text(text)
    return CameraProfile.read(path)


@pytest.mark.parametrize(
    "text, words",
    [
        ("missing: [1, two]\n", r"missing must be numbers, or ranges.*\[1, 'two'\]"),
        ("missing: [[5, 1]]\n", "lower one first.*5, 1"),
        ("missing: [[1, 2, 3]]\n", "missing must be numbers"),
        ("missing: .nan\n", "NaN and infinity always are"),
        ("missing: true\n", "missing must be numbers.*True"),
        ("missing: {low: 1}\n", "missing must be numbers"),
        ("missing:\n", "missing must be numbers.*None"),
        ("crop: 4\n", r"crop must have whole numbers.*top, bottom, left, right, got 4"),
        ("crop: [1, 2]\n", r"crop must have whole numbers.*\[1, 2\]"),
        ("crop: {botom: 2}\n", "top, bottom, left, right, got {'botom': 2}"),
        ("crop: {bottom: -2}\n", "0..16384.*-2"),
        ("crop: {bottom: 1.5}\n", "whole numbers.*1.5"),
        ("crop: {bottom: true}\n", "whole numbers.*True"),
        ("byte_order: middle\n", "byte_order must be one of auto, little, big, got 'middle'"),
        ("bad_pixels: 3\n", "bad_pixels must be a file's path, got 3"),
        ("bad_pixels: ''\n", "bad_pixels must be a file's path"),
        ("pattern: 3\n", "pattern must be a file's path, got 3"),
    ],
)
def test_a_bad_value_is_named(tmp_path, text, words):
    with pytest.raises(OptionError, match=words) as error:
        profile(tmp_path, text)
    assert str(tmp_path / "camera.yaml") in str(error.value)


def test_all_keys_are_read_written_and_read_again(tmp_path):
    write_bad_pixels(tmp_path / "bad.png", np.eye(6, 8) > 0)
    FixedPattern(OFFSETS, 40, "2026-01-31").write(tmp_path / "offsets.npz")
    found = profile(
        tmp_path,
        "missing: [0, [-9999, -9000]]\ncrop: {bottom: 2, left: 8}\nbad_pixels: bad.png\n"
        "byte_order: big\nnoise: 3\npattern: offsets.npz\n",
    )
    assert found.missing == ((0, 0), (-9999, -9000))
    assert found.crop == Crop(bottom=2, left=8)
    assert found.bad_mask.sum() == 6
    assert found.describe() == (
        "noise 3 counts, blur unknown, missing 0, -9999..-9000, crop bottom 2, left 8, "
        "6 bad pixels, pattern of 3 counts from 40 frames (2026-01-31), byte order big "
        f"({tmp_path / 'camera.yaml'})"
    )
    found.write(tmp_path / "again.yaml")
    assert 'bad_pixels: "bad.png"' in (tmp_path / "again.yaml").read_text()
    assert 'pattern: "offsets.npz"' in (tmp_path / "again.yaml").read_text()
    again = CameraProfile.read(tmp_path / "again.yaml")
    for key in profile_keys():
        assert getattr(again, key) == getattr(found, key)
    scene = found.of_the_scene()
    assert scene.noise == 3 and scene.describe().startswith("noise 3 counts, blur unknown (")


def test_a_mask_lies_beside_its_profile_wherever_that_is_read_from(tmp_path, monkeypatch):
    (tmp_path / "cameras").mkdir()
    write_bad_pixels(tmp_path / "cameras" / "bad.png", np.eye(6, 8) > 0)
    (tmp_path / "cameras" / "camera.yaml").write_text("bad_pixels: bad.png\n")
    monkeypatch.chdir(tmp_path)
    assert CameraProfile.read("cameras/camera.yaml").bad_mask.shape == (6, 8)
    FixedPattern(OFFSETS, 40).write(tmp_path / "cameras" / "offsets.npz")
    (tmp_path / "cameras" / "camera.yaml").write_text("pattern: offsets.npz\n")
    found = CameraProfile.read("cameras/camera.yaml")
    np.testing.assert_array_equal(found.fixed_pattern.offsets, OFFSETS)
    assert found.of_the_scene().pattern is None


def test_a_pattern_that_cannot_be_used_is_known_when_the_profile_is_read(tmp_path):
    with pytest.raises(DataError, match=r"offsets.npz: the pattern cannot be read: No such file"):
        profile(tmp_path, "pattern: offsets.npz\n")
    (tmp_path / "offsets.npz").write_bytes(b"nothing")
    with pytest.raises(DataError, match=r"offsets.npz: the pattern is no .npz"):
        profile(tmp_path, "pattern: offsets.npz\n")
    with pytest.raises(DataError, match=r"nowhere.npz"):
        resolve_camera("auto", {"pattern": "nowhere.npz"})


def test_files_that_are_no_mask_are_named(tmp_path):
    text = f"bad_pixels: {tmp_path}/bad.png\n"
    with pytest.raises(DataError, match=r"bad.png: the bad pixels cannot be read: No such file"):
        profile(tmp_path, text)
    for content in (b"", b"no picture"):
        (tmp_path / "bad.png").write_bytes(content)
        with pytest.raises(DataError, match="no picture; accepted is a gray picture"):
            profile(tmp_path, text)
    cv2.imwrite(
        str(tmp_path / "bad.png"), np.dstack([np.eye(5, dtype=np.uint8) * k for k in (1, 2, 3)])
    )
    with pytest.raises(DataError, match="in colour"):
        profile(tmp_path, text)
    cv2.imwrite(str(tmp_path / "bad.png"), np.ones((4, 5), np.uint8))
    with pytest.raises(DataError, match="calls every pixel bad"):
        profile(tmp_path, text)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_anything_but_black_is_bad(tmp_path, dtype):
    image = np.zeros((4, 5), dtype)
    image[1, 2], image[3, 4] = 1, np.iinfo(dtype).max
    cv2.imwrite(str(tmp_path / "bad.png"), image)
    assert np.argwhere(read_bad_pixels(tmp_path / "bad.png")).tolist() == [[1, 2], [3, 4]]
    cv2.imwrite(str(tmp_path / "bad.png"), np.repeat(image[..., None], 3, axis=2))
    assert read_bad_pixels(tmp_path / "bad.png").sum() == 2


def test_what_is_given_beside_a_profile_wins_over_it(tmp_path):
    path = tmp_path / "camera.yaml"
    path.write_text("missing: 0\ncrop: {top: 1}\nnoise: 3\n")
    given = {"missing": "65535", "crop": None, "bad_pixels": "", "byte_order": "auto"}
    found = resolve_camera(str(path), given)
    assert (found.missing, found.crop, found.noise) == (((65535, 65535),), Crop(1), 3)
    assert resolve_camera(str(path), {"missing": (), "crop": Crop()}).missing == ((0, 0),)
    assert resolve_camera("auto", {"crop": "0,2,0,0"}).crop == Crop(bottom=2)
    assert resolve_camera("reduced", {"missing": "0"}).is_reduced
    with pytest.raises(OptionError, match=r"^crop must have.*'0,2'"):
        resolve_camera("auto", {"crop": "0,2"})
    with pytest.raises(DataError, match=r"nowhere.png"):
        resolve_camera("auto", {"bad_pixels": "nowhere.png"})


@pytest.mark.parametrize(
    "value",
    ["1,2,3,4", "top 1, right 4, bottom 2, left 3", [1, 2, 3, 4], (1, 2, 3, 4), Crop(1, 2, 3, 4)],
)
def test_a_crop_is_read_as_people_write_it(value):
    assert parse_crop(value) == Crop(top=1, bottom=2, left=3, right=4)
