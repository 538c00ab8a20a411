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

"""Graphs of the embedded models that come with the package, for where there is no PyTorch.

ONNX Runtime has wheels for machines that PyTorch does not run on, or not within their memory:
Raspberry Pi, Jetson, other aarch64; OpenCV is wherever ROS is. ``tools/write_graphs.py`` writes the
files.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

from difiisr_ros.core.scale import SCALE
from difiisr_ros.export.facts import GraphFacts, GraphOptions
from difiisr_ros.export.graph_file import read_graph_file
from difiisr_ros.models.model_files import EMBEDDED, WEIGHTS, model_path

SHIPPED = GraphOptions()
"""What they hold: one step, frames of cameras of any size; and each of the scales."""


def is_shipped(options: GraphOptions) -> bool:
    """Whether a graph of these options comes with the package for the embedded models."""
    return replace(options, scale=SHIPPED.scale) == SHIPPED


def shipped_path(model: str, scale: int = SCALE) -> Path:
    """Where the graph of an embedded model is."""
    return WEIGHTS / (f"{model}.onnx" if scale == SCALE else f"{model}_x{scale}.onnx")


def shipped_graph(model: str, options: GraphOptions) -> tuple[bytes, GraphFacts] | None:
    """The graph of these options that comes with the package, or None.

    Raises:
        ModelError: the file is no graph of this package.
    """
    path = shipped_path(model, options.scale)
    if model not in EMBEDDED or not is_shipped(options) or not path.is_file():
        return None
    data, where = path.read_bytes(), str(path)
    facts = GraphFacts.from_metadata(read_graph_file(data, where).metadata, where)
    weights = hashlib.sha256(model_path(model).read_bytes()).hexdigest()
    return (data, facts) if facts.model_sha256 == weights else None
