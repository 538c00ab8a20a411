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

"""build_only:=true in the launch files: the node gets it, and its failure is launch's."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from launch_stand_ins import kind, launch_file, nodes, plain, started

FILES = [("super_resolution", {}), ("multi_camera", {"camera_names": "a,b"})]


@pytest.mark.parametrize(("name", "needed"), FILES)
@pytest.mark.parametrize("text", ["true", "True"])
def test_the_node_gets_it_and_its_end_is_looked_at(repository, name, needed, text):
    with launch_file(repository, name) as module:
        actions = started(module, build_only=text, **needed)
        (node,) = nodes(actions).values()
        assert plain(node["parameters"])["build_only"] is True
        kinds = [kind(action) for action in actions]
        assert kinds == ["RegisterEventHandler", "RegisterEventHandler", "DeclaredNode"]
        (on_exit,) = actions[1].args
        assert kind(on_exit) == "OnProcessExit"
        assert on_exit.kwargs["target_action"] is actions[2]


@pytest.mark.parametrize(("name", "needed"), FILES)
@pytest.mark.parametrize("given", [{}, {"build_only": "false"}])
def test_otherwise_nothing_changes(repository, name, needed, given):
    with launch_file(repository, name) as module:
        actions = started(module, **given, **needed)
        assert [kind(action) for action in actions] == ["DeclaredNode"]


@pytest.mark.parametrize(("code", "failures"), [(0, 0), (1, 1), (-9, 1)])
def test_only_a_failed_build_fails_the_launch(repository, code, failures):
    with launch_file(repository, "super_resolution") as module:
        actions = started(module, build_only="true")
        (on_exit,) = actions[1].args
        emitted: list = []
        context = SimpleNamespace(is_shutdown=False, emit_event_sync=emitted.append)
        on_exit.kwargs["on_exit"](SimpleNamespace(returncode=code), context)
        assert len(emitted) == failures
        if failures:
            assert str(code) in emitted[0].reason


def test_of_several_processes_each_is_looked_at(repository):
    with launch_file(repository, "multi_camera") as module:
        actions = started(module, camera_names="a,b", processes="one_each", build_only="true")
        assert [kind(action) for action in actions].count("RegisterEventHandler") == 4
        assert len(nodes(actions)) == 2
