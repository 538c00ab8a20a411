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

"""Exported graphs: they compute what PyTorch computes, at any size, by operators TensorRT takes."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

pytest.importorskip("onnxruntime", reason="needs ONNX Runtime: pip install difiisr_ros[onnx]")
pytest.importorskip("onnx", reason="needs onnx: pip install difiisr_ros[onnx]")

import onnx
import onnxruntime
import torch
from onnx import TensorProto

from difiisr_ros.backends.torch_backend import TorchBackend
from difiisr_ros.core.camera_profile import CameraProfile
from difiisr_ros.core.condition import NOTHING_KNOWN, Conditions
from difiisr_ros.core.guidance import Guidance
from difiisr_ros.errors import ModelError, OptionError
from difiisr_ros.export.facts import (
    CAMERA,
    FORMAT,
    LR,
    NOISE,
    SR,
    VISUAL_SCALE,
    GraphFacts,
    GraphOptions,
)
from difiisr_ros.export.graph import build_graph
from difiisr_ros.export.onnx_writer import GraphShape, export_onnx, read_facts
from difiisr_ros.export.tensorrt_operators import refused_by_tensorrt
from difiisr_ros.models.checkpoint import load_model
from support.graph_models import save_variant

pytestmark = pytest.mark.usefixtures("simplified_once")

ONNX_RUNTIME = tuple(int(part) for part in onnxruntime.__version__.split(".")[:2])

SIZES = [(1, 24, 32), (1, 25, 32), (1, 31, 37), (3, 12, 31), (1, 1, 1), (2, 2, 3)]


@cache
def exported(model="lite", options=None, shape=None, opset=17) -> bytes:
    return export_onnx(model, options, shape, opset)


@cache
def torch_backend(model) -> TorchBackend:
    backend = TorchBackend(model, device="cpu", precision="fp32")
    backend.load()
    return backend


@cache
def session(data: bytes) -> onnxruntime.InferenceSession:
    settings = onnxruntime.SessionOptions()
    settings.log_severity_level = 4
    settings.intra_op_num_threads = 1  # those of a pool spin while they wait
    providers = ["CPUExecutionProvider"]
    return onnxruntime.InferenceSession(data, settings, providers=providers)


@pytest.fixture(scope="module")
def guided(tmp_path_factory) -> str:
    return save_variant(tmp_path_factory.mktemp("model") / "guided.safetensors", spectrum=True)


@pytest.fixture(scope="module")
def stochastic(tmp_path_factory) -> str:
    path = tmp_path_factory.mktemp("model") / "stochastic.safetensors"
    return save_variant(path, stochasticity=0.5)


def cameras(batch, overshoot=0.5, exact=False) -> Conditions:
    """Conditions that differ from frame to frame."""
    noise = [0.001 * 4**k for k in range(batch)]
    profile = CameraProfile(blur=0.3, blur_error=0.1)
    return Conditions(Conditions.of(profile, noise, overshoot).values, exact)


def run(data: bytes, camera: Conditions | None = None, **inputs: np.ndarray) -> np.ndarray:
    camera = camera or cameras(len(inputs[LR]))
    return session(data).run([SR], {**inputs, CAMERA: camera.values})[0]


def inputs(size, noise_count, seed=0):
    rng = np.random.default_rng(seed)
    batch, height, width = size
    lr = rng.normal(0.5, 0.3, (batch, 1, height, width)).astype(np.float32)
    noise = rng.standard_normal((noise_count, 4 * height, 4 * width), dtype=np.float32)
    return lr, noise


def by_torch(model, size, options, scale=0.0, camera=None):
    """What the torch backend makes of the same input, in fp32."""
    camera = camera or cameras(size[0], exact=options.projection == "exact")
    backend = torch_backend(model)
    lr, noise = inputs(size, backend.noise_count(options.num_steps))
    guidance = Guidance(visual_scale=scale)
    return backend.run(lr, noise, options.num_steps, options.consistency, guidance, camera)


@pytest.mark.parametrize("num_steps", [1, 2, 4])
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_onnx_runtime_equals_the_torch_backend(num_steps, size):
    options = GraphOptions(num_steps=num_steps)
    lr, noise = inputs(size, 0 if num_steps == 1 else 1)
    feeds = {LR: lr} if num_steps == 1 else {LR: lr, NOISE: noise[:, None]}
    result = run(exported(options=options), **feeds)
    assert result.dtype == np.float32 and result.shape == (size[0], 1, 4 * size[1], 4 * size[2])
    np.testing.assert_allclose(result, by_torch("lite", size, options), atol=1e-4, rtol=0)


@pytest.mark.parametrize("projection", ["wide", "exact"])
@pytest.mark.parametrize("consistency", [0, 3])
def test_consistency_and_projection_are_inside(consistency, projection):
    options, size = GraphOptions(consistency=consistency, projection=projection), (1, 20, 23)
    result = run(exported(options=options), lr=inputs(size, 0)[0])
    np.testing.assert_allclose(result, by_torch("lite", size, options), atol=1e-4, rtol=0)
    other = run(exported(options=GraphOptions(projection=projection)), lr=inputs(size, 0)[0])
    assert np.abs(result - other).max() > 1e-3


def test_what_is_told_of_each_frame_is_read():
    lr = np.repeat(inputs((1, 20, 23), 0)[0], 2, axis=0)
    told = cameras(2)
    both = run(exported(), told, lr=lr)
    assert np.abs(both[0] - both[1]).max() > 1e-3
    for k in range(2):
        alone = run(exported(), told.part(slice(k, k + 1)), lr=lr[k : k + 1])
        np.testing.assert_allclose(both[k], alone[0], atol=1e-5)


@pytest.mark.parametrize("projection", ["wide", "exact"])
def test_results_are_bounded_by_the_cameras_pixels(projection):
    lr = inputs((1, 20, 23), 0)[0]
    data = exported(options=GraphOptions(projection=projection))
    result = run(data, cameras(1, overshoot=0.0), lr=lr)[0, 0]
    around = np.lib.stride_tricks.sliding_window_view(np.pad(lr[0, 0], 1, mode="edge"), (3, 3))
    low, high = (np.kron(f(around, axis=(2, 3)), np.ones((4, 4))) for f in (np.min, np.max))
    assert (result >= low - 1e-6).all() and (result <= high + 1e-6).all()
    free = run(data, cameras(1, overshoot=0.5), lr=lr)[0, 0]
    assert (free > high + 1e-3).any()


def test_fresh_noise_for_every_step_where_the_model_samples_with_it(stochastic):
    options, size = GraphOptions(num_steps=2), (2, 14, 17)
    data = exported(stochastic, options)
    assert read_facts(data, "").noise_count == 2
    lr, noise = inputs(size, 2)
    result = run(data, lr=lr, noise=noise[:, None])
    np.testing.assert_allclose(result, by_torch(stochastic, size, options), atol=1e-4, rtol=0)
    changed = noise.copy()
    changed[1] = -noise[1]
    assert np.abs(run(data, lr=lr, noise=changed[:, None]) - result).max() > 1e-3


@pytest.mark.parametrize("num_steps", [1, 2])
def test_visual_guidance_and_its_scale(guided, num_steps):
    options, size = GraphOptions(num_steps=num_steps, guidance="visual"), (2, 25, 18)
    data = exported(guided, options)
    lr, noise = inputs(size, 0 if num_steps == 1 else 1)
    feeds = {LR: lr} if num_steps == 1 else {LR: lr, NOISE: noise[:, None]}
    results = {}
    for scale in (0.0, 0.8, 2.0):
        results[scale] = run(data, **feeds, **{VISUAL_SCALE: np.array(scale, np.float32)})
        expected = by_torch(guided, size, options, scale)
        np.testing.assert_allclose(results[scale], expected, atol=1e-4, rtol=0)
    assert np.abs(results[2.0] - results[0.0]).max() > 5e-3
    assert read_facts(data, "").model_guidance == "visual"


def test_fp16_is_the_network_and_nothing_else():
    options, size = GraphOptions(num_steps=2, precision="fp16"), (2, 24, 31)
    data = exported(options=options)
    model = onnx.load_from_string(data)
    assert {v.type.tensor_type.elem_type for v in (*model.graph.input, *model.graph.output)} == {
        TensorProto.FLOAT
    }
    floats = [t for t in model.graph.initializer if t.data_type in (1, 10)]
    halves = sum(np.prod(t.dims) for t in floats if t.data_type == TensorProto.FLOAT16)
    assert halves > 0.99 * sum(np.prod(t.dims) for t in floats)
    lr, noise = inputs(size, 1)
    result = run(data, lr=lr, noise=noise[:, None])
    difference = np.abs(result - by_torch("lite", size, options))
    # What older ones than this compute in float of halves differs less.
    least = 1e-6 if ONNX_RUNTIME >= (1, 17) else 0
    assert least < np.quantile(difference, 0.999) < 1 / 255


def test_a_fixed_size_takes_nothing_else_and_computes_no_sizes():
    data = exported(shape=GraphShape(1, 24, 32))
    model = onnx.load_from_string(data)
    values = (*model.graph.value_info, *model.graph.input, *model.graph.output)
    assert all(d.HasField("dim_value") for v in values for d in v.type.tensor_type.shape.dim)
    assert not {"Shape", "ConstantOfShape"} & {n.op_type for n in model.graph.node}
    assert {n.input[0] for n in model.graph.node if n.op_type == "Gather"} == {CAMERA}  # columns
    lr, _ = inputs((1, 24, 32), 0)
    np.testing.assert_allclose(run(data, lr=lr), run(exported(), lr=lr), atol=1e-5, rtol=0)
    for size in ((1, 24, 33), (2, 24, 32)):
        with pytest.raises(Exception, match="Got invalid dimensions"):
            run(data, lr=inputs(size, 0)[0])


def test_only_the_size_is_fixed_or_only_the_batch():
    batch = run(exported(shape=GraphShape(None, 24, 32)), lr=inputs((3, 24, 32), 0)[0])
    sides = run(exported(shape=GraphShape(1)), lr=inputs((1, 13, 9), 0)[0])
    assert batch.shape == (3, 1, 96, 128) and sides.shape == (1, 1, 52, 36)


@pytest.mark.parametrize(("num_steps", "precision"), [(1, "fp32"), (4, "fp32"), (2, "fp16")])
def test_tensorrt_takes_every_operator(num_steps, precision):
    model = onnx.load_from_string(exported(options=GraphOptions(num_steps, precision=precision)))
    onnx.checker.check_model(model, full_check=True)
    onnx.shape_inference.infer_shapes(model, check_type=True, strict_mode=True, data_prop=True)
    assert refused_by_tensorrt(model) == []


def test_tensorrt_takes_guided_graphs_and_the_newest_opset(guided):
    guidance = exported(guided, GraphOptions(num_steps=2, guidance="visual"))
    assert refused_by_tensorrt(onnx.load_from_string(guidance)) == []
    model = onnx.load_from_string(exported(options=GraphOptions(2), opset=20))
    assert model.opset_import[0].version == 20
    assert refused_by_tensorrt(model) == []
    if ONNX_RUNTIME < (1, 17):
        pytest.skip("ONNX Runtime runs opset 20 from 1.17 on")
    lr, noise = inputs((1, 9, 14), 1)
    result = run(model.SerializeToString(), lr=lr, noise=noise[:, None])
    expected = run(exported(options=GraphOptions(2)), lr=lr, noise=noise[:, None])
    np.testing.assert_allclose(result, expected, atol=1e-5, rtol=0)


def test_what_tensorrt_refuses_is_found():
    value = onnx.helper.make_tensor_value_info
    nodes = [
        onnx.helper.make_node("NonZero", ["x"], ["y"]),
        onnx.helper.make_node("Unsqueeze", ["x", "axes"], ["z"]),
        onnx.helper.make_node("Cast", ["z"], ["out"], to=TensorProto.DOUBLE),
    ]
    graph = onnx.helper.make_graph(
        nodes,
        "g",
        [value("x", TensorProto.FLOAT, [2]), value("axes", TensorProto.INT64, [1])],
        [value("out", TensorProto.DOUBLE, None)],
        value_info=[value("w", TensorProto.DOUBLE, [2])],
    )
    model = onnx.helper.make_model(
        graph,
        opset_imports=[onnx.helper.make_opsetid("", 21), onnx.helper.make_opsetid("mine", 1)],
    )
    assert refused_by_tensorrt(model) == [
        "Unsqueeze along axes that are no constant",
        "operator NonZero",
        "operators of 'mine'",
        "opset 21",
        "values of DOUBLE",
    ]


def test_the_file_says_what_it_is():
    options = GraphOptions(num_steps=2, consistency=0, precision="fp16", projection="exact")
    model = onnx.load_from_string(exported(options=options))
    facts = read_facts(model.SerializeToString(), "x.onnx")
    assert facts.options == options
    assert (facts.model, facts.scale, facts.max_steps, facts.noise_count) == ("lite", 4, 15, 1)
    assert facts.format == FORMAT and len(facts.model_sha256) == 64
    assert GraphFacts.from_metadata(facts.as_metadata(), "x.onnx") == facts
    assert [v.name for v in model.graph.input] == [LR, NOISE, CAMERA]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"format": None}, "x.onnx is no graph of this package .format None."),
        ({"format": "difiisr_ros.graph.1"}, "accepted: 'difiisr_ros.graph.2'"),
        ({"projection": None}, "has no 'projection' in its metadata"),
        ({"noise_count": None}, "has no 'noise_count' in its metadata"),
        ({"num_steps": "two"}, "num_steps is 'two', not a number"),
    ],
)
def test_metadata_of_others_is_refused(changes, said):
    metadata = {**read_facts(exported(), "").as_metadata(), **changes}
    metadata = {key: value for key, value in metadata.items() if value is not None}
    with pytest.raises(ModelError, match=said):
        GraphFacts.from_metadata(metadata, "x.onnx")


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: GraphOptions(consistency=5), "consistency must be in 0..4, got 5"),
        (lambda: GraphOptions(precision="bf16"), "one of fp32, fp16, got 'bf16'"),
        (lambda: GraphOptions(projection="none"), "one of wide, exact, got 'none'"),
        (lambda: GraphOptions(guidance="perceptual"), "'visual' or none, got 'perceptual'"),
        (lambda: GraphShape(height=3), "both height and width"),
        (lambda: GraphShape(batch=0), "batch must be 1 or more"),
        *(
            (
                lambda steps=steps: export_onnx("lite", GraphOptions(num_steps=steps)),
                rf"num_steps must be an integer in 1\.\.15, got {steps}",
            )
            for steps in (0, 16)
        ),
        (lambda: export_onnx("lite", opset=16), r"opset must be in 17\.\.20, got 16"),
    ],
)
def test_bad_options_are_named(make, said):
    with pytest.raises(OptionError, match=said):
        make()


def test_guidance_without_a_prior_is_refused(stochastic):
    with pytest.raises(OptionError, match="no prior for visual guidance"):
        export_onnx(stochastic, GraphOptions(guidance="visual"))


def test_other_networks_are_refused():
    with pytest.raises(ModelError, match="a Conv2d cannot be exported; accepted: LiteDenoiser"):
        build_graph(torch.nn.Conv2d(1, 1, 1), GraphOptions())


def test_an_export_leaves_torch_as_it_was():
    """The exporter keeps its state in globals, and a model that is exported may run elsewhere."""
    network, _ = load_model("lite")
    lr = torch.rand(1, 1, 9, 7)
    camera = torch.from_numpy(NOTHING_KNOWN.values)
    before = network.predict_prior(lr, camera)
    exported(shape=GraphShape(1, 10, 12))
    assert torch.equal(network.predict_prior(lr, camera), before)
    assert not torch.onnx.is_in_onnx_export()
