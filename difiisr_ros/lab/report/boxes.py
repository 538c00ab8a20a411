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

"""Boxes over the report's pictures: the true ones, and what a detector finds in each picture.

As vector graphics over the frame, so that they stay sharp however far a reader zooms in, and can
be switched off.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from difiisr_ros.core.scale import SCALE
from difiisr_ros.lab.detection.draw import COLORS
from difiisr_ros.lab.evaluation.results import Evaluation
from difiisr_ros.lab.report.pictures import TRUTH, Scene
from difiisr_ros.lab.report.tags import Html, joined, tag

#: Weaker detections are not shown, nor counted in the page's table of one frame.
MIN_SCORE = 0.3
#: Overlap, intersection over union, from which on a detection has found an object of its class.
MATCH_IOU = 0.5


@dataclass(frozen=True)
class FrameBoxes:
    """The boxes of one frame, n x 4 (left, top, right, bottom) in HR pixels, with labels (n)."""

    classes: tuple[str, ...]
    true: tuple[np.ndarray, np.ndarray]
    found: dict[str, tuple[np.ndarray, np.ndarray]]
    """Method or truth -> what the detector finds there, best first."""


@dataclass(frozen=True)
class Counts:
    """How a detector's boxes fit the true ones."""

    found: int
    missed: int
    false: int


def frame_boxes(evaluation: Evaluation, row: int) -> FrameBoxes | None:
    """The boxes of a frame; None where they are not known."""
    known = evaluation.boxes
    if known is None or row not in known.true:
        return None
    found = {}
    for name, detections in known.found.items():
        seen = detections[row].scores >= MIN_SCORE
        found[name] = detections[row].boxes[seen], detections[row].labels[seen]
    return FrameBoxes(known.classes, known.true[row], found)


def count_matches(
    true: tuple[np.ndarray, np.ndarray], found: tuple[np.ndarray, np.ndarray]
) -> Counts:
    """Give every detection, best first, the true box of its class that it overlaps the most."""
    (boxes, labels), left = true, np.ones(len(true[0]), bool)
    hits = 0
    for box, label in zip(*found):
        overlap = np.where(left & (labels == label), _iou(boxes, box), 0.0)
        if overlap.size and overlap.max() >= MATCH_IOU:
            left[np.argmax(overlap)] = False
            hits += 1
    return Counts(hits, int(left.sum()), len(found[0]) - hits)


def _iou(boxes: np.ndarray, box: np.ndarray) -> np.ndarray:
    sides = np.minimum(boxes[:, 2:], box[2:]) - np.maximum(boxes[:, :2], box[:2])
    shared = sides.clip(0).prod(axis=1)
    areas = (boxes[:, 2:] - boxes[:, :2]).prod(axis=1) + (box[2:] - box[:2]).prod()
    return shared / (areas - shared)


def box_layers(scene: Scene, boxes: FrameBoxes, left: str, right: str) -> list[Html]:
    """One drawing for each picture, to lie over it; the slider's script moves both alike."""
    layers = []
    hr_pixels = SCALE // scene.scale
    size = f"{scene.width * hr_pixels} {scene.height * hr_pixels}"
    for picture in scene.pictures:
        name = picture.name
        shown = ["layer", "boxes"] + ["left"] * (name == left) + ["right"] * (name == right)
        found = boxes.found.get(name)
        drawn = [_outline(boxes.true[0], "under")]
        words = f"{len(boxes.true[0])} true objects"
        if found is not None:
            drawn.append(_outline(found[0], "under"))
            for label in np.unique(found[1]):
                color = _color(int(label))
                drawn.append(_outline(found[0][found[1] == label], "found", f"--k:{color}"))
            words += f", {len(found[0])} found by the detector in {name}"
        # Dashes, on top: what lies under them is seen between them.
        drawn.append(_outline(boxes.true[0], "true"))
        layers.append(
            tag(
                "svg",
                tag("title", words),
                drawn,
                class_=" ".join(shown),
                viewBox=f"0 0 {size}",
                preserveAspectRatio="none",
                role="img",
                data_name=name,
            )
        )
    return layers


def _outline(boxes: np.ndarray, kind: str, style: str | None = None) -> Html:
    """All boxes as one path."""
    parts = [
        f"M{left:.1f} {top:.1f}H{right:.1f}V{bottom:.1f}H{left:.1f}Z"
        for left, top, right, bottom in boxes
    ]
    return tag("path", d="".join(parts), class_=kind, style=style)


def box_switch(boxes: FrameBoxes, number: int) -> Html:
    """What shows and hides the boxes, and what their colours mean."""
    key = f"boxes-{number}"
    used = sorted({int(label) for _, labels in boxes.found.values() for label in labels})
    marks = [
        tag(
            "span", tag("span", class_="swatch", style=f"--k:{_color(label)}"), boxes.classes[label]
        )
        for label in used
    ]
    marks.append(tag("span", tag("span", class_="swatch true"), "true objects"))
    return joined(
        tag(
            "label",
            tag("input", type="checkbox", id=key, class_="show"),
            " objects",
            for_=key,
        ),
        tag("span", marks, class_="swatches"),
    )


def _color(label: int) -> str:
    return "rgb({},{},{})".format(*COLORS[label % len(COLORS)])


def objects_table(boxes: FrameBoxes, classes: Mapping[str, str]) -> Html:
    """How many objects the detector finds in each picture.

    Args:
        boxes: Of the frame.
        classes: Method -> its class in the style sheet.
    """
    rows = []
    for name in (*(n for n in boxes.found if n != TRUTH), TRUTH):
        counts = count_matches(boxes.true, boxes.found[name])
        head = tag(
            "th", tag("span", class_="dot"), name, scope="row", class_=classes.get(name, "truth")
        )
        cells = [tag("td", str(n)) for n in (counts.found, counts.missed, counts.false)]
        rows.append(tag("tr", head, cells))
    titles = [tag("th", text, scope="col") for text in ("picture", "found", "missed", "false")]
    caption = (
        f"Objects in this frame: {len(boxes.true[0])}; detections of at least {MIN_SCORE:g}, "
        f"matched at IoU {MATCH_IOU:g}"
    )
    return tag(
        "div",
        tag(
            "table",
            tag("caption", caption),
            tag("thead", tag("tr", titles)),
            tag("tbody", rows),
            class_="frame",
        ),
        class_="wide",
    )
