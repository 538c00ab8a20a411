"""Frames to evaluate on: LR with the HR truth where there is one, from folders of images."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from difiisr_ros.errors import DataError, OptionError
from difiisr_ros.io.images import list_images, read_image

SCALE = 4
DEGRADATIONS = ("bicubic", "camera")
MIN_HR_SIDE = 16
_LR_SUFFIX = "x4"  # 00950x4.png belongs to 00950.png: how super-resolution data sets name files


@dataclass(frozen=True)
class Sample:
    """One frame to upscale."""

    name: str
    lr: np.ndarray
    """H x W, uint8, uint16 or float32."""
    hr: np.ndarray | None
    """4H x 4W of the same dtype: the truth, where it is known."""


class FrameSet:
    """Frames of one kind; made by :func:`open_frames`. Reads them while iterating."""

    def __init__(self, files: list[tuple[Path, Path | None]], settings: dict[str, Any]) -> None:
        self._files = files
        self.settings = settings
        """How LR and HR come about, for the report."""

    def __len__(self) -> int:
        return len(self._files)

    def __iter__(self) -> Iterator[Sample]:
        first: Sample | None = None
        for hr_file, lr_file in self._files:
            sample = self._read(hr_file, lr_file)
            first = first or sample
            if sample.lr.dtype != first.lr.dtype:
                # Counts of 8 and of 16 bits cannot be averaged.
                raise DataError(
                    f"the frames are of different types: {first.name} is {first.lr.dtype}, "
                    f"{sample.name} is {sample.lr.dtype}; evaluate them separately"
                )
            yield sample

    def _read(self, hr_file: Path, lr_file: Path | None) -> Sample:
        kind = self.settings["data"]
        if kind == "lr":
            return Sample(hr_file.name, _finite(read_image(hr_file), hr_file), None)
        hr = _finite(read_image(hr_file), hr_file)
        if lr_file is not None:
            lr = _finite(read_image(lr_file), lr_file)
            _check_pair(hr, lr, hr_file, lr_file)
        else:
            hr = crop_to_scale(hr)
            if min(hr.shape) < MIN_HR_SIDE:
                raise DataError(
                    f"{hr_file}: {hr.shape[1]}x{hr.shape[0]} is too small to be degraded x{SCALE} "
                    f"and compared, it takes {MIN_HR_SIDE}x{MIN_HR_SIDE}"
                )
            if self.settings["degradation"] == "camera":
                seed = self.settings["degradation_seed"]
                # By name, so that the noise does not depend on which other frames are evaluated.
                lr = degrade_camera(hr, seed ^ zlib.crc32(hr_file.name.encode()))
            else:
                lr = degrade_bicubic(hr)
        return Sample(hr_file.name, lr, hr)


def open_frames(
    path: Path,
    degradation: str = "bicubic",
    *,
    seed: int = 0,
    no_reference: bool = False,
    every: int = 1,
    limit: int | None = None,
) -> FrameSet:
    """Find the frames of a folder.

    Args:
        path: A folder of HR frames, which are degraded x4; or a folder with ``HR/`` and ``LR/``,
            paired by file name (without ending, and with an ``x4`` at its end or not).
        degradation: ``bicubic`` (Pillow's antialiased bicubic in the frame's own type) or
            ``camera`` (blur, fixed-pattern and temporal noise, quantisation).
        seed: of the camera's noise.
        no_reference: the folder's frames (or its ``LR/``) are the LR input, without truth.
        every: take every n-th frame only.
        limit: take at most this many.

    Raises:
        DataError: No such folder, no frames in it, or frames without partner. Iterating raises it
            for a file that cannot be read or does not fit its partner.
        OptionError: An unknown degradation, or one asked for where LR frames are given.
    """
    if degradation not in DEGRADATIONS:
        raise OptionError(f"degradation is one of {', '.join(DEGRADATIONS)}, got {degradation!r}")
    if every < 1 or (limit is not None and limit < 1):
        raise OptionError(f"every and limit must be at least 1, got {every} and {limit}")
    if (path / "metadata.yaml").is_file() or path.suffix in (".mcap", ".db3", ".bag"):
        raise DataError(f"{path}: is a bag; evaluation takes folders of image files")
    hr_folder, lr_folder = path / "HR", path / "LR"
    paired = hr_folder.is_dir() and lr_folder.is_dir()
    files: list[tuple[Path, Path | None]]
    settings: dict[str, Any]
    if no_reference:
        files = [(file, None) for file in list_images(lr_folder if lr_folder.is_dir() else path)]
        settings = {"data": "lr", "degradation": None}
    elif paired:
        if degradation != "bicubic":
            raise OptionError(
                f"{path} has its own LR frames, so degradation {degradation!r} has nothing to do"
            )
        files = list(_pairs(hr_folder, lr_folder))
        settings = {"data": "hr_lr_pairs", "degradation": None}
    else:
        if hr_folder.is_dir() or lr_folder.is_dir():
            missing = "LR" if hr_folder.is_dir() else "HR"
            raise DataError(f"{path}: has no {missing}/ beside {({'HR', 'LR'} - {missing}).pop()}/")
        files = [(file, None) for file in list_images(path)]
        settings = {
            "data": "hr",
            "degradation": degradation,
            "hr_crop": f"right and bottom, to a multiple of {SCALE}",
        }
        if degradation == "camera":
            settings["degradation_seed"] = seed
    return FrameSet(files[::every][:limit], settings)


def _pairs(hr_folder: Path, lr_folder: Path) -> Iterator[tuple[Path, Path]]:
    hr_files, lr_files = _by_stem(hr_folder), _by_stem(lr_folder)
    left = dict(lr_files)
    for stem, hr_file in hr_files.items():
        partner = stem if stem in lr_files else stem + _LR_SUFFIX
        if partner not in lr_files:
            raise DataError(
                f"{hr_file}: has no partner in {lr_folder}, neither {stem}.* nor {partner}.*"
            )
        left.pop(partner, None)
        yield hr_file, lr_files[partner]
    if left:
        raise DataError(f"{next(iter(left.values()))}: has no partner in {hr_folder}")


def _by_stem(folder: Path) -> dict[str, Path]:
    files: dict[str, Path] = {}
    for file in list_images(folder):
        if file.stem in files:
            raise DataError(f"{file}: {files[file.stem].name} is there too, which one is meant?")
        files[file.stem] = file
    return files


def _check_pair(hr: np.ndarray, lr: np.ndarray, hr_file: Path, lr_file: Path) -> None:
    expected = (lr.shape[0] * SCALE, lr.shape[1] * SCALE)
    if hr.shape != expected:
        raise DataError(
            f"{hr_file}: is {hr.shape[1]}x{hr.shape[0]}, {SCALE} times {lr_file} "
            f"({lr.shape[1]}x{lr.shape[0]}) is {expected[1]}x{expected[0]}"
        )
    if hr.dtype != lr.dtype:
        raise DataError(f"{hr_file}: is {hr.dtype}, but {lr_file} is {lr.dtype}")
    if min(hr.shape) < MIN_HR_SIDE:
        raise DataError(f"{hr_file}: is smaller than {MIN_HR_SIDE}x{MIN_HR_SIDE}")


def _finite(frame: np.ndarray, file: Path) -> np.ndarray:
    if frame.dtype == np.float32 and not np.isfinite(frame).all():
        raise DataError(f"{file}: has NaN or infinite pixels, there is nothing to compare there")
    return frame


def crop_to_scale(hr: np.ndarray) -> np.ndarray:
    """Cut right and bottom so that both sides are multiples of 4."""
    height, width = (side - side % SCALE for side in hr.shape)
    return hr[:height, :width]


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
    whole counts: the degradation of :mod:`difiisr_ros.training.degradation`.
    """
    import torch

    from difiisr_ros.core import radiometry
    from difiisr_ros.training.degradation import CameraModel, simulate_camera

    low, high = radiometry.measure_range(hr, "percentile")
    normal = radiometry.normalize(hr, (low, high))
    generator = torch.Generator().manual_seed(seed & 0x7FFF_FFFF)
    lr = simulate_camera(torch.from_numpy(normal)[None, None], CameraModel(), generator)
    return to_dtype(lr[0, 0].double().numpy() * (high - low) + low, hr.dtype)


def to_dtype(values: np.ndarray, dtype: np.dtype[Any]) -> np.ndarray:
    """Round and limit computed counts to an integer dtype; float32 stays as it is."""
    if dtype == np.float32:
        return values.astype(np.float32)
    limits = np.iinfo(dtype)
    return np.clip(np.rint(values), limits.min, limits.max).astype(dtype)
