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

"""The HTML report in a real browser: it asks for nothing, and its slider slides."""

from __future__ import annotations

import re

import cv2
import numpy as np
import pytest

from difiisr_ros.io.images import write_image
from difiisr_ros.lab.evaluation.methods import MethodPlan
from difiisr_ros.lab.evaluation.run import Request, evaluate
from difiisr_ros.lab.frames.streams import StreamOptions
from difiisr_ros.lab.report.page import write_html
from support.browser import Browser, find_chromium

CHROMIUM = find_chromium()
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here: apt install chromium")

HOSTILE = "<img src=x onerror='window.hit=1'> & \"co\""
WIDTH, HEIGHT = 160, 128


def scene(i):
    """16 bits of which the scene fills a small part, with fine structure."""
    noise = np.random.default_rng(i).normal(size=(HEIGHT, WIDTH)).astype(np.float32)
    unit = cv2.GaussianBlur(noise, (0, 0), 1.0) * 4 + np.linspace(-2, 2, WIDTH)
    return (30000 + 300 * unit).astype(np.uint16)


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    folder = tmp_path_factory.mktemp("report")
    for i in range(8):
        write_image(folder / HOSTILE / f"frame_{i}.png", scene(i))
    request = Request(
        paths=(folder / HOSTILE,),
        frames=StreamOptions(),
        methods=MethodPlan(engine=(("backend", "bicubic"),)),
        command=f"difiisr evaluate '{HOSTILE}'",
    )
    with evaluate(request) as evaluation:
        write_html(evaluation, folder / "report.html")
    return folder / "report.html"


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    with Browser(CHROMIUM, tmp_path_factory.mktemp("profile")) as opened:
        yield opened


STAGE = "document.querySelector('.stage')"


def place_of(browser, what):
    """(left, top, width, height) in the window, scrolled so that it is visible."""
    return browser.run(
        f"(() => {{ const e = {what}; e.scrollIntoView({{block: 'center'}});"
        "const r = e.getBoundingClientRect(); return [r.left, r.top, r.width, r.height] })()"
    )


def stage_pixels(browser):
    """The slider's picture as it is on the screen, with the overlays taken off."""
    browser.run(
        "document.querySelectorAll('.region, .divider').forEach(e => e.style.display = 'none')"
    )
    left, top, width, height = (round(v) for v in place_of(browser, STAGE))
    return browser.screenshot()[top : top + height, left : left + width, 0].astype(int)


def choose(browser, side, name):
    browser.run(
        f"(() => {{ const s = document.querySelector('select[data-side={side}]');"
        f"s.value = '{name}'; s.dispatchEvent(new Event('change')) }})()"
    )


def test_nothing_is_requested_and_nothing_fails(browser, report):
    browser.open(report)
    others = [u for u in browser.requests if not u.startswith("data:")]
    assert others == [report.as_uri()]
    assert browser.errors == []
    assert browser.run("document.images.length") > 20
    assert browser.run("[...document.images].every(i => i.complete && i.naturalWidth > 0)")


def test_names_are_text_whatever_they_hold(browser, report):
    browser.open(report)
    assert browser.run("window.hit === undefined")
    assert browser.run("document.querySelectorAll('img[src=x], [onerror]').length") == 0
    assert HOSTILE in browser.run("document.querySelector('.what').textContent")
    assert HOSTILE in browser.run("document.querySelector('pre').textContent")


def test_dragging_moves_the_border_between_the_pictures(browser, report):
    browser.open(report)
    choose(browser, "left", "camera")
    choose(browser, "right", "truth")
    half = stage_pixels(browser)
    columns = half.shape[1]
    left, top, width, height = place_of(browser, STAGE)
    y = top + height / 3

    def drag(start, end):
        browser.mouse("mousePressed", left + start * width, y)
        for step in range(1, 6):
            browser.mouse("mouseMoved", left + (start + (end - start) * step / 5) * width, y)
        browser.mouse("mouseReleased", left + end * width, y)
        return stage_pixels(browser)

    def changed(before, after):
        """Columns that differ, as shares of the width."""
        found = np.flatnonzero(np.abs(after - before).max(axis=0) > 8)
        return found.min() / columns, found.max() / columns

    quarter = drag(0.5, 0.25)
    cut = browser.run(f"parseFloat({STAGE}.style.getPropertyValue('--cut'))")
    assert cut == pytest.approx(25, abs=1)
    assert changed(half, quarter) == (pytest.approx(0.25, abs=0.03), pytest.approx(0.5, abs=0.03))
    # What was uncovered is the truth, and the rest is still the camera's whole pixels.
    full_truth = drag(0.25, 0.0)
    np.testing.assert_array_equal(quarter[:, columns // 3 :], full_truth[:, columns // 3 :])
    full_camera = drag(0.0, 1.0)
    first = columns // 5
    np.testing.assert_array_equal(quarter[:, :first], full_camera[:, :first])
    one = columns // (WIDTH // 4)  # a camera pixel on the screen
    blocks = full_camera[one : 5 * one, one : 5 * one].reshape(4, one, 4, one)
    assert np.ptp(blocks, axis=(1, 3)).max() <= 1 and np.ptp(blocks) > 8


def test_the_slider_works_by_keyboard_and_says_what_it_shows(browser, report):
    browser.open(report)
    browser.run("document.querySelector('.cut').focus()")
    before = browser.run("document.querySelector('.cut').value")
    for _ in range(4):
        browser.key("ArrowRight", 39)
    assert float(browser.run("document.querySelector('.cut').value")) == float(before) + 2
    assert browser.run(f"{STAGE}.style.getPropertyValue('--cut')") == "52%"
    browser.key("Home", 36)
    assert browser.run(f"{STAGE}.style.getPropertyValue('--cut')") == "0%"
    assert (
        browser.run("document.querySelector('.cut').ariaValueText") == "0 % bicubic, 100 % difiisr"
    )
    nodes = browser.call("Accessibility.getFullAXTree")["nodes"]
    sliders = [n["name"]["value"] for n in nodes if n.get("role", {}).get("value") == "slider"]
    assert len(sliders) == 3 and all("Border between" in name for name in sliders)
    # Where the focus is must be seen.
    assert browser.run(f"getComputedStyle({STAGE}).outlineStyle") == "solid"


def test_the_sides_can_be_chosen(browser, report):
    browser.open(report)
    choose(browser, "left", "lanczos")
    choose(browser, "right", "lanczos")
    shown = "[...document.querySelector('.stage').querySelectorAll('.layer')]"
    visible = f"{shown}.filter(l => getComputedStyle(l).display != 'none').map(l => l.dataset.name)"
    assert browser.run(visible) == ["lanczos"]
    choose(browser, "right", "truth")
    assert sorted(browser.run(visible)) == ["lanczos", "truth"]
    assert browser.run("document.querySelector('.tag-right').textContent") == "truth"
    assert re.match(
        r"lanczos · \d+\.\d\d dB", browser.run("document.querySelector('.tag-left').textContent")
    )


def test_without_scripts_everything_but_the_sliding_is_there(browser, report):
    browser.open(report, scripts=False)
    browser.call("Emulation.setScriptExecutionDisabled", value=False)  # to look inside
    assert browser.run("getComputedStyle(document.querySelector('.choices')).display") == "none"
    assert browser.run("getComputedStyle(document.querySelector('.cut')).display") == "none"
    layers = "[...document.querySelectorAll('.stage .layer')]"
    shown = f"{layers}.filter(l => getComputedStyle(l).display != 'none').length"
    assert browser.run(shown) == 6  # two in each of three frames, half and half
    assert browser.run("document.querySelectorAll('.results tbody tr').length") > 8
    assert browser.run("document.querySelectorAll('svg.chart').length") > 12


def luminance(colour):
    channels = [int(v) / 255 for v in re.findall(r"\d+", colour)[:3]]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return float(np.dot(linear, (0.2126, 0.7152, 0.0722)))


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_can_be_read_in_both_schemes(browser, report, scheme):
    browser.open(report, scheme=scheme)
    ground = luminance(browser.run("getComputedStyle(document.body).backgroundColor"))
    assert (ground < 0.1) == (scheme == "dark")
    texts = {
        "text": "getComputedStyle(document.body).color",
        "hint": "getComputedStyle(document.querySelector('.hint')).color",
        "link": "getComputedStyle(document.querySelector('nav a')).color",
        "better": "getComputedStyle(document.querySelector('span.better')).color",
        "worse": "getComputedStyle(document.querySelector('span.worse')).color",
        "axis": "getComputedStyle(document.querySelector('.grid text')).fill",
        "name": "getComputedStyle(document.querySelector('svg .name')).fill",
    }
    for what, expression in texts.items():
        text = luminance(browser.run(expression))
        contrast = (max(text, ground) + 0.05) / (min(text, ground) + 0.05)
        assert contrast >= 4.5, f"{what}: {contrast:.1f} (WCAG AA asks for 4.5)"


@pytest.mark.parametrize("width", [1280, 420])
def test_the_page_fits_the_window(browser, report, width):
    browser.open(report, width=width)
    assert browser.run("document.scrollingElement.scrollWidth") <= width


def test_everything_has_words_for_those_who_do_not_see_it(browser, report):
    browser.open(report)
    assert browser.run("[...document.images].every(i => i.alt.length > 8)")
    charts = "[...document.querySelectorAll('svg.chart')]"
    assert browser.run(f"{charts}.every(s => s.ariaLabel && s.querySelector('title'))")
    assert browser.run("[...document.querySelectorAll('select')].every(s => s.labels.length == 1)")
    assert browser.run("[...document.querySelectorAll('td .sign')].every(s => s.ariaLabel)")
