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

"""ONNX Runtime's plug-in execution providers: packages of their own, registered when asked for.

They serve what NVIDIA's CUDA does not: Intel's processors and graphics (OpenVINO), any graphics
card with a Vulkan driver (WebGPU).
"""

from __future__ import annotations

import importlib
import json
import sys
import threading
from dataclasses import dataclass
from typing import Any

from difiisr_ros.backends.cache_folder import cache_folder
from difiisr_ros.backends.libraries import is_installed
from difiisr_ros.errors import BackendUnavailable, first_line

GPU, NPU, CPU = "gpu", "npu", "cpu"
#: Kinds of hardware. An NPU is taken when it is named alone: it has no float32.
KINDS = (GPU, CPU, NPU)
_SOFTWARE = "ORT_WEBGPU_EP_ALLOW_SOFTWARE_ADAPTER"
_VIRTUAL = "is_virtual"  # metadata of hardware that is not there, for compiling alone

_registering = threading.Lock()


@dataclass(frozen=True)
class Plugin:
    """One plug-in provider, as its package describes it."""

    title: str
    """As its makers write it."""
    module: str
    """Has ``get_library_path()`` and ``get_ep_name()``."""
    distribution: str
    """What pip installs."""
    hardware: str
    """What it runs on, in words."""
    kinds: tuple[str, ...]
    """Kinds of hardware that it takes, the one to prefer first."""
    computes_on_cpus: bool = False
    """By means of its own, not as graphics that are computed there."""


PLUGINS = {
    "openvino": Plugin(
        "OpenVINO",
        "onnxruntime_ep_openvino",
        "onnxruntime-ep-openvino",
        "Intel's processors and graphics",
        (GPU, CPU, NPU),
        computes_on_cpus=True,
    ),
    "webgpu": Plugin(
        "WebGPU",
        "onnxruntime_ep_webgpu",
        "onnxruntime-ep-webgpu",
        f"graphics with a Vulkan driver; {_SOFTWARE}=1 takes a software one for them",
        (GPU, CPU),
    ),
    "nv_tensorrt_rtx": Plugin(
        "TensorRT-RTX",
        "onnxruntime_ep_nv_tensorrt_rtx",
        "onnxruntime-ep-nv-tensorrt-rtx-cu12",
        "NVIDIA's RTX graphics",
        (GPU,),
    ),
}


@dataclass(frozen=True)
class PluginDevice:
    """Hardware that a plug-in runs on."""

    provider: str
    """Key of :data:`PLUGINS`."""
    execution_provider: str
    """Its name in ONNX Runtime."""
    name: str
    """``gpu:0``, ``npu:0`` or ``cpu``."""
    library: str
    """The plug-in, its version and its hardware, in words."""
    handle: Any
    """``onnxruntime.OrtEpDevice``."""

    @property
    def kind(self) -> str:
        """``gpu``, ``npu`` or ``cpu``."""
        return self.name.partition(":")[0]

    @property
    def makes_vectors_of_scalars(self) -> bool:
        """Whether a scalar input arrives as one of shape (1), which a scalar's graph refuses.

        So does OpenVINO's plug-in 1.8.1.
        """
        return self.provider == "openvino"

    def options(self, half: bool, num_threads: int) -> dict[str, str]:
        """What a session on it is told.

        Left alone, OpenVINO computes float32 graphs in half precision on GPUs, and in bfloat16 on
        CPUs that have it.
        """
        if self.provider != "openvino":
            return {}
        config = {
            "INFERENCE_PRECISION_HINT": "f16" if half else "f32",
            "CACHE_DIR": str(cache_folder() / "onnxruntime-openvino"),
        }
        if self.kind == CPU and num_threads:
            config["INFERENCE_NUM_THREADS"] = str(num_threads)
        return {"load_config": json.dumps({self.kind.upper(): config})}


def is_there(provider: str) -> bool:
    """Whether the package of a plug-in is installed; it is not imported."""
    return is_installed(PLUGINS[provider].module)


def find_plugin_device(ort: Any, provider: str, device: str) -> PluginDevice:
    """The hardware to run on.

    Args:
        ort: the module ``onnxruntime``.
        provider: key of :data:`PLUGINS`.
        device: ``auto``, ``cpu``, ``gpu``, ``gpu:N``, ``npu`` or ``npu:N``.

    Raises:
        BackendUnavailable: the package is not installed or does not load, ONNX Runtime is too old
            for plug-ins, or there is no such hardware.
    """
    plugin = PLUGINS[provider]
    execution_provider = _register(ort, provider)
    # Beside itself OpenVINO offers OpenVINOExecutionProvider.AUTO, which is several at once.
    offered = [d for d in ort.get_ep_devices() if d.ep_name == execution_provider]
    found: dict[str, list[Any]] = {kind: [] for kind in KINDS}
    for handle in offered:
        kind = handle.device.type.name.lower()
        if kind in found and not handle.device.metadata.get(_VIRTUAL):
            found[kind].append(handle)
    if device == "auto":
        taken = next((kind for kind in plugin.kinds if found[kind] and kind != NPU), "")
        index = 0
    else:
        taken, _, number = device.partition(":")
        index = int(number or 0)
    if not taken or index >= len(found[taken]):
        has = [_name(kind, n) for kind in plugin.kinds for n in range(len(found[kind]))]
        raise BackendUnavailable(
            f"provider {provider} has no device {device} here: it has "
            f"{', '.join(has) or 'none'}, and is for {plugin.hardware}"
        )
    handle = found[taken][index]
    version = handle.ep_metadata.get("version", "of unknown version")
    software = taken == CPU and not plugin.computes_on_cpus
    hardware = "software graphics" if software else _hardware(handle)
    library = f"{plugin.title} {version} on {hardware}, ONNX Runtime {ort.__version__}"
    return PluginDevice(provider, execution_provider, _name(taken, index), library, handle)


def _name(kind: str, index: int) -> str:
    return kind if kind == CPU else f"{kind}:{index}"


def _register(ort: Any, provider: str) -> str:
    """Let ONNX Runtime load the plug-in, once in a process; its name there."""
    plugin = PLUGINS[provider]
    if not hasattr(ort, "register_execution_provider_library"):
        raise BackendUnavailable(
            f"provider {provider} needs ONNX Runtime 1.23 or newer, here is {ort.__version__}"
        )
    try:
        package = importlib.import_module(plugin.module)
        name, path = package.get_ep_name(), package.get_library_path()
    except ImportError as error:
        raise BackendUnavailable(
            f"provider {provider} is not installed ({error}); install it with: {sys.executable} "
            f"-m pip install {plugin.distribution}"
        ) from error
    except Exception as error:  # the package looks for its library, each with its own exceptions
        raise _broken(plugin, error) from error
    with _registering:
        if provider not in _registered:
            try:
                ort.register_execution_provider_library(f"difiisr_ros.{provider}", str(path))
            except Exception as error:  # ONNX Runtime has its own
                raise _broken(plugin, error) from error
            _registered.add(provider)
    return str(name)


_registered: set[str] = set()


def _broken(plugin: Plugin, error: Exception) -> BackendUnavailable:
    return BackendUnavailable(f"{plugin.distribution} does not load: {first_line(error)}")


def _hardware(handle: Any) -> str:
    named = handle.ep_metadata.get("FULL_DEVICE_NAME") or handle.device.metadata.get("Description")
    if named:
        return str(named)
    device = handle.device
    return f"{device.vendor} {device.type.name} {device.vendor_id:04x}:{device.device_id:04x}"
