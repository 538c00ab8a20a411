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

"""Names that are no parameters: which is meant, and what is not told of."""

from __future__ import annotations

import pytest

from difiisr_ros.stream.parameter_table import BY_NAME, OTHER_NAMES
from difiisr_ros.stream.unknown_parameters import nearest_parameter, unknown_notes


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("bakend", "backend"),
        ("num_step", "num_steps"),
        ("steps", "num_steps"),
        ("threads", "num_threads"),
        ("unit", "output_unit"),
        ("encoding", "output_encoding"),
        ("visual_scale", "guidance.visual_scale"),
        ("motion", "stream.motion"),
        ("output_width", "output_size"),
        ("output_height", "output_size"),
        ("profile", "camera"),
        ("nosuch", None),
        ("controller.rate", None),
        ("robot_description", None),
    ],
)
def test_what_is_meant(name, meant):
    assert nearest_parameter(name, BY_NAME, OTHER_NAMES) == meant


def test_other_names_are_no_parameters_and_stand_for_some():
    assert not set(OTHER_NAMES) & set(BY_NAME)
    assert set(OTHER_NAMES.values()) <= set(BY_NAME)


def test_what_is_ros_s_own_or_known_is_not_told():
    given = ["use_sim_time", "qos_overrides./a.publisher.depth", "start_type_description_service"]
    assert unknown_notes([*given, *BY_NAME], BY_NAME, OTHER_NAMES) == []


def test_many_of_other_nodes_are_one_line_of_bounded_length():
    notes = unknown_notes(["bakend", *(f"zzz{i}" for i in range(100))], BY_NAME)
    assert notes[0] == "parameter 'bakend' does not exist; did you mean 'backend'?"
    assert len(notes) == 2 and "zzz0, zzz1, " in notes[1] and "zzz19 and 80 more; " in notes[1]
