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

"""A graph opened on a plug-in provider of ONNX Runtime."""

from __future__ import annotations

from typing import Any

from difiisr_ros.backends.onnx_plugins import PluginDevice
from difiisr_ros.errors import BackendUnavailable, first_line
from difiisr_ros.export.graph_file import read_graph_file

_RECORD = "session.record_ep_graph_assignment_info"


def open_on_plugin(ort: Any, data: bytes, device: PluginDevice, options: Any, half: bool) -> Any:
    """The ``InferenceSession`` of a serialised graph; what the plug-in declines runs on the CPU.

    Args:
        ort: the module ``onnxruntime``.
        data: the graph.
        device: where it is to run.
        options: ``SessionOptions``, to which the plug-in is added.
        half: whether the network is in half precision.

    Raises:
        BackendUnavailable: the plug-in does not start, or takes no part of the graph.
    """
    try:
        options.add_session_config_entry(_RECORD, "1")
        told = device.options(half, options.intra_op_num_threads)
        if device.provider == "webgpu" and _has_wrong_convolutions(data):
            told["preferredLayout"] = "NCHW"
        options.add_provider_for_devices([device.handle], told)
        session = ort.InferenceSession(data, options)
    except Exception as error:  # ONNX Runtime has its own exceptions
        raise BackendUnavailable(
            f"provider {device.provider} on {device.name}: {_said(error)}"
        ) from error
    if not _takes_nodes(session, device.execution_provider):
        raise BackendUnavailable(
            f"provider {device.provider} on {device.name} takes nothing of the graph"
        )
    return session


def _has_wrong_convolutions(data: bytes) -> bool:
    """Whether WebGPU's plug-in 0.4.0 computes one of the graph's convolutions wrongly.

    With channels last, which is its faster layout, it does where the channels read are a multiple
    of 3 but not of 4, and more than 3; where several steps begin with noise 33 are. ONNX Runtime's
    issue 29651 may be the same. With channels first all are right.
    """
    graph = read_graph_file(data, "graph")
    for node in graph.nodes:
        if node.operator == "Conv" and node.inputs[1] in graph.constants:
            channels = graph.constants[node.inputs[1]].shape[1]
            if channels > 3 and channels % 3 == 0 and channels % 4:
                return True
    return False


def _takes_nodes(session: Any, execution_provider: str) -> bool:
    """Whether the plug-in runs anything: what it declines the CPU does, and nothing is said."""
    if not hasattr(session, "get_provider_graph_assignment_info"):  # before 1.24
        return execution_provider in session.get_providers()
    return any(
        part.ep_name == execution_provider for part in session.get_provider_graph_assignment_info()
    )


def _said(error: Exception) -> str:
    """What a plug-in says: the end of a line that begins with the places it has come through."""
    return first_line(error).rpartition(" : ")[2].rpartition("was false. ")[2]
