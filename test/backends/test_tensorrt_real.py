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

"""The real TensorRT, where it is installed: the names that we use, and with a GPU the whole way."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torch")
trt = pytest.importorskip("tensorrt", reason="tensorrt is not installed")

import torch  # noqa: E402

from difiisr_ros.backends import engine_build  # noqa: E402
from difiisr_ros.backends.engine_cache import EngineCache  # noqa: E402
from difiisr_ros.backends.tensorrt_backend import TensorRTBackend  # noqa: E402
from difiisr_ros.backends.torch_backend import TorchBackend  # noqa: E402
from difiisr_ros.errors import BackendUnavailable  # noqa: E402

needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")

#: Class -> what we use of it.
NAMES = {
    "Builder": (
        "create_network", "create_builder_config", "create_optimization_profile",
        "build_serialized_network",
    ),
    "INetworkDefinition": ("num_inputs", "get_input"),
    "ITensor": ("name", "shape"),
    "OnnxParser": ("parse", "num_errors", "get_error"),
    "ParserError": ("desc",),
    "IBuilderConfig": ("progress_monitor", "clear_flag", "add_optimization_profile"),
    "IOptimizationProfile": ("set_shape",),
    "Runtime": ("deserialize_cuda_engine",),
    "ICudaEngine": (
        "num_io_tensors", "get_tensor_name", "get_tensor_mode", "get_tensor_dtype",
        "create_execution_context",
    ),
    "IExecutionContext": (
        "set_input_shape", "set_tensor_address", "get_tensor_shape", "execute_async_v3",
    ),
    "NetworkDefinitionCreationFlag": ("STRONGLY_TYPED",),
    "BuilderFlag": ("TF32",),
    "DataType": ("FLOAT", "HALF"),
    "TensorIOMode": ("INPUT",),
}  # fmt: skip


@pytest.mark.parametrize("kind", NAMES)
def test_names(kind):
    assert all(hasattr(getattr(trt, kind), name) for name in NAMES[kind])


def test_logger():
    logger = engine_build.make_logger(trt)
    assert isinstance(logger, trt.ILogger)
    for severity in trt.ILogger.Severity.__members__.values():
        logger.log(severity, f"says {severity}")
    assert logger.error == f"says {trt.ILogger.Severity.ERROR}"


def test_monitor():
    monitor = engine_build._make_monitor(trt)
    assert isinstance(monitor, trt.IProgressMonitor)
    monitor.phase_start("Building", None, 3)
    assert monitor.step_complete("Building", 0) is True
    assert monitor.text() == "Building 1 of 3"
    monitor.cancel()
    assert monitor.step_complete("Building", 1) is False
    monitor.phase_finish("Building")
    assert monitor.text() == ""


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_without_a_device_it_is_unavailable():
    logger = engine_build.make_logger(trt)
    with pytest.raises(BackendUnavailable, match="TensorRT cannot start"):
        engine_build.load_plan(trt, logger, b"")


@needs_cuda
@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("precision", ["fp32", "fp16"])
@pytest.mark.parametrize("num_steps", [1, 2])
def test_an_engine_computes_what_the_cpu_computes(tmp_path, precision, num_steps):
    engine = TensorRTBackend("lite", precision=precision, cache=EngineCache(tmp_path))
    cpu = TorchBackend("lite", device="cpu", precision="fp32")
    rng = np.random.default_rng(0)
    for backend in (engine, cpu):
        backend.load()
    for shape in ((1, 1, 120, 160), (3, 1, 61, 95)):
        lr = rng.random(shape, np.float32)
        size = (cpu.noise_count(num_steps), 4 * shape[2], 4 * shape[3])
        noise = rng.standard_normal(size, np.float32)
        ours, theirs = (b.run(lr, noise, num_steps, 1) for b in (engine, cpu))
        error = np.percentile(np.abs(ours - theirs), 99.9)
        assert error < (1e-3 if precision == "fp32" else 1 / 255)
    engine.close()
    (plan,) = tmp_path.glob("*.plan")
    again = TensorRTBackend("lite", precision=precision, cache=EngineCache(tmp_path))
    again.load()
    written = plan.stat().st_mtime_ns
    np.testing.assert_allclose(again.run(lr, noise, num_steps, 1), ours, atol=1e-3)
    assert plan.stat().st_mtime_ns == written
