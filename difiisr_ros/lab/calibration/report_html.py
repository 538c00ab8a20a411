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

"""A calibration as one HTML page with its pictures in it: no server, no network, no script."""

from __future__ import annotations

import base64
import os

import numpy as np

from difiisr_ros.atomic_write import write_atomically
from difiisr_ros.lab.calibration import charts
from difiisr_ros.lab.calibration.measure import Calibration
from difiisr_ros.lab.calibration.record import as_lines
from difiisr_ros.lab.report.tags import Html, joined, page_head, tag

_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
_STYLE = """
:root { color-scheme: light dark; --soft: #5a626c; --line: #dcdfe4; }
body { margin: 0 auto; padding: 1.5rem 2rem 4rem; max-width: 72rem;
  font: 15px/1.5 system-ui, "Segoe UI", Roboto, "DejaVu Sans", sans-serif; }
h1 { font-size: 1.6rem; margin: 0; }
h2 { font-size: 1.2rem; margin: 2.2rem 0 .5rem; border-top: 1px solid var(--line);
  padding-top: .5rem; }
.pictures { display: flex; flex-wrap: wrap; gap: 1rem; }
figure { margin: 0; max-width: 34rem; }
figure img { width: 100%; image-rendering: auto; border: 1px solid var(--line); }
figcaption, .what { color: var(--soft); font-size: .87rem; }
th { text-align: left; padding: .3rem 1rem .3rem 0; vertical-align: top; white-space: nowrap; }
td { padding: .3rem 0; }
"""


def write_html(found: Calibration, source: str, path: str | os.PathLike[str]) -> None:
    """Write the report; the file appears whole or not at all.

    Raises:
        DataError: it cannot be written.
    """
    page = "<!DOCTYPE html>\n" + html_page(found, source) + "\n"
    write_atomically(path, page.encode("utf-8", "replace"))


def html_page(found: Calibration, source: str) -> Html:
    """The report's ``html`` element."""
    rows = [line.split(maxsplit=1) for line in as_lines(found, source)]
    for row in rows:
        if row[0] == "stuck":  # two words
            row[:] = ["stuck pixels", row[1].split(maxsplit=1)[1]]
    table = tag("table", [tag("tr", tag("th", name), tag("td", text)) for name, text in rows])
    return tag(
        "html",
        page_head(f"Camera calibration: {source}", _POLICY, _STYLE),
        tag(
            "body",
            tag("h1", "Camera calibration"),
            tag("p", source, class_="what"),
            table,
            _section("Blur", _blur(found)),
            _section("Noise", _noise(found)),
        ),
        lang="en",
    )


def _section(heading: str, figures: list[Html]) -> Html:
    return joined(tag("h2", heading), tag("div", figures, class_="pictures"))


def _blur(found: Calibration) -> list[Html]:
    figures: list[Html] = []
    edges, middle = found.edges, len(found.sample.frames) // 2
    if edges is not None and found.blur is not None:
        figures += [
            _figure(
                charts.edge_spread(edges, found.blur),
                "Edge spread: pixels of edges about as wide as the camera makes them, each at its "
                "distance from its edge (gray), and the profile of the blur that was found.",
            )
        ]
    if edges is not None:
        figures += [
            _figure(
                charts.edge_widths(edges, found.blur),
                "Widths: the scene makes edges wider, never narrower; misfits do both. "
                "The line is the camera's.",
            )
        ]
        # The frame with the most edges shows best what they are.
        middle = int(np.bincount(edges.frame).argmax())
    if found.blur is not None:
        figures.append(
            _figure(
                charts.transfer(found.blur),
                "Modulation transfer that follows: optics (blue), with the pixel's area (red).",
            )
        )
    places = np.empty((0, 2), int)
    if edges is not None:
        here = edges.frame == middle
        places = np.stack([edges.row[here], edges.column[here]], axis=1)
    figures.append(
        _figure(
            charts.frame_picture(found.sample.frames[middle], found.stuck, places),
            f"Frame {middle + 1} of those measured: edges that were fitted (red), "
            "pixels that do not measure (blue rings).",
        )
    )
    return figures


def _noise(found: Calibration) -> list[Html]:
    middle = len(found.sample.frames) // 2
    fixed = []
    if found.fixed is not None:
        fixed = [
            _figure(
                charts.pattern_picture(found.fixed.offsets, found.fixed.size),
                "The fixed pattern, ± 3 times its size: what is subtracted from every frame.",
            )
        ]
    middle_frame = found.sample.measured(found.sample.frames[middle])
    return [
        *fixed,
        _figure(
            charts.noise_over_frames(found.noise_levels, found.noise),
            "Each frame's noise, estimated from it alone (dots), and from all quiet blocks (line).",
        ),
        _figure(
            charts.residual_picture(middle_frame),
            "What a median of 5 x 5 pixels leaves of one frame, ± 4 times its noise: white noise "
            "is an even grain; stripes are offsets of rows and columns.",
        ),
    ]


def _figure(picture: np.ndarray, caption: str) -> Html:
    import cv2

    ordered = picture[..., ::-1] if picture.ndim == 3 else picture
    _, encoded = cv2.imencode(".png", np.ascontiguousarray(ordered))
    data = base64.b64encode(encoded.tobytes()).decode("ascii")
    return tag(
        "figure",
        tag("img", src=f"data:image/png;base64,{data}", alt=caption),
        tag("figcaption", caption),
    )
