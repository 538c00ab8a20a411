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

"""Exported graphs are kept on disk, and only used for what they were made of."""

from __future__ import annotations

import pytest

pytest.importorskip("onnx", reason="needs onnx: pip install difiisr_ros[onnx]")

from difiisr_ros.backends import graph_store
from difiisr_ros.backends.graph_store import stored_graph
from difiisr_ros.export.facts import GraphOptions

pytestmark = pytest.mark.usefixtures("simplified_once")


def test_graphs_are_kept_and_used_again(monkeypatch, tmp_path):
    monkeypatch.setenv("DIFIISR_CACHE", str(tmp_path))
    first = stored_graph("lite", GraphOptions())
    monkeypatch.setattr(graph_store, "_export", lambda *_: pytest.fail("exported again"))
    assert stored_graph("lite", GraphOptions()) == first
    assert len(list(tmp_path.glob("graphs/lite-*.onnx"))) == 1


@pytest.mark.parametrize("what", ["other options", "other sources", "damaged", "no json", "text"])
def test_what_is_kept_is_not_used_for_anything_else(monkeypatch, tmp_path, what, caplog):
    monkeypatch.setenv("DIFIISR_CACHE", str(tmp_path))
    data, facts = stored_graph("lite", GraphOptions())
    exports = []
    monkeypatch.setattr(graph_store, "_export", lambda *a: exports.append(a) or (data, facts))
    (file,) = tmp_path.glob("graphs/*.onnx")
    options = GraphOptions()
    if what == "other options":
        options = GraphOptions(consistency=2)
    elif what == "other sources":
        monkeypatch.setattr(graph_store, "_sources", lambda: "other")
    elif what == "damaged":
        file.write_bytes(data[:-1] + b"x")
    elif what == "no json":
        file.with_suffix(".json").unlink()
    else:
        file.with_suffix(".json").write_text("[1]")
    assert stored_graph("lite", options) == (data, facts)
    assert len(exports) == 1
    assert stored_graph("lite", options) == (data, facts)
    assert len(exports) == 1, "the new one is kept"


def test_without_a_usable_folder_it_runs_and_says_so(monkeypatch, tmp_path, caplog):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("DIFIISR_CACHE", str(tmp_path / "file"))
    data, facts = stored_graph("lite", GraphOptions())
    assert facts.num_steps == 1 and len(data) > 100_000
    assert "the exported graph is not kept" in caplog.text
