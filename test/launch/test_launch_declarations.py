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

"""What the real launch makes of the launch files; test_launch_files.py has the rest."""

from __future__ import annotations

import importlib.util
import re
import subprocess

import pytest

pytest.importorskip("launch_ros", reason="launch_ros is missing: it comes with ROS 2")

from launch import LaunchContext
from launch.launch_description_sources import PythonLaunchDescriptionSource

from support.behaviours import write_bag
from support.launch_case import share
from support.paths import REPOSITORY

EXAMPLES = sorted((REPOSITORY / "docs" / "examples").glob("*.launch.py"))
FILES = ("super_resolution", "multi_camera", "replay_evaluation", "demo")


def load(name):
    path = share() / "launch" / f"{name}.launch.py"
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    context = LaunchContext()
    description = PythonLaunchDescriptionSource(str(path)).get_launch_description(context)
    return module.ARGUMENTS, description, context


@pytest.mark.parametrize("name", FILES)
def test_arguments_are_declared(name):
    arguments, description, context = load(name)
    declared = description.get_launch_arguments()
    assert [d.name for d in declared] == [a.name for a in arguments]
    for argument, declaration in zip(arguments, declared):
        assert declaration.description.startswith(argument.description)
        assert tuple(declaration.choices or ()) == argument.accepted_texts
        if argument.default is None:
            assert declaration.default_value is None
            continue
        declaration.execute(context)
        value = context.launch_configurations[argument.name]
        assert value == argument.default


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_examples_are_launch_files(path):
    """What they include is looked up only when they are executed."""
    source = PythonLaunchDescriptionSource(str(path))
    assert source.get_launch_description(LaunchContext()).entities


@pytest.mark.parametrize("name", FILES)
def test_choices_are_enforced(name):
    arguments, description, context = load(name)
    declared = {d.name: d for d in description.get_launch_arguments()}
    checked = 0
    for argument in arguments:
        if argument.choices:
            context.launch_configurations[argument.name] = "nonsense"
            with pytest.raises(RuntimeError, match=argument.name):
                declared[argument.name].execute(context)
            checked += 1
    assert checked


@pytest.mark.parametrize(
    ("name", "arguments", "said"),
    [
        ("multi_camera", [], "camera_names"),
        ("multi_camera", ["camera_names:=a b"], "'a b' is none"),
        ("super_resolution", ["params_file:=/nowhere"], "params_file:=/nowhere: no such file"),
        ("super_resolution", ["autostart:=perhaps"], "autostart"),
        ("replay_evaluation", ["bag:=/nowhere"], "bag:=/nowhere: no such file"),
        ("demo", ["num_steps:=0"], "num_steps:=0: num_steps is 0; accepted: 1 to"),
    ],
)
def test_what_cannot_be_started_is_said(name, arguments, said, tmp_path):
    code, text = launched(name, *arguments, cwd=tmp_path)
    assert code == 1
    assert said in text
    assert "process started" not in text


def test_a_slip_is_warned_of(tmp_path):
    _, text = launched("super_resolution", "imgae:=/x", "params_file:=/nowhere", cwd=tmp_path)
    assert "launch argument 'imgae' does not exist; did you mean 'image'?" in text


@pytest.mark.needs("rosbags")
@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["bag:=."], "there is nothing to play"),
        (
            ["bag:=bag", "model:=/nowhere", "backend:=torch"],
            "the node is not ready: configure failed",
        ),
    ],
)
def test_a_replay_that_fails_says_why_and_leaves_nothing_running(arguments, said, tmp_path):
    write_bag(tmp_path / "bag", 2)
    code, text = launched("replay_evaluation", *arguments, "output:=out", cwd=tmp_path)
    assert code == 1, text
    assert said in text
    started = set(re.findall(r"\[(\w+-\d+)\]: process started", text))
    ended = set(re.findall(r"\[(\w+-\d+)\]: process has (?:finished cleanly|died)", text))
    assert started == ended and len(started) >= 2


def launched(name, *arguments, cwd):
    """Exit code and output of `ros2 launch`."""
    share()
    done = subprocess.run(
        ["ros2", "launch", "difiisr_ros", f"{name}.launch.py", *arguments],
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=120,
    )
    return done.returncode, done.stdout + done.stderr
