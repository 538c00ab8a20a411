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

"""A feature network out of a user's ONNX graph, run by PyTorch, which can differentiate it.

Graphs of convolutional networks are understood: :data:`OPERATORS` has what may be in them. Every
output of four dimensions is a map.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from difiisr_ros.errors import ModelError, first_line
from difiisr_ros.models.features.base import (
    FeatureNetwork,
    as_imagenet,
    check_frames,
    crop_to_frame,
    pad_to_multiple,
)

_PROBE = 256  # pixels a side, to learn the strides
_LARGEST_STRIDE = 64
Attributes = Mapping[str, Any]


class OnnxFeatures(FeatureNetwork):
    """Outputs of an ONNX graph of one picture, N x 3 (or 1) x H x W, height and width open.

    A graph of three channels gets what ImageNet's networks get, one of one channel the normalised
    intensity. The frame is padded to a multiple of the largest stride by repeating its last row and
    column.

    Args:
        graph: ``onnx.GraphProto``.

    Raises:
        ModelError: an operator that is not known, or a graph of another kind.
    """

    name = "module"

    def __init__(self, graph: Any) -> None:
        super().__init__()
        from onnx import helper, numpy_helper

        stored = {i.name: numpy_helper.to_array(i) for i in graph.initializer}
        inputs = [i for i in graph.input if i.name not in stored]
        shape = [d.dim_value for d in inputs[0].type.tensor_type.shape.dim] if inputs else []
        if len(inputs) != 1 or len(shape) != 4 or shape[1] not in (1, 3):
            raise ModelError("takes something else than one picture N x 3 (or 1) x H x W")
        if shape[2] or shape[3]:
            raise ModelError(f"is for {shape[3]}x{shape[2]} alone; height and width must be open")
        self._input, self._channels = inputs[0].name, shape[1]
        self._nodes: list[tuple[Callable[..., Tensor], list[str], list[str], Attributes]] = []
        for node in graph.node:
            attributes = {a.name: helper.get_attribute_value(a) for a in node.attribute}
            if node.op_type == "Constant":
                stored[node.output[0]] = numpy_helper.to_array(attributes["value"])
                continue
            if node.op_type not in OPERATORS:
                raise ModelError(
                    f"has the operator {node.op_type}; known are Constant, {', '.join(OPERATORS)}"
                )
            names = list(node.input), list(node.output)
            self._nodes.append((OPERATORS[node.op_type], *names, attributes))
        # Names of values may be anything, those of buffers may not.
        self._buffer_of = {name: f"value{number}" for number, name in enumerate(stored)}
        for name, buffer in self._buffer_of.items():
            value = torch.from_numpy(stored[name].copy())
            if value.is_floating_point():
                self.register_parameter(buffer, nn.Parameter(value.float()))
            else:
                self.register_buffer(buffer, value)
        self._outputs = [o.name for o in graph.output]
        with torch.inference_mode():
            found = self._run(torch.zeros(1, self._channels, _PROBE, _PROBE))
        self._outputs = [name for name in self._outputs if found[name].ndim == 4]
        self._outputs.sort(key=lambda name: -found[name].shape[-1])
        self.layers = tuple(self._outputs)
        self.strides = tuple(max(1, _PROBE // found[name].shape[-1]) for name in self._outputs)
        if not self.layers or max(self.strides) > _LARGEST_STRIDE:
            raise ModelError(
                f"has no output N x C x H x W of a stride up to {_LARGEST_STRIDE} pixels"
            )

    def maps(self, x: Tensor) -> list[Tensor]:
        """See :class:`FeatureNetwork`."""
        check_frames(x)
        height, width = x.shape[-2:]
        padded = pad_to_multiple(x, max(self.strides))
        picture = as_imagenet(padded) if self._channels == 3 else padded
        dtypes = [p.dtype for p in self.parameters()]
        found = self._run(picture.to(dtypes[0]) if dtypes else picture)
        return [
            crop_to_frame(found[name], stride, height, width)
            for name, stride in zip(self.layers, self.strides)
        ]

    def _run(self, picture: Tensor) -> dict[str, Tensor]:
        values = {name: getattr(self, buffer) for name, buffer in self._buffer_of.items()}
        values[self._input] = picture
        for operator, inputs, outputs, attributes in self._nodes:
            given = [values[name] if name else None for name in inputs]
            values[outputs[0]] = operator(attributes, *given)
        return values


def load_module(path: Path) -> OnnxFeatures:
    """From an ``.onnx`` file.

    Raises:
        ModelError: missing, not readable, or not such a graph; or the onnx library is.
    """
    try:
        import onnx
    except ImportError as error:
        raise ModelError(f"{path}: needs onnx to be read: pip install onnx") from error
    if not path.is_file():
        raise ModelError(f"{path}: no such file")
    try:
        model = onnx.load(str(path))
    except Exception as error:  # protobuf's own, of many kinds
        raise ModelError(f"{path}: cannot be read as ONNX: {first_line(error)}") from error
    try:
        return OnnxFeatures(model.graph)
    except ModelError as error:
        raise ModelError(f"{path}: {error}") from error
    except (RuntimeError, ValueError, KeyError, TypeError, IndexError) as error:
        raise ModelError(f"{path}: its graph cannot be run: {first_line(error)}") from error


def _spatial(attributes: Attributes, x: Tensor, kernel: list[int], fill: float) -> Tensor:
    """The input padded as the node says."""
    automatic = attributes.get("auto_pad", b"NOTSET").decode()
    strides, dilations = attributes.get("strides", [1, 1]), attributes.get("dilations", [1, 1])
    pads = list(attributes.get("pads", [0, 0, 0, 0]))
    if automatic in ("SAME_UPPER", "SAME_LOWER"):
        pads = [0, 0, 0, 0]
        for axis in (0, 1):
            size, stride = x.shape[2 + axis], strides[axis]
            reach = (kernel[axis] - 1) * dilations[axis] + 1
            total = max((-(-size // stride) - 1) * stride + reach - size, 0)
            less, more = total // 2, total - total // 2
            first = less if automatic == "SAME_UPPER" else more
            pads[axis], pads[2 + axis] = first, total - first
    top, left, below, right = pads
    return F.pad(x, (left, right, top, below), value=fill) if any(pads) else x


def _conv(a: Attributes, x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    padded = _spatial(a, x, list(weight.shape[2:]), 0.0)
    return F.conv2d(
        padded,
        weight,
        bias,
        tuple(a.get("strides", (1, 1))),
        0,
        tuple(a.get("dilations", (1, 1))),
        a.get("group", 1),
    )


def _max_pool(a: Attributes, x: Tensor) -> Tensor:
    kernel = a["kernel_shape"]
    padded = _spatial(a, x, kernel, float("-inf"))
    ceil = bool(a.get("ceil_mode", 0))
    return F.max_pool2d(padded, kernel, a.get("strides", [1, 1]), ceil_mode=ceil)


def _average_pool(a: Attributes, x: Tensor) -> Tensor:
    kernel, strides = a["kernel_shape"], a.get("strides", [1, 1])
    total = F.avg_pool2d(_spatial(a, x, kernel, 0.0), kernel, strides)
    if a.get("count_include_pad", 0):
        return total
    covered = F.avg_pool2d(_spatial(a, torch.ones_like(x), kernel, 0.0), kernel, strides)
    return total / covered


def _batch_norm(a: Attributes, x: Tensor, *known: Tensor) -> Tensor:
    scale, bias, mean, variance = known
    return F.batch_norm(x, mean, variance, scale, bias, eps=a.get("epsilon", 1e-5))


def _clip(
    a: Attributes, x: Tensor, low: Tensor | None = None, high: Tensor | None = None
) -> Tensor:
    least = a.get("min") if low is None else float(low)
    most = a.get("max") if high is None else float(high)
    return x.clamp(least, most)


def _hard_sigmoid(a: Attributes, x: Tensor) -> Tensor:
    return (a.get("alpha", 0.2) * x + a.get("beta", 0.5)).clamp(0, 1)


def _mean_of_map(a: Attributes, x: Tensor) -> Tensor:
    return x.mean(dim=(2, 3), keepdim=True)


#: What may be in a graph.
OPERATORS: dict[str, Callable[..., Tensor]] = {
    "Conv": _conv,
    "BatchNormalization": _batch_norm,
    "Relu": lambda a, x: F.relu(x),
    "LeakyRelu": lambda a, x: F.leaky_relu(x, a.get("alpha", 0.01)),
    "PRelu": lambda a, x, slope: torch.where(x < 0, x * slope, x),
    "Clip": _clip,
    "Sigmoid": lambda a, x: torch.sigmoid(x),
    "HardSigmoid": _hard_sigmoid,
    "HardSwish": lambda a, x: F.hardswish(x),
    "Tanh": lambda a, x: torch.tanh(x),
    "Add": lambda a, x, y: x + y,
    "Sub": lambda a, x, y: x - y,
    "Mul": lambda a, x, y: x * y,
    "Div": lambda a, x, y: x / y,
    "MaxPool": _max_pool,
    "AveragePool": _average_pool,
    "GlobalAveragePool": _mean_of_map,
    "Concat": lambda a, *parts: torch.cat(parts, dim=a["axis"]),
    "Identity": lambda a, x: x,
}
