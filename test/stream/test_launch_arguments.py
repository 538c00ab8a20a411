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

"""Texts of the command line become values, or a message that says what is accepted."""

from __future__ import annotations

import pytest

from difiisr_ros.errors import OptionError
from difiisr_ros.stream.launch_arguments import (
    NODE_PARAMETERS,
    given_parameters,
    likely_slips,
    of_parameters,
)


def value(name, text):
    (argument,) = of_parameters(name)
    return argument.value(text)


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("num_steps", "4", 4),
        ("stale_after", "2", 2.0),
        ("stale_after", "1e1", 10.0),
        ("lazy", "true", True),
        ("lazy", "False", False),
        ("model", "007", "007"),
        ("backend", "torch", "torch"),
        ("camera_names", "front, rear,cam_2", ["front", "rear", "cam_2"]),
        ("camera_names", "true", ["true"]),
        ("scale", "2", 2),
        ("output_size", "[640, 0]", [640, 0]),
        ("output_size", "640,0", [640, 0]),
        ("roi", " [1,2, 3 ,4] ", [1, 2, 3, 4]),
    ],
)
def test_texts_become_values_of_the_parameters_type(name, text, expected):
    result = value(name, text)
    assert result == expected and type(result) is type(expected)


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("num_steps", "many", r"num_steps:=many: must be of type int, accepted: 1 to 1 000"),
        ("num_steps", "2.5", r"num_steps:=2\.5: must be of type int"),
        ("num_steps", "0", r"num_steps:=0: num_steps is 0; accepted: 1 to 1 000"),
        ("stale_after", "nan", r"stale_after:=nan: .*accepted: 0\.1 to 3600"),
        ("lazy", "yes", r"lazy:=yes: must be of type bool, accepted: true, false"),
        (
            "backend",
            "cuda",
            r"backend:=cuda: .*accepted: auto, torch, onnx, tensorrt, tensorrt_rtx, opencv",
        ),
        ("camera_names", "front,,rear", "camera_names:=front,,rear: .*nothing between two commas"),
        ("camera_names", "front,", "nothing between two commas, or after the last"),
        ("camera_names", "2nd", "camera_names:=2nd: .*accepted: different names.*'2nd' is none"),
        ("camera_names", "front rear", "'front rear' is none"),
        ("scale", "3", "scale:=3: scale is 3; accepted: 4, 2, 1"),
        (
            "output_size",
            "640x480",
            "of type int_array, accepted: 2 whole numbers, each 0 to 65 536",
        ),
        ("output_size", "640,", "of type int_array, accepted: 2 whole numbers, each 0 to 65 536$"),
        ("output_size", "640", r"output_size is \[640\]; accepted: 2 whole numbers"),
        ("roi", "0,0,-1,5", "accepted: 4 whole numbers"),
        ("camera_names", "front,rear,front", "'front' is there twice"),
    ],
)
def test_wrong_texts_are_named_with_what_is_accepted(name, text, said):
    with pytest.raises(OptionError, match=said):
        value(name, text)


def test_only_what_was_given_is_set_and_only_on_its_own_node():
    arguments = of_parameters("model", "num_steps", "lazy")
    texts = {"model": "", "num_steps": "3", "lazy": ""}
    assert given_parameters(arguments, texts, NODE_PARAMETERS) == {"num_steps": 3}
    assert given_parameters(arguments, texts, {}) == {}


def test_an_argument_that_is_set_unless_given_needs_a_text():
    (argument,) = of_parameters("backend", defaults={"backend": "torch"})
    assert argument.default == "torch"
    assert argument.accepted_texts == argument.choices
    (unset,) = of_parameters("backend")
    assert unset.accepted_texts == ("", *argument.choices)
    assert unset.description.endswith("Empty: as in params_file.")


def test_an_argument_that_must_be_given_has_no_default_and_no_empty_text():
    (argument,) = of_parameters("camera_names", defaults={"camera_names": None})
    assert argument.default is None
    assert argument.description.endswith("Separated by commas.")
    (optional,) = of_parameters("camera_names")
    assert optional.default == "" and optional.description.endswith("Empty: as in params_file.")


def test_accepted_texts_in_words():
    names = ("model", "backend", "num_steps", "stale_after", "autostart", "camera_names")
    assert [argument.accepted for argument in of_parameters(*names)] == [
        "any",
        "auto, torch, onnx, tensorrt, tensorrt_rtx, opencv, bicubic",
        "1 to 1 000",
        "0.1 to 3600",
        "true, True, false, False",
        "different names of letters, digits and underscores after a letter",
    ]


def test_likely_slips_are_named_and_others_names_are_not():
    known = ["image", "camera_info", "namespace", "backend"]
    given = [f"{n}:=x" for n in ("imgae", "camera_infos", "image", "rviz", "sigterm_timeout")]
    command = ["/opt/ros/jazzy/bin/ros2", "launch", "difiisr_ros", "one.launch.py", *given]
    assert likely_slips(command, "/share/launch/one.launch.py", known) == [
        "launch argument 'imgae' does not exist; did you mean 'image'?",
        "launch argument 'camera_infos' does not exist; did you mean 'camera_info'?",
    ]


@pytest.mark.parametrize(
    ("command", "named"),
    [
        (["ros2", "launch", "difiisr_ros", "one.launch.py"], True),
        (["ros2", "launch", "launch/one.launch.py"], True),
        (["ros2", "launch", "my_robot", "one.launch.py"], False),
        (["ros2", "launch", "my_robot", "all.launch.py"], False),
        (["launch_test", "test_all.py"], False),
    ],
)
def test_names_for_a_file_that_includes_ours_are_not_slips(command, named, tmp_path, monkeypatch):
    """It may have an argument of its own of that name."""
    monkeypatch.chdir(tmp_path)
    file = str(tmp_path / "launch" / "one.launch.py")
    assert bool(likely_slips([*command, "imgae:=/x"], file, ["image"])) is named
