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

"""The report's tables: means with intervals and verdicts, sources, settings."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from difiisr_ros.lab.evaluation.methods import AS_IT_IS
from difiisr_ros.lab.evaluation.results import (
    BETTER,
    MIXED,
    UNDECIDED,
    WORSE,
    Difference,
    Estimate,
    Evaluation,
)
from difiisr_ros.lab.frames.streams import NO_REFERENCE
from difiisr_ros.lab.report.scale_words import reference_words
from difiisr_ros.lab.report.tags import Html, joined, tag
from difiisr_ros.lab.scores.metric_table import HIGHER, LOWER, ZERO

_ARROWS = {HIGHER: ("↑", "higher is better"), LOWER: ("↓", "lower is better")}
_ARROWS[ZERO] = ("→0", "0 is best")
#: A sign besides the colour, for print and for eyes that do not tell red from green.
_SIGNS = {BETTER: "▲", WORSE: "▼", UNDECIDED: "≈", MIXED: "◆"}
_TIMES = {
    "time_ms_p50": ("time p50", "median of the time that one frame takes"),
    "time_ms_p99": ("time p99", "99 % of the frames take less"),
}


def results_table(evaluation: Evaluation, classes: Mapping[str, str]) -> Html:
    """Metrics by methods: mean, interval, and the difference to the reference with its verdict.

    Args:
        evaluation: What to show.
        classes: Method -> its class in the style sheet.
    """
    given = {NO_REFERENCE: "camera"}.get(evaluation.mode, "truth")
    head = [
        tag("th", tag("span", class_="dot"), name, _aside(evaluation, name), class_=classes[name])
        for name in evaluation.methods
    ]
    if evaluation.given:
        head.append(tag("th", given, tag("small", "for comparison")))
    rows = []
    for key in evaluation.all_metrics:
        metric = evaluation.metric(key)
        cells = []
        for name, method in evaluation.methods.items():
            estimate, difference = method.means.get(key), method.differences.get(key)
            cells.append(_cell(estimate, difference, metric.digits, name == evaluation.reference))
        if evaluation.given:
            own = evaluation.given.get(key)
            cells.append(tag("td", _number(own.mean, metric.digits) if own else ""))
        rows.append(tag("tr", _row_head(metric.title, metric.unit, metric.better), cells))
    times = [method.times() for method in evaluation.methods.values()]
    for key, (title, _) in _TIMES.items():
        if any(times):
            cells = [tag("td", tag("b", _number(t.get(key, math.nan), 1))) for t in times]
            cells += [tag("td")] * bool(evaluation.given)
            rows.append(tag("tr", _row_head(title, "ms", LOWER), cells))
    return tag(
        "div",
        tag(
            "table",
            tag("thead", tag("tr", tag("th", "metric", scope="col"), head)),
            tag("tbody", rows),
            class_="results",
        ),
        class_="wide",
        tabindex="0",
        role="region",
        aria_label="Results, scrolls sideways",
    )


def _aside(evaluation: Evaluation, name: str) -> Html | None:
    if name == evaluation.reference:
        return tag("small", AS_IT_IS if evaluation.scale == 1 else "reference")
    steps = evaluation.methods[name].details.get("num_steps")
    if steps is None:
        return None
    return tag("small", f"{steps} step{'' if steps == 1 else 's'}")


def _row_head(title: str, unit: str, better: str | None) -> Html:
    arrow, words = _ARROWS.get(better or "", ("", ""))
    mark = (
        tag("span", arrow, title=words, aria_label=words, role="img", class_="arrow")
        if arrow
        else None
    )
    shown = f"{title} [{unit}]" if unit else title
    return tag("th", shown, " ", mark, scope="row")


def _cell(
    estimate: Estimate | None, difference: Difference | None, digits: int, reference: bool
) -> Html:
    if estimate is None or math.isnan(estimate.mean):
        return tag("td", "–")
    parts: list[Html | None] = [tag("b", _number(estimate.mean, digits))]
    if estimate.interval:
        low, high = (_number(v, digits) for v in estimate.interval)
        parts.append(tag("small", f"{low} … {high}", class_="interval"))
    verdict = None
    if difference is not None and not reference and not math.isnan(difference.mean):
        verdict = difference.verdict
        parts.append(
            tag(
                "small",
                _sign(verdict),
                _signed(difference.mean, digits),
                _range(difference, digits),
                class_="difference",
            )
        )
    return tag("td", parts, class_=verdict)


def _range(difference: Difference, digits: int) -> Html | None:
    if not difference.interval:
        return None
    low, high = (_signed(v, digits) for v in difference.interval)
    return tag("span", f"{low} … {high}", class_="interval")


def _sign(verdict: str | None) -> Html | None:
    if verdict is None:
        return None
    return tag(
        "span", _SIGNS[verdict], role="img", aria_label=verdict, title=verdict, class_="sign"
    )


def glossary(evaluation: Evaluation) -> Html:
    """What is measured, in words."""
    about = [(m.title, m.meaning) for m in map(evaluation.metric, evaluation.all_metrics)]
    about += _TIMES.values()
    entries = [joined(tag("dt", title), tag("dd", meaning)) for title, meaning in about]
    return tag("details", tag("summary", "What the metrics mean"), tag("dl", entries))


def how_to_read(evaluation: Evaluation) -> Html:
    """What the cells of the table mean."""
    statistics = evaluation.settings.get("statistics", {})
    confidence = 100 * float(statistics.get("confidence", 0.95))
    return tag(
        "p",
        f"Mean over {len(evaluation.frames)} frames with its {confidence:g} % bootstrap interval; "
        f"below them the mean difference per frame to {reference_words(evaluation)} with its own. ",
        tag("span", "▲ better", class_=BETTER),
        " and ",
        tag("span", "▼ worse", class_=WORSE),
        " are said only where the interval of the difference does not hold 0 and the difference "
        "is not negligible; ",
        tag("span", "≈ undecided", class_=UNDECIDED),
        " otherwise. PSNR or SSIM alone being better is ",
        tag("span", "◆ mixed", class_=MIXED),
        ".",
        class_="hint",
    )


def frame_table(evaluation: Evaluation, row: int, classes: Mapping[str, str]) -> Html:
    """What the methods measure on one frame."""
    keys = [key for key in evaluation.metrics if evaluation.metric(key).better][:5]
    about = [evaluation.metric(key) for key in keys]
    head = [tag("th", m.title, tag("small", m.unit), scope="col") for m in about]
    rows = [
        tag(
            "tr",
            tag("th", tag("span", class_="dot"), name, scope="row", class_=classes[name]),
            [
                tag("td", _number(float(method.values[key][row]), metric.digits))
                for key, metric in zip(keys, about)
                if key in method.values
            ],
        )
        for name, method in evaluation.methods.items()
    ]
    return tag(
        "div",
        tag(
            "table",
            tag("caption", "This frame"),
            tag("thead", tag("tr", tag("th", "method", scope="col"), head)),
            tag("tbody", rows),
            class_="frame",
        ),
        class_="wide",
    )


def sources_table(evaluation: Evaluation) -> Html:
    """Where the frames are from."""
    rows = [
        tag(
            "tr",
            tag("th", source.label, scope="row"),
            tag("td", str(source.frames)),
            tag("td", source.lr_size.replace("x", " × ")),
            tag("td", source.dtype),
        )
        for source in evaluation.sources
    ]
    head = ("source", "frames", "upscaled size", "type")
    return tag(
        "div",
        tag(
            "table",
            tag("thead", tag("tr", [tag("th", text, scope="col") for text in head])),
            tag("tbody", rows),
            class_="plain",
        ),
        class_="wide",
    )


def methods_table(evaluation: Evaluation, classes: Mapping[str, str]) -> Html:
    """What each method is."""
    rows = []
    for name, method in evaluation.methods.items():
        known = ((k, v) for k, v in _flat(method.details) if v != "–" and k != "scale")
        words = ", ".join(f"{key} {value}" for key, value in known)
        head = tag("th", tag("span", class_="dot"), name, scope="row", class_=classes[name])
        rows.append(tag("tr", head, tag("td", words)))
    return tag("div", tag("table", tag("tbody", rows), class_="plain settings"), class_="wide")


def settings_table(values: Mapping[str, Any]) -> Html:
    """Nested settings as dotted names and values."""
    rows = [
        tag("tr", tag("th", name, scope="row"), tag("td", value)) for name, value in _flat(values)
    ]
    return tag("div", tag("table", tag("tbody", rows), class_="plain settings"), class_="wide")


def _flat(values: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, str]]:
    for key, value in values.items():
        name = f"{above}{key}"
        if isinstance(value, Mapping):
            yield from _flat(value, f"{name}.")
        elif isinstance(value, (list, tuple)):
            yield name, ", ".join(map(str, value))
        else:
            yield name, "–" if value is None else str(value)


def notes_list(evaluation: Evaluation) -> Html | None:
    """What a reader of the numbers has to know, and what is missing from them."""
    items = [tag("li", note) for note in evaluation.notes]
    items += [
        tag("li", notice)
        for source in evaluation.sources
        for notice in source.notices
        if notice not in evaluation.notes
    ]
    items += [
        tag("li", tag("b", f"{evaluation.metric(key).title} is not measured: "), reason)
        for key, reason in evaluation.missing.items()
    ]
    if not items:
        return None
    return joined(tag("h3", "To know"), tag("ul", items, class_="notes"))


def _number(value: float, digits: int) -> str:
    return (
        "–" if math.isnan(value) else f"{round(value, digits) + 0.0:.{digits}f}".replace("-", "−")
    )


def _signed(value: float, digits: int) -> str:
    return f"{round(value, digits) + 0.0:+.{digits}f}".replace("-", "−")
