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

"""The methods that an evaluation compares, each from an LR frame to an SR frame."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from difiisr_ros.core.scale import SCALE, SCALES
from difiisr_ros.errors import DataError, ModelError, OptionError
from difiisr_ros.lab.frames.degrade import to_dtype
from difiisr_ros.lab.frames.streams import Sample
from difiisr_ros.pipeline import SuperResolver
from difiisr_ros.stream_memory import NO_MEMORY, ON, MemoryOptions, StreamMemory

BICUBIC = "bicubic"
BICUBIC_PILLOW = "bicubic_pillow"
LANCZOS = "lanczos"
DIFIISR = "difiisr"
SINGLE = "single_frame"
"""Ours without what a stream remembers, beside which that is seen."""
#: What the baselines are, for the report: kernels that are called bicubic differ by 0.2-0.3 dB.
BICUBIC_SETTINGS = "OpenCV INTER_CUBIC: pixel centres aligned, a = -0.75, as torch's interpolate"
PILLOW_SETTINGS = "Pillow BICUBIC: pixel centres aligned, a = -0.5, as MATLAB's imresize"
LANCZOS_SETTINGS = "OpenCV INTER_LANCZOS4: pixel centres aligned, 8x8 neighbourhood"
AS_IT_IS = "the camera's frame as it is"
"""What every interpolation is at x1."""


@dataclass
class Method:
    """A way to upscale."""

    name: str
    upscale: Callable[[Sample], np.ndarray]
    """From a sample's LR frame to sH x sW of its dtype."""
    details: dict[str, Any] = field(default_factory=dict)
    """What it is, for the report."""
    milliseconds: Callable[[Sample], float | None] | None = None
    """What a frame took where that is not measured here but was recorded; None: measured."""
    scale: int = SCALE
    """How many times larger a result is than its frame: s."""
    restart: Callable[[], None] | None = None
    """Of a method that uses the frames before one: forgets them, as a stream begins."""
    remember: Callable[[Sample], None] | None = None
    """Of such a method: adds a frame without a result."""
    close: Callable[[], None] = lambda: None
    _warm: set[tuple[int, ...]] = field(default_factory=set)

    def run(self, sample: Sample) -> tuple[np.ndarray, float]:
        """Upscale; returns the result and the milliseconds that it took (NaN: unknown).

        Raises:
            DataError: The result has not :attr:`scale` times the frame's size, or another type.
        """
        if self.milliseconds is not None:
            result = self._checked(sample)
            known = self.milliseconds(sample)
            return result, float("nan") if known is None else known
        if sample.lr.shape not in self._warm:
            # The first frame of a size pays for memory and kernel selection, as a node does when it
            # is configured.
            self._warm.add(sample.lr.shape)
            self._warm_up(sample)
        start = time.perf_counter()
        result = self._checked(sample)
        return result, (time.perf_counter() - start) * 1e3

    def _warm_up(self, sample: Sample) -> None:
        if self.restart is None:
            self.upscale(sample)

    def _checked(self, sample: Sample) -> np.ndarray:
        result = self.upscale(sample)
        height, width = sample.lr.shape
        expected = (height * self.scale, width * self.scale)
        if result.shape != expected or result.dtype != sample.lr.dtype:
            found = [s for s in SCALES if result.shape == (height * s, width * s) != expected]
            raise DataError(
                f"{self.name} made {_kind(result)} of {sample.name}, {_kind(sample.lr)}; "
                f"expected is {expected[1]}x{expected[0]} {sample.lr.dtype}"
                + "".join(f"; results of x{s} are compared at --scale {s}" for s in found)
            )
        return result


def _kind(frame: np.ndarray) -> str:
    size = "x".join(map(str, frame.shape[1::-1])) if frame.ndim == 2 else str(frame.shape)
    return f"{size} {frame.dtype}"


@dataclass(frozen=True)
class MethodPlan:
    """Which methods to compare; plain data, so that it can be sent to another process.

    Raises:
        OptionError: An ONNX model beside results of another scale than its own.
    """

    num_steps: tuple[int, ...] = (1,)
    """Sampler steps of ours; the first is called ``difiisr``."""
    engine: tuple[tuple[str, Any], ...] = ()
    """Arguments of :meth:`SuperResolver.load`, as sorted pairs."""
    compare: tuple[Path, ...] = ()
    """Model files to put beside it: ONNX, or ours."""
    results: tuple[tuple[str, Path, str | None], ...] = ()
    """Recorded results: name, bag, topic."""
    memory: MemoryOptions = NO_MEMORY
    """What ours uses of the frames before one."""

    def __post_init__(self) -> None:
        for path in self.compare:
            if _is_onnx(path) and self.scale != SCALE:
                raise OptionError(
                    f"{path}: ONNX models are compared at --scale {SCALE}, which is what they "
                    f"make; got --scale {self.scale}"
                )

    @property
    def scale(self) -> int:
        """How many times larger results are than frames, of every method."""
        return int(dict(self.engine).get("scale", SCALE))

    def names(self) -> list[str]:
        """Names of the methods, in the order of :func:`make_methods`.

        Raises:
            OptionError: One that occurs twice.
        """
        names = [method.name for method in kernel_methods(self.scale)]
        names += [DIFIISR if i == 0 else f"{DIFIISR}@{n}" for i, n in enumerate(self.num_steps)]
        names += [SINGLE] if self.memory != NO_MEMORY else []
        names += [path.stem for path in self.compare] + [name for name, _, _ in self.results]
        for name in names:
            if names.count(name) > 1:
                raise OptionError(f"there would be two methods called {name!r}; rename one")
        return names


@contextlib.contextmanager
def make_methods(plan: MethodPlan, example: Sample) -> Iterator[list[Method]]:
    """Load everything; closes it at the end.

    Args:
        plan: What to load.
        example: A frame such as will be upscaled; models are tried on it.

    Raises:
        ModelError: A file that is not a usable model.
        OptionError: Options that do not fit the model.
    """
    plan.names()
    with contextlib.ExitStack() as stack:
        # Never another backend than the one asked for: its numbers would be called this one's.
        engine = dict(plan.engine)
        resolver = SuperResolver.load(**engine, strict_backend=True)
        stack.callback(resolver.close)
        methods = kernel_methods(plan.scale)
        methods += super_resolver_methods(resolver, plan.num_steps, plan.scale, plan.memory)
        if plan.memory != NO_MEMORY:
            (single,) = super_resolver_methods(resolver, plan.num_steps[:1], plan.scale)
            methods.append(replace(single, name=SINGLE))
        for path in plan.compare:
            methods.append(_model_method(path, engine, plan.scale, example, stack))
        for name, path, topic in plan.results:
            methods.append(_recorded_method(name, path, topic, plan.scale, stack))
        yield methods


def bicubic_upscale(lr: np.ndarray, scale: int = SCALE) -> np.ndarray:
    """Plain bicubic (see :data:`BICUBIC_SETTINGS`), rounded and limited to the dtype."""
    import cv2

    return _opencv_upscale(lr, scale, cv2.INTER_CUBIC)


def lanczos_upscale(lr: np.ndarray, scale: int = SCALE) -> np.ndarray:
    """Lanczos (see :data:`LANCZOS_SETTINGS`), rounded and limited to the dtype."""
    import cv2

    return _opencv_upscale(lr, scale, cv2.INTER_LANCZOS4)


def _opencv_upscale(lr: np.ndarray, scale: int, interpolation: int) -> np.ndarray:
    import cv2

    size = (lr.shape[1] * scale, lr.shape[0] * scale)
    # In float: OpenCV's 8-bit path computes with fewer digits.
    sr = cv2.resize(lr.astype(np.float32), size, interpolation=interpolation)
    return to_dtype(sr, lr.dtype)


def pillow_upscale(lr: np.ndarray, scale: int = SCALE) -> np.ndarray:
    """Bicubic as the literature has it (see :data:`PILLOW_SETTINGS`), rounded and limited."""
    size = (lr.shape[1] * scale, lr.shape[0] * scale)
    image = Image.fromarray(lr.astype(np.float32))
    return to_dtype(np.asarray(image.resize(size, Image.BICUBIC)), lr.dtype)  # type: ignore[attr-defined]


def kernel_methods(scale: int) -> list[Method]:
    """The interpolations to compare with, the reference first.

    That is the stronger of the bicubics, and what OpenCV users have already; beside it the baseline
    of most papers and the sharpest of OpenCV's kernels. At x1 all of them leave a frame as it is:
    one stands for all.
    """
    if scale == 1:
        return [Method(BICUBIC, lambda sample: sample.lr, {"resampling": AS_IT_IS}, scale=scale)]
    return [
        _kernel(BICUBIC, bicubic_upscale, scale, BICUBIC_SETTINGS),
        _kernel(BICUBIC_PILLOW, pillow_upscale, scale, PILLOW_SETTINGS),
        _kernel(LANCZOS, lanczos_upscale, scale, LANCZOS_SETTINGS),
    ]


def _kernel(
    name: str, upscale: Callable[[np.ndarray, int], np.ndarray], scale: int, settings: str
) -> Method:
    return Method(
        name, lambda sample: upscale(sample.lr, scale), {"resampling": settings}, scale=scale
    )


def super_resolver_methods(
    resolver: SuperResolver,
    num_steps: tuple[int, ...] | list[int],
    scale: int = SCALE,
    remembered: MemoryOptions = NO_MEMORY,
) -> list[Method]:
    """Return one method for each number of steps; the first is called ``difiisr``.

    Args:
        resolver: What upscales.
        num_steps: Of each method.
        scale: What the resolver makes.
        remembered: What each uses of the frames before one.

    Raises:
        OptionError: a number of steps that the model does not have.
    """
    methods = []
    scene = resolver.camera.of_the_scene()  # streams have put the frames right
    for position, steps in enumerate(num_steps):
        resolver.configure(num_steps=steps)

        memory = StreamMemory(remembered)

        def upscale(
            sample: Sample, steps: int = steps, memory: StreamMemory = memory
        ) -> np.ndarray:
            resolver.configure(num_steps=steps)
            return resolver.upscale(sample.lr, camera=scene, memory=memory)

        def remember(sample: Sample, memory: StreamMemory = memory) -> None:
            if remembered.motion == ON:  # what is averaged along the motion is results
                resolver.upscale(sample.lr, camera=scene, memory=memory)
            else:
                resolver.remember(sample.lr, memory, scene)

        name = DIFIISR if position == 0 else f"{DIFIISR}@{steps}"
        engine = resolver.info.as_dict()
        method = Method(name, upscale, {**engine, "num_steps": steps}, scale=scale)
        if not memory.is_off:
            method.restart, method.remember = memory.reset, remember
            method.details["stream"] = str(remembered)
        methods.append(method)
    return methods


def _model_method(
    path: Path, engine: dict[str, Any], scale: int, example: Sample, stack: contextlib.ExitStack
) -> Method:
    if _is_onnx(path):
        from difiisr_ros.lab.evaluation.onnx_model import OnnxModel

        model = OnnxModel(path, example.lr, engine.get("device", "auto"), engine["num_threads"])
        return Method(path.stem, lambda sample: model.upscale(sample.lr), model.details)
    if not path.is_file():
        raise ModelError(f"{path}: no such model file")
    resolver = SuperResolver.load(
        **{**engine, "model": str(path), "backend": "auto"}, strict_backend=True
    )
    stack.callback(resolver.close)
    scene = resolver.camera.of_the_scene()

    def upscale(sample: Sample) -> np.ndarray:
        return resolver.upscale(sample.lr, camera=scene)

    return Method(path.stem, upscale, resolver.info.as_dict(), scale=scale)


def _is_onnx(path: Path) -> bool:
    return path.suffix.lower() == ".onnx"


def _recorded_method(
    name: str, path: Path, topic: str | None, scale: int, stack: contextlib.ExitStack
) -> Method:
    from difiisr_ros.lab.frames.recorded import RecordedResults

    recorded = RecordedResults(path, topic)
    stack.callback(recorded.close)
    return Method(
        name,
        lambda sample: recorded.result(sample.stamp_ns),
        {"recorded": str(path), "topic": recorded.topic},
        lambda sample: recorded.milliseconds(sample.stamp_ns),
        scale,
    )
