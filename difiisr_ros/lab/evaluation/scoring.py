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

"""Scores the results of all methods on one frame after the other of a stream."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np

from difiisr_ros.core.scale import SCALE
from difiisr_ros.errors import OptionError
from difiisr_ros.lab.evaluation.methods import bicubic_upscale
from difiisr_ros.lab.frames.streams import Sample, has_truth
from difiisr_ros.lab.scores import feature_distance, metrics, perceptual
from difiisr_ros.lab.scores.hot_spots import HEAT, HotSpots
from difiisr_ros.lab.scores.metric_table import COUNTS, METRICS
from difiisr_ros.lab.scores.native_measures import NATIVE, NativeMeasures
from difiisr_ros.lab.scores.spectrum import (
    MIN_SIDE,
    Curve,
    detail_level,
    distance,
    on_common_frequencies,
    radial_log_amplitude,
)
from difiisr_ros.lab.scores.temporal import WakeWatch, enlarge, flicker, still_mask, wake

TRUTH, INPUT = "truth", "input"
"""What the given frames are called beside the methods."""
#: Metrics that compare with the frames before.
IN_TIME = ("flicker", "wake")
#: Metrics that need no result to compare, so that the given frames have them too.
DESCRIBING = ("flicker", "detail", "blur")
#: Metrics of what a result has and a camera's frame cannot have; at x1 there is no such thing.
_FINER_THAN_CAMERA = ("spectrum_distance", "detail", "noise_above_nyquist", "lattice")


@dataclass(frozen=True)
class ScoreOptions:
    """What is measured, and how; plain data, so that it can be sent to another process."""

    metrics: tuple[str, ...]
    """Keys of METRICS; those that cannot be measured are not in it."""
    value_range: float | None = None
    """Data range of 16-bit and float frames; None: each truth's max - min."""
    kelvin_per_count: float | None = None
    """Makes radiometric values kelvin."""
    still_threshold: float | None = None
    """Largest change of the mean of 5x5 pixels that stand still, in the frames' units; None: 1 %
    of the range."""
    scale: int = SCALE
    """How many times larger results are than frames."""


@dataclass
class FrameScore:
    """The numbers of one frame."""

    values: dict[str, dict[str, float]] = field(default_factory=dict)
    """Method (or :data:`TRUTH` or :data:`INPUT`) -> metric -> value."""
    curves: dict[str, np.ndarray] = field(default_factory=dict)
    """The same -> spectrum in dB at COMMON_FREQUENCIES."""


def choose_metrics(
    mode: str, in_time: bool, extra: Sequence[str] = (), scale: int = SCALE
) -> tuple[tuple[str, ...], dict[str, str]]:
    """What to measure in a mode.

    Args:
        mode: ``self_referenced``, ``paired`` or ``no_reference``.
        in_time: Whether frames are consecutive in time in any stream.
        extra: Optional metrics to add; ``all`` adds every one, ``features`` those that look through
            other people's networks.
        scale: Of the results.

    Returns:
        Metrics in the table's order, and those asked for that cannot be measured, with the reason.

    Raises:
        OptionError: An unknown metric.
    """
    groups = ("all", feature_distance.GROUP)
    for name in extra:
        if name not in groups and name not in METRICS:
            accepted = ", ".join((*groups, *METRICS))
            raise OptionError(f"unknown metric {name!r}; accepted: {accepted}")
    if feature_distance.GROUP in extra:
        extra = [*extra, *feature_distance.NETWORKS]
    wanted = set(METRICS) if "all" in extra else set(extra)
    wanted |= {key for key, metric in METRICS.items() if not metric.optional}
    if not has_truth(mode):
        wanted |= {"blur", *NATIVE}
    chosen, missing = [], {}
    for key, metric in METRICS.items():
        if key in wanted:
            reason = _why_not(key, mode, in_time, scale)
            if reason is None:
                chosen.append(key)
            elif key in extra or has_truth(mode) or not metric.needs_truth:
                missing[key] = reason
        elif has_truth(mode) and metric.needs_truth and key not in feature_distance.NETWORKS:
            asked = f"slow, so only when asked for (--metrics {key})"
            missing[key] = perceptual.why_not_installed(key) or asked
    return tuple(chosen), missing


def _why_not(key: str, mode: str, in_time: bool, scale: int) -> str | None:
    if METRICS[key].needs_truth and not has_truth(mode):
        return "needs a truth"
    if key in _FINER_THAN_CAMERA and scale == 1:
        return "is of what is finer than the camera's pixels; results at x1 have nothing of that"
    if key in IN_TIME and not in_time:
        return "needs consecutive frames: a bag, or a folder with --sequence"
    if key == "gmsd" and not metrics.has_opencv_quality():
        return "needs OpenCV with its contrib modules: pip install opencv-contrib-python-headless"
    if key in ("ms_ssim", "lpips"):
        return perceptual.why_missing(key)
    if key in feature_distance.NETWORKS:
        return feature_distance.why_missing(key)
    return None


class FrameScorer:
    """Scores the frames of one stream, in order: flicker compares with the frame before.

    Holds two frames' results and a few small frames at any time. Use as a context manager.
    """

    def __init__(self, options: ScoreOptions) -> None:
        self._options = options
        self._wanted = frozenset(options.metrics)
        self._before: tuple[Sample, dict[str, np.ndarray]] | None = None
        self._watch = WakeWatch(options.still_threshold)
        # The libraries release the interpreter: SSIM alone takes as long as all the rest.
        self._threads = ThreadPoolExecutor(2, thread_name_prefix="score")

    def __enter__(self) -> FrameScorer:
        return self

    def __exit__(self, *_exc: object) -> None:
        self._threads.shutdown()

    def look(self, sample: Sample) -> None:
        """Take a frame as one of those before, without results."""
        if "wake" in self._wanted:
            self._watch.look(sample.lr)

    def remember(self, sample: Sample, results: dict[str, np.ndarray]) -> None:
        """Take a frame as the one before, without scoring it."""
        self.look(sample)
        self._before = sample, results

    def score(self, sample: Sample, results: dict[str, np.ndarray]) -> FrameScore:
        """Score a frame.

        Args:
            sample: The frame.
            results: Method -> sH x sW of the frame's dtype, as its truth where it has one.
        """
        found = FrameScore({name: {} for name in (*results, _given(sample))})
        peak = self._peak(sample)
        slow = self._threads.submit(self._structure, sample, results, peak, found)
        self._radiometry(sample, results, peak, found)
        self._spectra(sample, results, peak, found)
        self._flicker(sample, results, found)
        self._wake(sample, results, found)
        slow.result()
        self._before = sample, results
        if self._options.kelvin_per_count is not None:
            for values in found.values.values():
                for key in values:
                    if METRICS[key].unit == COUNTS:
                        values[key] *= self._options.kelvin_per_count
        return found

    def _peak(self, sample: Sample) -> float:
        known = sample.lr if sample.hr is None else sample.hr
        if self._options.value_range is not None and known.dtype != np.uint8:
            return self._options.value_range
        return metrics.data_range(known)

    def _structure(
        self, sample: Sample, results: dict[str, np.ndarray], peak: float, found: FrameScore
    ) -> None:
        wanted, hr = self._wanted, sample.hr
        if "blur" in wanted:
            given = sample.lr if hr is None else hr
            for name, sr in (*results.items(), (_given(sample), given)):
                found.values[name]["blur"] = metrics.blur_effect(sr)
        if wanted.intersection(NATIVE):
            scale = self._options.scale
            native = NativeMeasures(sample.lr, bicubic_upscale(sample.lr, scale), scale)
            for name, sr in results.items():
                measured = native.measure(sr)
                found.values[name] |= {k: v for k, v in measured.items() if k in wanted}
        if wanted.intersection(HEAT):
            spots = HotSpots(sample.lr, self._options.scale)
            for name, sr in results.items():
                measured = spots.measure(sr)
                found.values[name] |= {k: v for k, v in measured.items() if k in wanted}
        if hr is None:
            return
        if "ssim" in wanted:
            ssim = metrics.Ssim(hr, peak)
            for name, sr in results.items():
                found.values[name]["ssim"] = ssim(sr)
        for key in ("ms_ssim", "lpips"):
            if key in wanted:
                for name, sr in results.items():
                    found.values[name][key] = perceptual.measure(key, hr, sr, peak)
        for key in wanted.intersection(feature_distance.NETWORKS):
            of_truth = feature_distance.FeatureDistance(key, hr, peak)
            for name, sr in results.items():
                found.values[name][key] = of_truth(sr)

    def _radiometry(
        self, sample: Sample, results: dict[str, np.ndarray], peak: float, found: FrameScore
    ) -> None:
        wanted, hr = self._wanted, sample.hr
        gmsd = metrics.Gmsd(hr, peak) if hr is not None and "gmsd" in wanted else None
        for name, sr in results.items():
            measured = {}
            error, bias = metrics.downsampling_error(sample.lr, sr, self._options.scale)
            measured["consistency"], measured["consistency_bias"] = error, bias
            if hr is not None:
                measured["psnr"] = metrics.psnr(hr, sr, peak)
                measured["mae"], measured["bias"] = metrics.radiometric_error(hr, sr)
            if gmsd is not None:
                measured["gmsd"] = gmsd(sr)
            found.values[name] |= {k: v for k, v in measured.items() if k in wanted}

    def _spectra(
        self, sample: Sample, results: dict[str, np.ndarray], peak: float, found: FrameScore
    ) -> None:
        scale = self._options.scale
        if min(sample.lr.shape) * scale < MIN_SIDE:
            return
        truth: Curve | None = None
        if sample.hr is not None:
            truth = radial_log_amplitude(sample.hr, peak)
            found.curves[TRUTH] = on_common_frequencies(truth)
            if "detail" in self._wanted:
                found.values[TRUTH]["detail"] = detail_level(truth, scale)
        if min(sample.lr.shape) >= MIN_SIDE:
            input_curve = radial_log_amplitude(sample.lr, peak)
            found.curves[INPUT] = on_common_frequencies(input_curve, scale)
        for name, sr in results.items():
            curve = radial_log_amplitude(sr, peak)
            found.curves[name] = on_common_frequencies(curve)
            if "detail" in self._wanted:
                found.values[name]["detail"] = detail_level(curve, scale)
            if truth is not None and "spectrum_distance" in self._wanted:
                found.values[name]["spectrum_distance"] = distance(truth, curve, scale)

    def _flicker(self, sample: Sample, results: dict[str, np.ndarray], found: FrameScore) -> None:
        if "flicker" not in self._wanted or self._before is None:
            return
        before, results_before = self._before
        if before.lr.shape != sample.lr.shape:
            return
        still = still_mask(sample.lr, before.lr, self._options.still_threshold)
        if sample.hr is None or before.hr is None:
            found.values[INPUT]["flicker"] = flicker(sample.lr, before.lr, still)
        still = enlarge(still, self._options.scale)
        if sample.hr is not None and before.hr is not None:
            found.values[TRUTH]["flicker"] = flicker(sample.hr, before.hr, still)
        for name, sr in results.items():
            found.values[name]["flicker"] = flicker(sr, results_before[name], still)

    def _wake(self, sample: Sample, results: dict[str, np.ndarray], found: FrameScore) -> None:
        if "wake" not in self._wanted or sample.hr is None:
            return
        where = enlarge(self._watch.look(sample.lr), self._options.scale)
        for name, sr in results.items():
            found.values[name]["wake"] = wake(sr, sample.hr, where, self._options.scale)


def _given(sample: Sample) -> str:
    return INPUT if sample.hr is None else TRUTH
