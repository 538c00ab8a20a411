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

"""One exported graph in ONNX Runtime, its inputs and outputs bound."""

from __future__ import annotations

from typing import Any

import numpy as np

from difiisr_ros.backends.cache_folder import cache_folder
from difiisr_ros.backends.libraries import missing
from difiisr_ros.backends.onnx_plugin_session import open_on_plugin
from difiisr_ros.backends.onnx_plugins import PluginDevice, find_plugin_device
from difiisr_ros.errors import (
    BackendUnavailable,
    DeviceOutOfMemory,
    FrameError,
    ModelError,
    first_line,
)
from difiisr_ros.export.facts import CAMERA, LR, NOISE, SR, VISUAL_SCALE, GraphFacts
from difiisr_ros.export.graph_file import with_input

_PROVIDERS = {
    "cpu": "CPUExecutionProvider",
    "cuda": "CUDAExecutionProvider",
    "tensorrt": "TensorrtExecutionProvider",
}
_QUIET = 4  # failures are reported here, in one line
_NO_MEMORY = ("failed to allocate", "out of memory", "bad allocation", "bad_alloc")


class GraphSession:
    """A graph on one device.

    Args:
        data: the serialised graph.
        facts: what it is; see :func:`graph_facts`.
        where: names it in messages.
        device: as :func:`find_device` gives it.
        num_threads: CPU threads; 0 leaves the choice to ONNX Runtime.

    Raises:
        BackendUnavailable: the device's execution provider does not start.
        ModelError: not a graph that ONNX Runtime takes.
    """

    def __init__(
        self,
        data: bytes,
        facts: GraphFacts,
        where: str,
        device: str | PluginDevice,
        num_threads: int = 0,
    ) -> None:
        self.facts = facts
        self._where = where
        half = facts.precision == "fp16"
        self._memory, self._index = "cpu", 0
        if isinstance(device, PluginDevice):
            if facts.guidance and device.makes_vectors_of_scalars:
                data = with_input(data, VISUAL_SCALE, [1])
            options = _options(num_threads)
            self._session = open_on_plugin(_import(), data, device, options, half)
        else:
            kind, self._index = _parts(device)
            self._session = _open(data, where, device, num_threads, half)
            running = self._session.get_providers()[0]
            if running != _PROVIDERS[kind]:
                raise BackendUnavailable(
                    f"ONNX Runtime does not start {device}; it offers {running}"
                )
            if kind != "cpu":
                self._memory = "cuda"
        shapes = {i.name: i.shape for i in self._session.get_inputs()}
        self._scale_shape = tuple(shapes.get(VISUAL_SCALE, ()))
        shape = shapes[LR]
        #: Batch, height and width of LR frames, None where the graph leaves one open.
        self._fixed = tuple(n if isinstance(n, int) else None for n in (shape[0], *shape[2:]))
        self._noise: tuple[np.ndarray, Any] | None = None

    def run(
        self, lr: np.ndarray, noise: np.ndarray, visual_scale: float, camera: np.ndarray
    ) -> np.ndarray:
        """N x 1 x H x W, count x 4H x 4W and N x 7 to N x 1 x 4H x 4W, float32.

        Raises:
            FrameError: the graph takes frames of another size.
            DeviceOutOfMemory: no memory for these frames.
            BackendUnavailable: ONNX Runtime fails.
        """
        batch = self._check(lr)
        parts = [
            self._run(lr[first : first + batch], noise, visual_scale, camera[first : first + batch])
            for first in range(0, len(lr), batch)
        ]
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    def _check(self, lr: np.ndarray) -> int:
        """Frames for each run; FrameError unless they fit."""
        batch, *sides = self._fixed
        count, _, *found = lr.shape
        if any(a is not None and a != b for a, b in zip(sides, found)):
            raise FrameError(
                f"{self._where} takes frames of {sides[1]}x{sides[0]} only, got "
                f"{found[1]}x{found[0]}"
            )
        if batch is not None and count % batch:
            raise FrameError(f"{self._where} takes {batch} frames at once, got {count}")
        return batch or count

    def _run(
        self, lr: np.ndarray, noise: np.ndarray, visual_scale: float, camera: np.ndarray
    ) -> np.ndarray:
        binding = self._session.io_binding()
        try:
            # Held until the run is over.
            inputs = {LR: self._place(lr), CAMERA: self._place(camera)}
            if self.facts.noise_count:
                inputs[NOISE] = self._place_noise(noise)
            if self.facts.guidance:
                inputs[VISUAL_SCALE] = self._place(
                    np.full(self._scale_shape, visual_scale, np.float32)
                )
            for name, value in inputs.items():
                binding.bind_ortvalue_input(name, value)
            binding.bind_output(SR, "cpu")
            self._session.run_with_iobinding(binding)
            return binding.get_outputs()[0].numpy()
        except Exception as error:  # ONNX Runtime has its own exceptions, for every cause others
            size = "x".join(map(str, lr.shape[:1] + lr.shape[:1:-1]))
            if any(sign in str(error).lower() for sign in _NO_MEMORY):
                raise DeviceOutOfMemory(
                    f"no memory for frames of {size}: {first_line(error)}"
                ) from error
            raise BackendUnavailable(
                f"ONNX Runtime fails on frames of {size}: {first_line(error)}"
            ) from error

    def _place(self, array: np.ndarray) -> Any:
        import onnxruntime

        # On CPUs this is the array's own memory.
        return onnxruntime.OrtValue.ortvalue_from_numpy(
            np.ascontiguousarray(array), self._memory, self._index
        )

    def _place_noise(self, noise: np.ndarray) -> Any:
        """Sixteen times the size of the frame, and the same array for every one: sent once."""
        if self._noise is None or self._noise[0] is not noise:
            self._noise = (noise, self._place(noise[:, None]))
        return self._noise[1]


def graph_facts(data: bytes, where: str) -> GraphFacts:
    """What a serialised graph says of itself, read by ONNX Runtime.

    Raises:
        ModelError: not an ONNX model, or none of this package.
    """
    session = _open(data, where, "cpu", 1, False, optimize=False)
    return GraphFacts.from_metadata(session.get_modelmeta().custom_metadata_map, where)


def find_device(device: str, plugin: str = "") -> str | PluginDevice:
    """``cpu``, ``cuda:N`` or ``tensorrt:N`` of what was asked for; with a plug-in its hardware.

    Raises:
        BackendUnavailable: ONNX Runtime is not installed, was built without the provider, or the
            plug-in cannot be used.
    """
    ort = _import()
    if plugin:
        return find_plugin_device(ort, plugin, device)
    available = ort.get_available_providers()
    if device == "auto":
        device = "cuda" if _PROVIDERS["cuda"] in available else "cpu"
    kind, index = _parts(device)
    if _PROVIDERS[kind] not in available:
        raise BackendUnavailable(
            f"ONNX Runtime {ort.__version__} here has no {_PROVIDERS[kind]}, which device {device} "
            f"needs (it has {', '.join(available)}); install onnxruntime-gpu"
        )
    return "cpu" if kind == "cpu" else f"{kind}:{index}"


def _parts(device: str) -> tuple[str, int]:
    kind, _, index = device.partition(":")
    return kind, int(index or 0)


def _import() -> Any:
    try:
        import onnxruntime
    except ImportError as error:
        raise missing(error, "onnxruntime") from error
    return onnxruntime


def _options(num_threads: int) -> Any:
    options = _import().SessionOptions()
    options.log_severity_level = _QUIET
    options.intra_op_num_threads = num_threads
    return options


def _open(
    data: bytes, where: str, device: str, num_threads: int, half: bool, optimize: bool = True
) -> Any:
    ort = _import()
    kind, index = _parts(device)
    options = _options(num_threads)
    if not optimize:
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    cuda = (_PROVIDERS["cuda"], {"device_id": index, "use_tf32": int(half)})
    providers: list[Any] = []
    if kind == "tensorrt":
        kept = str(cache_folder() / "onnxruntime-tensorrt")
        providers = [
            (
                _PROVIDERS[kind],
                {
                    "device_id": index,
                    "trt_fp16_enable": half,
                    "trt_engine_cache_enable": True,
                    "trt_engine_cache_path": kept,
                },
            ),
            cuda,
        ]
    elif kind == "cuda":
        providers = [cuda]
    try:
        return ort.InferenceSession(data, options, providers=[*providers, _PROVIDERS["cpu"]])
    except Exception as error:
        if kind != "cpu":
            raise BackendUnavailable(f"ONNX Runtime on {device}: {first_line(error)}") from error
        raise ModelError(
            f"{where}: cannot be loaded as an ONNX model: {first_line(error)}"
        ) from error
