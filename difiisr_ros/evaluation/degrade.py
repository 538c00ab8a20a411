"""How an evaluation makes the LR frame where only HR frames exist."""

from __future__ import annotations

from typing import Any

import numpy as np
from PIL import Image

SCALE = 4
DEGRADATIONS = ("bicubic", "camera")
_REACH = 8  # of the optics' point spread, HR pixels


def crop_to_scale(hr: np.ndarray) -> np.ndarray:
    """Cut right and bottom so that both sides are multiples of 4."""
    height, width = (side - side % SCALE for side in hr.shape)
    return hr[:height, :width]


def degrade(hr: np.ndarray, degradation: str, seed: int) -> np.ndarray:
    """Reduce x4 by one of :data:`DEGRADATIONS`: 4H x 4W to H x W, the same dtype."""
    return degrade_camera(hr, seed) if degradation == "camera" else degrade_bicubic(hr)


def degrade_bicubic(hr: np.ndarray) -> np.ndarray:
    """Reduce x4 by Pillow's antialiased bicubic: 4H x 4W to H x W, the same dtype.

    8-bit frames are reduced in Pillow's own 8-bit arithmetic, as published LR images are; 16-bit
    ones in floating point, rounded.
    """
    size = (hr.shape[1] // SCALE, hr.shape[0] // SCALE)
    source = hr if hr.dtype == np.uint8 else hr.astype(np.float32)
    image = Image.fromarray(np.ascontiguousarray(source))
    return to_dtype(np.asarray(image.resize(size, Image.Resampling.BICUBIC)), hr.dtype)


def degrade_camera(hr: np.ndarray, seed: int) -> np.ndarray:
    """Reduce x4 as a simulated thermal camera would: 4H x 4W to H x W, the same dtype.

    Optics blur, integration over the detector element, fixed-pattern and temporal noise, then
    whole counts: the camera of :func:`difiisr_ros.training.degradation.simulate_camera`, with the
    same numbers drawn, and OpenCV's filters instead of PyTorch's, which take ten times as long for
    one frame.
    """
    import cv2
    import torch

    from difiisr_ros.core import radiometry
    from difiisr_ros.training.degradation import CameraModel

    low, high = radiometry.measure_range(hr, "percentile")
    generator = torch.Generator().manual_seed(seed & 0x7FFF_FFFF)
    camera = CameraModel()

    def draw(limits: tuple[float, float]) -> float:
        share = float(torch.rand(1, 1, 1, 1, generator=generator))
        return limits[0] + (limits[1] - limits[0]) * share

    def noise(height: int, width: int) -> np.ndarray:
        return torch.randn(1, 1, height, width, generator=generator)[0, 0].numpy()

    sigma = SCALE * draw(camera.blur)
    line = np.exp(-0.5 * (np.arange(-_REACH, _REACH + 1) / sigma) ** 2)
    line = (line / line.sum()).astype(np.float32)
    normal = radiometry.normalize(hr, (low, high))
    optics = cv2.sepFilter2D(normal, cv2.CV_32F, line, line, borderType=cv2.BORDER_REFLECT_101)
    width, height = hr.shape[1] // SCALE, hr.shape[0] // SCALE
    lr = cv2.resize(optics, (width, height), interpolation=cv2.INTER_AREA)
    columns, rows = noise(1, width), noise(height, 1)
    lr = lr + draw(camera.pattern_noise) * (columns + rows) * 0.5**0.5
    lr = lr + draw(camera.temporal_noise) * noise(height, width)
    return to_dtype(lr.astype(np.float64) * (high - low) + low, hr.dtype)


def to_dtype(values: np.ndarray, dtype: np.dtype[Any]) -> np.ndarray:
    """Round and limit computed counts to an integer dtype; float32 stays as it is."""
    if dtype == np.float32:
        return values.astype(np.float32)
    limits = np.iinfo(dtype)
    return np.clip(np.rint(values), limits.min, limits.max).astype(dtype)
