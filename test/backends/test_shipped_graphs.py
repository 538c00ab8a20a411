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

"""Without PyTorch the embedded models run by the graphs that come with the package."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys

import numpy as np
import pytest

pytest.importorskip("onnxruntime", reason="needs ONNX Runtime: pip install difiisr_ros[onnx]")

from difiisr_ros import SuperResolver
from difiisr_ros.backends import shipped_graphs
from difiisr_ros.backends.onnx_session import graph_facts
from difiisr_ros.backends.shipped_graphs import SHIPPED, shipped_graph, shipped_path
from difiisr_ros.core.camera_profile import CameraProfile
from difiisr_ros.export.facts import GraphOptions
from difiisr_ros.models.model_files import EMBEDDED, model_path
from support.paths import REPOSITORY

#: What a small computer may lack; None in sys.modules makes importing it an ImportError.
BLOCK = """
import sys
for name in ("torch", "safetensors", "onnx", "onnxslim"): sys.modules[name] = None
"""
CHILD = (
    BLOCK
    + """
import numpy as np
from difiisr_ros import SuperResolver
from difiisr_ros.core.camera_profile import CameraProfile
frames = np.load(sys.argv[1])
told = CameraProfile(noise=2.0, blur=0.4, blur_error=0.1)
found = {}
for model in ('lite', 'nano'):
    for backend in ('auto', 'torch'):
        for camera, profile in (('auto', 'auto'), ('told', told)):
            resolver = SuperResolver.load(model, backend=backend, camera=profile)
            assert (resolver.info.backend, resolver.info.model) == ('onnx', model), resolver.info
            assert (resolver.info.fallback is None) == (backend == 'auto'), resolver.info
            for name in frames:
                found[f'{model} {camera} {name}'] = resolver.upscale(frames[name])
assert not any(name.partition('.')[0] == 'torch' and sys.modules[name] for name in sys.modules)
np.savez(sys.argv[2], **found)
"""
)


def frames():
    rng = np.random.default_rng(0)
    ramp = 300 * np.add.outer(np.arange(24), np.arange(33)) + 12000
    return {
        "eight": rng.integers(0, 256, (20, 17), dtype=np.uint8),
        "sixteen": (ramp + rng.normal(0, 20, ramp.shape)).astype(np.uint16),
        "floats": rng.normal(300, 5, (9, 14)).astype(np.float32),
    }


def child(code, *arguments, **environment):
    return subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        capture_output=True, text=True, check=False, timeout=150,
        env={**os.environ, **environment},
    )  # fmt: skip


@pytest.fixture(scope="module")
def without_torch(tmp_path_factory):
    folder = tmp_path_factory.mktemp("without_torch")
    np.savez(folder / "frames.npz", **frames())
    done = child(
        CHILD, folder / "frames.npz", folder / "found.npz", DIFIISR_CACHE=str(folder / "cache")
    )
    assert done.returncode == 0, done.stderr
    return np.load(folder / "found.npz")


@pytest.mark.parametrize("model", EMBEDDED)
def test_graphs_are_those_of_the_weights(model):
    facts = graph_facts(shipped_path(model).read_bytes(), model)
    weights = hashlib.sha256(model_path(model).read_bytes()).hexdigest()
    assert facts.model_sha256 == weights, "the weights have changed: run `make graphs`"
    assert facts.options == SHIPPED


@pytest.mark.parametrize("camera", ["auto", "told"])
@pytest.mark.parametrize("model", EMBEDDED)
def test_results_are_those_of_torch(model, camera, without_torch):
    profile = CameraProfile(noise=2.0, blur=0.4, blur_error=0.1) if camera == "told" else "auto"
    resolver = SuperResolver.load(model, "torch", "cpu", "fp32", camera=profile)
    for name, frame in frames().items():
        expected = resolver.upscale(frame)
        found = without_torch[f"{model} {camera} {name}"]
        assert found.dtype == expected.dtype
        span = 2e-5 * float(np.ptp(frame)) + (frame.dtype != np.float32)  # and a rounded count
        difference = np.abs(found.astype(np.float64) - expected)
        assert difference.max() <= span, "what is computed has changed: run `make graphs`"


def test_other_options_and_other_weights_have_no_graph(tmp_path, monkeypatch):
    assert shipped_graph("lite", GraphOptions()) is not None
    assert shipped_graph("lite", GraphOptions(num_steps=2)) is None
    assert shipped_graph("lite", GraphOptions(projection="exact")) is None
    assert shipped_graph(str(model_path("lite")), GraphOptions()) is None
    other = tmp_path / "other.safetensors"
    other.write_bytes(b"other weights")
    monkeypatch.setattr(shipped_graphs, "model_path", lambda model: other)
    assert shipped_graph("lite", GraphOptions()) is None


AT_LOAD = """
from difiisr_ros import SuperResolver
from difiisr_ros.errors import BackendUnavailable, OptionError
for asked in (dict(num_steps=2), dict(camera="reduced"), dict(visual_scale=0.5),
              dict(consistency=2)):
    info = SuperResolver.load("nano", **asked).info
    print(info.backend, info.fallback)
    try:
        print(SuperResolver.load("nano", strict_backend=True, **asked).info)
    except BackendUnavailable as error:
        print("refused", error)
runs = SuperResolver.load("nano")
try:
    runs.configure(num_steps=2)
except OptionError as error:
    print("live", error)
print(runs.info.backend, runs.info.num_steps)
"""


def test_what_the_graphs_do_not_hold_is_said_at_load(tmp_path):
    done = child(BLOCK + AT_LOAD, DIFIISR_CACHE=str(tmp_path))
    assert done.returncode == 0, done.stderr
    *pairs, live, last = done.stdout.splitlines()
    parts = ("x4, 2 steps", "exact projection", "guidance visual", "consistency 2")
    assert len(pairs) == 2 * len(parts)
    for position, part in enumerate(parts):
        fallen, refused = pairs[2 * position : 2 * position + 2]
        assert fallen.startswith("bicubic ") and refused.startswith("refused "), fallen
        for line in (fallen, refused):
            assert part in line and "needs PyTorch and onnx" in line
    assert "live the graph of model nano for x4, 2 steps" in live
    assert last == "onnx 1", "a change that cannot be had leaves what runs alone"


@pytest.mark.slow
def test_a_graph_that_was_exported_before_needs_no_torch(tmp_path):
    pytest.importorskip("torch")
    pytest.importorskip("onnx")
    load = (
        "from difiisr_ros import SuperResolver\n"
        "s = SuperResolver.load('nano', backend='onnx', num_steps=2, strict_backend=True)\n"
    )
    run = "import numpy as np; s.upscale(np.eye(8, dtype=np.uint8))\n"
    assert child(load + run, DIFIISR_CACHE=str(tmp_path)).returncode == 0
    done = child(BLOCK + load, DIFIISR_CACHE=str(tmp_path))
    assert done.returncode == 0, done.stderr


def test_they_are_small():
    sizes = [shipped_path(model).stat().st_size for model in EMBEDDED]
    assert sum(sizes) < 1_000_000
    assert (REPOSITORY / "tools" / "write_graphs.py").is_file()
