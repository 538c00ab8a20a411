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

"""The report's sections of plots: what is drawn of an evaluation, and what is said beside it."""

from __future__ import annotations

import numpy as np

from difiisr_ros.lab.evaluation.results import Evaluation
from difiisr_ros.lab.report.charts import averaged, distribution_chart, histogram_chart, line_chart
from difiisr_ros.lab.report.tags import Html, joined, tag
from difiisr_ros.lab.scores.metric_table import HIGHER, LOWER, ZERO
from difiisr_ros.lab.scores.spectrum import lr_nyquist

#: Metrics by which frames are ranked: the first that was measured.
RANKING = ("psnr", "ssim", "noise_gain", "consistency")


def ranking_metric(evaluation: Evaluation) -> str | None:
    """The first of :data:`RANKING` that the reference has a value of in any frame."""
    values = evaluation.methods[evaluation.reference].values
    known = (key for key in RANKING if key in values and np.isfinite(values[key]).any())
    return next(known, None)


def distributions(evaluation: Evaluation, classes: dict[str, str]) -> Html | None:
    """Every metric's values, and the differences to the reference."""
    pairs = []
    for key in evaluation.metrics:
        metric = evaluation.metric(key)
        unit = f" [{metric.unit}]" if metric.unit else ""
        values = {
            name: (method.values[key], classes[name])
            for name, method in evaluation.methods.items()
            if key in method.values
        }
        # As in the table: where 0 is best, magnitudes are compared.
        size = np.abs if metric.better == ZERO else np.asarray
        base, _ = values.get(evaluation.reference, (None, ""))
        gains = {
            name: (size(own) - size(base), classes[name])
            for name, (own, _) in values.items()
            if name != evaluation.reference and base is not None
        }
        right = {HIGHER: "better", LOWER: "worse", ZERO: "worse"}.get(metric.better or "", "more")
        charts = [
            distribution_chart(f"{metric.title}{unit}", values, digits=metric.digits),
            distribution_chart(
                f"{metric.title}{unit}, difference to {evaluation.reference}",
                gains,
                zero=right,
                digits=metric.digits,
            ),
        ]
        if charts[0]:
            bars = "|" if metric.better == ZERO else ""
            captions = (
                f"{metric.title}{unit}",
                f"{bars}{metric.title}{bars}, difference to {evaluation.reference}{unit}",
            )
            pairs += [
                tag("figure", tag("figcaption", caption), chart)
                for caption, chart in zip(captions, charts)
                if chart
            ]
    if not pairs:
        return None
    hint = (
        "Every point is a frame (thinned out evenly where there are many); the box is the middle "
        "half of the frames with their median, the line 5 to 95 %. Left the metric, right each "
        f"frame's difference to {evaluation.reference}."
    )
    return joined(tag("p", hint, class_="hint"), tag("div", pairs, class_="grid2"))


def over_time(evaluation: Evaluation, classes: dict[str, str]) -> Html | None:
    """The differences frame by frame."""
    metric = ranking_metric(evaluation)
    others = [name for name in evaluation.methods if name != evaluation.reference]
    if metric is None or not others or len(evaluation.frames) < 8:
        return None
    about = evaluation.metric(metric)
    curves: dict[str, tuple[np.ndarray, str]] = {}
    x = np.empty(0)
    for name in others:
        x, means = averaged(evaluation.gains(metric, name))
        curves[name] = means, classes[name]
    starts = np.flatnonzero(np.diff(evaluation.frames.source)) + 1
    marks = {" " * i: float(start) for i, start in enumerate(starts, 1)}
    unit = f" [{about.unit}]" if about.unit else ""
    chart = line_chart(
        f"{about.title}, difference to {evaluation.reference}, over the frames",
        x,
        curves,
        "frame" + (" (vertical lines: next source)" if marks else ""),
        f"{about.title} − {evaluation.reference}{unit}",
        marks,
        zero=True,
        height=260,
    )
    return tag("figure", chart)


def spectrum(evaluation: Evaluation, classes: dict[str, str]) -> Html | None:
    """Radially averaged spectra."""
    curves: dict[str, tuple[np.ndarray, str]] = {}
    if evaluation.truth_spectrum is not None:
        curves["truth"] = evaluation.truth_spectrum, "truth"
    if evaluation.input_spectrum is not None:
        curves["camera"] = evaluation.input_spectrum, "input"
    for name, method in evaluation.methods.items():
        if method.spectrum is not None:
            curves[name] = method.spectrum, classes[name]
    if not curves:
        return None
    # At x1 the camera's Nyquist frequency is the chart's right border.
    finer = evaluation.scale > 1
    marks = {"Nyquist frequency of the camera": lr_nyquist(evaluation.scale)} if finer else {}
    chart = line_chart(
        "Radially averaged spectrum",
        evaluation.frequencies,
        curves,
        "cycles per pixel of the super-resolved frame",
        "log amplitude [dB]",
        marks,
    )
    hint = "Mean over the frames of the radially averaged log amplitude. " + (
        "What the camera cannot resolve lies to the right of its Nyquist frequency: below the "
        "truth there detail is missing, above it there is more texture than the scene has."
        if finer
        else "All of it is what the camera's pixels can hold."
    )
    return joined(tag("p", hint, class_="hint"), tag("figure", chart))


def times(evaluation: Evaluation, classes: dict[str, str]) -> Html | None:
    """Histogram of the time per frame."""
    rows = {name: (m.times_ms, classes[name]) for name, m in evaluation.methods.items()}
    chart = histogram_chart("Time per frame", rows)
    return tag("figure", chart) if chart else None
