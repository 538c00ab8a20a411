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

"""Figures stand on one page, which is what the script makes of the recorded ones."""

from __future__ import annotations

import json
import re

import pytest

pytest.importorskip("torch", reason="the models' parameters are counted")


@pytest.fixture(scope="module")
def script(repository):
    import write_figures

    return write_figures


def test_the_page_and_the_marked_parts_are_what_the_script_writes(script):
    files = script.files()
    assert {path.name for path in files} == {"figures.md", "README.md"}
    for path, text in files.items():
        assert path.read_text() == text, f"run tools/write_figures.py: {path.name} differs"


def test_every_recorded_file_is_on_the_page_with_where_it_comes_from(script):
    page = script.page()
    files = sorted(script.FOLDER.glob("*.json"))
    assert len(files) > 5
    for file in files:
        entry = json.loads(file.read_text())
        assert set(entry) == {"command", "machine", "version", "result"}, file.name
        assert script.source(entry) in page, file.name


def test_gains_stand_nowhere_else(repository):
    """Examples of output, in fenced blocks, are none."""
    pages = [*(repository / "docs").rglob("*.md"), repository / "README.md"]
    for page in pages:
        if page.name == "figures.md":
            continue
        text = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
        text = re.sub(r"<!-- figures:\w+ -->.*?<!-- /figures:\w+ -->", "", text, flags=re.DOTALL)
        assert re.findall(r"[+-]?\d+\.\d+ (?:dB|times bicubic)", text) == [], page.name


def test_a_benchmarks_json_is_recorded(script, tmp_path, monkeypatch):
    monkeypatch.setattr(script, "FOLDER", tmp_path)
    parts = []
    for name in ("lite", "nano"):
        parts.append(tmp_path / f"{name}.part")
        parts[-1].write_text(json.dumps({"cells": [name]}))
    costs = [{"size": [8, 8], "cost": {name: []}} for name in ("detector", "detector_judge")]
    assert script.joined(costs)["cost"] == {"detector": [], "detector_judge": []}
    with pytest.raises(SystemExit, match="joined"):
        script.joined([{"mean": {}}, {"mean": {}}])
    with pytest.raises(SystemExit, match="--command"):
        script.record("bench_here", parts, None, None)
    script.record("bench_here", parts, "a machine", "difiisr bench")
    script.record("bench_here", parts, None, None)
    entry = json.loads((tmp_path / "bench_here.json").read_text())
    assert entry["result"]["cells"] == ["lite", "nano"]
    assert entry["command"] == "difiisr bench"
    assert entry["machine"] != "a machine" and "CPUs" in entry["machine"]


def test_a_check_without_a_value_has_an_empty_cell(script):
    checks = [
        {"name": "flicker of still clips, all, mean", "value": None, "limit": 1.0, "passes": False},
        {"name": "edge widths, median", "value": 0.7, "limit": 0.9, "least": None, "passes": True},
    ]
    table = script.tables.native({"checks": checks})
    assert "| flicker of still clips, all, mean |  | ≤1: not reached |" in table
    assert "| edge widths, median | 0.7 | ≤0.9 |" in table
    assert "flicker" not in script.tables.native_sentence({"checks": checks})


def test_a_place_without_both_markers_is_named(script):
    from marked_text import marked

    assert marked("a\n<!-- x -->\nold\n<!-- /x -->\n", "x", "new") == (
        "a\n<!-- x -->\nnew\n<!-- /x -->\n"
    )
    with pytest.raises(ValueError, match="0 places between <!-- y -->"):
        marked("<!-- x -->\n<!-- /x -->", "y", "new")
