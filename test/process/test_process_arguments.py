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

"""What rcl cannot read ends an executable with 2 and one line, before there is a node."""

from __future__ import annotations

import pytest

pytest.importorskip("rclpy", reason="rclpy is missing: source ROS 2, or use `make test`")

from support.ros_process import RosProcess


@pytest.mark.parametrize("kind", ["node", "player", "monitor"])
@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--params-file", "{file}"), "Couldn't parse params file: '--params-file {file}'"),
        (("-r", "a b:=c"), "Couldn't parse remap rule: '-r a b:=c'"),
        (("--no-such-option",), "--no-such-option"),
    ],
)
def test_ros_arguments_that_cannot_be_read(tmp_path, kind, arguments, said):
    file = tmp_path / "parameters.yaml"
    file.write_text("/**:\n  ros__parameters:\n   - backend\n")
    arguments = tuple(argument.format(file=file) for argument in arguments)
    with RosProcess(kind, tmp_path, arguments) as process:
        assert process.wait() == 2, process.text
    assert "error: ROS arguments: " in process.text
    assert said.format(file=file) in process.text
    assert "Traceback" not in process.text and "arguments.c" not in process.text
