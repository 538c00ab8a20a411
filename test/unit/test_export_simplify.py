"""Each simplification of a traced graph leaves the result alone, and does something."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("onnx", reason="needs onnx: pip install difiisr_ros[onnx]")

import onnx
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from difiisr_ros.export.onnx_writer import export_onnx
from difiisr_ros.export.simplify import simplify

INPUT = np.random.default_rng(0).random((1, 2, 6, 9), dtype=np.float32)


def model(nodes, constants, size=("n", 2, "h", "w")):
    """A graph from x to y; nodes are (operator, inputs, output, attributes)."""
    made = [
        helper.make_node(kind, list(inputs), [output], **attributes)
        for kind, inputs, output, attributes in nodes
    ]
    graph = helper.make_graph(
        made, "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, list(size))],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [None] * 4)],
        [numpy_helper.from_array(np.asarray(v), k) for k, v in constants.items()],
    )  # fmt: skip
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def check(before):
    """Simplify; the result is unchanged. Returns the operators that are left."""
    expected = ReferenceEvaluator(before).run(None, {"x": INPUT})[0]
    after = simplify(onnx.load_from_string(before.SerializeToString()))
    onnx.checker.check_model(after, full_check=True)
    result = ReferenceEvaluator(after).run(None, {"x": INPUT})[0]
    np.testing.assert_allclose(result, expected, atol=1e-5)
    return [node.op_type for node in after.graph.node]


def slices(*cuts, source="x"):
    """Slices one after the other, one for each (axis, start, end, step)."""
    nodes, constants = [], {}
    for index, values in enumerate(cuts):
        last = index == len(cuts) - 1
        for what, value in zip(("axes", "starts", "ends", "steps"), values):
            constants[f"{what}{index}"] = np.array([value], np.int64)
        names = [f"{what}{index}" for what in ("starts", "ends", "axes", "steps")]
        nodes.append(("Slice", [source, *names], "y" if last else f"s{index}", {}))
        source = f"s{index}"
    return nodes, constants


def test_what_depends_on_constants_alone_is_computed_once():
    nodes = [
        ("Exp", ["a"], "b", {}),
        ("Mul", ["b", "a"], "c", {}),
        ("Add", ["x", "c"], "y", {}),
    ]
    assert check(model(nodes, {"a": np.float32(0.3)})) == ["Add"]


def test_a_known_shape_is_a_constant_and_an_open_one_is_not():
    nodes = [
        ("Shape", ["x"], "s", {}),
        ("Cast", ["s"], "f", {"to": TensorProto.FLOAT}),
        ("ReduceMax", ["f"], "m", {"keepdims": 0}),
        ("Mul", ["x", "m"], "y", {}),
    ]
    assert check(model(nodes, {}, size=INPUT.shape)) == ["Mul"]
    assert check(model(nodes, {})) == ["Shape", "Cast", "ReduceMax", "Mul"]


def test_slices_along_different_axes_become_one():
    nodes, constants = slices((1, 0, 2, 2), (0, 0, 2**31 - 1, 1), (3, 1, -2, 1))
    assert check(model(nodes, constants)) == ["Slice"]


def test_slices_along_one_axis_stay_two():
    nodes, constants = slices((3, 1, 8, 1), (3, 1, -2, 1))
    assert check(model(nodes, constants)) == ["Slice", "Slice"]


def test_a_padding_that_is_cut_off_again_goes():
    nodes, constants = slices((2, 0, 6, 1), (3, 0, 9, 1), source="p")
    constants["pads"] = np.array([0, 0, 0, 0, 0, 0, 1, 1], np.int64)
    constants["k"] = np.float32(2)
    nodes = [
        ("Pad", ["x", "pads"], "p", {"mode": "edge"}),
        *[(k, i, "cut" if o == "y" else o, a) for k, i, o, a in nodes],
        ("Mul", ["cut", "k"], "y", {}),
    ]
    assert check(model(nodes, constants, size=INPUT.shape)) == ["Mul"]
    assert check(model(nodes, constants)) == ["Pad", "Slice", "Mul"]  # it may be needed
    constants["starts1"] = np.array([1], np.int64)
    constants["ends1"] = np.array([10], np.int64)
    assert check(model(nodes, constants, size=INPUT.shape)) == ["Pad", "Slice", "Mul"]


def test_reordered_channels_reorder_the_weights():
    weight = np.random.default_rng(1).random((3, 8, 1, 1), dtype=np.float32)
    order = np.array([0, 2, 4, 6, 1, 3, 5, 7])
    nodes = [
        ("Slice", ["x", "starts", "ends", "axes", "steps"], "even", {}),
        ("SpaceToDepth", ["even"], "d", {"blocksize": 2}),
        ("Gather", ["d", "order"], "g", {"axis": 1}),
        ("Conv", ["g", "w"], "y", {}),
    ]
    constants = {"order": order, "w": weight}
    for what, value in zip(("starts", "ends", "axes", "steps"), (0, 8, 3, 1)):
        constants[what] = np.array([value], np.int64)
    assert check(model(nodes, constants)) == ["Slice", "SpaceToDepth", "Conv"]
    nodes[3] = ("Relu", ["g"], "y", {})
    assert check(model(nodes, constants)) == ["Slice", "SpaceToDepth", "Gather", "Relu"]


def test_identities_and_casts_to_the_same_type_go_except_at_the_end():
    nodes = [
        ("Identity", ["x"], "a", {}),
        ("Cast", ["a"], "b", {"to": TensorProto.FLOAT}),
        ("Neg", ["b"], "c", {}),
        ("Identity", ["c"], "y", {}),
    ]
    assert check(model(nodes, {})) == ["Neg", "Identity"]


def test_equal_constants_are_kept_once():
    nodes = [("Add", ["x", "a"], "t", {}), ("Mul", ["t", "b"], "y", {})]
    before = model(nodes, {"a": np.float32(2), "b": np.float32(2)})
    assert len(simplify(before).graph.initializer) == 1


def test_the_graph_of_the_model_is_short():
    """A trace has some 400 nodes. What remains is convolutions, what joins them, what is told of
    the camera, and the bounds by each pixel's neighbours."""
    graph = onnx.load_from_string(export_onnx("lite")).graph
    kinds = [node.op_type for node in graph.node]
    assert len(kinds) <= 200
    assert not {"Constant", "Identity", "Transpose", "If", "Loop"} & set(kinds)
    assert kinds.count("Reshape") == 1  # the overshoot, one number for each frame
    assert len({node.name for node in graph.node}) == len(kinds)
