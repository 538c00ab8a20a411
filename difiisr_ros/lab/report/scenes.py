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

"""One frame in the report: a before/after slider over all methods, and details enlarged."""

from __future__ import annotations

from collections.abc import Mapping

from difiisr_ros.lab.report.boxes import FrameBoxes, box_layers, box_switch
from difiisr_ros.lab.report.pictures import DETAIL, INPUT, Picture, Scene
from difiisr_ros.lab.report.tags import Html, tag

#: Width in CSS pixels up to which a small frame is shown enlarged, by a whole factor.
_STAGE = 960
_MARKS = "AB"


def scene_figure(
    scene: Scene,
    rank: str,
    values: Mapping[str, str],
    numbers: Html,
    left: str,
    right: str,
    number: int,
    boxes: FrameBoxes | None = None,
) -> Html:
    """The frame with its slider.

    Args:
        scene: Pictures.
        rank: ``worst``, ``median`` or ``best``.
        values: Method -> its value for this frame, with the unit.
        numbers: What else is known of the frame.
        left, right: What the slider shows at first.
        number: Of the figure, for element ids.
        boxes: Objects to show over the pictures, where they are known.
    """
    title = f"{rank.capitalize()} frame: "
    return tag(
        "article",
        tag("h3", title, tag("span", scene.name, class_="name")),
        tag(
            "div",
            tag(
                "div",
                tag(
                    "div",
                    tag("span", _label(left, values), class_="tag-left"),
                    tag("span", _label(right, values), class_="tag-right"),
                    class_="tags",
                ),
                _stage(scene, rank, values, left, right, boxes),
                _choices(scene, left, right, number, boxes),
                class_="compare",
            ),
            tag("div", numbers, tag("p", _tones(scene), class_="hint"), class_="aside"),
            class_="beside",
        ),
        tag(
            "div",
            [_detail_row(scene, region) for region in range(len(scene.regions))],
            class_="details",
        ),
        class_="scene",
    )


def _stage(
    scene: Scene,
    rank: str,
    values: Mapping[str, str],
    left: str,
    right: str,
    objects: FrameBoxes | None,
) -> Html:
    factor = max(1, _STAGE // scene.width)
    layers = []
    for picture in scene.pictures:
        shown = ["layer"]
        shown += ["left"] * (picture.name == left) + ["right"] * (picture.name == right)
        layers.append(
            tag(
                "img",
                src=picture.whole,
                alt=_alt(picture, scene, rank, values),
                class_=" ".join(shown),
                data_name=picture.name,
                data_value=values.get(picture.name, ""),
                draggable="false",
            )
        )
    regions = [
        tag(
            "span",
            _MARKS[i],
            class_="region",
            aria_hidden="true",
            style=f"left:{100 * x / scene.width:.2f}%;top:{100 * y / scene.height:.2f}%;"
            f"width:{100 * w / scene.width:.2f}%;height:{100 * h / scene.height:.2f}%",
        )
        for i, (x, y, w, h) in enumerate(scene.regions)
    ]
    return tag(
        "div",
        layers,
        # After all pictures: the script takes a side's value from the first layer.
        box_layers(scene, objects, left, right) if objects else None,
        regions,
        tag("span", class_="divider", aria_hidden="true"),
        tag(
            "input",
            type="range",
            class_="cut",
            min="0",
            max="100",
            step="0.5",
            value="50",
            aria_label=f"Border between the left and the right picture of the {rank} frame",
            aria_valuetext=f"left half {left}, right half {right}",
        ),
        class_="stage",
        style=f"aspect-ratio:{scene.width}/{scene.height};width:{factor * scene.width}px",
        data_enlarged=factor > 1,
    )


def _choices(scene: Scene, left: str, right: str, number: int, objects: FrameBoxes | None) -> Html:
    """What the slider's sides show; needs the script, which also makes it visible."""
    parts = []
    for side, chosen in (("left", left), ("right", right)):
        key = f"{side}-{number}"
        options = [
            tag("option", p.name, value=p.name, selected=p.name == chosen) for p in scene.pictures
        ]
        parts.append(
            tag("label", f"{side} ", tag("select", options, id=key, data_side=side), for_=key)
        )
    if objects:
        parts.append(box_switch(objects, number))
    parts.append(tag("span", "Drag the border, or use the arrow keys.", class_="hint"))
    return tag("div", parts, class_="choices")


def _detail_row(scene: Scene, region: int) -> Html:
    x, y, width, height = scene.regions[region]
    figures = [
        tag(
            "figure",
            tag(
                "img",
                src=p.details[region],
                alt=f"Detail {_MARKS[region]} by {p.name}, enlarged",
                style=f"aspect-ratio:{width}/{height}",
            ),
            tag("figcaption", p.name),
        )
        for p in scene.pictures
    ]
    where = f"{_MARKS[region]}: {width} × {height} pixels at ({x}, {y})"
    why = "most fine structure" if region == 0 else "where the two methods differ the most"
    return tag("div", tag("h4", f"{where}, {why}"), tag("div", figures, class_="strip"))


def _tones(scene: Scene) -> str:
    if scene.tones is None:
        words = "8-bit values as they are."
    else:
        low, high = scene.tones
        words = (
            f"Shown from {low:.6g} (black) to {high:.6g} (white), linear, the same for all "
            "pictures of this frame; what lies outside saturates in the picture only."
        )
    words += f" Details are {DETAIL * scene.scale} pixels wide, enlarged without smoothing; each "
    words += "is stretched to its own range, the same for all methods."
    if scene.shrunk > 1:
        words += (
            f" The frame above is reduced to 1/{scene.shrunk} to keep this file small; the details "
            "are not."
        )
    return words


def _label(name: str, values: Mapping[str, str]) -> str:
    return f"{name} · {values[name]}" if values.get(name) else name


def _alt(picture: Picture, scene: Scene, rank: str, values: Mapping[str, str]) -> str:
    how = "as the camera saw it" if picture.name == INPUT else f"by {_label(picture.name, values)}"
    return f"The {rank} frame, {scene.name}, {how}"
