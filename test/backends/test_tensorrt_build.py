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

"""Engines built by TensorRT-RTX itself, which needs no GPU; ``make tensorrt`` installs it.

What runs an engine needs one: those tests are at the end, and take whichever TensorRT there is.
"""

from __future__ import annotations

import logging
import os
import re
import signal
import threading

import numpy as np
import pytest

torch = pytest.importorskip("torch")
onnx = pytest.importorskip("onnx")
trt = pytest.importorskip("tensorrt_rtx", reason="tensorrt_rtx is not installed (make tensorrt)")

from difiisr_ros import long_work  # noqa: E402
from difiisr_ros.backends import engine_build  # noqa: E402
from difiisr_ros.backends.cache_folder import cache_folder  # noqa: E402
from difiisr_ros.backends.engine_build import EngineRefused, load_plan, parse_graph  # noqa: E402
from difiisr_ros.backends.engine_cache import EngineCache, EngineShapes  # noqa: E402
from difiisr_ros.backends.engine_file import EngineFile  # noqa: E402
from difiisr_ros.backends.graph_store import stored_graph  # noqa: E402
from difiisr_ros.backends.shipped_graphs import shipped_path  # noqa: E402
from difiisr_ros.backends.tensorrt_backend import TensorRTBackend, engine_shapes  # noqa: E402
from difiisr_ros.backends.tensorrt_flavour import DEFAULT_TARGETS, find_flavour  # noqa: E402
from difiisr_ros.backends.torch_backend import TorchBackend  # noqa: E402
from difiisr_ros.cli import main  # noqa: E402
from difiisr_ros.core.scale import SCALES  # noqa: E402
from difiisr_ros.errors import BackendUnavailable, Interrupted  # noqa: E402
from difiisr_ros.export.facts import GraphOptions  # noqa: E402
from difiisr_ros.models.model_files import EMBEDDED  # noqa: E402
from support.graph_models import save_variant  # noqa: E402

pytestmark = [pytest.mark.usefixtures("simplified_once"), pytest.mark.timeout(600)]

needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
without_cuda = pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")

FIXED = EngineShapes(*((1, 12, 16),) * 3)

#: What is used of what runs engines, which nothing here calls without a GPU.
NAMES = {
    "Runtime": ("deserialize_cuda_engine", "get_engine_validity"),
    "ICudaEngine": (
        "num_io_tensors", "get_tensor_name", "get_tensor_mode", "get_tensor_dtype",
        "create_execution_context", "create_runtime_config",
    ),
    "IRuntimeConfig": ("create_runtime_cache", "set_runtime_cache"),
    "IRuntimeCache": ("serialize", "deserialize"),
    "IExecutionContext": (
        "set_input_shape", "set_tensor_address", "get_tensor_shape", "execute_async_v3",
    ),
    "DataType": ("FLOAT", "HALF"),
    "TensorIOMode": ("INPUT",),
    "EngineValidity": ("INVALID", "SUBOPTIMAL"),
}  # fmt: skip


@pytest.fixture(scope="module")
def logger():
    return engine_build.make_logger(trt)


def build(logger, graph: bytes, shapes: EngineShapes = FIXED, targets=("sm86",)) -> bytes:
    return engine_build.build_plan(
        trt, logger, graph, shapes, tf32=False, on_device=lambda: None, targets=targets
    )


def shipped(model: str, scale: int) -> bytes:
    return shipped_path(model, scale).read_bytes()


@pytest.mark.parametrize("kind", NAMES)
def test_names(kind):
    assert all(hasattr(getattr(trt, kind), name) for name in NAMES[kind])


def test_reasons_of_invalidity_are_all_known():
    known = engine_build._OF_THE_MACHINE.keys() | engine_build._OF_THE_ENGINE.keys()
    assert set(trt.EngineInvalidityDiagnostics.__members__) == known


def test_the_default_targets_are_known():
    assert set(DEFAULT_TARGETS) <= set(find_flavour("tensorrt_rtx").known_targets)


def test_logger(logger):
    assert isinstance(logger, trt.ILogger)
    for severity in trt.ILogger.Severity.__members__.values():
        logger.log(severity, f"says {severity}")
    assert logger.error == f"says {trt.ILogger.Severity.ERROR}"


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("model", EMBEDDED)
def test_every_graph_that_ships_is_read_as_it_is(logger, model, scale):
    _, network, _parser = parse_graph(trt, logger, shipped(model, scale))
    inputs = {t.name: t for t in map(network.get_input, range(network.num_inputs))}
    assert {name: tuple(t.shape) for name, t in inputs.items()} == {
        "lr": (-1, 1, -1, -1),
        "camera": (-1, 7),
    }
    assert network.num_outputs == 1 and network.get_output(0).name == "sr"
    assert {t.dtype for t in [*inputs.values(), network.get_output(0)]} == {trt.DataType.FLOAT}
    assert len(convolutions(network)) >= 10
    assert types_of(convolutions(network)) == {trt.DataType.FLOAT}


def convolutions(network) -> list:
    layers = map(network.get_layer, range(network.num_layers))
    return [layer for layer in layers if layer.type == trt.LayerType.CONVOLUTION]


def types_of(layers) -> set:
    return {layer.get_output(0).dtype for layer in layers}


def test_fp16_is_the_networks_alone(logger):
    graph, _ = stored_graph("lite", GraphOptions(precision="fp16"))
    _, network, _parser = parse_graph(trt, logger, graph)
    ends = [*map(network.get_input, range(network.num_inputs)), network.get_output(0)]
    assert {t.dtype for t in ends} == {trt.DataType.FLOAT}
    assert trt.DataType.HALF in types_of(convolutions(network))
    assert build(logger, graph, FIXED, ("sm75", "sm86"))


SHORT = [("lite", 4, engine_shapes(12, 16)), ("nano", 2, FIXED), ("lite", 1, FIXED)]
LONG = [
    (model, scale, shapes)
    for model in EMBEDDED
    for scale in SCALES
    for shapes in (engine_shapes(120, 160), FIXED, EngineShapes(*((4, 24, 32),) * 3))
]


@pytest.mark.parametrize(
    ("model", "scale", "shapes"),
    SHORT + [pytest.param(*each, marks=pytest.mark.slow) for each in LONG],
)
def test_every_graph_that_ships_is_built(logger, model, scale, shapes):
    plan = build(logger, shipped(model, scale), shapes, DEFAULT_TARGETS)
    assert len(plan) > len(shipped(model, scale))


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["fp32", "fp16"])
@pytest.mark.parametrize("num_steps", [1, 2, 4])
@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("model", EMBEDDED)
def test_every_combination_is_built(logger, model, scale, num_steps, precision):
    graph, _ = stored_graph(model, GraphOptions(num_steps, precision=precision, scale=scale))
    assert build(logger, graph, engine_shapes(120, 160), DEFAULT_TARGETS)


@pytest.mark.slow
@pytest.mark.parametrize("options", [
    GraphOptions(guidance="visual"),
    GraphOptions(2, guidance="visual", precision="fp16"),
    GraphOptions(projection="exact"),
    GraphOptions(consistency=0),
    GraphOptions(consistency=4),
])  # fmt: skip
def test_guidance_and_projections_are_built(logger, tmp_path, options):
    model = save_variant(tmp_path / "guided.safetensors", spectrum=True)
    graph, _ = stored_graph(model, options)
    assert build(logger, graph, engine_shapes(120, 160))


@pytest.mark.slow
def test_the_graph_of_a_published_model_is_built_for_its_one_size(logger, tmp_path):
    """A small one of random weights; not for Turing, which has no matrix products in fp32."""
    from difiisr_ros.export.onnx_writer import GraphShape, export_onnx
    from difiisr_ros.export.tensorrt_operators import refused_by_tensorrt
    from difiisr_ros.models.published.files import save_published
    from support.published_goldens import Little

    goldens, path = Little(), tmp_path / "small.safetensors"
    states = goldens.state("unet_small"), goldens.state("vq_small")
    save_published(path, states, goldens.config(), {})
    graph = export_onnx(str(path), GraphOptions(), GraphShape(1, 24, 32))
    assert refused_by_tensorrt(onnx.load_from_string(graph)) == []
    shapes = EngineShapes(*((1, 24, 32),) * 3)
    assert build(logger, graph, shapes)
    with pytest.raises(BackendUnavailable, match=r"attn.*SM75.*FP32 GEMM is not supported"):
        build(logger, graph, shapes, ("sm75",))


def test_what_it_says_of_a_build_that_fails(logger):
    with pytest.raises(BackendUnavailable, match=r"cannot build .*SM75.*FP32 GEMM"):
        build(logger, shipped("lite", 4), targets=("sm75",))


def test_what_it_says_of_a_graph_that_it_cannot_read(logger):
    with pytest.raises(BackendUnavailable, match=r"TensorRT cannot read the graph: [^;]"):
        build(logger, b"no graph")
    model = onnx.load_from_string(shipped("lite", 4))
    model.graph.node[5].op_type = "NoSuchOperator"
    with pytest.raises(BackendUnavailable, match="NoSuchOperator"):
        build(logger, model.SerializeToString())


def test_an_input_of_unknown_size_is_named(logger):
    value = onnx.helper.make_tensor_value_info("strange", onnx.TensorProto.FLOAT, ["n"])
    out = onnx.helper.make_tensor_value_info("sr", onnx.TensorProto.FLOAT, ["n"])
    node = onnx.helper.make_node("Identity", ["strange"], ["sr"])
    graph = onnx.helper.make_graph([node], "g", [value], [out])
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)])
    model.ir_version = 8
    with pytest.raises(BackendUnavailable, match="input strange has an unknown size"):
        build(logger, model.SerializeToString())


@pytest.mark.parametrize("how", ["stop", "ctrl-c"])
def test_a_build_says_how_far_it_is_and_ends_when_asked(monkeypatch, logger, caplog, how):
    """TensorRT's own threads call the monitor, and it ends the build at its next step."""
    monkeypatch.setattr(long_work, "SAY_EVERY", 0.01)
    monkeypatch.setattr(long_work, "PATIENCE", 60.0)
    caplog.set_level(logging.INFO, "difiisr_ros.long_work")
    asked = threading.Event()
    said: list[str] = []
    ended: list[object] = []

    class Asking(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if "Building engine" in record.getMessage() and not asked.is_set():
                asked.set()
                said.append(record.getMessage())
                if how == "stop":
                    long_work.request_stop()
                else:
                    os.kill(os.getpid(), signal.SIGINT)

    real = trt.Builder.build_serialized_network

    def watched(builder, network, config):
        ended.append(real(builder, network, config))
        return ended[-1]

    monkeypatch.setattr(trt.Builder, "build_serialized_network", watched)
    handler = Asking()
    logging.getLogger("difiisr_ros.long_work").addHandler(handler)
    try:
        with pytest.raises(Interrupted if how == "stop" else KeyboardInterrupt):
            build(logger, shipped("lite", 4), engine_shapes(120, 160), DEFAULT_TARGETS)
    finally:
        logging.getLogger("difiisr_ros.long_work").removeHandler(handler)
        long_work.forget_stop()
    assert asked.is_set() and ended == [None], "TensorRT itself gave up"
    assert re.search(r"a TensorRT engine for 1x8x8 to 4x640x640: .*engine \d of \d", said[0])


def test_a_server_builds_into_the_cache_once_and_an_engine_file(tmp_path, capsys):
    plan = tmp_path / "engine.plan"
    words = ["export", "--format", "tensorrt", "--backend", "tensorrt_rtx", "--size", "44x36"]
    words += ["--target", "sm89,sm86"]
    assert main([*words, str(plan)]) == 0
    assert f"by       TensorRT-RTX {trt.__version__} for sm86, sm89" in capsys.readouterr().out
    (kept,) = (cache_folder() / "tensorrt").glob("44x36_*.plan")
    assert kept.read_bytes() == plan.read_bytes()
    written = kept.stat().st_mtime_ns
    assert main([*words, "--build-only"]) == 0
    assert kept.stat().st_mtime_ns == written
    file = EngineFile.read(plan)
    file.check_model("lite")
    assert (file.key.targets, file.graph.options) == (
        ("sm86", "sm89"),
        GraphOptions(precision="fp16"),
    )
    assert main([*words[:-1], "sm90", "--build-only"]) == 2
    assert "'sm90' is none of TensorRT-RTX" in capsys.readouterr().err


@without_cuda
def test_without_a_gpu_an_engine_is_refused_with_the_reason(tmp_path, logger):
    with pytest.raises(BackendUnavailable, match="needs a CUDA device, and torch sees none"):
        TensorRTBackend("lite", flavour="tensorrt_rtx").load()
    with pytest.raises(EngineRefused, match="no engine of this TensorRT, or damaged"):
        load_plan(trt, logger, b"no engine")
    plan = build(logger, shipped("nano", 4))
    with pytest.raises(BackendUnavailable, match=r"TensorRT cannot run here: .*CUDA"):
        load_plan(trt, logger, plan)


@without_cuda
def test_without_a_gpu_frames_build_what_they_would_ask_for(tmp_path):
    """As the node's ``build_only``."""
    cache = EngineCache(tmp_path)
    backend = TensorRTBackend("lite", flavour="tensorrt_rtx", build_only=True, cache=cache)
    backend.load()
    assert (backend.name, backend.device) == ("tensorrt_rtx", "none")
    result = backend.run(np.zeros((2, 1, 12, 16), np.float32), np.zeros((0, 48, 64)), 1, 1)
    assert result.shape == (2, 1, 48, 64)
    (plan,) = tmp_path.glob("*.plan")
    assert EngineFile.read(plan).key.shapes == engine_shapes(12, 16)


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
