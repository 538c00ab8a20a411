"""Reduces a traced ONNX graph to what has to be computed for a frame.

A trace also records how constants, kernels, the embedding of the noise level and the arguments of
paddings are made. Each pass keeps the result as it is; a runtime would do some of this itself, but
not all of them do, and a graph that says little is one that can be read.
"""

from __future__ import annotations

from collections import defaultdict
from typing import NamedTuple

import numpy as np
import onnx
from onnx import NodeProto, TensorProto, helper, numpy_helper, shape_inference
from onnx.reference import ReferenceEvaluator

_TO_THE_END = 2**31 - 1


class _Graph:
    """A graph's nodes, its constants as arrays, and what is known of its values, by their names."""

    def __init__(self, model: onnx.ModelProto) -> None:
        self.model = shape_inference.infer_shapes(model, data_prop=True)
        graph = self.model.graph
        self.nodes = list(graph.node)
        self.constants = {t.name: numpy_helper.to_array(t) for t in graph.initializer}
        self.outputs = {value.name for value in graph.output}
        self.types: dict[str, int] = {}
        self.shapes: dict[str, tuple[int, ...]] = {}  # those that are known in full
        for value in (*graph.value_info, *graph.input, *graph.output):
            kind = value.type.tensor_type
            self.types[value.name] = kind.elem_type
            if kind.HasField("shape") and all(d.HasField("dim_value") for d in kind.shape.dim):
                self.shapes[value.name] = tuple(d.dim_value for d in kind.shape.dim)

    def makers(self) -> dict[str, NodeProto]:
        return {name: node for node in self.nodes for name in node.output}

    def users(self) -> dict[str, list[NodeProto]]:
        users = defaultdict(list)
        for node in self.nodes:
            for name in node.input:
                users[name].append(node)
        return users

    def replace(self, old: str, new: str) -> None:
        """Read ``new`` wherever ``old`` was read."""
        for node in self.nodes:
            for index, name in enumerate(node.input):
                if name == old:
                    node.input[index] = new

    def bypass(self, node: NodeProto, source: str) -> None:
        """Take a node out and read ``source`` instead of its output, unless that is the graph's."""
        if node.output[0] not in self.outputs:
            self.nodes.remove(node)
            self.replace(node.output[0], source)

    def store(self) -> onnx.ModelProto:
        """The model of those nodes and constants that lead to an output."""
        needed, kept = set(self.outputs), []
        for node in reversed(self.nodes):
            if needed & set(node.output):
                needed |= set(node.input)
                kept.append(node)
        graph = self.model.graph
        for field in (graph.node, graph.initializer, graph.value_info):
            del field[:]
        graph.node.extend(kept[::-1])
        graph.initializer.extend(
            numpy_helper.from_array(a, n) for n, a in self.constants.items() if n in needed
        )
        return self.model


def simplify(model: onnx.ModelProto) -> onnx.ModelProto:
    """The same graph with constants folded and without what does nothing; shapes are noted."""
    for _ in range(2):  # what the first round folds lets more shapes be known in the second
        graph = _Graph(model)
        _fold_constants(graph)
        _merge_slices(graph)
        _drop_paddings_cut_off_again(graph)
        _drop_idle(graph)
        _reorder_weights_instead_of_channels(graph)
        _share_constants(graph)
        model = graph.store()
    _name_nodes(model)
    return shape_inference.infer_shapes(model, strict_mode=True, data_prop=True)


def _fold_constants(graph: _Graph) -> None:
    kept = []
    for node in graph.nodes:
        names = [name for name in node.input if name]
        if node.op_type == "Constant":
            graph.constants[node.output[0]] = numpy_helper.to_array(node.attribute[0].t)
        elif node.op_type == "Shape" and names[0] in graph.shapes and not node.attribute:
            graph.constants[node.output[0]] = np.array(graph.shapes[names[0]], np.int64)
        elif all(name in graph.constants for name in names):
            evaluator = ReferenceEvaluator(_alone(node, names, list(graph.model.opset_import)))
            results = evaluator.run(None, {name: graph.constants[name] for name in names})
            graph.constants.update(zip(node.output, map(np.asarray, results)))
        else:
            kept.append(node)
    graph.nodes = kept


def _alone(node: NodeProto, names: list[str], opsets: list) -> onnx.ModelProto:
    inputs, outputs = (
        [helper.make_tensor_value_info(name, TensorProto.UNDEFINED, None) for name in values]
        for values in (names, node.output)
    )
    return helper.make_model(
        helper.make_graph([node], "constant", inputs, outputs), opset_imports=opsets
    )


class _Cut(NamedTuple):
    """What a Slice does along one axis."""

    axis: int
    start: int
    end: int
    step: int

    @property
    def idle(self) -> bool:
        return self.start == 0 and self.end >= _TO_THE_END and self.step == 1


def _cuts(node: NodeProto | None, graph: _Graph) -> list[_Cut] | None:
    """What a node does if it is a Slice with constant arguments, as torch writes them; or None."""
    if node is None or node.op_type != "Slice" or len(node.input) != 5:
        return None
    if not all(name in graph.constants for name in node.input[1:]):
        return None
    starts, ends, axes, steps = (graph.constants[name] for name in node.input[1:])
    return [_Cut(*map(int, values)) for values in zip(axes, starts, ends, steps)]


def _merge_slices(graph: _Graph) -> None:
    """One Slice for several that follow each other along different axes, none for whole axes."""
    makers = graph.makers()
    for node in list(graph.nodes):
        cuts = _cuts(node, graph)
        if cuts is None:
            continue
        before = makers.get(node.input[0])
        earlier = _cuts(before, graph)
        if before is not None and earlier is not None:
            if {cut.axis for cut in cuts} & {cut.axis for cut in earlier}:
                continue
            node.input[0] = before.input[0]
            cuts = earlier + cuts
        cuts = [cut for cut in cuts if not cut.idle]
        if not cuts:
            graph.bypass(node, node.input[0])
            continue
        for index, what in enumerate(("axis", "start", "end", "step")):
            name = f"{node.output[0]}_{what}"
            graph.constants[name] = np.array([cut[index] for cut in cuts], np.int64)
            node.input[{"start": 1, "end": 2, "axis": 3, "step": 4}[what]] = name


def _drop_paddings_cut_off_again(graph: _Graph) -> None:
    """A side that is even needs no extension to an even one."""
    makers = graph.makers()
    for node in list(graph.nodes):
        cuts, pad = _cuts(node, graph), makers.get(node.input[0])
        if cuts is None or pad is None or pad.op_type != "Pad":
            continue
        source, pads = graph.shapes.get(pad.input[0]), graph.constants.get(pad.input[1])
        if source is None or pads is None or source != graph.shapes.get(node.output[0]):
            continue
        if not np.any(pads[: len(source)]) and all(c.start == 0 and c.step == 1 for c in cuts):
            graph.bypass(node, pad.input[0])


def _drop_idle(graph: _Graph) -> None:
    """Identities, and casts to the type that is there."""
    for node in list(graph.nodes):
        if node.op_type == "Identity" or (
            node.op_type == "Cast" and graph.types.get(node.input[0]) == node.attribute[0].i
        ):
            graph.bypass(node, node.input[0])


def _reorder_weights_instead_of_channels(graph: _Graph) -> None:
    """Where only convolutions read reordered channels, their weights are reordered, once."""
    users = graph.users()
    for node in list(graph.nodes):
        if node.op_type != "Gather" or node.input[1] not in graph.constants:
            continue
        axis = next((a.i for a in node.attribute if a.name == "axis"), 0)
        order, readers = graph.constants[node.input[1]], users[node.output[0]]
        if axis != 1 or order.ndim != 1 or not _all_convolve(readers, node.output[0], graph):
            continue
        for reader in readers:
            weight = graph.constants[reader.input[1]]
            reordered = np.empty_like(weight)
            reordered[:, order] = weight
            reader.input[1] += "_reordered"
            graph.constants[reader.input[1]] = reordered
        graph.bypass(node, node.input[0])


def _all_convolve(readers: list[NodeProto], name: str, graph: _Graph) -> bool:
    return bool(readers) and all(
        reader.op_type == "Conv"
        and reader.input[0] == name
        and reader.input[1] in graph.constants
        and all(a.i == 1 for a in reader.attribute if a.name == "group")
        for reader in readers
    )


def _share_constants(graph: _Graph) -> None:
    first: dict[tuple, str] = {}
    for name, array in graph.constants.items():
        same = first.setdefault((array.dtype.str, array.shape, array.tobytes()), name)
        if same != name and name not in graph.outputs:
            graph.replace(name, same)


def _name_nodes(model: onnx.ModelProto) -> None:
    """Number the nodes of each kind, so that a profile's lines can be found in the graph."""
    counts: dict[str, int] = defaultdict(int)
    for node in model.graph.node:
        node.name = f"{node.op_type}_{counts[node.op_type]}"
        counts[node.op_type] += 1
