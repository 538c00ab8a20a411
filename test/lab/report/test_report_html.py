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

"""The HTML report: what it says, that it is whole in itself, and that names stay text."""

from __future__ import annotations

import html
import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest

from difiisr_ros.errors import DataError
from difiisr_ros.lab.evaluation.results import MIXED, Source
from difiisr_ros.lab.frames.streams import NO_REFERENCE
from difiisr_ros.lab.report.charts import distribution_chart, histogram_chart, line_chart
from difiisr_ros.lab.report.page import html_page, write_html
from difiisr_ros.lab.report.tags import Html, joined, tag
from support.report_evaluation import evaluation, pictures

HOSTILE = "<script>alert(1)</script> & \"quoted\" 'path' \udcff"


class Checker(HTMLParser):
    """Every element that is opened is closed, in order; collects text and links."""

    VOID = ("meta", "img", "input", "br", "hr")

    def __init__(self, page):
        super().__init__()
        self.open, self.text, self.links, self.ids = [], [], [], []
        self.counts = {}
        self.feed(page)
        assert self.open == []

    def handle_starttag(self, name, attributes):
        self.counts[name] = self.counts.get(name, 0) + 1
        if name not in self.VOID:
            self.open.append(name)
        for key, value in attributes:
            if key in ("src", "href", "data", "action", "srcset"):
                self.links.append(value)
            if key == "id":
                self.ids.append(value)

    def handle_endtag(self, name):
        assert self.open.pop() == name

    def handle_data(self, data):
        if not self.open or self.open[-1] not in ("script", "style"):
            self.text.append(data)


def words(page):
    return re.sub(r"\s+", " ", " ".join(Checker(str(page)).text))


def test_the_page_is_whole_and_asks_for_nothing(tmp_path):
    path = tmp_path / "report.html"
    write_html(evaluation(), path)
    page = path.read_text(encoding="utf-8")
    checked = Checker(page)
    assert page.startswith("<!DOCTYPE html>")
    assert all(link.startswith(("data:image/", "#")) for link in checked.links)
    assert "http:" not in page.replace("http-equiv", "") and "https:" not in page
    assert "url(" not in page and "@import" not in page and "fetch(" not in page
    assert "default-src 'none'" in html.unescape(page)
    assert len(checked.ids) == len(set(checked.ids))
    anchors = {link[1:] for link in checked.links if link.startswith("#")}
    assert anchors and anchors <= set(checked.ids)


def test_numbers_intervals_and_verdicts_are_in_the_table():
    found = evaluation()
    text = words(html_page(found))
    psnr = found.methods["difiisr"].means["psnr"]
    assert f"{psnr.mean:.2f}" in text and f"{psnr.low:.2f} … {psnr.high:.2f}" in text
    assert "▲" in text and "≈" in text
    assert "difiisr is better than bicubic" in text
    assert "LPIPS is not measured: its weights are not installed" in text
    assert "the bag was cut off" in text
    assert "difiisr evaluate 'my bag'" in text and "0.1.0" in text


def test_a_difference_that_may_be_chance_is_not_called_better():
    found = evaluation()
    methods = {k: found.methods[k] for k in ("bicubic", "other")}
    text = words(html_page(replace(found, methods=methods)))
    assert "other is not distinguishable from bicubic" in text
    assert "▲ better" in text  # only where the signs are explained
    assert text.count("▲") == 1


def test_where_psnr_and_ssim_disagree_nothing_is_called_better():
    found = evaluation()
    ours = found.methods["difiisr"]
    psnr = replace(ours.differences["psnr"], verdict=MIXED)
    ours = replace(ours, differences={**ours.differences, "psnr": psnr})
    text = words(html_page(replace(found, methods={**found.methods, "difiisr": ours})))
    assert "difiisr is not clearly better than bicubic" in text
    assert "PSNR and SSIM do not both say better" in text
    assert text.count("◆") == 2  # in the table, and where the signs are explained


def test_without_a_truth_frames_are_ranked_by_what_becomes_of_noise():
    found = evaluation(metrics=("consistency", "noise_gain"), mode=NO_REFERENCE)
    assert "by noise gain" in words(html_page(found))
    methods = {
        name: replace(m, values={**m.values, "noise_gain": np.full(len(found.frames), np.nan)})
        for name, m in found.methods.items()
    }
    text = words(html_page(replace(found, methods=methods)))
    assert "by consistency" in text and "by noise gain" not in text


def test_the_simulated_cameras_noise_is_named():
    settings = {"degradation": "camera", "noise_percent": 2.0}
    assert "(degradation: camera, 2 % noise)" in words(html_page(evaluation(settings=settings)))


def test_worst_median_and_best_are_by_the_gain():
    text = words(html_page(evaluation()))
    assert "Worst frame: frame 3" in text and "Best frame: frame 7" in text
    assert "Median frame: frame" in text


def test_what_users_named_is_text():
    found = evaluation(
        notes=(HOSTILE,),
        command=HOSTILE,
        settings={HOSTILE: {HOSTILE: [HOSTILE]}},
        versions={HOSTILE: HOSTILE},
        missing={"lpips": HOSTILE},
        sources=(Source(HOSTILE, HOSTILE, HOSTILE, 20, "16x12", "uint16", (HOSTILE,)),),
        frame=lambda row: replace(pictures(row), name=HOSTILE),
    )
    methods = {
        k if k == "bicubic" else HOSTILE + k: replace(m, name=HOSTILE, details={HOSTILE: HOSTILE})
        for k, m in found.methods.items()
    }
    found = replace(
        found,
        methods=methods,
        frame=lambda row: replace(pictures(row, methods=tuple(methods)), name=HOSTILE),
    )
    page = str(html_page(found))
    assert Checker(page).counts["script"] == 1
    assert "<script>alert" not in page
    assert page.count("&lt;script&gt;alert") > 20


def test_a_name_that_is_not_utf8_does_not_cost_the_report(tmp_path):
    write_html(evaluation(command=HOSTILE), tmp_path / "r.html")
    assert "'path' ?" in html.unescape((tmp_path / "r.html").read_text(encoding="utf-8"))


def test_without_truth():
    found = evaluation(
        ("consistency", "flicker", "detail"),
        NO_REFERENCE,
        truth_spectrum=None,
        frame=lambda row: pictures(row, truth=False),
    )
    values = found.methods["bicubic"].values["flicker"]
    values[0] = np.nan  # as of a first frame
    page = html_page(found)
    text = words(page)
    assert "there is no truth to compare with" in text
    assert "nothing is said of quality" in text and 'class="headline better"' not in page
    assert 'data-name="truth"' not in str(page) and 'data-name="camera"' in str(page)
    assert "by the difference in consistency" in text


def test_no_pictures_no_spectrum_no_times():
    found = evaluation(
        frame=None, frequencies=np.empty(0), truth_spectrum=None, input_spectrum=None
    )
    methods = {
        k: replace(m, spectrum=None, times_ms=np.full(20, np.nan)) for k, m in found.methods.items()
    }
    page = str(html_page(replace(found, methods=methods)))
    Checker(page)
    assert 'id="spectrum"' not in page and 'id="latency"' not in page
    assert "cannot be made again" in page


def test_pictures_that_have_gone_are_said():
    def gone(row):
        raise DataError(f"frame {row}: no such file")

    text = words(html_page(evaluation(frame=gone)))
    assert "The worst frame cannot be shown: frame 3: no such file" in text


@pytest.mark.parametrize("frames", [1, 2])
def test_few_frames(frames):
    found = evaluation(frames=frames)
    page = str(html_page(found))
    assert Checker(page).counts["article"] == frames  # none is shown twice
    only = {"bicubic": found.methods["bicubic"]}
    alone = replace(found, methods=only, frame=lambda row: pictures(row, methods=("bicubic",)))
    assert 'class="headline' not in str(html_page(alone))


def test_large_and_many_pictures_stay_below_10_megabytes(tmp_path):
    """Noise, which does not compress, of a 640x512 camera by nine methods."""
    names = ("bicubic", "difiisr", "other", *(f"m{i}" for i in range(6)))
    found = evaluation()
    methods = {
        n: replace(found.methods["bicubic" if n == "bicubic" else "other"], name=n) for n in names
    }
    large = {}

    def frame(row):
        if not large:
            large[0] = pictures(0, shape=(1024, 1280), methods=names)
        return large[0]

    path = tmp_path / "r.html"
    write_html(replace(found, methods=methods, frame=frame), path)
    assert path.stat().st_size < 10e6
    page = path.read_text(encoding="utf-8")
    assert "is reduced to 1/" in page and "the details are not" in page


def test_an_unwritable_place_is_an_error_and_leaves_nothing(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="cannot be written"):
        write_html(evaluation(), tmp_path / "file" / "r.html")
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


def test_the_same_evaluation_gives_the_same_bytes():
    assert str(html_page(evaluation())) == str(html_page(evaluation()))


# ---- parts -------------------------------------------------------------------------------------


def test_tags_escape_and_keep_html():
    made = tag(
        "p", "a < b", tag("b", "&"), None, ["x", Html("<i>")], class_="c", data_x='"', off=False
    )
    assert made == '<p class="c" data-x="&quot;">a &lt; b<b>&amp;</b>x<i></p>'
    assert tag("input", disabled=True) == "<input disabled>"
    assert joined("<", Html("<")) == "&lt;<"
    assert tag("rect", x=1.23456, y=2.0) == '<rect x="1.23" y="2"></rect>'


def numbers(svg, pattern):
    return [float(v) for v in re.findall(pattern, str(svg))]


def test_points_and_boxes_lie_where_the_values_are():
    values = np.array([0.0, 1, 2, 3, 4, np.nan])
    chart = distribution_chart("PSNR", {"a": (values, "m0"), "b": (np.array([10.0]), "m1")})
    dots = re.findall(r'<path d="([^"]*)"', str(chart))
    x = numbers(dots[0], r"M([\d.]+) ")
    assert len(x) == 5  # NaN is left out
    np.testing.assert_allclose(np.diff(x), np.diff(x)[0], atol=0.11)  # linear
    (ten,) = numbers(dots[1], r"M([\d.]+) ")
    assert ten - x[0] == pytest.approx(10 * (x[1] - x[0]), abs=0.6)
    (median, _) = numbers(
        chart, r'x1="([\d.]+)" x2="[\d.]+" y1="[\d.]+" y2="[\d.]+" class="median"'
    )
    assert median == pytest.approx(x[2], abs=0.1)
    assert "a: median 2.00, 5 to 95 %: 0.20 to 3.80" in html.unescape(str(chart))


def test_many_points_are_thinned_out():
    chart = str(distribution_chart("x", {"a": (np.arange(1e5), "m0")}))
    assert chart.count("h0") <= 300


def test_curves_have_gaps_where_values_are_missing():
    y = np.array([0, 1, np.nan, 3, 4.0])
    chart = str(line_chart("t", np.arange(5.0), {"a": (y, "m0")}, "x", "y", {"mark": 2.0}))
    (d,) = re.findall(r'<path d="([^"]*)" class="curve"', chart)
    assert d.count("M") == 2 and d.count("L") == 2
    assert "mark" in chart


def test_histogram_says_its_percentiles():
    chart = html.unescape(str(histogram_chart("t", {"a": (np.arange(1.0, 101.0), "m0")})))
    assert "p50 50.5 · p99 99" in chart
    assert histogram_chart("t", {"a": (np.full(3, np.nan), "m0")}) == ""
