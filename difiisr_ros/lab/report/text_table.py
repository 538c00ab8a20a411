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

"""An evaluation as text for a terminal: means of all methods, differences to the reference."""

from __future__ import annotations

import math

from difiisr_ros.lab.evaluation.methods import BICUBIC_PILLOW, LANCZOS
from difiisr_ros.lab.evaluation.results import Difference, Evaluation, degradation
from difiisr_ros.lab.frames.streams import NO_REFERENCE, PAIRED
from difiisr_ros.lab.report.scale_words import reference_words, scale_words

_TIMES = {"time_ms_p50": "time p50 [ms]", "time_ms_p99": "time p99 [ms]"}
#: Methods that are shown beside the others, but not compared with the reference line by line.
_KERNELS = (BICUBIC_PILLOW, LANCZOS)


def text_report(evaluation: Evaluation) -> str:
    """Everything that a terminal shows of an evaluation."""
    parts = [_headline(evaluation), _means(evaluation)]
    parts += [
        _differences(evaluation, name)
        for name in evaluation.methods
        if name != evaluation.reference and name not in _KERNELS
    ]
    parts.append(_remarks(evaluation))
    return "\n\n".join(part for part in parts if part)


def _headline(evaluation: Evaluation) -> str:
    settings = evaluation.settings
    how = {
        NO_REFERENCE: "no reference",
        PAIRED: "paired with their truth",
    }.get(evaluation.mode, f"degraded x4 ({degradation(settings)}), themselves the truth")
    sources = evaluation.sources
    what = sources[0].label if len(sources) == 1 else f"{len(sources)} sources"
    lines = [f"{what}: {len(evaluation.frames)} frames, {how}{scale_words(evaluation)}"]
    if len(sources) > 1:
        lines += [f"  {s.label}: {s.frames} frames, {s.lr_size} in" for s in sources]
    engine = settings["engine"]
    lines.append(
        f"{settings['dtype']}, {', '.join(settings['lr_sizes'])} in; model {engine['model']} on "
        f"{engine['backend']} {engine['device']} {engine['precision']}"
        + (f"; camera: {engine['camera']}" if "camera" in engine else "")
    )
    return "\n".join(lines)


def _means(evaluation: Evaluation) -> str:
    given = "input" if evaluation.mode == NO_REFERENCE else "truth"
    rows = [["", "best", *evaluation.methods, *([given] if evaluation.given else [])]]
    for key in evaluation.all_metrics:
        metric = evaluation.metric(key)
        best = {"higher": "highest", "lower": "lowest", "zero": "0"}.get(metric.better or "", "")
        row = [_title(evaluation, key), best]
        row += [_number(m.means[key].mean, metric.digits) for m in evaluation.methods.values()]
        if evaluation.given:
            own = evaluation.given.get(key)
            row.append(_number(own.mean, metric.digits) if own else "")
        rows.append(row)
    times = [m.times() for m in evaluation.methods.values()]
    for key, title in _TIMES.items():
        row = [title, "lowest", *(_number(t.get(key, math.nan), 1) for t in times)]
        rows.append(row + [""] * bool(evaluation.given))
    return _aligned(rows, left=2)


def _differences(evaluation: Evaluation, name: str) -> str:
    method = evaluation.methods[name]
    confidence = evaluation.settings["statistics"]["confidence"]
    rows = []
    for key, difference in method.differences.items():
        if math.isnan(difference.mean):
            continue
        digits = evaluation.metric(key).digits
        rows.append(
            [
                _title(evaluation, key, difference=True),
                _signed(difference.mean, digits),
                _interval(difference, digits),
                difference.verdict or "",
            ]
        )
    if not rows:
        return ""
    head = (
        f"{name} against {reference_words(evaluation)}: mean difference per frame "
        f"[{100 * confidence:g} % interval]"
    )
    return head + "\n" + _aligned(rows, left=1, last_left=True)


def _remarks(evaluation: Evaluation) -> str:
    lines = [
        f"not measured: {evaluation.metric(key).title}: {reason}"
        for key, reason in evaluation.missing.items()
    ]
    lines += [f"note: {note}" for note in evaluation.notes]
    return "\n".join(lines)


def _title(evaluation: Evaluation, key: str, difference: bool = False) -> str:
    metric = evaluation.metric(key)
    # Differences are of magnitudes where 0 is best.
    title = f"|{metric.title}|" if difference and metric.better == "zero" else metric.title
    return f"{title} [{metric.unit}]" if metric.unit else title


def _number(value: float, digits: int) -> str:
    return "-" if math.isnan(value) else f"{round(value, digits) + 0.0:.{digits}f}"


def _signed(value: float, digits: int) -> str:
    return f"{round(value, digits) + 0.0:+.{digits}f}"  # + 0.0: no -0.00


def _interval(difference: Difference, digits: int) -> str:
    if difference.interval is None:
        return "[-]"
    low, high = (_signed(value, digits) for value in difference.interval)
    return f"[{low}, {high}]"


def _aligned(rows: list[list[str]], left: int, last_left: bool = False) -> str:
    """Columns as wide as their widest cell: the first ``left`` to the left, others to the right."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = []
    for row in rows:
        cells = [
            cell.ljust(width)
            if i < left or (last_left and i == len(row) - 1)
            else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths))
        ]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)
