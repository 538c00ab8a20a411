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

"""What the demo tells the node of its camera."""

from __future__ import annotations

import argparse

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="rclpy is missing: source ROS 2, or use `make test`")
pytest.importorskip("rosbags", reason="bags need rosbags: pip install rosbags")

from difiisr_ros.commands import demo as demo_command
from difiisr_ros.commands.demo import Demo, add_arguments
from difiisr_ros.core.camera_profile import CameraProfile
from difiisr_ros.errors import OptionError
from difiisr_ros.io.images import write_image
from difiisr_ros.scene.street import SyntheticScene


def demo(*arguments):
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    return Demo(parser.parse_args([*map(str, arguments), "--size", "32x24"]))


def told(prepared):
    """What the node would be told, with the results' folder as where they are gathered."""
    prepared._out.mkdir(exist_ok=True)
    return prepared._camera()


def test_the_synthetic_camera_is_told_as_a_file(tmp_path):
    file = tmp_path / "out" / "camera.yaml"
    assert told(demo("--out", file.parent)) == str(file)
    profile, expected = CameraProfile.read(file), SyntheticScene(32, 24, real_camera=True).profile
    assert profile.blur == expected.blur
    assert profile.noise == pytest.approx(expected.noise, rel=1e-5)


@pytest.mark.parametrize("camera", ["auto", "reduced"])
def test_what_is_asked_for_is_told_instead(tmp_path, camera):
    assert told(demo("--out", tmp_path / "out", "--camera", camera)) == camera
    assert not (tmp_path / "out" / "camera.yaml").exists()


def test_a_profile_that_is_given_is_never_touched(tmp_path):
    own = tmp_path / "camera.yaml"  # where the demo's own would be
    own.write_text("blur: 0.7\n")
    assert told(demo("--out", tmp_path, "--camera", own)) == str(own)
    assert own.read_text() == "blur: 0.7\n"


def test_nothing_is_known_of_other_frames(tmp_path):
    write_image(tmp_path / "frame.png", SyntheticScene(32, 24).frame(0)[0])
    out = tmp_path / "out"
    assert told(demo("--out", out, "--input", tmp_path / "frame.png")) == "auto"
    assert not (out / "camera.yaml").exists()


def test_a_profile_that_cannot_be_is_refused_before_anything_starts(tmp_path):
    file = tmp_path / "camera.yaml"
    file.write_text("blur: 9\n")
    with pytest.raises(OptionError, match=r"camera\.yaml: .*blur must be a number in 0\.\.3"):
        demo("--out", tmp_path / "out", "--camera", file)
    assert not (tmp_path / "out").exists()


def started(prepared, monkeypatch):
    """The parameters that each of the three would get, by its name."""
    prepared._out.mkdir(exist_ok=True)
    given = {}

    def process(self, name, module, parameters, on_line=None):
        given[name] = parameters

    monkeypatch.setattr(Demo, "_process", process)
    prepared._start(type("Group", (), {"add": staticmethod(lambda process: process)}))
    return given


def test_the_node_is_told_what_is_no_measurement_and_the_player_the_order(tmp_path, monkeypatch):
    write_image(tmp_path / "frame.png", SyntheticScene(32, 24).frame(0)[0].byteswap())
    words = ["--out", tmp_path / "out", "--input", tmp_path / "frame.png"]
    words += ["--crop", "0,2,0,0", "--missing", "0", "--byte-order", "little"]
    given = started(demo(*words), monkeypatch)
    assert given["player"]["byte_order"] == "little"
    node = given["node"]
    assert (node["crop"], node["missing"], node["camera"]) == ("0,2,0,0", "0", "auto")
    assert "byte_order" not in node and "bad_pixels" not in node


def test_bytes_that_a_profile_puts_in_order_are_put_so_once(tmp_path, monkeypatch):
    write_image(tmp_path / "frame.png", SyntheticScene(32, 24).frame(0)[0].byteswap())
    own = tmp_path / "camera.yaml"
    own.write_text("byte_order: little\ncrop: {bottom: 2}\nnoise: 3\n")
    words = ["--input", tmp_path / "frame.png", "--camera", own]
    given = started(demo("--out", tmp_path / "out", *words), monkeypatch)
    assert given["player"]["byte_order"] == "little"
    told = CameraProfile.read(given["node"]["camera"])
    assert (told.byte_order, told.crop, told.noise) == ("auto", (0, 2, 0, 0), 3)


def test_the_truth_of_the_synthetic_scene_is_cropped_as_its_frames(tmp_path):
    prepared = demo("--out", tmp_path / "out", "--crop", "2,0,4,0")
    truth = prepared._truth_of({"stamps_ns": [7], "indices": [0]})(7)
    scene = SyntheticScene(32, 24, real_camera=True)
    np.testing.assert_array_equal(truth, scene.truth(0)[8:, 16:])


@pytest.mark.parametrize(
    ("arguments", "loaded"),
    [
        ((), False),
        (("--model", "nano", "--camera", "auto"), False),
        (("--device", "cpu"), True),
        (("--num-steps", "2"), True),
        (("--model", "other.safetensors"), True),
        (("--quality", "balanced"), True),
    ],
)
def test_the_engine_is_loaded_twice_only_where_it_may_be_refused(
    tmp_path, monkeypatch, arguments, loaded
):
    write_image(tmp_path / "frame.png", SyntheticScene(32, 24).frame(0)[0])
    calls = []
    fake = argparse.Namespace(close=lambda: None)
    monkeypatch.setattr(demo_command, "load_engine", lambda *a, **k: calls.append(a) or fake)
    demo("--out", tmp_path / "out", "--input", tmp_path / "frame.png", *arguments)
    assert bool(calls) == loaded


def test_without_any_library_it_is_said_before_anything_starts(tmp_path, monkeypatch):
    find = demo_command.importlib.util.find_spec
    gone = ("torch", "onnxruntime")
    monkeypatch.setattr(
        demo_command.importlib.util, "find_spec", lambda n: None if n in gone else find(n)
    )
    calls = []
    fake = argparse.Namespace(close=lambda: None)
    monkeypatch.setattr(demo_command, "load_engine", lambda *a, **k: calls.append(a) or fake)
    demo("--out", tmp_path / "out")
    assert calls
