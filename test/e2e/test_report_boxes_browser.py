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

"""Objects over the report's pictures, in a real browser: shown, hidden, and sliding along."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from difiisr_ros.lab.evaluation.results import BoxScores
from difiisr_ros.lab.report.page import write_html
from difiisr_ros.models.detector.boxes import Detections
from support.browser import Browser, find_chromium
from support.report_evaluation import METHODS, evaluation

CHROMIUM = find_chromium()
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here: apt install chromium")

SIZE = 48, 64  # of report_evaluation's HR frames: height, width
LEFT, RIGHT = [4.0, 8.0, 20.0, 40.0], [44.0, 8.0, 60.0, 40.0]
ORANGE = np.array([230, 159, 0])


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    found = evaluation()
    rows = range(len(found.frames))
    both = Detections(
        np.array([LEFT, RIGHT], np.float32), np.array([0.9, 0.8]), np.zeros(2, np.int64)
    )
    none = Detections(np.zeros((0, 4), np.float32), np.zeros(0), np.zeros(0, np.int64))
    boxes = BoxScores(
        "detector_judge",
        ("person",),
        ("person",),
        {row: (both.boxes[:0], both.labels[:0]) for row in rows},
        {n: dict.fromkeys(rows, both if n == "difiisr" else none) for n in (*METHODS, "truth")},
    )
    path = tmp_path_factory.mktemp("boxes") / "report.html"
    write_html(replace(found, boxes=boxes), path)
    return path


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    with Browser(CHROMIUM, tmp_path_factory.mktemp("profile")) as opened:
        yield opened


def _orange(browser) -> tuple[bool, bool]:
    """Whether the detector's colour is in the left and in the right half of the first stage."""
    left, top, width, height = browser.run(
        "(() => { const e = document.querySelector('.stage'); e.scrollIntoView({block: 'center'});"
        "const r = e.getBoundingClientRect(); return [r.left, r.top, r.width, r.height] })()"
    )
    shown = browser.screenshot()[round(top) : round(top + height), round(left) :][:, : round(width)]
    near = np.abs(shown[..., :3].astype(int) - ORANGE).max(axis=2) < 40
    half = round(width) // 2
    return bool(near[:, :half].any()), bool(near[:, half:].any())


def _slide(browser, percent):
    browser.run(
        f"(() => {{ const c = document.querySelector('.cut'); c.value = {percent};"
        "c.dispatchEvent(new Event('input')) })()"
    )


def test_objects_are_shown_when_asked_for(browser, report):
    browser.open(report)
    assert browser.errors == []
    # The marks of the enlarged details have nearly the same colour.
    browser.run("document.querySelectorAll('.region').forEach(e => e.remove())")
    assert _orange(browser) == (False, False)
    browser.run("document.querySelector('.show').click()")
    assert _orange(browser) == (False, True)  # bicubic at the left, where nothing was found
    browser.run("document.querySelector('.show').click()")
    assert _orange(browser) == (False, False)


def test_objects_move_with_the_border_and_the_choice(browser, report):
    browser.open(report)
    browser.run("document.querySelector('.show').click()")
    _slide(browser, 0)
    assert _orange(browser) == (True, True)
    _slide(browser, 100)
    assert _orange(browser) == (False, False)
    browser.run(
        "(() => { const s = document.querySelector('select[data-side=left]');"
        "s.value = 'difiisr'; s.dispatchEvent(new Event('change')) })()"
    )
    assert _orange(browser) == (True, True)


def test_the_switch_has_a_name_and_drawings_have_words(browser, report):
    browser.open(report)
    browser.run("document.querySelector('.show').click()")
    nodes = browser.call("Accessibility.getFullAXTree")["nodes"]

    def names(role):
        return [
            node["name"]["value"] for node in nodes if node.get("role", {}).get("value") == role
        ]

    assert names("checkbox") == ["objects"] * 3
    assert any("2 found by the detector in difiisr" in name for name in names("image"))


def test_lines_are_as_thin_however_large_the_picture(browser, report):
    browser.open(report)
    browser.run("document.querySelector('.show').click()")
    path = "document.querySelector('.boxes.right .found')"
    assert browser.run(f"getComputedStyle({path}).vectorEffect") == "non-scaling-stroke"
    stage, box = (
        browser.run(
            f"(() => {{ const r = {e}.getBoundingClientRect(); return [r.left, r.width] }})()"
        )
        for e in ("document.querySelector('.stage')", path)
    )
    # From x = 4 to x = 60 of 64 pixels.
    assert box[0] - stage[0] == pytest.approx(stage[1] * LEFT[0] / SIZE[1], abs=2)
    assert box[1] == pytest.approx(stage[1] * (RIGHT[2] - LEFT[0]) / SIZE[1], abs=4)


@pytest.mark.parametrize("width", [1280, 420])
def test_the_page_still_fits_the_window(browser, report, width):
    browser.open(report, width=width)
    assert browser.run("document.scrollingElement.scrollWidth") <= width
    stage, compare = (
        browser.run(f"document.querySelector('{e}').getBoundingClientRect().width")
        for e in (".stage", ".compare")
    )
    assert compare == pytest.approx(stage, abs=1)  # captions end where the picture does
