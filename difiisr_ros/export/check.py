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

"""Whether an exported graph does what the model does: run by ONNX Runtime, compared with torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from difiisr_ros.errors import BackendUnavailable
from difiisr_ros.export.facts import GraphOptions
from difiisr_ros.export.graph import build_graph
from difiisr_ros.export.load import load_network

TOLERANCE = {"fp32": 1e-4, "fp16": 1 / 255}
"""Largest difference of normalised intensity: rounding alone, or one count of 8 bits."""

Size = tuple[int, int, int]
"""Batch, height and width of LR frames."""


@dataclass(frozen=True)
class Agreement:
    """How far a graph's result is from that of torch in fp32, in normalised intensity."""

    size: Size
    largest: float
    mean: float
    tolerance: float

    @property
    def good(self) -> bool:
        """Within the tolerance; a NaN is not."""
        return self.largest <= self.tolerance


def compare_with_torch(
    data: bytes, model: str, options: GraphOptions, sizes: Sequence[Size]
) -> list[Agreement]:
    """Run a serialised ONNX graph on the CPU at some sizes and compare it with torch.

    Raises:
        BackendUnavailable: ONNX Runtime is not installed.
    """
    try:
        import onnxruntime
    except ImportError as error:
        raise BackendUnavailable(f"ONNX Runtime is not installed ({error})") from error
    settings = onnxruntime.SessionOptions()
    settings.log_severity_level = 4
    session = onnxruntime.InferenceSession(data, settings, providers=["CPUExecutionProvider"])
    graph = build_graph(load_network(model)[0], replace(options, precision="fp32"))
    found = []
    for size in sizes:
        inputs = graph.example(*size)
        with torch.no_grad():
            expected = graph(*inputs).numpy()
        feeds = {name: value.numpy() for name, value in zip(graph.input_names, inputs)}
        difference = np.abs(session.run(None, feeds)[0] - expected)
        found.append(
            Agreement(
                size,
                float(difference.max()),
                float(difference.mean()),
                TOLERANCE[options.precision],
            )
        )
    return found
