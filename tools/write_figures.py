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

"""Write docs/figures.md, and the marked parts of README.md, from recorded figures.

    python tools/write_figures.py            # write
    python tools/write_figures.py --check    # exit with 1 where something would change
    python tools/write_figures.py --record camera_grid grid.json --machine "2 cores, AVX2"

Figures of models and detectors come from their files' metadata (benchmarks/record_quality.py and
record_detector.py write it), all others from docs/figures/NAME.json: command, machine and version
of the package, and under "result" what the command wrote by its own --json. --record puts such
files there, those of several runs joined.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
from collections.abc import Callable
from pathlib import Path

import figure_tables as tables
from figure_tables import Json
from marked_text import ROOT, marked, write_files
from still_tables import still

from difiisr_ros import __version__
from difiisr_ros.models.checkpoint import load_model
from difiisr_ros.models.detector.checkpoint import load_detector

FOLDER = ROOT / "docs" / "figures"
PAGE, README = ROOT / "docs" / "figures.md", ROOT / "README.md"
MODELS = ("lite", "nano")
DETECTORS = ("detector_judge", "detector")
README_COLUMNS = ("camera 0 %", "camera 1 %", "camera 3 %")

_HEAD = """\
# Figures

Everything that was measured, written by `tools/write_figures.py` from the model files' metadata
and `docs/figures/*.json`: with the command, the machine (virtual, shared with other work: compare
within a table) and the version of the package that was measured, which may be older than this."""
_GRID = """\
Gain over OpenCV's bicubic, mean of hit_uav/test, roadscene and m3fd (the last two never trained
on). Blur 0.2 to 0.6 camera pixels, pattern up to 1 %, white noise of the column, whole counts;
`reduced` is antialiased bicubic. *told*: the model knows noise and blur; *auto*: nothing."""
_GRID_X2 = """\
The same frames at `scale: 2`, against OpenCV's bicubic x2; the truth is the mean of 2x2 pixels."""
_SIZES = """\
mAP50 [95 % interval]; recall of small objects (below 32x32 pixels of the sharp frame). 160x128
frames of a simulated camera, 1 % of noise, nothing told, restored at three scales."""
_NATIVE = """\
Frames as cameras deliver them, `camera: auto`, against what is wanted."""
_STEPS = """\
Means of the same sets: gain in PSNR (dB) and SSIM over bicubic; spectrum distance (dB, lower is
better; bicubic's in its own column). *camera*: simulated, 1 % of noise, `auto`; *reduced* by
bicubic, and told so."""
_DETECTORS = """\
`hr`: sharp frames; the others reduced x4 by antialiased bicubic, then upscaled. Means over classes
with at least 20 objects, 95 % intervals; *small*: below 32x32 pixels."""

_JUDGES = """\
Share that comes back of what bicubic loses against full frames, %; difference in mAP50 to one step.
Paired, 95 % intervals by bootstrap over frames; *camera*: 1 % of noise, `auto`; *told*: the same,
by each camera's profile; *reduced*: by bicubic, and told so. hit_uav/test against its boxes;
roadscene, which has none, against what each detector finds in the full frames with a score of 0.3.
`yolox_nano`: as published, of photographs (COCO)."""
_FEATURES = """\
Distance to the truth in features, in units of their spread, and PSNR. VGG-16 with HED's weights."""
_STILL = """\
`stream.still: auto`, `stream.noise: running`: gain in PSNR over each frame by itself. White noise
in % of the range, 1 % where the camera moves (camera pixels a frame; jitter: standard deviation).
*wake*: where something has been within the last 16 frames; blocks: 16x16 camera pixels, over the
whole sequence. Real clips, each frame by itself → averaged: flicker where they stand still; mean
difference to the following 8 frames where something has moved and stands still again."""
_MOVING = """\
The same with `stream.motion: on`. Objects cross while the camera pans by 0.6 of its pixels a
frame."""
_PEERS = """\
Of the others the network alone, with random weights; of this package everything."""

#: JSON files by the start of their names: title, text and table.
_PARTS: tuple[tuple[str, str, str, Callable[[Json], str]], ...] = (
    ("still_scenes", "Still scenes", _STILL, still),
    ("moving_camera", "A moving camera", _MOVING, still),
    ("bench", "Speed", "16-bit frames one at a time, message and all.", tables.speed),
    ("guidance", "Steps and guidance", "", tables.guidance),
    ("judges", "For whose detector", _JUDGES, tables.judges),
    ("features", "In features that others trained", _FEATURES, tables.plain),
    ("published_speed", "The published DifIISR", "One step of one frame, random weights.",
     tables.published),
    ("calibration", "Calibration", "", tables.plain),
)  # fmt: skip


def read(name: str) -> Json:
    """A file of docs/figures/."""
    return json.loads((FOLDER / f"{name}.json").read_text())


def source(entry: Json) -> str:
    """Where figures come from, as one line."""
    return f"`{entry['command']}`. {entry['machine']}. Version: {entry['version']}."


def page() -> str:
    """docs/figures.md."""
    models = {name: load_model(name) for name in MODELS}
    detectors = {name: load_detector(name)[1] for name in DETECTORS}
    cameras, half, frames = (
        read(name) for name in ("camera_grid", "camera_grid_x2", "native_frames")
    )
    detector, sizes = read("detector"), read("detector_sizes")
    record = "`python benchmarks/record_quality.py FILE --data FOLDER`, kept in the models' files."
    parts = [
        _HEAD,
        "## Simulated cameras", source(cameras), _GRID, tables.grid(cameras["result"]),
        f"Of every set and camera: {tables.least_gains(cameras['result'])}.",
        source(half), _GRID_X2, tables.grid(half["result"]),
        f"Of every set and camera: {tables.least_gains(half['result'])}.",
        "## Native frames", source(frames), _NATIVE, tables.native(frames["result"]),
        "## More steps", record, _STEPS, tables.steps(models),
        "## Models", "From the models' files.", tables.models(models),
    ]  # fmt: skip
    for start, title, text, make in _PARTS:
        entries = [json.loads(path.read_text()) for path in sorted(FOLDER.glob(f"{start}*.json"))]
        if entries:
            parts += [f"## {title}", *filter(None, [text])]
        for entry in entries:
            parts += [source(entry), make(entry["result"])]
    parts += peers()
    parts += ["## Detectors", source(detector), _DETECTORS, tables.detectors(detectors),
              tables.features(detector["result"]),
              source(sizes), _SIZES, tables.plain(sizes["result"])]  # fmt: skip
    return "\n\n".join(part.strip() for part in parts) + "\n"


def peers() -> list[str]:
    """The section on other people's networks: one table for all machines."""
    entries = [json.loads(path.read_text()) for path in sorted(FOLDER.glob("peers*.json"))]
    made = tables.peers({entry["machine"]: entry["result"] for entry in entries})
    return ["## Beside other networks", _PEERS, *map(source, entries), made]


def readme(text: str) -> str:
    """README.md with its marked parts as the figures say."""
    grid, frames = read("camera_grid")["result"], read("native_frames")["result"]
    bench = json.loads(min(FOLDER.glob("bench*.json")).read_text())
    text = marked(text, "figures:grid", tables.grid(grid, README_COLUMNS))
    text = marked(text, "figures:native", tables.native_sentence(frames))
    rates = tables.speed(bench["result"], short=True)
    return marked(text, "figures:speed", f"{bench['machine']}:\n\n{rates}")


def files() -> dict[Path, str]:
    """What is written: path and text."""
    return {PAGE: page(), README: readme(README.read_text())}


def joined(parts: list[Json]) -> Json:
    """What several runs of a benchmark wrote: the cells of ``difiisr bench``, detectors' costs."""
    result = dict(parts[0])
    for part in parts[1:]:
        if "cells" in part:
            result["cells"] = result["cells"] + part["cells"]
        elif "cost" in part:
            result["cost"] = {**result["cost"], **part["cost"]}
        else:
            raise SystemExit("only files of difiisr bench or record_detector.py can be joined")
    return result


def record(name: str, results: list[Path], machine: str | None, command: str | None) -> None:
    """Put a benchmark's JSON into docs/figures/, with what must be known of it."""
    result = joined([json.loads(path.read_text()) for path in results])
    path = FOLDER / f"{name}.json"
    before = json.loads(path.read_text()) if path.is_file() else {}
    here = f"{os.cpu_count()} CPUs, {platform.processor() or platform.machine()}"
    entry = {
        "command": command or before.get("command", ""),
        "machine": machine or here,
        "version": __version__,
        "result": result,
    }
    if not entry["command"]:
        raise SystemExit(f"{path} is new: name the command that prints it by --command")
    path.write_text(json.dumps(entry, indent=1, ensure_ascii=False) + "\n")


def main() -> int:
    """Write, check or record; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="write nothing")
    parser.add_argument("--record", nargs="+", metavar=("NAME", "JSON"))
    parser.add_argument("--machine", help="where a recorded benchmark has run (this one)")
    parser.add_argument("--command", help="that printed it (as before)")
    args = parser.parse_args()
    if args.record:
        name, *results = args.record
        record(name, [Path(path) for path in results], args.machine, args.command)
    return write_files(files(), args.check)


if __name__ == "__main__":
    sys.exit(main())
