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

"""The TensorRT backend against a stand-in for what runs engines, on the CPU.

What builds them is TensorRT-RTX itself in ``test_tensorrt_build.py``. Nothing of this shows that
TensorRT runs an engine: docs/tensorrt.md.
"""

from __future__ import annotations

import hashlib
import json
import threading
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

import torch

from difiisr_ros import long_work
from difiisr_ros.backends import tensorrt_backend
from difiisr_ros.backends.cache_folder import locked
from difiisr_ros.backends.engine_cache import EngineCache, EngineShapes
from difiisr_ros.backends.gpu import Gpu, find_gpu
from difiisr_ros.backends.tensorrt_backend import TensorRTBackend, engine_shapes
from difiisr_ros.backends.torch_backend import TorchBackend
from difiisr_ros.core.camera_profile import CameraProfile
from difiisr_ros.core.condition import Conditions
from difiisr_ros.core.guidance import Guidance
from difiisr_ros.core.visual_guidance import CONDITIONS, RINGS, SpectrumPrior
from difiisr_ros.errors import (
    BackendUnavailable,
    DeviceOutOfMemory,
    FrameError,
    Interrupted,
)
from difiisr_ros.export.facts import GraphOptions
from difiisr_ros.models.checkpoint import load_model, save_model
from difiisr_ros.models.guidance_priors import GuidancePriors
from support import fake_tensorrt

pytestmark = pytest.mark.usefixtures("simplified_once")

VERSIONS = [("tensorrt", "10.0.0b6"), ("tensorrt", "11.1.0.106"), ("tensorrt_rtx", "1.7.1.116")]


@pytest.fixture
def trt(monkeypatch):
    return fake_tensorrt.use(monkeypatch)


@pytest.fixture
def rtx(monkeypatch):
    return fake_tensorrt.use(monkeypatch, *VERSIONS[2], fake_tensorrt.ADA)


@pytest.fixture
def cache(tmp_path):
    return EngineCache(tmp_path / "engines")


@pytest.fixture
def backend(trt, cache):
    made = TensorRTBackend("lite", precision="fp32", cache=cache)
    made.load()
    yield made
    made.close()


@pytest.fixture(scope="module")
def reference():
    made = TorchBackend("lite", device="cpu", precision="fp32")
    made.load()
    yield made
    made.close()


def _lr(shape=(1, 1, 12, 16), seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).random(shape, np.float32)


def _noise(backend, num_steps: int, shape=(12, 16), seed: int = 5) -> np.ndarray:
    size = (backend.noise_count(num_steps), 4 * shape[0], 4 * shape[1])
    return np.random.default_rng(seed).standard_normal(size, np.float32)


def _run(backend, num_steps: int = 1, consistency: int = 1, lr=None, **more) -> np.ndarray:
    lr = _lr() if lr is None else lr
    noise = _noise(backend, num_steps, lr.shape[-2:])
    return backend.run(lr, noise, num_steps, consistency, **more)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(("num_steps", "consistency"), [(1, 0), (2, 1)])
def test_it_computes_what_torch_computes(
    monkeypatch, cache, reference, version, num_steps, consistency
):
    gpu = fake_tensorrt.ADA if version[0] == "tensorrt_rtx" else fake_tensorrt.ORIN
    fake_tensorrt.use(monkeypatch, *version, gpu)
    backend = TensorRTBackend("lite", precision="fp32", cache=cache)
    backend.load()
    assert backend.max_steps == reference.max_steps
    assert backend.name == version[0] and version[1] in backend.library
    assert backend.noise_count(num_steps) == reference.noise_count(num_steps)
    np.testing.assert_allclose(
        _run(backend, num_steps, consistency), _run(reference, num_steps, consistency), atol=1e-4
    )


@pytest.mark.parametrize("exact", [False, True])
def test_each_frame_has_its_own_camera(trt, backend, reference, exact):
    noise = [0.001 * 2**k for k in range(6)]
    known = Conditions.of(CameraProfile(blur=0.3), noise, overshoot=0.2)
    camera = Conditions(known.values, exact)
    lr = np.repeat(_lr(), 6, axis=0)  # batches of 4 and 2
    result = _run(backend, lr=lr, camera=camera)
    np.testing.assert_allclose(result, _run(reference, lr=lr, camera=camera), atol=1e-4)
    assert np.abs(result[5] - result[0]).max() > 1e-3


def test_fp16_is_the_graphs_own_precision(trt, cache, reference):
    """Strongly typed: the graph is in float16, and no builder flag asks for it."""
    backend = TensorRTBackend("lite", cache=cache)
    backend.load()
    assert backend.precision == "fp16"
    error = np.abs(_run(backend) - _run(reference))
    assert 0 < error.max() < 0.5 / 255
    assert trt.behaviour.tf32 == [True]


def test_fp32_is_no_tf32(trt, backend):
    _run(backend)
    assert trt.behaviour.tf32 == [False]


def test_one_engine_takes_every_size_and_batch(trt, backend, reference):
    for shape in ((1, 1, 12, 16), (3, 1, 9, 31), (9, 1, 8, 8), (1, 1, 40, 8)):
        lr = _lr(shape)
        result = _run(backend, lr=lr)
        assert result.shape == (shape[0], 1, 4 * shape[2], 4 * shape[3])
        np.testing.assert_allclose(result, _run(reference, lr=lr), atol=1e-4)
    assert trt.behaviour.builds == 1
    assert trt.behaviour.executions == 1 + 1 + 3 + 1  # nine frames are batches of 4, 4 and 1
    assert trt.behaviour.shapes == [EngineShapes((1, 8, 8), (1, 12, 16), (4, 640, 640))]


@pytest.mark.parametrize("shape", [(1, 1, 7, 16), (1, 1, 16, 641), (1, 1, 700, 16)])
def test_a_frame_out_of_the_profile_is_refused_with_the_sizes(backend, shape):
    _run(backend)
    width, height = shape[3], shape[2]
    with pytest.raises(
        FrameError, match=rf"{width}x{height} .* 8x8 to 640x640; .*tile_size within"
    ):
        _run(backend, lr=_lr(shape))
    _run(backend)  # and it goes on


def test_a_larger_first_frame_makes_a_larger_engine(trt, backend):
    _run(backend, lr=_lr((1, 1, 8, 700)))
    assert trt.behaviour.shapes[0].largest == (4, 640, 700)


def test_a_first_frame_that_is_too_small(backend):
    with pytest.raises(FrameError, match="8 a side"):
        _run(backend, lr=_lr((1, 1, 4, 16)))


def test_an_engine_for_each_number_of_steps_built_once(trt, backend, cache):
    for num_steps in (1, 2, 1, 2):
        _run(backend, num_steps)
    assert trt.behaviour.builds == 2
    again = TensorRTBackend("lite", precision="fp32", cache=cache)
    again.load()
    for num_steps in (1, 2):
        np.testing.assert_array_equal(_run(again, num_steps), _run(backend, num_steps))
    assert trt.behaviour.builds == 2


def test_only_a_few_engines_are_held(monkeypatch, trt, backend):
    monkeypatch.setattr(tensorrt_backend, "MAX_ENGINES", 2)
    for num_steps, consistency in ((1, 1), (2, 1), (1, 0), (1, 1)):
        _run(backend, num_steps, consistency)
    assert len(backend._engines) == 2
    assert trt.behaviour.builds == 3, "the cache has the one that was let go"


def test_visual_guidance_is_in_the_graph_and_its_scale_an_input(trt, cache, tmp_path):
    network, facts = load_model("lite")
    weight = torch.full((len(RINGS), CONDITIONS), 0.1)
    network.guidance_priors = GuidancePriors(spectrum=SpectrumPrior(weight))
    model = str(tmp_path / "guided.safetensors")
    save_model(tmp_path / "guided.safetensors", network, facts)
    backend = TensorRTBackend(model, precision="fp32", cache=cache)
    reference = TorchBackend(model, device="cpu", precision="fp32")
    results = []
    for each in (backend, reference):
        each.load()
        assert "visual" in each.guidance_terms
        results.append([_run(each, guidance=Guidance(scale)) for scale in (0.0, 0.25, 1.0)])
    np.testing.assert_allclose(results[0], results[1], atol=1e-4)
    assert np.abs(results[0][2] - results[0][1]).max() > 1e-3
    assert trt.behaviour.builds == 2, "with and without, whatever the scale"


@pytest.mark.parametrize("change", ["version", "gpu", "capability"])
def test_another_tensorrt_or_gpu_builds_again(monkeypatch, trt, cache, backend, change):
    _run(backend)
    version = "10.0.0b6" if change == "version" else trt.__version__
    name = "NVIDIA L4" if change == "gpu" else "NVIDIA Orin"
    capability = "8.9" if change == "capability" else "8.7"
    gpu = Gpu(torch.device("cpu"), name, capability)
    module = fake_tensorrt.use(monkeypatch, "tensorrt", version, gpu)
    other = TensorRTBackend("lite", precision="fp32", cache=cache)
    other.load()
    _run(other)
    assert module.behaviour.builds == 1
    facts = [path.read_text() for path in cache.folder.glob("*.json")]
    assert len(facts) == 2


def _other(cache) -> TensorRTBackend:
    made = TensorRTBackend("lite", precision="fp32", cache=cache)
    made.load()
    return made


def test_a_damaged_plan_is_built_again(trt, backend, cache, caplog):
    expected = _run(backend)
    (plan,) = cache.folder.glob("*.plan")
    plan.write_bytes(plan.read_bytes()[:-100])
    np.testing.assert_array_equal(_run(_other(cache)), expected)
    assert trt.behaviour.builds == 2
    assert "checksum" in caplog.text


def replace_plan(path: Path, plan: bytes) -> None:
    """Another plan, with the checksum that fits."""
    path.write_bytes(plan)
    facts = json.loads(path.with_suffix(".json").read_text())
    facts["plan_sha256"] = hashlib.sha256(plan).hexdigest()
    path.with_suffix(".json").write_text(json.dumps(facts))


def test_a_plan_that_tensorrt_refuses_is_built_again(monkeypatch, trt, backend, cache, caplog):
    """As where the library was replaced by one of the same version number."""
    _run(backend)
    (path,) = cache.folder.glob("*.plan")
    replace_plan(path, path.read_bytes().replace(trt.__version__.encode(), b"11.1.0.999"))
    _run(_other(cache))
    assert trt.behaviour.builds == 2
    assert "cannot load it" in caplog.text
    assert "not compatible" in caplog.text  # TensorRT's own words


def test_without_a_cache_it_runs(trt, tmp_path, caplog):
    (tmp_path / "file").write_text("")
    backend = _other(EngineCache(tmp_path / "file"))
    _run(backend)
    _run(backend)
    assert trt.behaviour.builds == 1
    assert "not kept" in caplog.text


def test_waiting_for_the_build_of_another_process_can_be_interrupted(backend, cache):
    key = backend._maker.key(GraphOptions(precision="fp32"), engine_shapes(12, 16))
    with locked(cache.file(key, ".lock")):
        threading.Timer(0.3, long_work.request_stop).start()
        try:
            with pytest.raises(Interrupted):
                _run(backend)
        finally:
            long_work.forget_stop()


def test_a_driver_that_is_missing(trt, backend):
    trt.behaviour.no_driver = True
    with pytest.raises(BackendUnavailable, match="CUDA initialization failure"):
        _run(backend)


def test_no_memory_for_the_engine(trt, backend):
    trt.behaviour.no_memory = True
    with pytest.raises(BackendUnavailable, match="no memory"):
        _run(backend)


def test_no_memory_for_a_frame(monkeypatch, trt, backend):
    _run(backend)

    def refuse(*args, **kwargs):
        raise torch.OutOfMemoryError("CUDA out of memory.")

    monkeypatch.setattr(torch, "empty", refuse)
    with pytest.raises(DeviceOutOfMemory, match="a frame of 16x12"):
        _run(backend)


def test_a_failed_execution_is_an_error(trt, backend):
    trt.behaviour.fail_execution = True
    with pytest.raises(RuntimeError, match="failed at execution"):
        _run(backend)


def test_which_device(monkeypatch):
    with pytest.raises(BackendUnavailable, match="device is cpu"):
        find_gpu("cpu")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(BackendUnavailable, match="torch sees none"):
        find_gpu("auto")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (8, 7))
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "NVIDIA Orin")
    for name in ("auto", "cuda", "cuda:0"):
        assert find_gpu(name) == Gpu(torch.device("cuda:0"), "NVIDIA Orin", "8.7")
    with pytest.raises(BackendUnavailable, match="cuda:1 does not exist"):
        find_gpu("cuda:1")


def test_bf16_is_refused():
    with pytest.raises(BackendUnavailable, match="fp16 or fp32"):
        TensorRTBackend("lite", precision="bf16")


def test_a_fixed_engine_that_was_built_ahead_is_taken(trt, backend, cache, reference):
    options = GraphOptions(precision="fp32")
    path = backend.prepare(options, (1, 12, 16), fixed=True)
    assert path.is_file() and path.parent == cache.folder
    assert trt.behaviour.shapes == [EngineShapes(*((1, 12, 16),) * 3)]
    other = _other(cache)
    np.testing.assert_allclose(_run(other), _run(reference), atol=1e-4)
    assert trt.behaviour.builds == 1, "the engine of every size was built"
    _run(other, lr=_lr((2, 1, 12, 16)))  # another shape
    _run(other, lr=_lr((1, 1, 16, 16)))
    assert trt.behaviour.builds == 2
    assert trt.behaviour.shapes[1].largest == (4, 640, 640)
    _run(other)
    assert [shapes.least for _, shapes in other._engines] == [(1, 8, 8), (1, 12, 16)]


def test_what_is_prepared_is_what_frames_ask_for(trt, backend, cache):
    backend.prepare(GraphOptions(2, precision="fp32"), (1, 12, 16), fixed=False)
    _run(_other(cache), num_steps=2)
    assert trt.behaviour.builds == 1


def test_prepared_but_not_kept_is_an_error(trt, tmp_path):
    (tmp_path / "file").write_text("")
    backend = _other(EngineCache(tmp_path / "file"))
    with pytest.raises(BackendUnavailable, match="not kept"):
        backend.prepare(GraphOptions(precision="fp32"), (1, 12, 16), fixed=False)


def test_closed_it_says_so(backend):
    _run(backend)
    backend.close()
    backend.close()
    with pytest.raises(BackendUnavailable, match="closed"):
        _run(backend)
