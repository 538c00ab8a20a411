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

"""One exported graph run by what every ROS machine has: OpenCV's dnn for the network, NumPy beside.

OpenCV before 5 reads none of our graphs whole (pads by inputs, minima of several maps, sizes that
are computed). The network in their middle is nothing but convolutions, sums and scales, which all
versions read; so it is cut out, for each size of frames, and the rest is a few arrays.
"""

from __future__ import annotations

from collections import OrderedDict

import cv2
import numpy as np

from difiisr_ros.backends.graph_operators import OPERATORS
from difiisr_ros.errors import BackendUnavailable, ModelError, first_line
from difiisr_ros.export.facts import CAMERA, LR, SR
from difiisr_ros.export.graph_file import GraphFile, Node, part_of

_MOST_SIZES = 4


class OpenCVGraph:
    """A graph of one step without noise; makes its networks when a frame of a size comes.

    Args:
        graph: as read from the file.
        where: names it in messages.

    Raises:
        ModelError: it holds what this does not run.
    """

    def __init__(self, graph: GraphFile, where: str) -> None:
        self._graph, self._where = graph, where
        self._network = network_of(graph)
        inside = set(map(id, self._network))
        self._before, self._after = _split(graph.nodes, inside)
        unknown = {n.operator for n in self._before + self._after} - set(OPERATORS)
        if unknown or not self._network:
            what = ", ".join(sorted(unknown)) or "no network"
            raise ModelError(f"{where}: OpenCV does not run a graph with {what}")
        made = {name for node in self._network for name in node.outputs}
        used = [name for node in self._network for name in node.inputs]
        self._inputs = [
            n for n in dict.fromkeys(used) if n and n not in made and n not in graph.constants
        ]
        self._output = self._network[-1].outputs[0]
        self._nets: OrderedDict[tuple[tuple[int, ...], ...], cv2.dnn.Net] = OrderedDict()

    def run(self, lr: np.ndarray, camera: np.ndarray) -> np.ndarray:
        """N x 1 x H x W and N x 7 to N x 1 x 4H x 4W, float32.

        Raises:
            BackendUnavailable: OpenCV fails.
        """
        try:
            return np.concatenate(
                [self._run(lr[i : i + 1], camera[i : i + 1]) for i in range(len(lr))]
            )
        except (cv2.error, ValueError) as error:
            raise BackendUnavailable(
                f"OpenCV {cv2.__version__} fails on {self._where}: {first_line(error)}"
            ) from error

    def _run(self, lr: np.ndarray, camera: np.ndarray) -> np.ndarray:
        values = {**self._graph.constants, LR: np.ascontiguousarray(lr), CAMERA: camera}
        with np.errstate(all="ignore"):  # as the other runtimes
            _take(self._before, values)
            values[self._output] = self._forward([values[name] for name in self._inputs])
            _take(self._after, values)
        return np.ascontiguousarray(values[SR], np.float32)

    def _forward(self, given: list[np.ndarray]) -> np.ndarray:
        shapes = tuple(array.shape for array in given)
        if shapes not in self._nets:
            while len(self._nets) >= _MOST_SIZES:
                self._nets.popitem(last=False)
            named = dict(zip(self._inputs, shapes))
            maps = len(self._graph.constants[self._network[-1].inputs[1]])
            output = (1, maps, *named[self._network[0].inputs[0]][2:])
            data = part_of(self._graph, self._network, named, {self._output: output})
            self._nets[shapes] = cv2.dnn.readNetFromONNX(np.frombuffer(data, np.uint8))
        self._nets.move_to_end(shapes)
        net = self._nets[shapes]
        for name, array in zip(self._inputs, given):
            net.setInput(np.ascontiguousarray(array, np.float32), name)
        return net.forward()


def network_of(graph: GraphFile) -> list[Node]:
    """The nodes from the convolution that makes the network's maps to the last that reads any."""
    convolutions = [node for node in graph.nodes if node.operator == "Conv"]
    inner = [node for node in convolutions if graph.constants[node.inputs[1]].shape[1] > 1]
    read = {node.inputs[0] for node in inner}
    all_of_it = {id(n) for n in convolutions if n in inner or n.outputs[0] in read}
    after = _reached(graph.nodes, all_of_it, forward=True)
    before = _reached(graph.nodes, all_of_it, forward=False)
    return [node for node in graph.nodes if id(node) in after & before]


def _reached(nodes: tuple[Node, ...], start: set[int], *, forward: bool) -> set[int]:
    """The nodes themselves, and those that what they make goes into (or comes from)."""
    found, names = set(start), set[str]()
    for node in nodes if forward else reversed(nodes):
        into, out = (node.inputs, node.outputs) if forward else (node.outputs, node.inputs)
        if id(node) in found or names & set(into):
            found.add(id(node))
            names |= set(out) - {""}
    return found


def _split(nodes: tuple[Node, ...], inside: set[int]) -> tuple[list[Node], list[Node]]:
    """Nodes to run before the network, and those that wait for what it makes."""
    late = _reached(nodes, inside, forward=True) - inside
    early = [node for node in nodes if id(node) not in inside | late]
    return early, [node for node in nodes if id(node) in late]


def _take(nodes: list[Node], values: dict[str, np.ndarray]) -> None:
    for node in nodes:
        given = [values[name] if name else None for name in node.inputs]
        (output,) = node.outputs
        values[output] = OPERATORS[node.operator](*given, **node.attributes)
