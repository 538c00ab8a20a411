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

"""Which ONNX operators TensorRT's parser takes, and with what restrictions.

Source: ``docs/operators.md`` of github.com/onnx/onnx-tensorrt, of the releases for TensorRT 10.1
(opsets 9 to 20) and 10.15 (9 to 24); listed is what both have. The notes of TensorRT 11.0 and 11.5
name operators and opsets that are added, and none that is removed. These are the operators that
networks for images are made of, with every restriction that the pages have for them and that a file
can be checked for.
"""

from __future__ import annotations

import onnx
from onnx import TensorProto

OPSETS = range(9, 21)
SUPPORTED = {
    "Abs", "Add", "ArgMin", "AveragePool", "BatchNormalization", "Cast", "Ceil", "Clip", "Concat",
    "Constant", "ConstantOfShape", "Conv", "ConvTranspose", "Cos", "DepthToSpace", "Div", "Einsum",
    "Equal", "Erf", "Exp", "Expand", "Flatten", "Floor", "Gather", "GatherElements", "GatherND",
    "Gemm", "GlobalAveragePool", "Greater", "GreaterOrEqual", "GroupNormalization", "Identity",
    "InstanceNormalization", "LayerNormalization", "LeakyRelu", "Less", "LessOrEqual", "Log",
    "MatMul", "Max", "MaxPool", "Mean", "Min", "Mod", "Mul", "Neg", "Not", "Or", "PRelu", "Pad",
    "Pow", "Range", "Reciprocal", "ReduceMax", "ReduceMean", "ReduceMin", "ReduceProd",
    "ReduceSum", "ReduceSumSquare", "Relu", "Reshape", "Resize", "Round", "ScatterElements",
    "ScatterND", "Shape", "Sigmoid", "Sign", "Sin", "Size", "Slice", "Softmax", "Softplus",
    "SpaceToDepth", "Split", "Sqrt", "Squeeze", "Sub", "Sum", "Tanh", "Tile", "TopK", "Transpose",
    "Trilu", "Unsqueeze", "Where", "Xor",
}  # fmt: skip
#: Operator -> the input (its axes) that must be a constant.
CONSTANT_INPUTS = {"Slice": 3, "Squeeze": 1, "Unsqueeze": 1, "Pad": 3} | {
    f"Reduce{what}": 1 for what in ("Max", "Mean", "Min", "Prod", "Sum", "SumSquare")
}
TYPES = frozenset(
    {
        TensorProto.FLOAT,
        TensorProto.FLOAT16,
        TensorProto.BFLOAT16,
        TensorProto.INT32,
        TensorProto.INT64,
        TensorProto.BOOL,
    }
)


def refused_by_tensorrt(model: onnx.ModelProto) -> list[str]:
    """What in a model TensorRT would not take, in words; nothing where it takes all of it."""
    refused = []
    for opset in model.opset_import:
        if opset.domain not in ("", "ai.onnx"):
            refused.append(f"operators of {opset.domain!r}")
        elif opset.version not in OPSETS:
            refused.append(f"opset {opset.version}")
    constants = {tensor.name for tensor in model.graph.initializer}
    constants |= {node.output[0] for node in model.graph.node if node.op_type == "Constant"}
    for node in model.graph.node:
        if node.op_type not in SUPPORTED:
            refused.append(f"operator {node.op_type}")
        index = CONSTANT_INPUTS.get(node.op_type, len(node.input))
        if index < len(node.input) and node.input[index] not in constants | {""}:
            refused.append(f"{node.op_type} along axes that are no constant")
    for value in model.graph.value_info:
        kind = value.type.tensor_type.elem_type
        if kind not in TYPES:
            refused.append(f"values of {TensorProto.DataType.Name(kind)}")
    return sorted(set(refused))
