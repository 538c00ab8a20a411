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

"""Traces the sampler's graph and makes an ONNX model of it."""

from __future__ import annotations

import hashlib
import logging
import tempfile
import threading
import warnings
from dataclasses import dataclass
from functools import cache
from typing import Any

import onnx
import torch

from difiisr_ros.errors import OptionError
from difiisr_ros.export.facts import CAMERA, LR, NOISE, SR, GraphFacts, GraphOptions
from difiisr_ros.export.graph import SamplerGraph, build_graph
from difiisr_ros.export.load import load_network
from difiisr_ros.models.model_files import model_path
from difiisr_ros.version import __version__

OPSETS = range(17, 21)
"""What TensorRT 10.0 and newer parse; torch's exporter ends at 20."""
DEFAULT_OPSET = 17
_EXAMPLE = (1, 6, 10)  # any size: nothing of it stays in a graph whose size is open
_logger = logging.getLogger(__name__)
_one_at_a_time = threading.Lock()  # torch keeps the state of an export in globals


@dataclass(frozen=True)
class GraphShape:
    """Batch, height and width of the LR frames that a graph takes; None leaves one open.

    Raises:
        OptionError: a number below 1, or a height without a width.
    """

    batch: int | None = None
    height: int | None = None
    width: int | None = None

    def __post_init__(self) -> None:
        for name in ("batch", "height", "width"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise OptionError(f"{name} must be 1 or more, got {value}")
        if (self.height is None) != (self.width is None):
            raise OptionError("give both height and width, or neither")


def export_onnx(
    model: str,
    options: GraphOptions | None = None,
    shape: GraphShape | None = None,
    opset: int = DEFAULT_OPSET,
) -> bytes:
    """The whole sampler of ``lite`` or of a model file as an ONNX model, serialised.

    Inputs, output and metadata: see :mod:`difiisr_ros.export.facts`.

    Raises:
        ModelError: not a usable model.
        OptionError: more steps than the model has, an opset out of :data:`OPSETS`, or any size
            where the model needs one.
    """
    options, shape = options or GraphOptions(), shape or GraphShape()
    if opset not in OPSETS:
        raise OptionError(f"opset must be in {OPSETS.start}..{OPSETS.stop - 1}, got {opset}")
    network, _ = load_network(model)
    graph = build_graph(network, options)
    if graph.fixed_size and shape.height is None:
        raise OptionError("the graph of a published model is for one size of frames: give its size")
    result = _simplified(_trace(graph, shape, opset))
    path = model_path(model)
    facts = GraphFacts(
        num_steps=options.num_steps,
        consistency=options.consistency,
        precision=options.precision,
        guidance=options.guidance,
        projection=options.projection,
        model_guidance=graph.model_guidance,
        noise_count=graph.noise_count,
        max_steps=graph.max_steps,
        scale=options.scale,
        model=path.name if model == str(path) else model,
        model_sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
        written_by=__version__,
    )
    onnx.helper.set_model_props(result, facts.as_metadata())
    onnx.checker.check_model(result, full_check=True)
    return result.SerializeToString()


def read_facts(data: bytes, where: str) -> GraphFacts:
    """What a serialised graph says of itself; ``where`` names it in messages.

    Raises:
        ModelError: not a graph of this package.
    """
    model = onnx.load_from_string(data)
    return GraphFacts.from_metadata({p.key: p.value for p in model.metadata_props}, where)


def _trace(graph: SamplerGraph, shape: GraphShape, opset: int) -> onnx.ModelProto:
    batch, height, width = (
        given or some for given, some in zip((shape.batch, shape.height, shape.width), _EXAMPLE)
    )
    if shape.batch is None and shape.height is not None:
        batch = 1
    # The exporter that traces is the one that leaves sizes open: the newer one takes every branch
    # on a size's parity as a promise about it. It needs no further package, either.
    with (
        _one_at_a_time,
        torch.no_grad(),
        warnings.catch_warnings(),
        tempfile.TemporaryDirectory() as folder,
    ):
        file = f"{folder}/traced.onnx"
        warnings.simplefilter("ignore")
        torch.onnx.register_custom_op_symbolic("aten::pixel_unshuffle", _space_to_depth, opset)
        try:
            torch.onnx.export(
                graph,
                graph.example(batch, height, width),
                file,
                dynamo=False,
                opset_version=opset,
                input_names=list(graph.input_names),
                output_names=[SR],
                dynamic_axes=_open_axes(graph, shape),
            )
        finally:
            torch.onnx.unregister_custom_op_symbolic("aten::pixel_unshuffle", opset)
        return onnx.load(file)


def _open_axes(graph: SamplerGraph, shape: GraphShape) -> dict[str, dict[int, str]]:
    low, noise, high = ({2: f"{p}height", 3: f"{p}width"} for p in ("", "noise_", "sr_"))
    axes: dict[str, dict[int, str]] = {LR: {}, SR: {}}
    if shape.height is None:
        axes = {LR: low, SR: high}
        if NOISE in graph.input_names:
            axes[NOISE] = noise
    if shape.batch is None:
        axes[LR][0] = axes[SR][0] = "batch"
        axes[CAMERA] = {0: "batch"}
    return {name: found for name, found in axes.items() if found}


def _space_to_depth(g: Any, image: Any, factor: Any) -> Any:
    """pixel_unshuffle of one channel as one operator, which orders those of several otherwise."""
    assert g.original_node.output().type().sizes()[1] == int(factor.node().t("value")) ** 2
    return g.op("SpaceToDepth", image, blocksize_i=int(factor.node().t("value")))


def _simplified(model: onnx.ModelProto) -> onnx.ModelProto:
    """The graph without what a trace also records: how constants and shapes come about.

    A runtime leaves out most of that too. Results stay as they are.
    """
    onnxslim = _onnxslim()
    return model if onnxslim is None else onnxslim.slim(model)


@cache
def _onnxslim() -> Any | None:
    """The library, or None where it is not installed; that is said once."""
    try:
        import onnxslim
    except ImportError as error:
        _logger.warning(
            "exported graphs are not simplified (%s): pip install onnxslim; they compute the same",
            error,
        )
        return None
    return onnxslim
