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

"""TensorRT backend: an engine for each number of steps, on torch's CUDA tensors.

By the standard library or by TensorRT-RTX (:mod:`difiisr_ros.backends.tensorrt_flavour`).
docs/tensorrt.md says what has run on a GPU and what has not.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch

from difiisr_ros.backends import gpu as gpus
from difiisr_ros.backends.engine_build import EngineRefused
from difiisr_ros.backends.engine_cache import EngineCache, EngineShapes, Shape
from difiisr_ros.backends.engine_file import EngineFile
from difiisr_ros.backends.engine_maker import EngineMaker
from difiisr_ros.backends.engine_run import LoadedEngine
from difiisr_ros.backends.gpu import Gpu
from difiisr_ros.backends.graph_inputs import camera_rows, graph_of
from difiisr_ros.backends.tensorrt_flavour import (
    DEFAULT_TARGETS,
    STANDARD,
    Flavour,
    find_flavour,
)
from difiisr_ros.core.camera_profile import CameraProfile
from difiisr_ros.core.condition import NOTHING_KNOWN, Conditions
from difiisr_ros.core.guidance import NO_GUIDANCE, Guidance
from difiisr_ros.core.scale import SCALE
from difiisr_ros.errors import BackendUnavailable, FrameError, ModelError
from difiisr_ros.export.facts import CAMERA, LR, NOISE, VISUAL_SCALE, GraphOptions
from difiisr_ros.options import UpscaleOptions

LEAST, LARGEST = 8, 640
"""Sides in pixels of the frames that an engine takes; longer frames are run in tiles of 640."""
LARGEST_BATCH = 4
MAX_ENGINES = 4
NO_DEVICE = "none"


class TensorRTBackend:
    """The whole sampler as a TensorRT engine. See :class:`difiisr_ros.backends.base.Backend`.

    An engine is built, or taken from the cache, when frames first ask for its number of steps. It
    takes every size from 8 to 640 pixels a side and up to four frames at once, and is tuned for the
    size that asked: :meth:`SuperResolver.warmup` with the camera's size, or the node's
    ``warmup_width`` and ``warmup_height``, decides it. Frames of a shape for which an engine of its
    own was built ahead (:meth:`prepare`) are run by that one.

    Args:
        model: ``lite`` or a model file.
        device: ``auto``, ``cuda`` or ``cuda:N``.
        precision: ``auto``, ``fp32`` or ``fp16``.
        flavour: ``tensorrt``, the standard library or else TensorRT-RTX; or ``tensorrt_rtx``.
        engine_file: the engine to run, which is not looked for and not built then.
        build_only: engines are built and not run: with TensorRT-RTX no GPU is needed, and results
            are empty where there is none.
        targets: GPUs that TensorRT-RTX builds for, as ``sm86``; those that it builds for unless
            told otherwise where there are none.
        cache: where engines are kept.
    """

    guidance_gradients: tuple[str, ...] = ("closed_form",)

    def __init__(
        self,
        model: str,
        device: str = "auto",
        precision: str = "auto",
        *,
        flavour: str = STANDARD,
        engine_file: str = "",
        build_only: bool = False,
        targets: Sequence[str] = (),
        cache: EngineCache | None = None,
    ) -> None:
        self.name = flavour
        self.model = model
        self.device = device
        self.precision = precision if engine_file else _choose_precision(precision)
        self.max_steps = 0
        self.guidance_terms: tuple[str, ...] = ()
        self.fixed_options: Mapping[str, int] = {}
        self.library = ""
        """Name and version of the TensorRT that runs."""
        self.cache = cache or EngineCache()
        self.engine_file, self._build_only = engine_file, build_only
        self._targets = tuple(targets)
        self._engines: OrderedDict[tuple[GraphOptions, EngineShapes], LoadedEngine] = OrderedDict()
        self._dynamic: dict[GraphOptions, EngineShapes] = {}
        self._without: set[tuple[GraphOptions, Shape]] = set()  # shapes without a fixed engine
        self._file: EngineFile | None = None
        self._maker: EngineMaker | None = None

    def load(self) -> None:
        """Find TensorRT and the GPU. Raises BackendUnavailable, ModelError or OptionError."""
        file = EngineFile.read(Path(self.engine_file)) if self.engine_file else None
        if file is not None:
            file.check_model(self.model)
            file.check_precision(self.precision)
            self.precision = file.graph.precision
        either = self.name == STANDARD and file is not None
        flavour = find_flavour(file.key.flavour if file is not None and either else self.name)
        gpu = self._find_gpu(flavour)
        self.name, self.library = flavour.name, flavour.title
        self.device = NO_DEVICE if gpu is None else str(gpu.device)
        targets = self._targets_of(flavour, gpu)
        if targets and file is None:
            self.library += f" for {', '.join(targets)}"
        maker = EngineMaker(flavour, gpu, self.model, self.precision, self.cache, targets)
        if file is None:
            _, facts = maker.graph(GraphOptions(precision=self.precision))
            self.max_steps = facts.max_steps
            self.guidance_terms = tuple(filter(None, (facts.model_guidance,)))
        else:
            self._take_file(file, maker)
        self._maker = maker

    def _find_gpu(self, flavour: Flavour) -> Gpu | None:
        try:
            return gpus.find_gpu(self.device)
        except BackendUnavailable:
            if self._build_only and flavour.builds_ahead:
                return None
            raise

    def _targets_of(self, flavour: Flavour, gpu: Gpu | None) -> tuple[str, ...]:
        if self._targets:
            return flavour.check_targets(self._targets)
        if not flavour.builds_ahead:
            return ()
        if gpu is None:
            return DEFAULT_TARGETS
        return flavour.targets_of(gpu.name, gpu.compute_capability)

    def _take_file(self, file: EngineFile, maker: EngineMaker) -> None:
        """Run this engine, and no other."""
        if maker.gpu is None:
            raise BackendUnavailable("an engine_file is run, and there is no CUDA device to run it")
        file.check_library(maker.flavour, maker.gpu.compute_capability)
        shapes = file.key.shapes
        try:
            engine = maker.of_file(file.plan, shapes, file.path)
        except EngineRefused as error:
            raise ModelError(
                f"engine_file {file.path}, which {file.built_by} has built, is refused by "
                f"{maker.flavour.title}: {error}"
            ) from error
        self.library += f", engine {file.path}"
        self.max_steps = file.graph.max_steps
        self.guidance_terms = tuple(filter(None, (file.graph.guidance,)))
        self.fixed_options = {
            "num_steps": file.graph.num_steps,
            "consistency": file.graph.consistency,
            "scale": file.graph.scale,
        }
        self._file = file
        self._engines[file.graph.options, shapes] = engine

    def check_options(self, options: UpscaleOptions, camera: CameraProfile) -> None:
        """All that the model can do runs here; of an engine file what is built into it.

        Raises:
            OptionError: the engine file is of other options, and of which.
        """
        if self._file is not None:
            how = options.num_steps, options.consistency, self.precision, options.guidance
            asked = graph_of(*how, exact=camera.is_reduced, scale=options.scale)
            self._file.check_options(asked)

    def check_camera(self, camera: CameraProfile) -> None:
        """Every camera: the engine of its projection is built."""

    def warmup(self, height: int, width: int, num_steps: int = 1) -> None:
        """Build or load the engine for this number of steps, and run it twice."""
        side = (SCALE * height, SCALE * width)
        noise = np.zeros((self.noise_count(num_steps), *side), np.float32)
        for _ in range(2):
            self.run(np.zeros((1, 1, height, width), np.float32), noise, num_steps, 1)

    def noise_count(self, num_steps: int) -> int:
        """How many noise images the graph of this number of steps reads."""
        if self._file is not None:
            return self._file.graph.noise_count
        _, facts = self._loaded().graph(GraphOptions(num_steps, precision=self.precision))
        return facts.noise_count

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
            FrameError: frames smaller or larger than the engine takes.
            OptionError: the engine file is of other options.
            BackendUnavailable: TensorRT cannot build the engine.
            DeviceOutOfMemory: the device has no memory for it.
            Interrupted: the process was asked to stop while the engine was built.
        """
        how = num_steps, consistency, self.precision, guidance
        options = graph_of(*how, exact=camera.exact, scale=scale)
        shape = (len(lr), *lr.shape[-2:])
        if self._loaded().gpu is None:
            return self._build_for(options, shape)
        engine = self._engine(options, shape)
        shared = {
            NOISE: noise[:, None],
            VISUAL_SCALE: np.array(guidance.visual_scale, np.float32),
        }
        each = {LR: lr, CAMERA: camera_rows(camera, len(lr))}
        batch = engine.shapes.largest[0]
        parts = [
            engine.run({name: a[first : first + batch] for name, a in each.items()} | shared)
            for first in range(0, len(lr), batch)
        ]
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    def close(self) -> None:
        """Free the engines."""
        for engine in self._engines.values():
            engine.close()
        self._engines.clear()
        maker, self._maker = self._maker, None
        if maker is not None and maker.gpu is not None and maker.gpu.device.type == "cuda":
            torch.cuda.empty_cache()

    def prepare(self, options: GraphOptions, shape: Shape, fixed: bool) -> Path:
        """Build or find the engine that frames of this shape ask for, and return its file.

        Args:
            options: of the graph.
            shape: batch, height and width.
            fixed: an engine for this shape alone, instead of one for every size that is tuned for
                frames of this one.

        Raises:
            BackendUnavailable: it cannot be built, or not be kept.
        """
        shapes = EngineShapes(shape, shape, shape) if fixed else engine_shapes(*shape[1:])
        return self._loaded().build(options, shapes)

    def _build_for(self, options: GraphOptions, shape: Shape) -> np.ndarray:
        """Build what frames of this shape ask for; a result of nothing."""
        shapes = self._dynamic.setdefault(options, engine_shapes(*shape[1:]))
        self._loaded().build(options, shapes)
        batch, height, width = shape
        return np.zeros((batch, 1, options.scale * height, options.scale * width), np.float32)

    def _engine(self, options: GraphOptions, shape: Shape) -> LoadedEngine:
        """The engine of exactly this shape if one was built ahead, else the one of every size."""
        if self._file is not None:
            self._file.check_options(options)
            return next(iter(self._engines.values()))
        maker = self._loaded()
        fixed = EngineShapes(shape, shape, shape)
        shapes = self._dynamic.get(options)
        engine = self._engines.get((options, fixed))
        if engine is None and (options, shape) not in self._without:
            engine = maker.find(options, fixed)
            if engine is None:
                self._without.add((options, shape))
        if engine is not None:
            return self._hold(options, fixed, engine)
        if shapes is None:
            shapes = self._dynamic[options] = engine_shapes(*shape[1:])
        engine = self._engines.get((options, shapes)) or maker.get(options, shapes)
        return self._hold(options, shapes, engine)

    def _hold(
        self, options: GraphOptions, shapes: EngineShapes, engine: LoadedEngine
    ) -> LoadedEngine:
        """Keep the engines used last."""
        self._engines[options, shapes] = engine
        self._engines.move_to_end((options, shapes))
        while len(self._engines) > MAX_ENGINES:
            _, let_go = self._engines.popitem(last=False)
            let_go.close()
        return engine

    def _loaded(self) -> EngineMaker:
        if self._maker is None:
            raise BackendUnavailable("the tensorrt backend is closed or was not loaded")
        return self._maker


def engine_shapes(height: int, width: int) -> EngineShapes:
    """The shapes of an engine that is tuned for frames of this size."""
    if min(height, width) < LEAST:
        raise FrameError(
            f"frames of {width}x{height} pixels are too small; {LEAST} a side is least"
        )
    largest = (LARGEST_BATCH, max(LARGEST, height), max(LARGEST, width))
    return EngineShapes((1, LEAST, LEAST), (1, height, width), largest)


def _choose_precision(precision: str) -> str:
    if precision == "auto":
        return "fp16"
    if precision not in ("fp32", "fp16"):
        raise BackendUnavailable(f"TensorRT engines are fp16 or fp32 here, not {precision}")
    return precision
