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

"""Which nodes a file of parameters is for, by rcl's rules."""

from __future__ import annotations

import pytest

from difiisr_ros.errors import DataError
from difiisr_ros.stream.params_sections import sets_nothing

NODE = "/rig/super_resolution"


@pytest.mark.parametrize(
    ("text", "sets"),
    [
        ("/**: {ros__parameters: {a: 1}}", True),
        ("/rig/super_resolution: {ros__parameters: {a: 1}}", True),
        ("rig/super_resolution: {ros__parameters: {a: 1}}", True),
        ("rig: {super_resolution: {ros__parameters: {a: 1}}}", True),
        ("/*/super_resolution: {ros__parameters: {a: 1}}", True),
        ("/**/super_resolution: {ros__parameters: {a: 1}}", True),
        ("/*: {ros__parameters: {a: 1}}", False),
        ("super_resolution: {ros__parameters: {a: 1}}", False),
        ("/rig/super_resolution_2: {ros__parameters: {a: 1}}", False),
        ("amcl: {ros__parameters: {a: 1}}\nbt: {ros__parameters: {a: 1}}", False),
        ("num_steps: 2", False),
        ("", False),
    ],
)
def test_sections(tmp_path, text, sets):
    file = tmp_path / "params.yaml"
    file.write_text(text)
    assert (sets_nothing(str(file), NODE) is None) is sets


def test_what_there_is_instead_is_named(tmp_path):
    file = tmp_path / "nav2.yaml"
    file.write_text("amcl: {ros__parameters: {a: 1}}")
    assert sets_nothing(str(file), NODE).startswith(
        f"params_file:={file} sets nothing on {NODE}: it has only sections for /amcl; accepted are"
    )
    file.write_text("[")
    with pytest.raises(DataError, match="cannot be read"):
        sets_nothing(str(file), NODE)
