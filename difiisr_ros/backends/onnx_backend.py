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

"""ONNX Runtime backend: on CPUs, on NVIDIA GPUs by its CUDA or TensorRT execution provider, and by
plug-in providers on others' graphics (:mod:`difiisr_ros.backends.onnx_plugins`).

Needs no PyTorch where the model is a file that ``difiisr export`` has written, or where the graph
of a model has been exported before (:mod:`difiisr_ros.backends.graph_store`).
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from difiisr_ros.backends.graph_inputs import camera_rows, graph_of, projection_of
from difiisr_ros.backends.graph_store import check_graph, stored_graph
from difiisr_ros.backends.onnx_plugins import CPU, NPU, PluginDevice
from difiisr_ros.backends.onnx_session import GraphSession, find_device, graph_facts
from difiisr_ros.core.camera_profile import CameraProfile
from difiisr_ros.core.condition import NOTHING_KNOWN, Conditions
from difiisr_ros.core.guidance import NO_GUIDANCE, Guidance
from difiisr_ros.core.scale import SCALE
from difiisr_ros.errors import BackendUnavailable, ModelError, OptionError
from difiisr_ros.export.facts import GraphOptions
from difiisr_ros.options import UpscaleOptions

SUFFIX = ".onnx"
MAX_SESSIONS = 4


class OnnxBackend:
    """The whole sampler as an ONNX graph. See :class:`difiisr_ros.backends.base.Backend`.

    Args:
        model: ``lite``, a model file, whose graphs are exported as they are asked for, or a graph
            (``NAME.onnx``), which does what is built into it and nothing else.
        device: ``auto``, ``cpu``, ``cuda``, ``cuda:N``, or ``tensorrt``, ``tensorrt:N`` for the
            TensorRT execution provider on device N; with a plug-in ``auto``, ``cpu``, ``gpu``,
            ``gpu:N``, ``npu`` or ``npu:N``.
        precision: ``auto``, ``fp32``, or on GPUs ``fp16``; of a graph its own. With a plug-in
            ``auto`` is ``fp32``, but on an NPU.
        num_threads: CPU threads; 0 leaves the choice to ONNX Runtime.
        plugin: plug-in provider to run on, one of
            :data:`difiisr_ros.backends.onnx_plugins.PLUGINS`; empty for none.
    """

    name = "onnx"
    guidance_gradients: tuple[str, ...] = ("closed_form",)

    def __init__(
        self,
        model: str,
        device: str = "auto",
        precision: str = "auto",
        num_threads: int = 0,
        plugin: str = "",
    ) -> None:
        self.model = model
        self.device, self.precision = device, precision
        self.max_steps = 0
        self.guidance_terms: tuple[str, ...] = ()
        self.fixed_options: Mapping[str, int] = {}
        self._num_threads = num_threads
        self.plugin = plugin
        #: What computes, with its version, where that is a plug-in.
        self.library: str | None = None
        self._runs_on: str | PluginDevice = device
        self._is_graph = Path(model).suffix == SUFFIX
        self._sessions: OrderedDict[GraphOptions, GraphSession] = OrderedDict()
        self._loaded = False

    def load(self) -> None:
        """Load the graph. Raises BackendUnavailable or ModelError."""
        self._runs_on = found = find_device(self.device, self.plugin)
        if isinstance(found, PluginDevice):
            self.device, self.library = found.name, found.library
        else:
            self.device = found
        self._loaded = True
        if self._is_graph:
            self._load_graph(Path(self.model).expanduser())
            return
        self.precision = self._choose_precision()
        facts = self._session(GraphOptions(precision=self.precision)).facts
        self.max_steps = facts.max_steps
        self.guidance_terms = tuple(filter(None, (facts.model_guidance,)))

    def _load_graph(self, path: Path) -> None:
        if not path.is_file():
            raise ModelError(f"{path}: no such file")
        data = path.read_bytes()
        facts = graph_facts(data, str(path))
        if self.precision not in ("auto", facts.precision):
            raise OptionError(f"{path} is {facts.precision}; precision {self.precision} was asked")
        self.precision, self.max_steps = facts.precision, facts.num_steps
        self.guidance_terms = tuple(filter(None, (facts.guidance,)))
        self.fixed_options = {
            "num_steps": facts.num_steps,
            "consistency": facts.consistency,
            "scale": facts.scale,
        }
        self._sessions[facts.options] = GraphSession(
            data, facts, str(path), self._runs_on, self._num_threads
        )

    def _choose_precision(self) -> str:
        on_cpu = self.device == CPU
        if self.precision == "auto":
            # Float32 is what plug-ins were compared in.
            compared = bool(self.plugin) and not self.device.startswith(NPU)
            return "fp32" if on_cpu or compared else "fp16"
        if self.precision == "fp32" or (self.precision == "fp16" and not on_cpu):
            return self.precision
        can = "fp32" if on_cpu else "fp32 and fp16"
        raise BackendUnavailable(
            f"ONNX Runtime on {self.device} runs {can} here, not {self.precision}"
        )

    def check_camera(self, camera: CameraProfile) -> None:
        """Raise OptionError where the model is a graph for another kind of camera."""
        if self._is_graph and self._loaded:
            held = next(iter(self._sessions))
            asked = replace(held, projection=projection_of(exact=camera.is_reduced))
            if asked != held:
                raise OptionError(_refusal(self.model, held, asked))

    def check_options(self, options: UpscaleOptions, camera: CameraProfile) -> None:
        """Raise BackendUnavailable where the graph that they need is not to be had here."""
        if not self._is_graph and self._loaded:
            asked = self._asked(
                min(options.num_steps, self.max_steps),
                options.consistency,
                options.guidance,
                exact=camera.is_reduced,
                scale=options.scale,
            )
            if asked not in self._sessions:
                check_graph(self.model, asked)

    def _asked(
        self, num_steps: int, consistency: int, guidance: Guidance, *, exact: bool, scale: int
    ) -> GraphOptions:
        """What a graph that does this holds."""
        how = num_steps, consistency, self.precision, guidance
        asked = graph_of(*how, exact=exact, scale=scale)
        if self._is_graph:  # one that holds guidance is given its scale, also 0
            asked = replace(asked, guidance="".join(self.guidance_terms))
        return asked

    def warmup(self, height: int, width: int, num_steps: int = 1) -> None:
        """Run twice: the first run plans and allocates."""
        side = (SCALE * height, SCALE * width)
        noise = np.zeros((self.noise_count(num_steps), *side), np.float32)
        consistency = self.fixed_options.get("consistency", GraphOptions.consistency)
        scale = self.fixed_options.get("scale", SCALE)
        exact = self._is_graph and next(iter(self._sessions)).projection == "exact"
        camera = replace(NOTHING_KNOWN, exact=exact)
        frame = np.zeros((1, 1, height, width), np.float32)
        for _ in range(2):
            self.run(frame, noise, num_steps, consistency, camera=camera, scale=scale)

    def noise_count(self, num_steps: int) -> int:
        """How many noise images the graph of this number of steps reads."""
        for options, session in self._sessions.items():
            if options.num_steps == num_steps:
                return session.facts.noise_count
        return self._session(GraphOptions(num_steps, precision=self.precision)).facts.noise_count

    def run(
        self,
        lr: np.ndarray,
        noise: np.ndarray,
        num_steps: int,
        consistency: int,
        guidance: Guidance = NO_GUIDANCE,
        camera: Conditions = NOTHING_KNOWN,
        scale: int = SCALE,
    ) -> np.ndarray:
        """See :class:`difiisr_ros.backends.base.Backend`.

        Raises:
            OptionError: the model is a graph, into which something else is built, or one for
                another kind of camera.
            FrameError: the model is a graph that takes frames of other sizes.
        """
        options = self._asked(num_steps, consistency, guidance, exact=camera.exact, scale=scale)
        told = camera_rows(camera, len(lr))
        return self._session(options).run(lr, noise, guidance.visual_scale, told)

    def _session(self, options: GraphOptions) -> GraphSession:
        if not self._loaded:
            raise BackendUnavailable("the onnx backend is closed or was not loaded")
        if options not in self._sessions:
            if self._is_graph:
                raise OptionError(_refusal(self.model, next(iter(self._sessions)), options))
            while len(self._sessions) >= MAX_SESSIONS:
                self._sessions.popitem(last=False)
            data, facts = stored_graph(self.model, options)
            self._sessions[options] = GraphSession(
                data, facts, f"model {self.model}", self._runs_on, self._num_threads
            )
        self._sessions.move_to_end(options)
        return self._sessions[options]

    def close(self) -> None:
        """Free the graphs."""
        self._sessions.clear()
        self._loaded = False


def _refusal(model: str, held: GraphOptions, asked: GraphOptions) -> str:
    """Why a graph does not do what is asked."""
    if held == replace(asked, projection=held.projection):
        cameras = {"wide": "the frames of cameras", "exact": "frames of camera 'reduced'"}
        return (
            f"{model} was exported for {cameras[held.projection]} (--projection "
            f"{held.projection}), and these are {cameras[asked.projection]}"
        )
    return f"{model} holds {_words(held)}; asked was {_words(asked)}"


def _words(options: GraphOptions) -> str:
    guidance = f"{options.guidance} guidance" if options.guidance else "no guidance"
    return (
        f"num_steps {options.num_steps}, consistency {options.consistency}, {guidance}, "
        f"scale {options.scale}"
    )
