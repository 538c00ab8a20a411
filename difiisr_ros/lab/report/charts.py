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

"""The report's plots as inline SVG: distributions, curves, histograms.

Colours, fonts and the dark scheme come from the page's style sheet; a method has the same colour
and dash pattern everywhere. Every plot has a title and its numbers in words for screen readers.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from difiisr_ros.lab.report.axes import Axis, LogAxis, short
from difiisr_ros.lab.report.tags import Html, joined, tag

WIDTH = 540
_LEFT, _RIGHT = 128, 14  # room for names, and for the last tick's label
_ROW = 30
#: More points than this are thinned out evenly: a reader sees the shape, and the file stays small.
MAX_POINTS = 250
MAX_SAMPLES = 600


def distribution_chart(
    title: str, rows: Mapping[str, tuple[np.ndarray, str]], zero: str | None = None, digits: int = 2
) -> Html:
    """One row a method: every frame a point, a box from quartile to quartile, 5 to 95 % as line.

    Args:
        title: With the unit.
        rows: Method -> values (frames,) and its class in the style sheet. NaN is left out.
        zero: What lies to the right of 0, for differences; None: no line at 0.
        digits: Decimals in the description.
    """
    known = {n: (v[np.isfinite(v)], c) for n, (v, c) in rows.items()}
    known = {n: (v, c) for n, (v, c) in known.items() if v.size}
    if not known:
        return Html("")
    everything = np.concatenate([v for v, _ in known.values()])
    low, high = float(everything.min()), float(everything.max())
    if zero is not None:
        low, high = min(low, 0.0), max(high, 0.0)
    axis = Axis(low, high, _LEFT, WIDTH - _RIGHT)
    height = 26 + _ROW * len(known) + 24
    parts = [_grid(axis, 22, height - 22)]
    if zero is not None:
        x = axis.at(0.0)
        parts.append(tag("line", x1=x, x2=x, y1=18, y2=height - 22, class_="zero"))
        parts.append(tag("text", f"{zero} →", x=min(x + 5, WIDTH - 50), y=14, class_="note"))
    said = []
    for number, (name, (values, class_)) in enumerate(known.items()):
        y = 26 + _ROW * number + _ROW / 2
        p5, p25, p50, p75, p95 = np.percentile(values, (5, 25, 50, 75, 95))
        dots = "".join(
            f"M{axis.at(v):.1f} {y + 6 + 5 * _jitter(i):.1f}h0"
            for i, v in enumerate(_thinned(values, MAX_POINTS))
        )
        parts.append(
            tag(
                "g",
                _label(name, y - 2),
                tag("path", d=dots, class_="dots"),
                tag("line", x1=axis.at(p5), x2=axis.at(p95), y1=y - 6, y2=y - 6, class_="whisker"),
                tag(
                    "rect",
                    x=axis.at(p25),
                    width=max(axis.at(p75) - axis.at(p25), 1.0),
                    y=y - 11,
                    height=10,
                    rx=2,
                    class_="box",
                ),
                tag("line", x1=axis.at(p50), x2=axis.at(p50), y1=y - 13, y2=y + 1, class_="median"),
                class_=class_,
            )
        )
        said.append(
            f"{name}: median {p50:.{digits}f}, 5 to 95 %: {p5:.{digits}f} to {p95:.{digits}f}"
        )
    return _figure(title, "; ".join(said), height, parts)


def line_chart(
    title: str,
    x: np.ndarray,
    curves: Mapping[str, tuple[np.ndarray, str]],
    x_title: str,
    y_title: str,
    marks: Mapping[str, float] | None = None,
    zero: bool = False,
    height: int = 330,
    width: int = 860,
) -> Html:
    """Curves over a common axis, with a legend.

    Args:
        title: Of the plot.
        x: (points,).
        curves: Name -> values (points,), and its class. NaN is a gap.
        x_title, y_title: With units.
        marks: Label -> x, drawn as vertical lines.
        zero: Draw a line at 0.
        height, width: In SVG units.
    """
    finite = [v[np.isfinite(v)] for v, _ in curves.values()]
    everything = np.concatenate([v for v in finite if v.size] or [np.zeros(1)])
    low, high = float(everything.min()), float(everything.max())
    horizontal = Axis(float(x.min()), float(x.max()), 58, width - 16, tight=True)
    vertical = Axis(
        min(low, 0.0) if zero else low, max(high, 0.0) if zero else high, height - 44, 14
    )
    parts = [_grid(horizontal, 14, height - 44), _grid_rows(vertical, 58, width - 16)]
    if zero:
        y = vertical.at(0.0)
        parts.append(tag("line", x1=58, x2=width - 16, y1=y, y2=y, class_="zero"))
    for label, value in (marks or {}).items():
        at = horizontal.at(value)
        parts.append(tag("line", x1=at, x2=at, y1=14, y2=height - 44, class_="mark"))
        if label:
            parts.append(tag("text", label, x=at + 5, y=26, class_="note"))
    for values, class_ in curves.values():
        parts.append(
            tag(
                "g",
                tag("path", d=_path(x, values, horizontal, vertical), class_="curve"),
                class_=class_,
            )
        )
    parts += [
        tag(
            "text",
            x_title,
            x=(58 + width - 16) / 2,
            y=height - 6,
            class_="axis",
            text_anchor="middle",
        ),
        tag(
            "text",
            y_title,
            transform=f"translate(13 {(height - 30) / 2}) rotate(-90)",
            class_="axis",
            text_anchor="middle",
        ),
    ]
    said = "; ".join(
        f"{name}: from {v[0]:.2f} to {v[-1]:.2f}" for name, v in zip(curves, finite) if v.size
    )
    legend = tag("ul", [_legend_entry(n, c) for n, (_, c) in curves.items()], class_="legend")
    return joined(legend, _figure(title, said, height, parts, width))


def histogram_chart(title: str, rows: Mapping[str, tuple[np.ndarray, str]]) -> Html:
    """One row a method: how many frames took how long, on a common logarithmic axis.

    Args:
        title: Of the plot.
        rows: Method -> milliseconds (frames,) and its class. NaN is left out.
    """
    known = {n: (v[np.isfinite(v) & (v > 0)], c) for n, (v, c) in rows.items()}
    known = {n: (v, c) for n, (v, c) in known.items() if v.size}
    if not known:
        return Html("")
    width, right, row = 860, 190, 44
    everything = np.log10(np.concatenate([v for v, _ in known.values()]))
    axis = LogAxis(float(everything.min()), float(everything.max()), _LEFT, width - right)
    height = 14 + row * len(known) + 40
    edges = np.linspace(axis.low, axis.high, 61)
    parts = [_grid(axis, 8, height - 40)]
    said = []
    for number, (name, (values, class_)) in enumerate(known.items()):
        base = 14 + row * (number + 1) - 6
        counts, _ = np.histogram(np.log10(values), edges)
        top = counts.max()
        d = f"M{axis.at_log(edges[0]):.1f} {base}"
        for count, left, end in zip(counts, edges, edges[1:]):
            y = base - (row - 12) * count / top
            d += f"L{axis.at_log(left):.1f} {y:.1f}L{axis.at_log(end):.1f} {y:.1f}"
        d += f"L{axis.at_log(edges[-1]):.1f} {base}Z"
        p50, p99 = (float(v) for v in np.percentile(values, (50, 99)))
        words = f"p50 {short(p50)} · p99 {short(p99)} ms"
        parts.append(
            tag(
                "g",
                _label(name, base - 8),
                tag("path", d=d, class_="area"),
                *(
                    tag(
                        "line",
                        x1=axis.at(p),
                        x2=axis.at(p),
                        y1=base - row + 10,
                        y2=base + 3,
                        class_=c,
                    )
                    for p, c in ((p50, "median"), (p99, "whisker"))
                ),
                tag("text", words, x=width - right + 14, y=base - 8, class_="value"),
                class_=class_,
            )
        )
        said.append(f"{name}: {words}")
    parts.append(
        tag(
            "text",
            "milliseconds per frame (logarithmic)",
            x=(_LEFT + width - right) / 2,
            y=height - 6,
            class_="axis",
            text_anchor="middle",
        )
    )
    return _figure(title, "; ".join(said), height, parts, width)


def _grid(axis: Axis, top: float, bottom: float) -> Html:
    return tag(
        "g",
        [
            joined(
                tag("line", x1=axis.at(t), x2=axis.at(t), y1=top, y2=bottom),
                tag("text", axis.label(t), x=axis.at(t), y=bottom + 14, text_anchor="middle"),
            )
            for t in axis.ticks
        ],
        class_="grid",
    )


def _grid_rows(axis: Axis, left: float, right: float) -> Html:
    return tag(
        "g",
        [
            joined(
                tag("line", x1=left, x2=right, y1=axis.at(t), y2=axis.at(t)),
                tag("text", axis.label(t), x=left - 6, y=axis.at(t) + 4, text_anchor="end"),
            )
            for t in axis.ticks
        ],
        class_="grid",
    )


def _label(name: str, y: float) -> Html:
    shown = name if len(name) <= 18 else f"{name[:16]}…"
    return tag(
        "text", tag("title", name), shown, x=_LEFT - 10, y=y, class_="name", text_anchor="end"
    )


def _legend_entry(name: str, class_: str) -> Html:
    line = tag("line", x1=1, x2=27, y1=6, y2=6, class_="curve")
    swatch = tag("svg", line, width=28, height=12, aria_hidden="true")
    return tag("li", swatch, " ", name, class_=class_)


def _path(x: np.ndarray, values: np.ndarray, horizontal: Axis, vertical: Axis) -> str:
    parts = []
    pen = "M"
    for at, value in zip(x, values):
        if not np.isfinite(value):
            pen = "M"
            continue
        parts.append(f"{pen}{horizontal.at(float(at)):.1f} {vertical.at(float(value)):.1f}")
        pen = "L"
    return "".join(parts)


def _thinned(values: np.ndarray, count: int) -> np.ndarray:
    """The sorted values at even ranks: both ends stay."""
    values = np.sort(values)
    if values.size <= count:
        return values
    return values[np.linspace(0, values.size - 1, count).round().astype(int)]


def _jitter(i: int) -> float:
    """Between -1 and 1, even, and the same in every report (golden ratio)."""
    return 2.0 * (i * 0.6180339887 % 1.0) - 1.0


def averaged(values: np.ndarray, count: int = MAX_SAMPLES) -> tuple[np.ndarray, np.ndarray]:
    """Positions and means of ``values`` in at most ``count`` runs of equal length."""
    length = max(1, math.ceil(values.size / count))
    starts = np.arange(0, values.size, length)
    means = []
    for start in starts:
        run = values[start : start + length]
        run = run[np.isfinite(run)]
        means.append(run.mean() if run.size else np.nan)
    return starts + (length - 1) / 2, np.array(means)


def _figure(
    title: str, description: str, height: float, parts: Sequence[Html], width: int = WIDTH
) -> Html:
    return tag(
        "svg",
        tag("title", title),
        tag("desc", description),
        parts,
        viewBox=f"0 0 {width} {height:.0f}",
        role="img",
        aria_label=f"{title}. {description}",
        class_="chart",
    )
