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

"""The parts of docs and config that a script writes are as it writes them."""

from __future__ import annotations

import pytest


@pytest.fixture(scope="module")
def script(repository):
    import write_parameters

    return write_parameters


def test_what_is_committed_is_what_the_script_writes(script, repository):
    files = script.files()
    assert {str(path.relative_to(repository)) for path in files} == {
        "config/super_resolution.yaml",
        "config/multi_camera.yaml",
        "docs/super_resolution_node.md",
        "docs/demo.md",
        "docs/detectors.md",
        "docs/launch.md",
    }
    for path, text in files.items():
        assert path.read_text() == text, f"run tools/write_parameters.py: {path.name} differs"


def test_a_difference_is_found_and_mended(script, tmp_path, monkeypatch, capsys):
    import marked_text

    monkeypatch.setattr(marked_text, "ROOT", tmp_path)
    file = tmp_path / "page.md"
    file.write_text("old")
    assert marked_text.write_files({file: "new"}, check=True) == 1
    assert file.read_text() == "old" and "differs: page.md" in capsys.readouterr().out
    assert marked_text.write_files({file: "new"}, check=False) == 0
    assert file.read_text() == "new"
    assert marked_text.write_files({file: "new"}, check=True) == 0


def test_an_argument_that_is_no_bare_parameter_is_described(script):
    """multi_camera's names must be given, the demo's encoding has a default of its own."""
    for name, argument in (("multi_camera", "camera_names"), ("demo", "encoding")):
        (found,) = [a for a in script.launch_arguments(name) if a.name == argument]
        assert not script.is_parameter(found)
        assert f"- `{argument}` (" in script.arguments([found])
    (model,) = [a for a in script.launch_arguments("demo") if a.name == "model"]
    assert script.is_parameter(model)
