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

"""A calibration as a camera profile, as plain numbers, and as lines to read."""

from __future__ import annotations

from typing import Any

import numpy as np

from difiisr_ros.core.camera_profile import CameraProfile
from difiisr_ros.lab.calibration.measure import Calibration
from difiisr_ros.lab.calibration.pattern import Pattern

_MOST_LISTED = 50


def as_profile(found: Calibration, source: str) -> CameraProfile:
    """The camera profile: what is known, and the record of how."""
    return CameraProfile(
        noise=None if found.noise is None else _rounded(found.noise),
        blur=None if found.blur is None else _rounded(found.blur),
        blur_error=None if found.blur is None else _rounded(found.blur_error),
        calibration=as_record(found, source),
    )


def as_record(found: Calibration, source: str) -> dict[str, Any]:
    """Plain numbers, lists and texts: for YAML and JSON."""
    first = found.sample.frames[0]
    record: dict[str, Any] = {
        "data": source,
        "frames": len(found.sample.frames),
        "of_frames": found.sample.total,
        "size": f"{first.shape[1]}x{first.shape[0]}",
        "dtype": str(first.dtype),
        "range": _rounded(found.span),
        "count": _rounded(found.step),
    }
    if found.noise is not None:
        record["noise_error"] = _rounded(found.noise_error)
        record["noise_blocks"] = found.noise_blocks
        if found.span > 0:
            record["noise_percent_of_range"] = _rounded(100 * found.noise / found.span)
    if found.noise_changing is not None:
        record["noise_changing"] = _rounded(found.noise_changing)
        record["noise_changing_blocks"] = found.still_blocks
    fit = found.blur_fit
    if found.blur is not None and fit is not None and found.edges is not None:
        record["edges"] = fit.edges
        record["edge_frames"] = len(np.unique(found.edges.frame))
        record["edge_width_likeliest"] = _rounded(fit.likeliest)
        record["edge_width_median"] = _rounded(fit.median)
    for name, pattern in (("columns", found.columns), ("rows", found.rows)):
        if pattern is not None:
            record[name] = _pattern(pattern)
    if found.fixed is not None:
        record["pattern"] = {
            "size": _rounded(found.fixed.size),
            "frames": found.fixed.frames,
            "expected_left": _rounded(found.fixed.left),
            "from": found.fixed.how,
        }
    record["stuck_pixels"] = len(found.stuck)
    record["stuck_pixels_certain"] = found.stuck_certain
    if len(found.stuck):
        listed = found.stuck[:_MOST_LISTED]
        record["stuck_pixels_at"] = [f"{column},{row}" for row, column in listed.tolist()]
    if found.reasons:
        record["not_known"] = dict(found.reasons)
    if found.notes:
        record["notes"] = list(found.notes)
    return record


def as_lines(found: Calibration, source: str) -> list[str]:
    """What the command prints."""
    sample, first = found.sample, found.sample.frames[0]
    lines = [
        f"frames         {len(sample.frames)} of {sample.total}, {first.shape[1]}x{first.shape[0]} "
        f"{first.dtype}, {source}",
        f"range          {found.span:.4g} counts (median of the frames' 1st to 99th percentile)",
        f"pattern        {_fixed_text(found)}",
        f"noise          {_noise_text(found)}",
        f"blur           {_blur_text(found)}",
        f"columns        {_pattern_text(found.columns, found.span)}",
        f"rows           {_pattern_text(found.rows, found.span)}",
        f"stuck pixels   {_stuck_text(found)}",
    ]
    return lines + [f"note           {note}" for note in found.notes]


def _fixed_text(found: Calibration) -> str:
    fixed = found.fixed
    if fixed is None:
        return f"not known: {found.reasons.get('pattern', 'not asked for')}"
    share = f" ({100 * fixed.size / found.span:.2f} % of the range)" if found.span > 0 else ""
    return (
        f"offsets of {fixed.size:.2g} counts{share} from {fixed.frames} frames of {fixed.how}; "
        f"correcting leaves about {max(100 * fixed.left, 1):.0f} % of its power, and all below is "
        "without it"
    )


def _noise_text(found: Calibration) -> str:
    if found.noise is None:
        return f"not known: {found.reasons['noise']}"
    share = f"{100 * found.noise / found.span:.2f} % of the range, " if found.span > 0 else ""
    text = (
        f"{found.noise:.3g} ± {found.noise_error:.2g} counts ({share}{found.noise_blocks} "
        "quiet blocks); "
    )
    if found.noise_changing is None:
        return text + f"what of it changes is not known: {found.reasons['changing noise']}"
    return text + f"{found.noise_changing:.3g} of it changes from frame to frame"


def _blur_text(found: Calibration) -> str:
    if found.blur is None or found.blur_fit is None or found.edges is None:
        return f"not known: {found.reasons['blur']}"
    frames = len(np.unique(found.edges.frame))
    return (
        f"{found.blur:.2f} ± {found.blur_error:.2f} camera pixels "
        f"({found.blur_fit.edges} edges in {frames} frame{'s' * (frames != 1)})"
    )


def _pattern_text(pattern: Pattern | None, span: float) -> str:
    if pattern is None:
        return "not known: the frames are too small"
    if pattern.sigma == 0:
        return f"no offsets above {pattern.limit:.2g} counts"
    share = f" ({100 * pattern.sigma / span:.2f} % of the range)" if span > 0 else ""
    fixed = "" if pattern.fixed is None else f", {pattern.fixed:.2g} the same in all frames"
    return f"offsets of {pattern.sigma:.2g} ± {pattern.error:.1g} counts{share}{fixed}"


def _stuck_text(found: Calibration) -> str:
    if not len(found.stuck):
        return "none found"
    pixels = found.sample.frames[0].size
    unsure = "; the frames are too few or too much alike to tell them from small targets"
    sure = "" if found.stuck_certain else unsure
    return f"{len(found.stuck)} ({1e6 * len(found.stuck) / pixels:.0f} per million){sure}"


def _pattern(pattern: Pattern) -> dict[str, Any]:
    numbers = {"sigma": _rounded(pattern.sigma), "error": _rounded(pattern.error)}
    if pattern.sigma == 0:
        numbers = {"sigma": 0.0, "less_than": _rounded(pattern.limit)}
    if pattern.fixed is not None:
        numbers["fixed"] = _rounded(pattern.fixed)
    return numbers


def _rounded(value: float) -> float:
    return float(f"{value:.4g}")
