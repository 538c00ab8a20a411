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

"""The evaluation as one HTML page that needs nothing else: no server, no network, no script.

Only the before/after slider and the choice of what it shows need JavaScript; a content security
policy in the page forbids every request.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from difiisr_ros.atomic_write import write_atomically
from difiisr_ros.core.scale import SCALE
from difiisr_ros.errors import DifiisrError
from difiisr_ros.lab.evaluation.results import BETTER, MIXED, WORSE, Evaluation, degradation
from difiisr_ros.lab.frames.streams import NO_REFERENCE, PAIRED, SELF_REFERENCED
from difiisr_ros.lab.report.boxes import frame_boxes, objects_table
from difiisr_ros.lab.report.pictures import TRUTH, Scene, choose_frames, make_scene
from difiisr_ros.lab.report.plots import distributions, over_time, ranking_metric, spectrum, times
from difiisr_ros.lab.report.scale_words import reference_words, scale_words
from difiisr_ros.lab.report.scenes import scene_figure
from difiisr_ros.lab.report.tables import (
    frame_table,
    glossary,
    how_to_read,
    methods_table,
    notes_list,
    results_table,
    settings_table,
    sources_table,
)
from difiisr_ros.lab.report.tags import Html, joined, page_head, tag

_FOLDER = Path(__file__).parent
_COLOURS = 8
_MODES = {
    SELF_REFERENCED: f"the recorded frames are the truth: reduced ×{SCALE}, upscaled and compared",
    PAIRED: "frames with their own truth",
    NO_REFERENCE: "the recorded frames were upscaled; there is no truth to compare with",
}
_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'"


def write_html(evaluation: Evaluation, path: str | os.PathLike[str]) -> None:
    """Write the report; the file appears whole or not at all.

    Raises:
        DataError: It cannot be written.
    """
    page = "<!DOCTYPE html>\n" + html_page(evaluation) + "\n"
    # A lone surrogate, from a file name that is not UTF-8, must not cost the report.
    write_atomically(path, page.encode("utf-8", "replace"))


def html_page(evaluation: Evaluation) -> Html:
    """The report's ``html`` element."""
    classes = _classes(evaluation)
    main = _main_method(evaluation)
    title = "Super-resolution evaluation"
    sections = [
        ("results", "Results", _results(evaluation, classes)),
        ("frames", "Frames", _frames(evaluation, main, classes)),
        ("distributions", "Distributions", distributions(evaluation, classes)),
        ("time", "Frame by frame", over_time(evaluation, classes)),
        ("spectrum", "Spectrum", spectrum(evaluation, classes)),
        ("latency", "Time per frame", times(evaluation, classes)),
        ("reproduce", "How it was made", _reproduce(evaluation, classes)),
    ]
    shown = [(key, heading, content) for key, heading, content in sections if content]
    links = [tag("a", heading, href=f"#{key}") for key, heading, _ in shown]
    return tag(
        "html",
        page_head(
            f"{title}: {_what(evaluation)}",
            _POLICY,
            (_FOLDER / "page.css").read_text(encoding="utf-8"),
            tag("meta", name="color-scheme", content="light dark"),
        ),
        tag(
            "body",
            tag(
                "header",
                tag("h1", title),
                tag("p", _what(evaluation), class_="what"),
                _headline(evaluation, main),
                tag("nav", links, aria_label="Sections"),
            ),
            tag(
                "main",
                [
                    tag("section", tag("h2", heading), content, id=key)
                    for key, heading, content in shown
                ],
            ),
            tag("script", Html((_FOLDER / "page.js").read_text(encoding="utf-8"))),
        ),
        lang="en",
    )


def _classes(evaluation: Evaluation) -> dict[str, str]:
    """Method -> class: the reference is gray, the others have a colour and a dash pattern each."""
    others = [name for name in evaluation.methods if name != evaluation.reference]
    main = _main_method(evaluation)
    others.sort(key=lambda name: name != main)  # ours has the strongest colour
    found = {name: f"method m{i % _COLOURS}" for i, name in enumerate(others)}
    return {**found, evaluation.reference: "method reference"}


def _main_method(evaluation: Evaluation) -> str:
    """The method that the page is about: ours, else the first that is not the reference."""
    others = [name for name in evaluation.methods if name != evaluation.reference]
    ours = [name for name in others if name.startswith("difiisr")]
    return (ours or others or [evaluation.reference])[0]


def _what(evaluation: Evaluation) -> str:
    sources = evaluation.sources
    label = sources[0].label if len(sources) == 1 else f"{len(sources)} sources"
    return f"{label} · {len(evaluation.frames)} frames"


def _headline(evaluation: Evaluation, main: str) -> Html | None:
    """The one sentence that people quote."""
    metric = ranking_metric(evaluation)
    difference = evaluation.methods[main].differences.get(metric or "")
    if metric is None or difference is None or np.isnan(difference.mean):
        return None
    about = evaluation.metric(metric)
    verdict = {BETTER: "better than", WORSE: "worse than", MIXED: "not clearly better than"}.get(
        difference.verdict or "", "not distinguishable from"
    )
    number = f"{difference.mean:+.{about.digits}f} {about.unit}".strip().replace("-", "−")
    interval = ""
    if difference.interval:
        low, high = (f"{v:+.{about.digits}f}".replace("-", "−") for v in difference.interval)
        interval = f" [{low}, {high}]"
    no_truth = evaluation.mode == NO_REFERENCE
    return tag(
        "p",
        "There is no truth, so nothing is said of quality. " if no_truth else None,
        tag("b", f"{main} is {verdict} {reference_words(evaluation)}"),
        f" by {about.title}: ",
        tag("b", number, class_="figure"),
        f"{interval}, mean difference per frame",
        "; PSNR and SSIM do not both say better" if difference.verdict == MIXED else None,
        class_="headline" if no_truth else f"headline {difference.verdict or ''}",
    )


def _results(evaluation: Evaluation, classes: dict[str, str]) -> Html:
    how = _MODES[evaluation.mode]
    if evaluation.mode == SELF_REFERENCED and "degradation" in evaluation.settings:
        how += f" (degradation: {degradation(evaluation.settings)})"
    how += scale_words(evaluation, "×")
    return joined(
        tag("p", how[0].upper() + how[1:] + "."),
        results_table(evaluation, classes),
        how_to_read(evaluation),
        glossary(evaluation),
        notes_list(evaluation),
    )


def _frames(evaluation: Evaluation, main: str, classes: dict[str, str]) -> Html | None:
    metric = ranking_metric(evaluation)
    if metric is None:
        return None
    if evaluation.frame is None:
        return tag("p", "The pictures of this run cannot be made again.", class_="hint")
    title = evaluation.metric(metric).title
    first = evaluation.reference
    by = f"the difference in {title} between {main} and {first}" if main != first else title
    parts: list[Html] = []
    for rank, row in choose_frames(evaluation, metric, main).items():
        try:
            pictures = evaluation.frame(row)
            scene: Scene = make_scene(pictures, first, main, scale=evaluation.scale)
        except DifiisrError as error:
            parts.append(tag("p", f"The {rank} frame cannot be shown: {error}", class_="hint"))
            continue
        values = {name: _value(evaluation, metric, name, row) for name in evaluation.methods}
        right = TRUTH if main == first and scene.pictures[-1].name == TRUTH else main
        numbers = frame_table(evaluation, row, classes)
        boxes = frame_boxes(evaluation, row)
        if boxes is not None:
            numbers = joined(numbers, objects_table(boxes, classes))
        parts.append(scene_figure(scene, rank, values, numbers, first, right, len(parts), boxes))
    if not parts:
        return None
    hint = f"The worst, the median and the best frame by {by}."
    return joined(tag("p", hint), parts)


def _value(evaluation: Evaluation, metric: str, name: str, row: int) -> str:
    about = evaluation.metric(metric)
    value = evaluation.methods[name].values[metric][row]
    return "" if np.isnan(value) else f"{value:.{about.digits}f} {about.unit}".strip()


def _reproduce(evaluation: Evaluation, classes: dict[str, str]) -> Html:
    return joined(
        tag("h3", "Command"),
        tag("pre", tag("code", evaluation.command or "(made by a program, not by a command)")),
        tag("h3", "Data"),
        sources_table(evaluation),
        tag("h3", "Methods"),
        methods_table(evaluation, classes),
        tag(
            "details",
            tag("summary", "Settings"),
            # Methods have a table of their own, with the engine.
            settings_table(
                {k: v for k, v in evaluation.settings.items() if k not in ("methods", "engine")}
            ),
            open=True,
        ),
        tag("details", tag("summary", "Versions"), settings_table(evaluation.versions), open=True),
    )
