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

"""An exported graph as nodes and arrays, read without the onnx package, and parts of it written."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from difiisr_ros.errors import ModelError
from difiisr_ros.export import wire

_DTYPES = {1: np.float32, 6: np.int32, 7: np.int64, 9: np.bool_, 10: np.float16, 11: np.float64}
_IR_VERSION = 8
_FLOAT = 1


@dataclass(frozen=True)
class Node:
    """One operator."""

    operator: str
    inputs: tuple[str, ...]
    """Names; an empty one is an optional input that is not given."""
    outputs: tuple[str, ...]
    attributes: Mapping[str, Any]
    raw: bytes = field(repr=False)
    """As it stands in the file."""


@dataclass(frozen=True)
class GraphFile:
    """What an ONNX file holds, nodes in the order of their execution."""

    nodes: tuple[Node, ...]
    constants: Mapping[str, np.ndarray]
    raw_constants: Mapping[str, bytes]
    outputs: tuple[str, ...]
    metadata: Mapping[str, str]
    opset: int


def read_graph_file(data: bytes, where: str) -> GraphFile:
    """Read a serialised model; ``where`` names it in messages.

    Raises:
        ModelError: not an ONNX model, or of types that no graph of this package has.
    """
    try:
        return _model(data)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise ModelError(f"{where}: cannot be loaded as an ONNX model: {error}") from error


def part_of(
    graph: GraphFile,
    nodes: Sequence[Node],
    inputs: Mapping[str, Sequence[int]],
    outputs: Mapping[str, Sequence[int]],
) -> bytes:
    """Some nodes of a graph as an ONNX model of its own, with the shapes of its ends."""
    used = {name for node in nodes for name in node.inputs}
    body = b"".join(wire.field(1, node.raw) for node in nodes)
    body += wire.field(2, "part")
    body += b"".join(
        wire.field(5, raw) for name, raw in graph.raw_constants.items() if name in used
    )
    body += b"".join(wire.field(11, _described(name, shape)) for name, shape in inputs.items())
    body += b"".join(wire.field(12, _described(name, shape)) for name, shape in outputs.items())
    opset = wire.field(1, "") + wire.field(2, graph.opset)
    return wire.field(1, _IR_VERSION) + wire.field(8, opset) + wire.field(7, body)


def with_input(data: bytes, name: str, shape: Sequence[int]) -> bytes:
    """A serialised model whose input of a name is declared to have another shape."""

    def graph(body: bytes) -> Iterator[bytes]:
        for number, value in wire.fields(body):
            if number == 11 and _text(dict(wire.fields(_bytes(value)))[1]) == name:
                value = _described(name, shape)
            yield wire.field(number, _whole(value))

    def model() -> Iterator[bytes]:
        for number, value in wire.fields(data):
            body = b"".join(graph(_bytes(value))) if number == 7 else _whole(value)
            yield wire.field(number, body)

    return b"".join(model())


def _whole(value: wire.Value) -> int | bytes:
    """A model and its graph have no fields of other kinds."""
    assert isinstance(value, (int, bytes))
    return value


def _described(name: str, shape: Iterable[int]) -> bytes:
    dims = b"".join(wire.field(1, wire.field(1, side)) for side in shape)
    tensor = wire.field(1, _FLOAT) + wire.field(2, dims)
    return wire.field(1, name) + wire.field(2, wire.field(1, tensor))


def _model(data: bytes) -> GraphFile:
    body, metadata, opset = b"", {}, 0
    for number, value in wire.fields(data):
        if number == 7:
            body = _bytes(value)
        elif number == 8:
            opset = int(dict(wire.fields(_bytes(value))).get(2, 0))
        elif number == 14:
            entry = dict(wire.fields(_bytes(value)))
            metadata[_text(entry[1])] = _text(entry[2])
    if not body:
        raise ValueError("it holds no graph")
    nodes, constants, raw_constants, outputs = [], {}, {}, []
    for number, value in wire.fields(body):
        if number == 1:
            nodes.append(_node(_bytes(value)))
        elif number == 5:
            name, array = _tensor(_bytes(value))
            constants[name], raw_constants[name] = array, _bytes(value)
        elif number == 12:
            outputs.append(_text(dict(wire.fields(_bytes(value)))[1]))
    return GraphFile(tuple(nodes), constants, raw_constants, tuple(outputs), metadata, opset)


def _node(data: bytes) -> Node:
    inputs, outputs, attributes, operator = [], [], {}, ""
    for number, value in wire.fields(data):
        if number == 1:
            inputs.append(_text(value))
        elif number == 2:
            outputs.append(_text(value))
        elif number == 4:
            operator = _text(value)
        elif number == 5:
            name, content = _attribute(_bytes(value))
            attributes[name] = content
    return Node(operator, tuple(inputs), tuple(outputs), attributes, data)


def _attribute(data: bytes) -> tuple[str, Any]:
    name, integers = "", []
    content: Any = None
    for number, value in wire.fields(data):
        if number == 1:
            name = _text(value)
        elif number == 2:
            content = value
        elif number == 3:
            (content,) = wire.numbers(value)
        elif number == 4:
            content = _text(value)
        elif number == 5:
            content = _tensor(_bytes(value))[1]
        elif number == 8:
            integers += wire.numbers(value)
    return name, integers or content


def _tensor(data: bytes) -> tuple[str, np.ndarray]:
    shape: list[int] = []
    name, kind, raw = "", _FLOAT, b""
    for number, value in wire.fields(data):
        if number == 1:
            shape += wire.numbers(value)
        elif number == 2:
            kind = int(value)
        elif number == 8:
            name = _text(value)
        elif number == 9:
            raw = _bytes(value)
        elif number in (4, 5, 7, 10, 11):
            raise ValueError(f"tensor {name or 'of a node'} is not stored as raw data")
    return name, np.frombuffer(raw, np.dtype(_DTYPES[kind]).newbyteorder("<")).reshape(shape)


def _bytes(value: wire.Value) -> bytes:
    if not isinstance(value, bytes):
        raise ValueError("a field is of another type than in ONNX")
    return value


def _text(value: wire.Value) -> str:
    return _bytes(value).decode()
