"""The methods that an evaluation compares, each a function from an LR frame to an SR frame."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from PIL import Image

from difiisr_ros.evaluation.datasets import SCALE, to_dtype
from difiisr_ros.pipeline import SuperResolver

BICUBIC = "bicubic"
BICUBIC_PILLOW = "bicubic_pillow"
DIFIISR = "difiisr"
#: What the baseline is, for the report: the kernels that are called bicubic differ by 0.2-0.3 dB.
BICUBIC_SETTINGS = "OpenCV INTER_CUBIC: pixel centres aligned, a = -0.75, as torch's interpolate"
PILLOW_SETTINGS = "Pillow BICUBIC: pixel centres aligned, a = -0.5, as MATLAB's imresize"


@dataclass
class Method:
    """A way to upscale, with the time that it took on each frame so far."""

    name: str
    upscale: Callable[[np.ndarray], np.ndarray]
    details: dict[str, Any] = field(default_factory=dict)
    milliseconds: list[float] = field(default_factory=list)
    _shapes_seen: set[tuple[int, ...]] = field(default_factory=set)

    def __call__(self, lr: np.ndarray) -> np.ndarray:
        """Upscale H x W to 4H x 4W and note the time."""
        if lr.shape not in self._shapes_seen:
            # The first frame of a size pays for memory and kernel selection, as a node does when it
            # is configured.
            self._shapes_seen.add(lr.shape)
            self.upscale(lr)
        start = time.perf_counter()
        result = self.upscale(lr)
        self.milliseconds.append((time.perf_counter() - start) * 1e3)
        return result


def bicubic_upscale(lr: np.ndarray) -> np.ndarray:
    """Plain bicubic x4 (see :data:`BICUBIC_SETTINGS`), rounded and limited to the dtype."""
    import cv2

    size = (lr.shape[1] * SCALE, lr.shape[0] * SCALE)
    # In float: OpenCV's 8-bit path computes with fewer digits.
    sr = cv2.resize(lr.astype(np.float32), size, interpolation=cv2.INTER_CUBIC)
    return to_dtype(sr, lr.dtype)


def pillow_upscale(lr: np.ndarray) -> np.ndarray:
    """Bicubic x4 as the literature has it (see :data:`PILLOW_SETTINGS`), rounded and limited."""
    size = (lr.shape[1] * SCALE, lr.shape[0] * SCALE)
    image = Image.fromarray(lr.astype(np.float32))
    return to_dtype(np.asarray(image.resize(size, Image.Resampling.BICUBIC)), lr.dtype)


def bicubic_method() -> Method:
    """Return the baseline: the stronger of the two, and what OpenCV users have already."""
    return Method(BICUBIC, bicubic_upscale, {"resampling": BICUBIC_SETTINGS})


def pillow_method() -> Method:
    """Return the baseline of most papers."""
    return Method(BICUBIC_PILLOW, pillow_upscale, {"resampling": PILLOW_SETTINGS})


def super_resolver_methods(resolver: SuperResolver, num_steps: list[int]) -> list[Method]:
    """Return one method for each number of steps; the first is called ``difiisr``.

    Raises:
        OptionError: a number of steps that the model does not have.
    """
    methods = []
    for position, steps in enumerate(num_steps):
        resolver.configure(num_steps=steps)

        def upscale(lr: np.ndarray, steps: int = steps) -> np.ndarray:
            resolver.configure(num_steps=steps)
            return resolver.upscale(lr)

        name = DIFIISR if position == 0 else f"{DIFIISR}@{steps}"
        methods.append(Method(name, upscale, {"num_steps": steps}))
    return methods
