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

"""The camera profile: what may stand in its file, what may not, and the way there and back."""

from __future__ import annotations

import pytest

from difiisr_ros.core.camera_profile import CameraProfile, profile_keys, resolve_camera
from difiisr_ros.errors import DataError, OptionError


@pytest.mark.parametrize(
    "text, words",
    [
        ("nois: 3\n", "unknown key 'nois'.*noise, blur, blur_error, calibration"),
        ("source: x\n", "unknown key 'source'"),
        ("noise: -1\n", "noise must be a number in 0..1e.06, got -1"),
        ("noise: .nan\n", "noise must be a number.*nan"),
        ("noise: .inf\n", "noise must be a number"),
        ("noise: three\n", "noise must be a number.*'three'"),
        ("noise: true\n", "noise must be a number.*True"),
        ("noise: [1, 2]\n", "noise must be a number"),
        ("noise: 1e9\n", "noise must be a number"),
        ("blur: 45\n", "blur must be a number in 0..3, got 45"),
        ("blur: -0.1\n", "blur must be a number in 0..3, got -0.1"),
        ("blur: 0.4\nblur_error: 9\n", "blur_error must be a number in 0..3, got 9"),
        ("blur_error: 0.1\n", "blur_error says how sure blur is, which is missing"),
        ("calibration: 3\n", "calibration must be a mapping, got 3"),
        ("noise: 3\nblur: 0.5\nnoise: 5\n", "noise is there twice, in lines 1 and 3"),
        ("calibration: {a: 1, b: 2}\ncrop:\n  top: 1\n  top: 2\n", "top is there twice"),
        ("crop: {top: 1, top: 2}\n", "top is there twice, in lines 1 and 1"),
        ("noise: 010\n", "noise: 010 is 8 to YAML; write the decimal number"),
        ("missing: [0, [-012, 1]]\n", "missing: -012 is -10 to YAML"),
        ("noise: 1:30\n", "noise: 1:30 is 90 to YAML"),
    ],
)
def test_a_bad_key_or_value_is_named(tmp_path, text, words):
    path = tmp_path / "camera.yaml"
    path.write_text(text)
    with pytest.raises(OptionError, match=words) as error:
        CameraProfile.read(path)
    assert str(path) in str(error.value)


@pytest.mark.parametrize(
    "content, words",
    [
        (b"noise: [1,\n", "is no YAML"),
        (b"\xff\xfe\x00noise", "is no YAML"),
        (b"- 1\n- 2\n", "a mapping of keys to values, got list"),
        (b"hello\n", "a mapping of keys to values, got str"),
    ],
)
def test_a_file_that_is_no_profile_is_refused(tmp_path, content, words):
    path = tmp_path / "camera.yaml"
    path.write_bytes(content)
    with pytest.raises(DataError, match=words):
        CameraProfile.read(path)


def test_a_missing_file_and_a_folder_are_named(tmp_path):
    with pytest.raises(DataError, match=r"nowhere.yaml.*No such file"):
        CameraProfile.read(tmp_path / "nowhere.yaml")
    with pytest.raises(DataError, match="directory"):
        CameraProfile.read(tmp_path)


def test_yaml_cannot_make_objects(tmp_path):
    path = tmp_path / "camera.yaml"
    path.write_text("noise: !!python/object/apply:os.getcwd []\n")
    with pytest.raises(DataError, match="is no YAML"):
        CameraProfile.read(path)


@pytest.mark.parametrize("text", ["", "# nothing\n"])
def test_every_key_is_optional(tmp_path, caplog, text):
    path = tmp_path / "camera.yaml"
    path.write_text(text)
    profile = CameraProfile.read(path)
    assert f"{path}: the camera profile is empty" in caplog.text
    assert (profile.noise, profile.blur, profile.blur_error) == (None, None, None)
    assert profile.source == str(path) and not profile.is_reduced


def test_what_is_written_is_read_again(tmp_path):
    path = tmp_path / "new" / "camera.yaml"
    written = CameraProfile(3.25, 0.45, 0.05, {"frames": 60, "data": "bag: é", "not_known": {}})
    written.write(path)
    found = CameraProfile.read(path)
    for key in profile_keys():
        assert getattr(found, key) == getattr(written, key)
    assert "Gaussian sigma" in path.read_text(encoding="utf-8")


def test_what_only_looks_odd_is_read(tmp_path):
    path = tmp_path / "c.yaml"
    path.write_text("calibration: &a {of: [*a], at: '010', x: 0, y: 0.5}\nnoise: 0x10\n")
    assert CameraProfile.read(path).noise == 16


def test_a_zero_is_kept(tmp_path):
    CameraProfile(noise=0.0).write(tmp_path / "c.yaml")
    assert CameraProfile.read(tmp_path / "c.yaml").noise == 0.0


def test_a_place_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="cannot be written"):
        CameraProfile(noise=1.0).write(tmp_path / "file" / "camera.yaml")


def test_names_stand_for_profiles(tmp_path):
    assert resolve_camera("auto").describe() == "noise estimated, blur unknown (auto)"
    assert resolve_camera("").source == "auto"
    assert resolve_camera("reduced").is_reduced
    given = CameraProfile(noise=3.2, blur=0.45)
    assert resolve_camera(given) is given
    assert given.describe() == "noise 3.2 counts, blur 0.45 px (given)"
    given.write(tmp_path / "c.yaml")
    assert resolve_camera(str(tmp_path / "c.yaml")).noise == 3.2
    with pytest.raises(DataError, match="autos"):
        resolve_camera("autos")
