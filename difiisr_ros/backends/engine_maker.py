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

"""Engines of one model: found in the cache, or built, with a GPU or ahead of time without one."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import torch

from difiisr_ros.backends.cuda_staging import DeviceStream
from difiisr_ros.backends.engine_build import EngineRefused, build_plan, load_plan, make_logger
from difiisr_ros.backends.engine_cache import EngineCache, EngineKey, EngineShapes
from difiisr_ros.backends.engine_jit import JitCache
from difiisr_ros.backends.engine_run import LoadedEngine
from difiisr_ros.backends.gpu import Gpu
from difiisr_ros.backends.graph_store import stored_graph
from difiisr_ros.backends.tensorrt_flavour import Flavour, target_of
from difiisr_ros.errors import BackendUnavailable
from difiisr_ros.export.facts import GraphFacts, GraphOptions
from difiisr_ros.long_work import check_stop


class EngineMaker:
    """What one TensorRT makes of one model.

    Args:
        flavour: the TensorRT.
        gpu: that engines are to run on; None: they are only built.
        model: ``lite`` or a model file.
        precision: ``fp32`` or ``fp16``.
        cache: where engines are kept.
        targets: GPUs that TensorRT-RTX builds for; empty with the standard library.
    """

    def __init__(
        self,
        flavour: Flavour,
        gpu: Gpu | None,
        model: str,
        precision: str,
        cache: EngineCache,
        targets: tuple[str, ...],
    ) -> None:
        self.flavour, self.gpu = flavour, gpu
        self.cache = cache
        self._model, self._precision = model, precision
        self._targets = targets
        self._logger = make_logger(flavour.module)
        self._graphs: dict[GraphOptions, tuple[bytes, GraphFacts]] = {}
        self._stream = None if gpu is None else DeviceStream(gpu.device)

    def graph(self, options: GraphOptions) -> tuple[bytes, GraphFacts]:
        """The ONNX graph of these options, and what it is. Raises as :func:`stored_graph`."""
        if options not in self._graphs:
            self._graphs[options] = stored_graph(self._model, options)
        return self._graphs[options]

    def key(self, options: GraphOptions, shapes: EngineShapes) -> EngineKey:
        """What decides whether a kept engine is the one of these options and shapes."""
        gpu, targets = "", self._targets
        if self.gpu is not None and not self.flavour.builds_ahead:
            gpu, targets = self.gpu.name, (target_of(self.gpu.compute_capability),)
        return EngineKey.of(
            self.graph(options)[0],
            flavour=self.flavour.name,
            tensorrt=self.flavour.version,
            gpu=gpu,
            targets=targets,
            precision=self._precision,
            shapes=shapes,
            num_steps=options.num_steps,
        )

    def build(self, options: GraphOptions, shapes: EngineShapes) -> Path:
        """Build an engine, or find it in the cache, and return its file; it is not run.

        Raises:
            BackendUnavailable: it cannot be built, or not be kept.
        """
        key = self.key(options, shapes)
        try:
            self._from_cache(key, options, self._load if self.gpu is not None else bytes)
        except EngineRefused as error:
            raise _refused(error) from error
        if not self.cache.kept:
            raise BackendUnavailable(self.cache.trouble or "the engine is not kept")
        return self.cache.file(key)

    def get(self, options: GraphOptions, shapes: EngineShapes) -> LoadedEngine:
        """An engine to run, from the cache or built.

        Raises:
            BackendUnavailable: TensorRT cannot build it, or cannot run here.
            Interrupted: the process was asked to stop.
        """
        found = self.find(options, shapes)
        if found is not None:
            return found
        key = self.key(options, shapes)
        try:
            engine = self._from_cache(key, options, self._load)
        except EngineRefused as error:
            raise _refused(error) from error
        return self._run_by(engine, shapes, self.cache.file(key))

    def find(self, options: GraphOptions, shapes: EngineShapes) -> LoadedEngine | None:
        """The same if the cache has it, also one that was built for other GPUs beside this one."""
        key = self.key(options, shapes)
        keys = [key]
        if self.gpu is not None and self.flavour.builds_ahead:
            own = target_of(self.gpu.compute_capability)
            keys += self.cache.for_other_targets(key, own)
        for each in keys:
            engine = self.cache.find(each, self._load)
            if engine is not None:
                return self._run_by(engine, shapes, self.cache.file(each))
        return None

    def of_file(self, plan: bytes, shapes: EngineShapes, path: Path) -> LoadedEngine:
        """An engine that was not looked for in the cache.

        Raises:
            EngineRefused: this TensorRT or this GPU cannot use it.
            BackendUnavailable: TensorRT cannot run here.
        """
        return self._run_by(self._load(plan), shapes, path)

    def _from_cache(self, key: EngineKey, options: GraphOptions, load: Any) -> Any:
        onnx, facts = self.graph(options)

        def build() -> bytes:
            return build_plan(
                self.flavour.module,
                self._logger,
                onnx,
                key.shapes,
                tf32=self._precision != "fp32",
                on_device=self._on_device,
                targets=self._targets,
            )

        return self.cache.get(key, build, load, check_stop, facts.as_metadata())

    def _load(self, plan: bytes) -> tuple[Any, str]:
        self._on_device()
        engine = load_plan(self.flavour.module, self._logger, plan)
        return engine, hashlib.sha256(plan).hexdigest()

    def _run_by(self, loaded: tuple[Any, str], shapes: EngineShapes, path: Path) -> LoadedEngine:
        assert self.gpu is not None and self._stream is not None, "a GPU was found"
        engine, digest = loaded
        jit = None
        if self.flavour.builds_ahead:
            gpu = f"{self.gpu.name} {self.gpu.compute_capability}"
            jit = JitCache(path, gpu, self.flavour.title, digest)
        return LoadedEngine(self.flavour.module, self._logger, engine, shapes, self._stream, jit)

    def _on_device(self) -> None:
        if self.gpu is not None and self.gpu.device.type == "cuda":
            torch.cuda.set_device(self.gpu.device)


def _refused(error: EngineRefused) -> BackendUnavailable:
    return BackendUnavailable(f"TensorRT refuses the engine that it has just built: {error}")
