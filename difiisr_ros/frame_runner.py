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

"""One backend's run over frames: noise, tiles, regions, and the way to the results' own size."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np

from difiisr_ros.backends.base import Backend
from difiisr_ros.core import radiometry
from difiisr_ros.core.condition import Conditions
from difiisr_ros.core.noise import noise_field
from difiisr_ros.core.output_geometry import OutputGeometry
from difiisr_ros.core.radiometry import ValueRange
from difiisr_ros.core.region import Region
from difiisr_ros.core.scale import SCALE
from difiisr_ros.core.tiling import upscale_tiled
from difiisr_ros.options import UpscaleOptions

_NOISE_CACHE = 4  # whole-frame noise fields kept: one per camera resolution in use


Follow = Callable[[np.ndarray], np.ndarray]
"""What becomes of a frame's whole result, sH x sW, float32, 0..1."""


@dataclass(frozen=True)
class Alone:
    """Where the result is to be another one, of the same pixels: see ``Remembered.alone``."""

    share: np.ndarray
    """H x W of the region that is run, float32: 0 the result as it is, 1 the other one."""
    camera: Conditions
    """What that one is told."""


@dataclass(frozen=True)
class Work:
    """Frames as a backend takes them, and what is to come out."""

    lr: np.ndarray
    """N x 1 x H x W of the region that is run, normalised intensity, float32."""
    dtype: np.dtype
    """Of the results."""
    value_ranges: Sequence[ValueRange]
    """Of each frame."""
    camera: Conditions
    """What is known of the camera, for each frame or for all."""
    whole: tuple[int, int]
    """Height and width of the whole frames."""
    run: Region
    """What of these is run: ``lr``."""
    wanted: Region
    """What of the whole frames is to come out."""
    geometry: OutputGeometry
    """How that becomes the result."""
    alone: Sequence[Alone | None]
    """Of each frame."""
    follow: Sequence[Follow | None]
    """Of each frame; only where the whole of it is run."""

    def part(self, which: slice) -> Work:
        """Some of the frames."""
        return replace(
            self,
            lr=self.lr[which],
            value_ranges=self.value_ranges[which],
            camera=self.camera.part(which),
            alone=self.alone[which],
            follow=self.follow[which],
        )


class FrameRunner:
    """Runs a backend, and remembers the noise that it reads."""

    def __init__(self) -> None:
        self._noise: OrderedDict[tuple[int, tuple[int, int], int], np.ndarray] = OrderedDict()

    def forget(self) -> None:
        """Free the noise: another backend may read another number of images."""
        self._noise.clear()

    def results(self, backend: Backend, work: Work, options: UpscaleOptions) -> list[np.ndarray]:
        """The results of the frames, in their own units and dtype; see :class:`Work`."""
        steps = min(options.num_steps, backend.max_steps)
        if not options.tile_size or max(work.lr.shape[-2:]) <= options.tile_size:
            noise = self._noise_of(backend, work, options.seed, steps)
            scale = work.geometry.scale
            how = steps, options.consistency, options.guidance, work.camera, scale
            sr = backend.run(work.lr, noise, *how)
            for i, alone in enumerate(work.alone):
                if alone is not None:
                    self._mix(sr[i, 0], backend, work.part(slice(i, i + 1)), steps, options)
            return [
                _finished(frame[0] if follow is None else follow(frame[0]), work, value_range)
                for frame, follow, value_range in zip(sr, work.follow, work.value_ranges)
            ]
        parts = [work.part(slice(i, i + 1)) for i in range(len(work.lr))]
        return [self._tiled(backend, part, steps, options) for part in parts]

    def _tiled(
        self, backend: Backend, work: Work, steps: int, options: UpscaleOptions
    ) -> np.ndarray:
        scale, count = work.geometry.scale, backend.noise_count(steps)
        whole = (work.whole[0] * SCALE, work.whole[1] * SCALE)

        def run(rows: slice, columns: slice) -> np.ndarray:
            noise = noise_field(options.seed, whole, count, _window(work.run, rows, columns))
            tile = work.lr[:, :, rows, columns]
            how = steps, options.consistency, options.guidance
            sr = backend.run(tile, noise, *how, work.camera, scale)[0, 0]
            (alone,) = work.alone
            if alone is not None and (share := alone.share[rows, columns]).any():
                other = backend.run(tile, noise, *how, alone.camera, scale)[0, 0]
                _mix(sr, other, share, scale)
            return sr

        blended = upscale_tiled(
            run, work.lr.shape[-2:], options.tile_size, options.tile_overlap, scale
        )
        (follow,) = work.follow
        if work.geometry.is_plain and work.run == work.wanted and follow is None:
            return _row_by_row(blended, work)
        sr = np.concatenate([rows for _, rows in blended])
        if follow is not None:
            sr = follow(sr)
        return _finished(sr, work, work.value_ranges[0])

    def _mix(
        self, sr: np.ndarray, backend: Backend, work: Work, steps: int, options: UpscaleOptions
    ) -> None:
        """Run where a frame stands alone again, and write that into its result."""
        (alone,) = work.alone
        assert alone is not None
        height, width = alone.share.shape
        box = _box(alone.share)
        part = box.with_margin(width, height)
        first = replace(
            work, run=Region(work.run.x + part.x, work.run.y + part.y, part.width, part.height)
        )
        lr = np.ascontiguousarray(part.of(work.lr))
        noise = self._noise_of(backend, replace(first, lr=lr), options.seed, steps)
        scale = work.geometry.scale
        how = steps, options.consistency, options.guidance, alone.camera, scale
        other = backend.run(lr, noise, *how)[0, 0]
        _mix(
            box.times(scale).of(sr),
            box.within(part).times(scale).of(other),
            box.of(alone.share),
            scale,
        )

    def _noise_of(self, backend: Backend, work: Work, seed: int, steps: int) -> np.ndarray:
        """The noise images of what is run: the same part of the whole frame's at any region."""
        count = backend.noise_count(steps)
        key = (seed, work.whole, count)
        if key not in self._noise:
            height, width = work.whole
            self._noise[key] = noise_field(seed, (height * SCALE, width * SCALE), count)
            while len(self._noise) > _NOISE_CACHE:
                self._noise.popitem(last=False)
        self._noise.move_to_end(key)
        noise = self._noise[key]
        if work.lr.shape[-2:] == work.whole:
            return noise
        return np.ascontiguousarray(work.run.times(SCALE).of(noise))


def _box(share: np.ndarray) -> Region:
    """The least rectangle that holds all that is not 0."""
    rows, columns = np.flatnonzero(share.any(axis=1)), np.flatnonzero(share.any(axis=0))
    x, y = int(columns[0]), int(rows[0])
    return Region(x, y, int(columns[-1]) + 1 - x, int(rows[-1]) + 1 - y)


def _mix(sr: np.ndarray, other: np.ndarray, share: np.ndarray, scale: int) -> None:
    """Write a share of another result into one, sH x sW; the share is H x W."""
    height, width = share.shape
    size = (scale * width, scale * height)
    sr += cv2.resize(share, size, interpolation=cv2.INTER_LINEAR) * (other - sr)


def _window(run: Region, rows: slice, columns: slice) -> tuple[slice, slice]:
    """Of the whole frame's noise, for rows and columns of what is run."""
    return (
        slice(SCALE * (run.y + rows.start), SCALE * (run.y + rows.stop)),
        slice(SCALE * (run.x + columns.start), SCALE * (run.x + columns.stop)),
    )


def _finished(sr: np.ndarray, work: Work, value_range: ValueRange) -> np.ndarray:
    """What was asked for of a run's result, in its own units; ``sr`` may be overwritten."""
    sr = work.wanted.within(work.run).times(work.geometry.scale).of(sr)
    placed = work.geometry.place(sr)
    return radiometry.restore(np.ascontiguousarray(placed), value_range, work.dtype)


def _row_by_row(blended: Iterator[tuple[int, np.ndarray]], work: Work) -> np.ndarray:
    """The whole result without the whole of it in float32."""
    width, height = work.geometry.size
    result = np.empty((height, width), work.dtype)
    for first, rows in blended:
        out = result[first : first + len(rows)]
        radiometry.restore(rows, work.value_ranges[0], work.dtype, out=out)
    return result
