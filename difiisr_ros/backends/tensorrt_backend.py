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

Written against the documented Python API of TensorRT 10 and 11, and tested with a stand-in that
follows it; docs/tensorrt.md says what has run on a GPU and what has not.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from difiisr_ros.backends.cuda_staging import DeviceStream
from difiisr_ros.backends.engine_build import build_plan, load_plan, make_logger
from difiisr_ros.backends.engine_cache import EngineCache, EngineKey, EngineShapes, Shape
from difiisr_ros.backends.engine_run import LoadedEngine
from difiisr_ros.backends.graph_inputs import camera_rows, projection_of
from difiisr_ros.backends.graph_store import stored_graph
from difiisr_ros.core.camera_profile import CameraProfile
from difiisr_ros.core.condition import NOTHING_KNOWN, Conditions
from difiisr_ros.core.guidance import NO_GUIDANCE, Guidance
from difiisr_ros.core.scale import SCALE
from difiisr_ros.errors import BackendUnavailable, FrameError
from difiisr_ros.export.facts import CAMERA, LR, NOISE, VISUAL_SCALE, GraphFacts, GraphOptions
from difiisr_ros.long_work import check_stop
from difiisr_ros.options import UpscaleOptions

LEAST, LARGEST = 8, 640
"""Sides in pixels of the frames that an engine takes; longer frames are run in tiles of 640."""
LARGEST_BATCH = 4
MAX_ENGINES = 4


@dataclass(frozen=True)
class Gpu:
    """What an engine is built for."""

    device: torch.device
    name: str
    compute_capability: str


class TensorRTBackend:
    """The whole sampler as a TensorRT engine. See :class:`difiisr_ros.backends.base.Backend`.

    An engine is built, or taken from the cache, when frames first ask for its number of steps. It
    takes every size from 8 to 640 pixels a side and up to four frames at once, and is tuned for the
    size that asked: :meth:`SuperResolver.warmup` with the camera's size, or the node's
    ``warmup_width`` and ``warmup_height``, decides it. Frames of a shape for which an engine of its
    own was built ahead (:meth:`prepare`) are run by that one.
    """

    name = "tensorrt"
    guidance_gradients: tuple[str, ...] = ("closed_form",)
    fixed_options: Mapping[str, int] = {}

    def __init__(
        self,
        model: str,
        device: str = "auto",
        precision: str = "auto",
        *,
        cache: EngineCache | None = None,
    ) -> None:
        self.model = model
        self.device = device
        self.precision = _choose_precision(precision)
        self.max_steps = 0
        self.guidance_terms: tuple[str, ...] = ()
        self.cache = cache or EngineCache()
        self._engines: OrderedDict[tuple[GraphOptions, EngineShapes], LoadedEngine] = OrderedDict()
        self._dynamic: dict[GraphOptions, EngineShapes] = {}
        self._without: set[tuple[GraphOptions, Shape]] = set()  # shapes without a fixed engine
        self._graphs: dict[GraphOptions, tuple[bytes, GraphFacts]] = {}
        self._trt: Any = None
        self._logger: Any = None
        self._gpu: Gpu | None = None
        self._stream: DeviceStream | None = None

    def load(self) -> None:
        """Find TensorRT and the GPU. Raises BackendUnavailable or ModelError."""
        try:
            import tensorrt
        except (ImportError, OSError) as error:  # OSError: one of its shared libraries
            import sys

            raise BackendUnavailable(
                f"tensorrt cannot be imported by {sys.executable} ({error}); docs/tensorrt.md says "
                "how to install it"
            ) from error
        self._gpu = find_gpu(self.device)
        self.device = str(self._gpu.device)
        self._stream = DeviceStream(self._gpu.device)
        self._trt, self._logger = tensorrt, make_logger(tensorrt)
        _, facts = self._graph(GraphOptions(precision=self.precision))
        self.max_steps = facts.max_steps
        self.guidance_terms = tuple(filter(None, (facts.model_guidance,)))

    def check_options(self, options: UpscaleOptions, camera: CameraProfile) -> None:
        """All that the model can do runs here."""

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
        _, facts = self._graph(GraphOptions(num_steps, precision=self.precision))
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
            BackendUnavailable: TensorRT cannot build the engine.
            DeviceOutOfMemory: the device has no memory for it.
            Interrupted: the process was asked to stop while the engine was built.
        """
        visual = guidance.visual_scale > 0
        options = GraphOptions(
            num_steps, consistency, self.precision, "visual" if visual else "",
            projection_of(exact=camera.exact), scale,
        )  # fmt: skip
        engine = self._engine(options, (len(lr), *lr.shape[-2:]))
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
        self._engines.clear()
        self._trt = None
        if self._gpu is not None and self._gpu.device.type == "cuda":
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
        self._hold(options, shapes, self._get(options, shapes, build=True))
        if not self.cache.kept:
            raise BackendUnavailable(self.cache.trouble or "the engine is not kept")
        return self.cache.file(self._key(options, shapes))

    def _engine(self, options: GraphOptions, shape: Shape) -> LoadedEngine:
        """The engine of exactly this shape if one was built ahead, else the one of every size."""
        fixed = EngineShapes(shape, shape, shape)
        shapes = self._dynamic.get(options)
        engine = self._engines.get((options, fixed))
        if engine is None and (options, shape) not in self._without:
            engine = self._get(options, fixed, build=False)
            if engine is None:
                self._without.add((options, shape))
        if engine is not None:
            return self._hold(options, fixed, engine)
        if shapes is None:
            shapes = self._dynamic[options] = engine_shapes(*shape[1:])
        engine = self._engines.get((options, shapes)) or self._get(options, shapes, build=True)
        return self._hold(options, shapes, engine)

    def _hold(
        self, options: GraphOptions, shapes: EngineShapes, engine: LoadedEngine | None
    ) -> LoadedEngine:
        """Keep the engines used last."""
        assert engine is not None
        self._engines[options, shapes] = engine
        self._engines.move_to_end((options, shapes))
        while len(self._engines) > MAX_ENGINES:
            self._engines.popitem(last=False)
        return engine

    def _key(self, options: GraphOptions, shapes: EngineShapes) -> EngineKey:
        trt, gpu, _ = self._loaded()
        return EngineKey.of(
            self._graph(options)[0],
            tensorrt=trt.__version__,
            gpu=gpu.name,
            compute_capability=gpu.compute_capability,
            precision=self.precision,
            shapes=shapes,
            num_steps=options.num_steps,
        )

    def _get(
        self, options: GraphOptions, shapes: EngineShapes, *, build: bool
    ) -> LoadedEngine | None:
        """From the cache, or built."""
        trt, gpu, stream = self._loaded()
        onnx, key = self._graph(options)[0], self._key(options, shapes)

        def on_device() -> None:
            if gpu.device.type == "cuda":
                torch.cuda.set_device(gpu.device)

        def build_it() -> bytes:
            return build_plan(
                trt,
                self._logger,
                onnx,
                shapes,
                tf32=self.precision != "fp32",
                on_device=on_device,
            )

        def load(plan: bytes) -> Any:
            on_device()
            return load_plan(trt, self._logger, plan)

        if not build:
            engine = self.cache.find(key, load)
            if engine is None:
                return None
        else:
            engine = self.cache.get(key, build_it, load, interrupted=check_stop)
            if engine is None:
                raise BackendUnavailable(
                    f"TensorRT cannot load the engine that it has just built: {self._logger.error}"
                )
        return LoadedEngine(trt, self._logger, engine, shapes, stream)

    def _loaded(self) -> tuple[Any, Gpu, DeviceStream]:
        if self._trt is None or self._gpu is None or self._stream is None:
            raise BackendUnavailable("the tensorrt backend is closed or was not loaded")
        return self._trt, self._gpu, self._stream

    def _graph(self, options: GraphOptions) -> tuple[bytes, GraphFacts]:
        if options not in self._graphs:
            self._graphs[options] = stored_graph(self.model, options)
        return self._graphs[options]


def engine_shapes(height: int, width: int) -> EngineShapes:
    """The shapes of an engine that is tuned for frames of this size."""
    if min(height, width) < LEAST:
        raise FrameError(
            f"frames of {width}x{height} pixels are too small; {LEAST} a side is least"
        )
    largest = (LARGEST_BATCH, max(LARGEST, height), max(LARGEST, width))
    return EngineShapes((1, LEAST, LEAST), (1, height, width), largest)


def find_gpu(device: str) -> Gpu:
    """The CUDA device of ``auto``, ``cuda`` or ``cuda:N``; BackendUnavailable if there is none."""
    if device == "cpu":
        raise BackendUnavailable("TensorRT runs on CUDA devices, and device is cpu")
    if not torch.cuda.is_available():
        raise BackendUnavailable("TensorRT needs a CUDA device, and torch sees none")
    chosen = torch.device(device if ":" in device else "cuda:0")
    if chosen.index >= torch.cuda.device_count():
        raise BackendUnavailable(
            f"{device} does not exist; {torch.cuda.device_count()} device(s) do"
        )
    major, minor = torch.cuda.get_device_capability(chosen)
    return Gpu(chosen, torch.cuda.get_device_name(chosen), f"{major}.{minor}")


def _choose_precision(precision: str) -> str:
    if precision == "auto":
        return "fp16"
    if precision not in ("fp32", "fp16"):
        raise BackendUnavailable(f"TensorRT engines are fp16 or fp32 here, not {precision}")
    return precision
