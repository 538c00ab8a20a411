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

"""An exported graph says little, and is written as it was traced where onnxslim is missing."""

from __future__ import annotations

import sys

import numpy as np
import pytest

pytest.importorskip("onnx", reason="needs onnx: pip install difiisr_ros[onnx]")

import onnx

from difiisr_ros.export import onnx_writer
from difiisr_ros.export.onnx_writer import GraphShape, export_onnx
from difiisr_ros.export.tensorrt_operators import refused_by_tensorrt


def run(data: bytes, size: tuple[int, int, int]) -> np.ndarray:
    ort = pytest.importorskip("onnxruntime", reason="needs onnxruntime")
    batch, height, width = size
    rng = np.random.default_rng(0)
    inputs = {
        "lr": rng.random((batch, 1, height, width), np.float32),
        "camera": rng.random((batch, 7), np.float32),
    }
    session = ort.InferenceSession(data, providers=["CPUExecutionProvider"])
    return session.run(None, inputs)[0]


@pytest.fixture
def no_onnxslim(monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxslim", None)
    onnx_writer._onnxslim.cache_clear()
    yield
    onnx_writer._onnxslim.cache_clear()


@pytest.mark.parametrize("shape", [GraphShape(), GraphShape(1, 12, 17)])
def test_the_graph_of_the_model_is_short(shape):
    """A trace has some 460 nodes. What remains is convolutions, what joins them, what is told of
    the camera, and the bounds by each pixel's neighbours and the plateaus among them."""
    pytest.importorskip("onnxslim")
    graph = onnx.load_from_string(export_onnx("lite", shape=shape)).graph
    kinds = [node.op_type for node in graph.node]
    assert len(kinds) <= 265
    assert not {"Constant", "Identity", "Transpose", "If", "Loop"} & set(kinds)
    assert kinds.count("Reshape") <= 1  # the overshoot, one number for each frame
    assert len({node.name for node in graph.node}) == len(kinds)


def test_without_onnxslim_the_traced_graph_is_written_and_that_is_said_once(no_onnxslim, caplog):
    traced = export_onnx("nano")
    assert export_onnx("nano") == traced
    said = [r for r in caplog.records if "pip install onnxslim" in r.message]
    assert len(said) == 1
    assert refused_by_tensorrt(onnx.load_from_string(traced)) == []
    assert len(onnx.load_from_string(traced).graph.node) > 300


def test_results_are_those_of_the_traced_graph(request):
    pytest.importorskip("onnxslim")
    simplified = export_onnx("nano")
    request.getfixturevalue("no_onnxslim")
    traced = export_onnx("nano")
    for size in ((1, 24, 32), (3, 25, 33), (1, 1, 1)):
        assert np.array_equal(run(simplified, size), run(traced, size))
