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

"""From the numbers of every frame to means, intervals, differences and verdicts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from difiisr_ros.lab.evaluation.results import (
    BETTER,
    MIXED,
    UNDECIDED,
    WORSE,
    Difference,
    Estimate,
    FrameTable,
    MethodResult,
)
from difiisr_ros.lab.evaluation.scoring import DESCRIBING, INPUT, TRUTH
from difiisr_ros.lab.evaluation.stream_scores import TIME, StreamScores
from difiisr_ros.lab.scores.metric_table import HIGHER, METRICS, ZERO, metric_of
from difiisr_ros.lab.scores.statistics import (
    CONFIDENCE,
    MIN_UNITS,
    RESAMPLES,
    Group,
    bootstrap_means,
    intervals,
    make_group,
)

#: The series whose correlation in time decides how long blocks are: the one that is compared most.
_LEADING = ("psnr", "consistency")
#: Better only together: PSNR alone rewards blur and smoothed noise, SSIM alone contrast.
_AGREEING = ("psnr", "ssim")


@dataclass(frozen=True)
class Aggregate:
    """What can be said about all frames together."""

    frames: FrameTable
    methods: dict[str, MethodResult]
    given: dict[str, Estimate]
    """What the truth, or the input where there is none, has itself: flicker, detail."""
    groups: tuple[Group, ...]
    spectra: dict[str, np.ndarray]
    """Of truth and input."""

    def has(self, metric: str) -> bool:
        """Whether any frame has a value of a metric."""
        return any(np.isfinite(m.values[metric]).any() for m in self.methods.values())

    def notes(self) -> list[str]:
        """What limits the intervals, in sentences."""
        units = sum(group.units for group in self.groups)
        found = []
        if units < MIN_UNITS:
            found.append(
                f"{len(self.frames)} frames are too few for intervals, which need {MIN_UNITS}: "
                "no difference is called better or worse"
            )
        elif any(group.block > 1 for group in self.groups):
            found.append(
                f"consecutive frames are alike: {len(self.frames)} frames count as about "
                f"{sum(group.independent for group in self.groups):.0f} independent ones in the "
                "intervals"
            )
        if any(group.capped for group in self.groups) and units >= MIN_UNITS:
            found.append(
                "values drift over more than a tenth of a recording: intervals may be too narrow "
                "for other scenes than these"
            )
        return found


def aggregate(
    scores: Sequence[StreamScores],
    in_time: Sequence[bool],
    methods: Sequence[str],
    details: dict[str, dict[str, Any]],
    reference: str,
    *,
    count_size: float = 0.0,
    confidence: float = CONFIDENCE,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Aggregate:
    """Put streams together.

    Args:
        scores: Of every stream, with the same columns, at least one frame in all.
        in_time: For every stream, whether its frames are consecutive in time.
        methods: Names, in order.
        details: What each of them is.
        reference: The method that differences are against.
        count_size: What one whole count of the camera is in the unit of radiometric values; 0 for
            cameras without whole counts.
        confidence, resamples, seed: Of the bootstrap.
    """
    columns = scores[0].columns
    values = np.concatenate([s.values() for s in scores])
    table = {column: values[:, i] for i, column in enumerate(columns)}
    bounds = np.cumsum([0, *(len(s) for s in scores)])
    groups = tuple(
        make_group(int(a), int(b), _leading(table, slice(a, b), methods, reference), timely)
        for a, b, timely in zip(bounds, bounds[1:], in_time)
        if b > a
    )
    means, differences = _estimate(table, methods, reference, groups, confidence, resamples, seed)
    verdicts = with_mixed(
        {key: verdict(key[1], found, count_size) for key, found in differences.items()}
    )
    spectra = _mean_spectra(scores)
    given = TRUTH if any(name == TRUTH for name, _ in columns) else INPUT
    return Aggregate(
        FrameTable(
            np.repeat(np.arange(len(scores), dtype=np.int32), np.diff(bounds)),
            np.concatenate([np.asarray(s.index, np.int64) for s in scores]),
            np.concatenate([np.asarray(s.stamp_ns, np.int64) for s in scores]),
            [name for s in scores for name in s.names],
        ),
        {
            name: MethodResult(
                name,
                details[name],
                {m: v for (n, m), v in table.items() if n == name and m != TIME},
                {m: e for (n, m), e in means.items() if n == name},
                {
                    m: Difference(d.mean, d.low, d.high, verdicts[n, m])
                    for (n, m), d in differences.items()
                    if n == name
                },
                table[name, TIME],
                spectra.get(name),
            )
            for name in methods
        },
        {m: e for (n, m), e in means.items() if n == given and m in DESCRIBING},
        groups,
        {name: spectra[name] for name in (TRUTH, INPUT) if name in spectra},
    )


def _leading(
    table: dict[tuple[str, str], np.ndarray], rows: slice, methods: Sequence[str], reference: str
) -> list[np.ndarray]:
    metric = next(m for m in _LEADING if (reference, m) in table)
    series = [table[name, metric][rows] for name in methods]
    return series + [values - table[reference, metric][rows] for values in series]


_Estimates = dict[tuple[str, str], Estimate]
"""By method and metric."""


def _estimate(
    table: dict[tuple[str, str], np.ndarray],
    methods: Sequence[str],
    reference: str,
    groups: Sequence[Group],
    confidence: float,
    resamples: int,
    seed: int,
) -> tuple[_Estimates, _Estimates]:
    """Of all values, and of the differences to the reference method."""
    plain = {key: v for key, v in table.items() if key[1] != TIME}
    paired = {
        (name, metric): _size(metric, values) - _size(metric, table[reference, metric])
        for (name, metric), values in plain.items()
        if name in methods and name != reference
    }
    matrix = np.stack([*plain.values(), *paired.values()], axis=1)
    # Frames without a value are left out; a metric that no frame has (flicker of unrelated
    # pictures) has no mean.
    known = np.isfinite(matrix)
    with np.errstate(invalid="ignore", divide="ignore"):
        means = np.where(known, matrix, 0.0).sum(axis=0) / known.sum(axis=0)
    low, high = intervals(bootstrap_means(matrix, groups, resamples, seed), groups, confidence)
    estimates = [Estimate(*map(float, triple)) for triple in zip(means, low, high)]
    return dict(zip(plain, estimates)), dict(zip(paired, estimates[len(plain) :]))


def _size(metric: str, values: np.ndarray) -> np.ndarray:
    """Values, or magnitudes where 0 is best: -3 counts of bias are no better than 2."""
    return np.abs(values) if METRICS[metric].better == ZERO else values


def verdict(metric: str, difference: Estimate, count_size: float) -> str | None:
    """Better, worse or undecided; None for a metric without a good direction.

    Args:
        metric: Of METRICS or BOX_METRICS.
        difference: To the reference method.
        count_size: As for :func:`aggregate`.
    """
    about = metric_of(metric)
    if about.better is None:
        return None
    if not (difference.low > 0 or difference.high < 0):  # NaN: undecided
        return UNDECIDED
    if abs(difference.mean) < about.negligible * count_size:
        return UNDECIDED
    return BETTER if (difference.low > 0) == (about.better == HIGHER) else WORSE


def with_mixed(verdicts: dict[tuple[str, str], str | None]) -> dict[tuple[str, str], str | None]:
    """Verdicts by method and metric, where PSNR or SSIM is *better* only if both are."""
    found = dict(verdicts)
    for name, _ in verdicts:
        both = [verdicts.get((name, metric)) for metric in _AGREEING]
        if None not in both and both.count(BETTER) == 1:
            found[name, _AGREEING[both.index(BETTER)]] = MIXED
    return found


def _mean_spectra(scores: Sequence[StreamScores]) -> dict[str, np.ndarray]:
    names = dict.fromkeys(name for s in scores for name in s.curves)
    found = {}
    for name in names:
        parts = [s.curves[name] for s in scores if name in s.curves]
        found[name] = np.sum([total for total, _ in parts], axis=0) / sum(n for _, n in parts)
    return found
