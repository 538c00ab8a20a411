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

"""The embedded models by OpenCV alone: as PyTorch has them, where nothing else is installed."""

from __future__ import annotations

import os
import subprocess
import sys

import cv2
import numpy as np
import pytest

from difiisr_ros import SuperResolver
from difiisr_ros.backends.graph_operators import OPERATORS
from difiisr_ros.backends.opencv_graph import OpenCVGraph, network_of
from difiisr_ros.backends.shipped_graphs import shipped_path
from difiisr_ros.core.camera_profile import CameraProfile
from difiisr_ros.errors import BackendUnavailable, ModelError
from difiisr_ros.export.graph_file import read_graph_file
from difiisr_ros.models.model_files import EMBEDDED

TOLD = CameraProfile(noise=2.0, blur=0.4, blur_error=0.1)
#: What ROS brings by apt, and nothing else: no torch, no ONNX Runtime, no package for weights.
CHILD = """
import sys
for name in ("torch", "onnxruntime", "onnx", "onnxslim", "safetensors", "skimage", "scipy"):
    sys.modules[name] = None
import logging; logging.basicConfig(level=logging.WARNING)
import numpy as np
from difiisr_ros import SuperResolver
frame = np.arange(20 * 17, dtype=np.uint16).reshape(20, 17)
for backend in ("auto", "torch", "onnx"):
    resolver = SuperResolver.load("nano", backend=backend)
    assert resolver.info.backend == "opencv", resolver.info
    assert (resolver.info.fallback is None) == (backend == "auto"), resolver.info
    assert "onnxruntime" in resolver.info.missed and "difiisr_ros[torch]" in resolver.info.missed
    assert resolver.upscale(frame).shape == (80, 68)
resolver = SuperResolver.load("nano", num_steps=2)
assert resolver.info.backend == "bicubic" and "2 steps" in resolver.info.fallback
"""


def frames():
    rng = np.random.default_rng(0)
    ramp = 300 * np.add.outer(np.arange(24), np.arange(33)) + 12000
    hot = (ramp + rng.normal(0, 20, ramp.shape)).astype(np.uint16)
    hot[4, 5] = 65_535  # lone, and a hundred times outside the range
    return [
        rng.integers(0, 256, (20, 17), dtype=np.uint8),
        hot,
        rng.normal(300, 5, (9, 14)).astype(np.float32),
        *(rng.integers(0, 99, size, dtype=np.uint8) for size in ((1, 1), (1, 7), (2, 3), (64, 5))),
    ]


@pytest.mark.parametrize("camera", ["auto", TOLD], ids=["auto", "told"])
@pytest.mark.parametrize("model", EMBEDDED)
def test_results_are_those_of_torch(model, camera):
    pytest.importorskip("torch", reason="pip install torch")
    reference = SuperResolver.load(model, "torch", "cpu", "fp32", camera=camera)
    resolver = SuperResolver.load(model, "opencv", camera=camera)
    for frame in frames():
        expected, found = reference.upscale(frame), resolver.upscale(frame)
        assert found.dtype == expected.dtype and found.shape == expected.shape
        span = 2e-5 * float(np.ptp(frame)) + (frame.dtype != np.float32)  # and a rounded count
        assert np.abs(found.astype(np.float64) - expected).max() <= span, frame.shape
    small = [frames()[3], frames()[3] + 1]
    batch = resolver.upscale_batch(small)
    assert all(np.array_equal(b, resolver.upscale(f)) for b, f in zip(batch, small))


@pytest.mark.parametrize("model", EMBEDDED)
def test_the_graph_is_that_of_onnxruntime(model):
    onnxruntime = pytest.importorskip("onnxruntime", reason="pip install onnxruntime")
    data = shipped_path(model).read_bytes()
    rng = np.random.default_rng(1)
    session = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
    graph = OpenCVGraph(read_graph_file(data, model), model)
    camera = np.array([[0.01, 0.5, 0.1, 1, 0.2, 0.3, 0.25], [0] * 7], np.float32)
    for size in ((40, 31), (5, 6), (40, 31)):
        lr = rng.normal(0.5, 1, (2, 1, *size)).astype(np.float32)
        (expected,) = session.run(None, {"lr": lr, "camera": camera})
        assert np.abs(graph.run(lr, camera) - expected).max() < 2e-5


def test_it_runs_where_apt_alone_was(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", CHILD],
        capture_output=True, text=True, check=False, timeout=150,
        env={**os.environ, "DIFIISR_CACHE": str(tmp_path)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "backend opencv runs: onnxruntime is not installed" in done.stderr


def test_the_network_is_what_opencv_gets():
    for model in EMBEDDED:
        graph = read_graph_file(shipped_path(model).read_bytes(), model)
        inside = network_of(graph)
        assert {n.operator for n in inside} == {"Conv", "Mul", "Add", "Relu"}
        assert sum(n.operator == "Conv" for n in inside) > 5
        assert {n.operator for n in graph.nodes} <= set(OPERATORS)


def test_what_it_does_not_run_is_said(tmp_path, monkeypatch):
    with pytest.raises(BackendUnavailable, match="cpu in fp32 alone"):
        SuperResolver.load("nano", "opencv", "cuda", strict_backend=True)
    copy = tmp_path / "mine.safetensors"
    copy.write_bytes(shipped_path("nano").with_suffix(".safetensors").read_bytes())
    with pytest.raises(BackendUnavailable, match=r"mine.safetensors has none"):
        SuperResolver.load(str(copy), "opencv", strict_backend=True)
    with pytest.raises(BackendUnavailable, match="exact projection has to be exported"):
        SuperResolver.load("nano", "opencv", strict_backend=True, camera="reduced")
    monkeypatch.setattr(cv2.dnn, "readNetFromONNX", lambda data: fail())
    broken = SuperResolver.load("nano", "opencv", strict_backend=True)
    with pytest.raises(BackendUnavailable, match=r"OpenCV .* fails on model nano: no such layer"):
        broken.upscale(np.eye(8, dtype=np.uint8))


def fail():
    raise cv2.error("no such layer")


@pytest.mark.parametrize("cut", [0, 1, 100, -1, -1000])
def test_a_damaged_graph_is_a_model_error(cut):
    data = shipped_path("nano").read_bytes()
    with pytest.raises(ModelError, match=r"x.onnx: cannot be loaded as an ONNX model"):
        read_graph_file(data[:cut], "x.onnx")
