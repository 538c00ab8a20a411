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

"""Backend onnx: agrees with torch, needs no torch for what is exported, says what really runs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import types

import numpy as np
import pytest
import torch

pytest.importorskip("onnxruntime", reason="needs ONNX Runtime: pip install difiisr_ros[onnx]")
pytest.importorskip("onnx", reason="needs onnx: pip install difiisr_ros[onnx]")

from difiisr_ros import SuperResolver
from difiisr_ros.backends import onnx_backend, onnx_session
from difiisr_ros.backends.onnx_backend import OnnxBackend
from difiisr_ros.backends.torch_backend import TorchBackend
from difiisr_ros.core.camera_profile import CameraProfile, resolve_camera
from difiisr_ros.core.condition import Conditions
from difiisr_ros.core.guidance import Guidance
from difiisr_ros.errors import (
    BackendUnavailable,
    DeviceOutOfMemory,
    FrameError,
    ModelError,
    OptionError,
)
from difiisr_ros.export.facts import GraphOptions
from difiisr_ros.export.onnx_writer import GraphShape, export_onnx
from difiisr_ros.models.checkpoint import load_model, save_model
from support.graph_models import save_variant

pytestmark = pytest.mark.usefixtures("simplified_once")


@pytest.fixture(scope="module")
def guided(tmp_path_factory) -> str:
    return save_variant(tmp_path_factory.mktemp("model") / "guided.safetensors", spectrum=True)


@pytest.fixture(scope="module")
def graph_file(tmp_path_factory) -> str:
    """Two steps, no consistency."""
    file = tmp_path_factory.mktemp("graph") / "two.onnx"
    file.write_bytes(export_onnx("lite", GraphOptions(num_steps=2, consistency=0)))
    return str(file)


def loaded(model, kind=OnnxBackend, **how):
    backend = kind(model, **{"device": "cpu", "precision": "fp32", **how})
    backend.load()
    return backend


def inputs(backend, num_steps, size=(1, 25, 18), seed=0):
    rng = np.random.default_rng(seed)
    batch, height, width = size
    lr = rng.normal(0.5, 0.3, (batch, 1, height, width)).astype(np.float32)
    shape = (backend.noise_count(num_steps), 4 * height, 4 * width)
    return lr, rng.standard_normal(shape, dtype=np.float32)


def frame(height=24, width=32, seed=0):
    return np.random.default_rng(seed).integers(29_000, 31_000, (height, width)).astype(np.uint16)


def test_it_agrees_with_torch_whatever_is_asked(guided):
    theirs, ours = loaded(guided, TorchBackend), loaded(guided)
    assert (ours.max_steps, ours.guidance_terms) == (15, ("visual",))
    for num_steps, consistency, strength, size, scale in [
        (1, 1, 0.0, (1, 25, 18), 4),
        (2, 0, 1.5, (3, 9, 14), 4),
        (1, 1, 0.0, (2, 9, 14), 2),
        (2, 1, 1.5, (1, 9, 14), 1),
    ]:
        assert ours.noise_count(num_steps) == theirs.noise_count(num_steps)
        lr, noise = inputs(ours, num_steps, size)
        guidance = Guidance(visual_scale=strength)
        levels = [0.002 * (1 + k) for k in range(size[0])]
        camera = Conditions.of(CameraProfile(blur=0.3), levels, overshoot=0.2)
        asked = (lr, noise, num_steps, consistency, guidance, camera, scale)
        result = ours.run(*asked)
        assert result.shape[-2:] == (scale * size[1], scale * size[2])
        assert result.dtype == np.float32 and result.flags.writeable
        np.testing.assert_allclose(result, theirs.run(*asked), atol=1e-4, rtol=0)


def test_results_are_the_callers_own():
    backend = loaded("lite")
    lr, noise = inputs(backend, 1)
    first = backend.run(lr, noise, 1, 1)
    kept = first.copy()
    backend.run(np.zeros_like(lr), noise, 1, 1)
    backend.close()
    backend.close()
    np.testing.assert_array_equal(first, kept)
    with pytest.raises(BackendUnavailable, match="is closed"):
        backend.run(lr, noise, 1, 1)


def test_new_noise_is_noticed():
    backend = loaded("lite")
    lr, noise = inputs(backend, 2)
    first = backend.run(lr, noise, 2, 1)
    np.testing.assert_array_equal(backend.run(lr, noise, 2, 1), first)
    assert np.abs(backend.run(lr, -noise, 2, 1) - first).max() > 1e-3


def test_through_the_resolver_it_is_within_a_count_and_says_what_runs():
    theirs = SuperResolver.load(backend="torch", precision="fp32", num_steps=2)
    ours = SuperResolver.load(backend="onnx", num_steps=2)
    assert ours.info.backend == "onnx" and ours.info.fallback is None
    assert (ours.info.device, ours.info.precision, ours.info.model) == ("cpu", "fp32", "lite")
    difference = ours.upscale(frame()).astype(int) - theirs.upscale(frame())
    assert np.abs(difference).max() <= 1


def test_few_sessions_are_kept(monkeypatch):
    monkeypatch.setattr(onnx_backend, "MAX_SESSIONS", 2)
    backend = loaded("lite")
    for consistency in (1, 0, 1, 2):
        lr, noise = inputs(backend, 1, (1, 5, 5))
        backend.run(lr, noise, 1, consistency)
    assert [options.consistency for options in backend._sessions] == [1, 2]


def in_a_process_without_torch(code: str, **environment) -> dict:
    """Run code where torch cannot be imported; it leaves its result in `found`."""
    text = (
        "import json, sys\nsys.modules['torch'] = None\nimport numpy as np\n"
        f"from difiisr_ros import SuperResolver\n{code}\n"
        "found['loaded'] = sorted(m for m in ('torch', 'onnx') if sys.modules.get(m))\n"
        "print(json.dumps(found))"
    )
    done = subprocess.run(
        [sys.executable, "-c", text],
        capture_output=True,
        text=True,
        env={**os.environ, **environment},
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_a_graph_needs_no_torch(graph_file):
    for backend in ("onnx", "auto"):
        found = in_a_process_without_torch(
            f"sr = SuperResolver.load({graph_file!r}, {backend!r}, num_steps=2, consistency=0,"
            " strict_backend=True)\n"
            "out = sr.upscale(np.arange(24 * 32, dtype=np.uint16).reshape(24, 32))\n"
            "found = {'backend': sr.info.backend, 'out': out.tolist()}"
        )
        assert found["backend"] == "onnx" and found["loaded"] == []
        here = SuperResolver.load(backend="torch", precision="fp32", num_steps=2, consistency=0)
        expected = here.upscale(np.arange(24 * 32, dtype=np.uint16).reshape(24, 32))
        assert np.abs(np.array(found["out"]) - expected.astype(int)).max() <= 1


def test_a_model_that_has_been_exported_before_needs_no_torch(tmp_path):
    own = tmp_path / "own.safetensors"  # of the embedded ones a graph comes along
    model, facts = load_model("nano")
    with torch.no_grad():
        model.prior.tail.bias.add_(0.01)
    save_model(own, model, facts)
    code = (
        f"sr = SuperResolver.load({str(own)!r}, 'auto', device='cpu')\n"
        "found = {'backend': sr.info.backend, 'fallback': sr.info.fallback}"
    )
    cache = {"DIFIISR_CACHE": str(tmp_path)}
    before = in_a_process_without_torch(code, **cache)
    assert before["backend"] == "bicubic" and before["fallback"]
    asked = f"sr = SuperResolver.load({str(own)!r}, 'onnx')\n"
    before = in_a_process_without_torch(asked + code.partition("\n")[2], **cache)
    assert before["backend"] == "bicubic" and before["fallback"]
    subprocess.run(
        [sys.executable, "-c", f"from difiisr_ros import SuperResolver\n{asked}"],
        env={**os.environ, **cache},
        check=True,
    )
    after = in_a_process_without_torch(code, **cache)
    assert after == {"backend": "onnx", "fallback": None, "loaded": []}


def test_what_is_built_into_a_graph_is_what_must_be_asked(graph_file):
    with pytest.raises(OptionError, match=r"num_steps must be 2, which is built into .*two\.onnx"):
        SuperResolver.load(graph_file, "onnx", consistency=0)
    resolver = SuperResolver.load(graph_file, "onnx", num_steps=2, consistency=0)
    with pytest.raises(OptionError, match="consistency must be 0"):
        resolver.configure(consistency=1)
    with pytest.raises(OptionError, match="visual guidance"):
        resolver.configure(visual_scale=1.0)
    with pytest.raises(OptionError, match="is fp32; precision fp16 was asked"):
        SuperResolver.load(graph_file, "onnx", precision="fp16", num_steps=2, consistency=0)
    backend = loaded(graph_file)
    with pytest.raises(OptionError, match="holds num_steps 2, consistency 0, no guidance, scale 4"):
        backend.run(*inputs(backend, 2), 1, 0)
    backend.warmup(8, 8, 2)


@pytest.mark.parametrize("projection", ["wide", "exact"])
def test_a_graph_is_for_one_kind_of_camera(tmp_path, projection):
    file = tmp_path / "graph.onnx"
    file.write_bytes(export_onnx("lite", GraphOptions(projection=projection)))
    right, wrong = ("auto", "reduced") if projection == "wide" else ("reduced", "auto")
    ours, theirs = (
        SuperResolver.load(model, backend, precision="fp32", camera=right)
        for model, backend in ((str(file), "onnx"), ("lite", "torch"))
    )
    ours._backend.warmup(8, 8)
    difference = ours.upscale(frame()).astype(int) - theirs.upscale(frame())
    assert np.abs(difference).max() <= 1
    refusal = rf"graph\.onnx was exported for .*--projection {projection}"
    with pytest.raises(OptionError, match=refusal) as at_load:
        SuperResolver.load(str(file), "onnx", camera=wrong)
    with pytest.raises(OptionError, match=refusal) as at_a_frame:
        ours.upscale(frame(), camera=resolve_camera(wrong))
    assert str(at_load.value) == str(at_a_frame.value)


def test_reduced_frames_are_projected_exactly():
    ours, theirs = (
        SuperResolver.load(backend=backend, precision="fp32", camera="reduced")
        for backend in ("onnx", "torch")
    )
    difference = ours.upscale(frame()).astype(int) - theirs.upscale(frame())
    assert np.abs(difference).max() <= 1


def test_a_graph_with_guidance_runs_with_and_without(guided, tmp_path):
    file = tmp_path / "guided.onnx"
    file.write_bytes(export_onnx(guided, GraphOptions(guidance="visual")))
    ours, theirs = loaded(str(file)), loaded(guided, TorchBackend)
    assert ours.guidance_terms == ("visual",)
    lr, noise = inputs(ours, 1)
    for scale in (0.0, 1.0):
        guidance = Guidance(visual_scale=scale)
        expected = theirs.run(lr, noise, 1, 1, guidance)
        np.testing.assert_allclose(ours.run(lr, noise, 1, 1, guidance), expected, atol=1e-4)


def test_a_graph_of_one_size_and_batch(tmp_path):
    file = tmp_path / "fixed.onnx"
    file.write_bytes(export_onnx("lite", shape=GraphShape(2, 24, 32)))
    backend, any_size = loaded(str(file)), loaded("lite")
    lr, noise = inputs(backend, 1, (4, 24, 32))
    expected = any_size.run(lr, noise, 1, 1)
    np.testing.assert_allclose(backend.run(lr, noise, 1, 1), expected, atol=1e-5)
    with pytest.raises(FrameError, match="takes 2 frames at once, got 3"):
        backend.run(lr[:3], noise, 1, 1)
    with pytest.raises(FrameError, match="takes frames of 32x24 only, got 24x32"):
        backend.run(np.ascontiguousarray(lr.transpose(0, 1, 3, 2)), noise, 1, 1)


def test_files_that_are_no_graphs(tmp_path):
    import onnx
    from onnx import TensorProto, helper

    with pytest.raises(ModelError, match="no such file"):
        SuperResolver.load(str(tmp_path / "none.onnx"), "onnx")
    text = tmp_path / "text.onnx"
    text.write_text("hello")
    with pytest.raises(ModelError, match="cannot be loaded as an ONNX model"):
        SuperResolver.load(str(text), "onnx")
    values = [helper.make_tensor_value_info(n, TensorProto.FLOAT, [1]) for n in ("x", "y")]
    graph = helper.make_graph([helper.make_node("Neg", ["x"], ["y"])], "g", values[:1], values[1:])
    opsets = [helper.make_opsetid("", 17)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=8), tmp_path / "neg.onnx")
    with pytest.raises(ModelError, match="is no graph of this package"):
        SuperResolver.load(str(tmp_path / "neg.onnx"), "auto")


@pytest.mark.parametrize(
    ("how", "said", "instead"),
    [
        (
            {"device": "cuda"},
            "has no CUDAExecutionProvider.*install onnxruntime-gpu",
            "device cuda",
        ),
        ({"device": "tensorrt:1"}, "has no TensorrtExecutionProvider", "device tensorrt:1"),
        ({"precision": "fp16"}, "on cpu runs fp32 here, not fp16", "precision fp16"),
        ({"precision": "bf16"}, "on cpu runs fp32 here, not bf16", "precision bf16"),
    ],
)
def test_what_does_not_run_here_is_refused_or_said(how, said, instead):
    with pytest.raises(BackendUnavailable, match=said):
        SuperResolver.load(backend="onnx", strict_backend=True, **{"device": "cpu", **how})
    resolver = SuperResolver.load(backend="onnx", **{"device": "cpu", **how})
    assert (resolver.info.backend, resolver.info.device) == ("onnx", "cpu")
    assert resolver.info.precision == "fp32"
    assert resolver.info.fallback.startswith(
        f"{instead} is not available, onnx on cpu (fp32) runs instead: "
    )


def test_without_onnx_runtime_torch_runs_and_says_so(monkeypatch, graph_file):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    resolver = SuperResolver.load(backend="onnx", device="cpu")
    assert resolver.info.backend == "torch"
    assert "pip install onnxruntime" in resolver.info.fallback
    graph = SuperResolver.load(graph_file, "onnx", num_steps=2, consistency=0)
    assert graph.info.backend == "bicubic"


@pytest.mark.parametrize("device", ["cuda:", "cuda:x", "tpu", "tensorrt"])
def test_unknown_devices(device):
    with pytest.raises(OptionError, match="device must be one of auto, cpu, cuda or cuda:N"):
        SuperResolver.load(backend="torch", device=device)


class FakeRuntime(types.SimpleNamespace):
    """ONNX Runtime on a machine with a GPU, as far as sessions are made; records what was asked."""

    __version__ = "1.0"

    def __init__(self, running):
        self.asked, self.running = [], running
        self.GraphOptimizationLevel = types.SimpleNamespace(ORT_DISABLE_ALL=0)
        self.SessionOptions = types.SimpleNamespace

    def get_available_providers(self):
        return ["TensorrtExecutionProvider", "CUDAExecutionProvider", "CPUExecutionProvider"]

    def InferenceSession(self, data, options, providers):
        self.asked.append((options.intra_op_num_threads, providers))
        shape = ["n", 1, "h", "w"]
        return types.SimpleNamespace(
            get_providers=lambda: [self.running, "CPUExecutionProvider"],
            get_inputs=lambda: [types.SimpleNamespace(name="lr", shape=shape)],
        )


@pytest.mark.parametrize(
    ("device", "running", "becomes", "first"),
    [
        ("auto", "CUDAExecutionProvider", "cuda:0", {"device_id": 0, "use_tf32": 1}),
        ("cuda:2", "CUDAExecutionProvider", "cuda:2", {"device_id": 2, "use_tf32": 1}),
        ("tensorrt", "TensorrtExecutionProvider", "tensorrt:0", {"trt_fp16_enable": True}),
    ],
)
def test_gpus_are_asked_for_by_their_providers(monkeypatch, device, running, becomes, first):
    runtime = FakeRuntime(running)
    monkeypatch.setattr(onnx_session, "_import", lambda: runtime)
    backend = OnnxBackend("lite", device=device, num_threads=3)
    backend.load()
    assert (backend.device, backend.precision) == (becomes, "fp16")
    ((threads, providers),) = runtime.asked
    assert threads == 3
    name, options = providers[0]
    assert name == running and first.items() <= options.items()
    assert providers[-1] == "CPUExecutionProvider"


def test_a_provider_that_does_not_start_is_not_replaced_silently(monkeypatch):
    runtime = FakeRuntime("CPUExecutionProvider")
    monkeypatch.setattr(onnx_session, "_import", lambda: runtime)
    with pytest.raises(BackendUnavailable, match="does not start cuda:0; it offers CPUExec"):
        OnnxBackend("lite", device="cuda").load()


@pytest.mark.parametrize(
    ("words", "kind"),
    [
        ("Failed to allocate memory for requested buffer of size 9", DeviceOutOfMemory),
        ("CUDA failure 2: out of memory", DeviceOutOfMemory),
        ("Non-zero status code returned", BackendUnavailable),
    ],
)
def test_failures_at_work(monkeypatch, words, kind):
    backend = loaded("lite")
    lr, noise = inputs(backend, 1)
    session = next(iter(backend._sessions.values()))

    def fail(binding):
        raise RuntimeError(words)

    fake = types.SimpleNamespace(io_binding=session._session.io_binding, run_with_iobinding=fail)
    monkeypatch.setattr(session, "_session", fake)
    with pytest.raises(kind, match="frames of 1x18x25"):
        backend.run(lr, noise, 1, 1)
