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

"""Everything that a camera's frames say about it, and what they do not say.

The order matters: stuck pixels first, since everything else must not see them; then the noise,
which says how much of an edge or an offset is chance; then edges and offsets.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

import numpy as np

from difiisr_ros.core import radiometry
from difiisr_ros.core.missing import Ranges, missing_mask
from difiisr_ros.core.noise_level import estimate_noise
from difiisr_ros.errors import DataError
from difiisr_ros.lab.calibration import blur as blurs
from difiisr_ros.lab.calibration import noise as noises
from difiisr_ros.lab.calibration import pattern as patterns
from difiisr_ros.lab.calibration.edges import Edges, find_edges, join
from difiisr_ros.lab.calibration.fixed import FoundPattern

FRAMES = 60  # frames that are measured of a longer source, evenly spaced
_LEAST_SIDE = 24  # pixels
_MOST_NOISE_ERROR = 0.3  # of the noise itself
_LEAST_STEP = 0.27  # of what values are rounded to: rounding hides less noise than that
_STEP_ERROR = 0.05  # likewise: rounding is no noise of its own where the scene is all flat
_UNEVEN = 1.6  # times the noise of all, in half of the frames: it is not one noise
_STILL_SHARE = 0.5  # of the blocks, for a scene that stands still
_SATURATED = 0.3  # of the pixels at the limits of the frame


@dataclass(frozen=True)
class Sample:
    """Frames of one camera, evenly spaced over a source."""

    frames: list[np.ndarray]
    """H x W each, one size and dtype."""
    followers: list[np.ndarray | None]
    """The frame after each, where there is one."""
    total: int
    """Frames that the source had."""
    other_sizes: int
    """Frames that were left out because they are of another size or dtype."""
    missing: Ranges = ()
    """Values that stand for no measurement."""
    offsets: np.ndarray | None = None
    """H x W, float32: the camera's fixed pattern, without which everything is measured."""

    def measured(self, frame: np.ndarray) -> np.ndarray:
        """A copy of one of the frames in float32, NaN where a measurement is missing."""
        values = frame.astype(np.float32)
        if self.offsets is not None:
            values -= self.offsets
        missing = missing_mask(frame, self.missing)
        if missing is not None:
            values[missing] = np.nan
        return values


@dataclass(frozen=True)
class Calibration:
    """What was measured; None where it cannot be known, with the reason in ``reasons``."""

    sample: Sample
    span: float
    """Median range of the frames, 1st to 99th percentile, counts."""
    step: float
    """What values are rounded to, counts; 0 for float frames."""
    noise: float | None
    noise_error: float
    noise_blocks: int
    noise_changing: float | None
    """Part of the noise that changes from frame to frame; None where no scene stood still."""
    still_blocks: int
    blur: float | None
    blur_error: float
    blur_fit: blurs.BlurFit | None
    edges: Edges | None
    columns: patterns.Pattern | None
    rows: patterns.Pattern | None
    stuck: np.ndarray
    """K x 2: row and column of pixels that do not measure."""
    stuck_certain: bool
    """Whether the scene moved behind them."""
    noise_levels: np.ndarray = field(repr=False)
    """Of each frame alone, counts."""
    reasons: dict[str, str] = field(default_factory=dict)
    """Quantity -> why it is not known."""
    notes: list[str] = field(default_factory=list)
    fixed: FoundPattern | None = None
    """The fixed pattern; all the rest is of frames without it."""


def sample_frames(images: Iterable[np.ndarray], most: int = FRAMES, missing: Ranges = ()) -> Sample:
    """Take evenly spaced frames, and the one after each, out of a source of unknown length.

    Args:
        images: H x W, in recorded order.
        most: how many to take.
        missing: values that stand for no measurement.

    Raises:
        DataError: there is no frame, or frames are too small to measure anything.
    """
    kept: list[np.ndarray] = []
    after: list[np.ndarray | None] = []
    stride = total = other = 0
    for image in images:
        if kept and (image.shape != kept[0].shape or image.dtype != kept[0].dtype):
            other += 1
            continue
        if not kept:
            stride = 1
            if min(image.shape) < _LEAST_SIDE:
                raise DataError(
                    f"frames of {image.shape[1]}x{image.shape[0]} pixels are too small to "
                    f"calibrate; {_LEAST_SIDE} a side are needed"
                )
        if stride > 1 and total % stride == 1:
            after[-1] = image
        if total % stride == 0:
            kept.append(image)
            after.append(None)
            if len(kept) == 2 * most:
                after = after[::2] if stride > 1 else list(kept[1::2])
                kept, stride = kept[::2], 2 * stride
        total += 1
    if not kept:
        raise DataError("there is no frame to calibrate with")
    chosen = np.unique(np.linspace(0, len(kept) - 1, min(most, len(kept))).astype(int))
    followers = [kept[i + 1] if stride == 1 and i + 1 < len(kept) else after[i] for i in chosen]
    return Sample([kept[i] for i in chosen], followers, total, other, missing)


def calibrate(sample: Sample, pattern: FoundPattern | str | None = None) -> Calibration:
    """Measure the camera that delivered these frames.

    Args:
        sample: the frames.
        pattern: what adds to all of them, or why that is not known.
    """
    reasons: dict[str, str] = {}
    fixed = pattern if isinstance(pattern, FoundPattern) else None
    if isinstance(pattern, str):
        reasons["pattern"] = pattern
    if fixed is not None:
        sample = replace(sample, offsets=fixed.offsets)
    notes: list[str] = []
    values = [sample.measured(frame) for frame in sample.frames]
    levels = np.array([estimate_noise(frame) for frame in values])
    rough = float(np.median(levels))
    masks = np.stack([patterns.stands_out(frame, rough) for frame in values])
    step = _step(sample)
    if sample.missing:  # what was declared is no finding
        masks &= np.stack([np.isfinite(frame) for frame in values])
    stuck = patterns.stuck_pixels(masks)
    frozen = patterns.frozen_pixels(values, max(rough, step))
    stuck = np.unique(np.concatenate([stuck, frozen]), axis=0)
    for frame in values:
        frame[stuck[:, 0], stuck[:, 1]] = np.nan
    span = float(np.median([_span(sample, frame) for frame in sample.frames]))
    _note_saturation(values, notes)
    if sample.other_sizes:
        notes.append(f"{sample.other_sizes} frames of another size or type were left out")

    fit = noises.fit_noise(np.concatenate([noises.block_energies(frame) for frame in values]))
    within = rough if fit is None else fit.sigma
    noise, noise_error = _noise(fit, step, reasons)
    if noise is not None and len(values) >= 3 and rough > _UNEVEN * max(noise, 0.3 * step):
        reasons["noise"] = (
            f"{noise:.2g} counts in the quietest frames, but most have {rough:.2g}: the camera's "
            "gain changes, or they are of several cameras"
        )
        noise = None
    changing, still, moved = _changing(sample, stuck, within, step, noise)
    if len(values) < 2:
        reasons["changing noise"] = "one frame does not say what changes"
    elif changing is None:
        why = "no part of the scene stood still from one frame to the next"
        reasons["changing noise"] = why if noise is not None else "the noise itself is not known"

    shape = values[0].shape
    columns, rows = (
        patterns.fit_pattern(
            [patterns.line_curvature(v, axis) for v in values], shape[1 - axis], within, moved
        )
        for axis in (1, 0)
    )
    edges = _edges(values, max(within, 0.29 * step, 1e-4 * span), still_scene=not moved)
    blur_fit = None if edges is None else blurs.fit_blur(edges)
    blur, blur_error = _blur(edges, blur_fit, within, span, reasons)
    return Calibration(
        sample=sample,
        span=span,
        step=step,
        noise=noise,
        noise_error=noise_error,
        noise_blocks=0 if fit is None else fit.blocks,
        noise_changing=changing,
        still_blocks=still,
        blur=blur,
        blur_error=blur_error,
        blur_fit=blur_fit,
        edges=edges,
        columns=columns,
        rows=rows,
        stuck=stuck,
        stuck_certain=moved and len(values) >= 3,
        noise_levels=levels,
        reasons=reasons,
        notes=notes,
        fixed=fixed,
    )


def _span(sample: Sample, frame: np.ndarray) -> float:
    values = sample.measured(frame)
    if not np.isfinite(values).any():
        return 0.0
    low, high = radiometry.measure_range(values, is_integer=frame.dtype != np.float32)
    return high - low


def _step(sample: Sample) -> float:
    """What integer frames are rounded to: cameras deliver 14 bits in steps of 4, for example."""
    frames = sample.frames
    if frames[0].dtype == np.float32:
        return 0.0
    found = np.unique(np.concatenate([np.unique(frame) for frame in frames[:8]]))
    missing = missing_mask(found, sample.missing)
    found = found if missing is None else found[~missing]
    if found.size < 2:
        return 1.0
    return float(np.gcd.reduce(np.diff(found.astype(np.int64))))


def _note_saturation(values: list[np.ndarray], notes: list[str]) -> None:
    known = [frame[np.isfinite(frame)] for frame in values]
    shares = [((v == v.min()) | (v == v.max())).mean() for v in known if v.size]
    if shares and np.median(shares) > _SATURATED:
        notes.append(
            f"{100 * np.median(shares):.0f} % of the pixels are at the limits of their frame: "
            "clipped by the camera, and of no use here"
        )


def _noise(
    fit: noises.NoiseFit | None, step: float, reasons: dict[str, str]
) -> tuple[float | None, float]:
    if fit is None:
        reasons["noise"] = (
            "too few parts of the frames are free of clipped and missing pixels; record more "
            "frames of a scene within the camera's range"
        )
        return None, 0.0
    square = fit.sigma**2 - step**2 / 12.0
    if square < (_LEAST_STEP * step) ** 2 or fit.sigma == 0.0:
        if step == 0.0 and fit.error == 0.0:
            return 0.0, 0.0  # float frames of exactly constant blocks
        most = max(_LEAST_STEP * step, fit.error)
        reasons["noise"] = (
            f"less than {most:.2g} counts, which cannot be told from rounding and the scene"
        )
        return None, 0.0
    sigma = float(square**0.5)
    error = float(np.hypot(fit.error * fit.sigma / sigma, _STEP_ERROR * step))
    if error > _MOST_NOISE_ERROR * sigma:
        reasons["noise"] = (
            f"{sigma:.2g} counts or less: even the quietest parts of the frames have fine "
            "structure; record a flat scene too (a wall, the sky)"
        )
        return None, 0.0
    return sigma, error


def _changing(
    sample: Sample, stuck: np.ndarray, within: float, step: float, noise: float | None
) -> tuple[float | None, int, bool]:
    """Noise that changes, still blocks it rests on, and whether the scene moved."""
    energies, blocks = [], 0
    for frame, follower in zip(sample.frames, sample.followers, strict=True):
        if follower is None or np.array_equal(frame, follower, equal_nan=frame.dtype.kind == "f"):
            continue  # some cameras and drivers repeat frames
        before, after = sample.measured(frame), sample.measured(follower)
        before[stuck[:, 0], stuck[:, 1]] = np.nan
        energies.append(noises.changing_energies(before, after, within))
        blocks += (frame.shape[0] // noises.BLOCK) * (frame.shape[1] // noises.BLOCK)
    still = sum(len(e) for e in energies)
    # Whether the first and the last frame show the same: half of the blocks did not move.
    first, last = sample.measured(sample.frames[0]), sample.measured(sample.frames[-1])
    ends = noises.changing_energies(first, last, within)
    per_frame = np.prod([side // noises.BLOCK for side in sample.frames[0].shape])
    moved = bool(len(sample.frames) > 1 and len(ends) < _STILL_SHARE * per_frame)
    sigma = noises.typical_noise(np.concatenate(energies)) if energies else None
    if sigma is None or noise is None:
        return None, still, moved
    # A difference of two rounded frames has the rounding of both.
    square = max(sigma**2 - step**2 / 12.0, 0.0)
    return float(min(square**0.5, noise)), still, moved


def _edges(values: list[np.ndarray], noise: float, *, still_scene: bool) -> Edges | None:
    found = [find_edges(frame, noise, i) for i, frame in enumerate(values)]
    parts = [edges for edges in found if edges is not None]
    if not parts:
        return None
    if still_scene:
        parts = _new_edges(parts, values[0].shape)
    return join(parts)


def _new_edges(parts: list[Edges], shape: tuple[int, ...]) -> list[Edges]:
    """Without the edges of earlier frames: the same edge again is no second edge."""
    seen, kept = np.zeros(shape, bool), []
    for edges in parts:
        new = edges.take(~seen[edges.row, edges.column])
        kept.append(new)
        for row, column in zip(new.row, new.column, strict=True):
            seen[max(row - 3, 0) : row + 4, max(column - 3, 0) : column + 4] = True
    return kept


def _blur(
    edges: Edges | None,
    fit: blurs.BlurFit | None,
    noise: float,
    span: float,
    reasons: dict[str, str],
) -> tuple[float | None, float]:
    usable = 0 if edges is None else int(blurs.sure_edges(edges).sum())
    if fit is None:
        why = "; the noise is too high" if noise > 0.08 * span else ""
        reasons["blur"] = (
            f"{usable} usable edges, {blurs.LEAST_EDGES} are needed{why}; record a scene with "
            "straight edges between warm and cold, such as a building or a window frame"
        )
        return None, 0.0
    if fit.error > blurs.MOST_ERROR:
        narrow, wide = sorted((fit.likeliest, fit.median))
        reasons["blur"] = (
            f"{usable} edges have a blur of {narrow:.2f} to {wide:.2f} px, too different to say "
            "which are the camera's; record sharp edges, in focus"
        )
        return None, 0.0
    return fit.sigma, fit.error
