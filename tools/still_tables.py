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

"""The tables of docs/figures.md on still scenes, from what benchmarks/still_scenes.py wrote."""

from __future__ import annotations

from figure_tables import Json
from marked_text import table


def still(result: Json) -> str:
    """Scenes that stand still, that something crosses, that a moving camera sees; real clips."""
    parts = {"static": static, "objects": objects, "camera": moving, "clips": clips}
    return "\n\n".join(
        make(f"`{name}`", found[part])
        for name, found in result["models"].items()
        for part, make in parts.items()
        if part in found
    )


def static(model: str, rows: list[Json]) -> str:
    """Gains by noise, after few and after many frames."""
    after, levels, cameras = (
        list(dict.fromkeys(row[key] for row in rows)) for key in ("frames", "noise", "camera")
    )
    gains = {(row["camera"], row["noise"], row["frames"]): row["gain"] for row in rows}
    cells = []
    for camera in cameras:
        columns = ("; ".join(f"{gains[camera, n, t]:+.2f}" for t in after) for n in levels)
        cells.append([f"{model}, {camera}", *columns])
    title = f"still scene, after {' and '.join(map(str, after))} frames, dB"
    return table([title, *(f"{noise:g} %" for noise in levels)], cells)


def objects(model: str, rows: list[Json]) -> str:
    """Gains where something moves and elsewhere."""
    titles = {"objects": "+.2f", "wake": "+.2f", "rest": "+.2f", "worst block": "+.3f"}
    cells = [
        [
            f"{model}, {row['camera']}, {row['noise']:g} %",
            *(format(row[title], form) for title, form in titles.items()),
        ]
        for row in rows
    ]
    return table(["something crosses it, dB", *titles], cells)


def moving(model: str, rows: list[Json]) -> str:
    """Gains where the camera moves: of all, and of the worst block."""
    found: dict[tuple[str, float], dict[str, str]] = {}
    for row in rows:
        cell = f"{row['gain']:+.3f}; {row['worst block']:+.3f}"
        found.setdefault((row["camera"], row["fixed noise"]), {})[row["motion"]] = cell
    cells = [
        [f"{model}, {camera}, {100 * fixed:g} % of the noise fixed", *columns.values()]
        for (camera, fixed), columns in found.items()
    ]
    motions = dict.fromkeys(row["motion"] for row in rows)
    return table(["the camera moves, all; worst block, dB", *motions], cells)


def clips(model: str, rows: list[Json]) -> str:
    """What stands still in real clips, and what that changes."""
    titles = ["still, %", "frames averaged", "flicker, counts", "left in wakes, counts"]
    cells = [
        [
            f"{model}, {row['clip']}",
            f"{100 * row['still']:.0f}",
            f"{row['averaged']:.3g}",
            f"{_counts(row['flicker, single'])} → {_counts(row['flicker'])}",
            f"{_counts(row['wake, single'])} → {_counts(row['wake'])}",
        ]
        for row in rows
    ]
    return table(["real clip", *titles], cells)


def _counts(value: float | None) -> str:
    return "none" if value is None else f"{value:.2f}"
