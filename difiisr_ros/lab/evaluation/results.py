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

"""What an evaluation finds: per-frame values, means with intervals, differences, spectra.

Numbers only, without the pictures: :attr:`Evaluation.frame` makes those of one frame again when a
report asks for them, so that memory does not grow with the length of a bag. A table, JSON, CSV and
the HTML report all read this one structure.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from difiisr_ros.core.scale import SCALE
from difiisr_ros.lab.frames.streams import NO_REFERENCE
from difiisr_ros.lab.scores.metric_table import BOX_METRICS, Metric, metric_of

if TYPE_CHECKING:
    from difiisr_ros.models.detector.boxes import Detections

#: Verdicts of a difference to the reference method. A difference whose confidence interval holds 0,
#: or that rests on too few frames for an interval, is undecided.
BETTER, WORSE, UNDECIDED = "better", "worse", "undecided"
#: PSNR or SSIM is better and the other one is not: noise that was blurred away, or detail that is
#: not where it belongs. Neither number alone stands for quality.
MIXED = "mixed"


def degradation(settings: Mapping[str, Any]) -> str:
    """How LR frames were made, in words, from the settings of an evaluation."""
    noise = settings.get("noise_percent")
    name = str(settings["degradation"])
    return name if noise is None else f"{name}, {noise:g} % noise"


@dataclass(frozen=True)
class Estimate:
    """A mean over frames with its confidence interval."""

    mean: float
    low: float
    high: float
    """Ends of the bootstrap interval; NaN where there are too few frames for one."""

    @property
    def interval(self) -> list[float] | None:
        """``[low, high]``, or None where there is none."""
        return None if np.isnan(self.low) else [self.low, self.high]


@dataclass(frozen=True)
class Difference(Estimate):
    """Mean per-frame difference to the reference method, method minus reference; of magnitudes
    where 0 is best (bias)."""

    verdict: str | None
    """:data:`BETTER`, :data:`WORSE`, :data:`UNDECIDED`, :data:`MIXED`; None for a metric without a
    good direction."""


@dataclass(frozen=True)
class FrameTable:
    """The frames that were scored, in order; parallel columns."""

    source: np.ndarray
    """Number of the frame's source in :attr:`Evaluation.sources`; int32, (frames,)."""
    index: np.ndarray
    """Number of the frame within its source; int64, (frames,)."""
    stamp_ns: np.ndarray
    """Header stamp (log time where that is 0), ns; -1 for a file; int64, (frames,)."""
    names: Sequence[str]
    """File name, or topic and number."""

    def __len__(self) -> int:
        return len(self.index)


@dataclass(frozen=True)
class Source:
    """One camera of one bag, or one folder."""

    label: str
    """Path, and topic where there is one: what a table calls it."""
    path: str
    topic: str | None
    frames: int
    """How many were scored."""
    lr_size: str
    """Width x height of the frames that were upscaled."""
    dtype: str
    notices: tuple[str, ...] = ()
    """What was left out or could not be read, in sentences."""


@dataclass(frozen=True)
class MethodResult:
    """How one method did."""

    name: str
    details: dict[str, Any]
    """What it is: resampling kernel, number of steps, model file, backend ..."""
    values: dict[str, np.ndarray]
    """Metric -> value of each frame, float64 (frames,); NaN where it could not be measured (flicker
    of the first frame). Metrics of the whole run (``time_ms_p50``) are not here."""
    means: dict[str, Estimate]
    """Metric -> mean over the frames that have it."""
    differences: dict[str, Difference]
    """Metric -> difference to the reference method; empty for that method itself."""
    times_ms: np.ndarray
    """Milliseconds that each frame took, float64 (frames,); NaN where unknown."""
    spectrum: np.ndarray | None
    """Radially averaged log amplitude in dB at :attr:`Evaluation.frequencies`, mean over frames;
    None where no frame is large enough."""

    def times(self) -> dict[str, float]:
        """Median and 99th percentile of the time per frame, ms; empty where unknown."""
        known = self.times_ms[np.isfinite(self.times_ms)]
        if not known.size:
            return {}
        return {
            "time_ms_p50": float(np.percentile(known, 50)),
            "time_ms_p99": float(np.percentile(known, 99)),
        }


@dataclass(frozen=True)
class BoxScores:
    """True boxes of the frames, and what a detector found in truth and results."""

    detector: str
    classes: tuple[str, ...]
    """Names of the labels."""
    averaged: tuple[str, ...]
    """The classes that the means go over."""
    true: dict[int, tuple[np.ndarray, np.ndarray]]
    """Row -> boxes (n x 4: left, top, right, bottom, HR pixels) and labels (n)."""
    found: dict[str, dict[int, Detections]]
    """Method, or ``truth`` -> row -> what was found, in HR pixels at every scale."""


@dataclass(frozen=True)
class FramePictures:
    """The pictures of one frame, all in the camera's dtype."""

    name: str
    lr: np.ndarray
    """H x W: what was upscaled."""
    hr: np.ndarray | None
    """sH x sW: the truth, where it is known."""
    methods: dict[str, np.ndarray]
    """Method name -> sH x sW."""


@dataclass(frozen=True)
class Evaluation:
    """Everything that a report needs."""

    mode: str
    """Of the streams: ``self_referenced``, ``paired`` or ``no_reference``."""
    frames: FrameTable
    sources: tuple[Source, ...]
    methods: dict[str, MethodResult]
    """In the order to show them in."""
    reference: str
    """The method that differences are against."""
    metrics: tuple[str, ...]
    """Keys of :data:`METRICS` that were measured, in the order to show them in."""
    given: dict[str, Estimate]
    """What the truth, or the input where there is none, has itself: flicker, detail, blur."""
    missing: dict[str, str]
    """Metric that was asked for -> why it could not be measured."""
    unit: str
    """What radiometric values are in: ``counts`` or ``K``."""
    settings: dict[str, Any]
    """How frames, truth and metrics came about, for the record."""
    versions: dict[str, str]
    """Software, model and hardware."""
    notes: tuple[str, ...]
    """Sentences that a reader of the numbers has to know: damaged bags, frames left out, too few
    frames, shared processors."""
    command: str
    """Command line that does this again."""
    frequencies: np.ndarray = field(default_factory=lambda: np.empty(0))
    """Cycles per pixel of a result, (bins,)."""
    truth_spectrum: np.ndarray | None = None
    """As :attr:`MethodResult.spectrum`, of the truth; None without a truth."""
    input_spectrum: np.ndarray | None = None
    """Of the LR frames, on the same axis: NaN above the LR Nyquist frequency."""
    frame: Callable[[int], FramePictures] | None = None
    """Makes the pictures of a frame (a row of :attr:`frames`) by reading and upscaling it again;
    None where that is not possible. Raises DataError where the file has gone."""
    boxes: BoxScores | None = None
    """What a detector found, where the frames' boxes were given."""
    scale: int = SCALE
    """How many times larger results are than frames: s."""

    def metric(self, key: str) -> Metric:
        """Title, unit, digits and direction of a metric."""
        return metric_of(key).in_unit(self.unit)

    @property
    def all_metrics(self) -> tuple[str, ...]:
        """:attr:`metrics`, and what a detector saw, which only all frames together have."""
        return self.metrics if self.boxes is None else (*self.metrics, *BOX_METRICS)

    def gains(self, metric: str, method: str) -> np.ndarray:
        """Per-frame difference of a method to the reference, method minus reference, (frames,)."""
        return self.methods[method].values[metric] - self.methods[self.reference].values[metric]

    def as_json(self) -> dict[str, Any]:
        """The numbers for programs: means flat by method, intervals and differences beside them.

        ``{"frames": n, "methods": {"bicubic": {"psnr": ...}, ...}, "settings": {...}, ...}``.
        Values that are not known are left out, so that every number in it is finite.
        """
        return {
            "frames": len(self.frames),
            "mode": self.mode,
            "scale": self.scale,
            "methods": {
                name: {key: e.mean for key, e in m.means.items() if np.isfinite(e.mean)} | m.times()
                for name, m in self.methods.items()
            },
            "intervals": {
                name: {key: e.interval for key, e in m.means.items() if e.interval}
                for name, m in self.methods.items()
            },
            "differences": {
                name: {
                    key: {"mean": d.mean, "interval": d.interval, "verdict": d.verdict}
                    for key, d in m.differences.items()
                    if np.isfinite(d.mean)
                }
                for name, m in self.methods.items()
                if name != self.reference
            },
            "input" if self.mode == NO_REFERENCE else "truth": {
                key: e.mean for key, e in self.given.items() if np.isfinite(e.mean)
            },
            "reference": self.reference,
            "unit": self.unit,
            "missing": self.missing,
            "sources": [vars(s) | {"notices": list(s.notices)} for s in self.sources],
            "spectrum": self._spectrum_as_json(),
            "settings": self.settings,
            "versions": self.versions,
            "notes": list(self.notes),
            "command": self.command,
        }

    def _spectrum_as_json(self) -> dict[str, Any]:
        curves = {name: m.spectrum for name, m in self.methods.items()}
        curves |= {"truth": self.truth_spectrum, "input": self.input_spectrum}
        known = {name: c for name, c in curves.items() if c is not None}
        return {
            "cycles_per_pixel": [round(float(f), 6) for f in self.frequencies] if known else [],
            "decibel": {
                name: [None if np.isnan(v) else round(float(v), 3) for v in curve]
                for name, curve in known.items()
            },
        }
