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

"""The tables of docs/figures.md: each a function of what a benchmark has written as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from marked_text import table

Json = dict[str, Any]
COSTS = ("features to stride8", "detection")
"""Of what a detector computes: the deepest features that guidance takes, and all."""
FIDELITY = (("psnr", "PSNR, dB", 2), ("ssim", "SSIM", 4))
KEPT = ("psnr", "ssim", "spectrum_distance")
METHODS = {"difiisr": "1 step", "difiisr@2": "2 steps", "difiisr@4": "4 steps"}
DETECTION = {"map50": "mAP50", "map50_95": "mAP50-95", "recall50_small": "recall, small"}


def models(found: Mapping[str, tuple[Any, Json]]) -> str:
    """Size and training of the embedded models, from their files' metadata."""
    rows = []
    for name, (network, facts) in found.items():
        stages = facts.get("stages") or [{"stage": "all", **facts}]
        rows.append([
            f"`{name}`",
            f"{sum(p.numel() for p in network.parameters()):,}",
            f"{facts['frames']:,} frames, {facts['trained_on']} ({facts['licence']})",
            "; ".join(f"{s['stage']} {s['minutes']:g} min, {s['steps']:,} steps" for s in stages),
        ])  # fmt: skip
    return table(["", "parameters", "trained on", "for"], rows)


def steps(found: Mapping[str, tuple[Any, Json]]) -> str:
    """Mean gains over bicubic by the number of steps, from the models' metadata."""
    rows = []
    for model, (_, facts) in found.items():
        sets = {name: q for name, q in facts["quality"].items() if "psnr" in q["bicubic"]}
        for kind, chosen in (
            ("camera", [q for name, q in sets.items() if not name.endswith(", reduced")]),
            ("reduced", [q for name, q in sets.items() if name.endswith(", reduced")]),
        ):
            if not chosen:
                continue
            mean = {
                m: {k: sum(q[m][k] for q in chosen) / len(chosen) for k in KEPT} for m in chosen[0]
            }
            base = mean["bicubic"]
            cells = [f"`{model}`, {kind}", f"{base['spectrum_distance']:.1f}"]
            for method in METHODS:
                gains = (f"{mean[method][k] - base[k]:+.{digits}f}" for k, _, digits in FIDELITY)
                cells.append(f"{'; '.join(gains)}; {mean[method]['spectrum_distance']:.1f}")
            rows.append(cells)
    return table(["", "bicubic", *METHODS.values()], rows)


def grid(result: Json, columns: tuple[str, ...] = ()) -> str:
    """Mean gains on simulated cameras; ``columns``: these, and PSNR alone."""
    kept = [i for i, title in enumerate(result["columns"]) if not columns or title in columns]
    metrics = FIDELITY[: 1 if columns else 2]
    rows = [
        [row, *("; ".join(f"{values[key][i]:+.{n}f}" for key, _, n in metrics) for i in kept)]
        for row, values in result["mean"].items()
    ]
    titles = [result["columns"][i].replace("camera ", "") for i in kept]
    return table(["; ".join(title for _, title, _ in metrics), *titles], rows)


def least_gains(result: Json) -> str:
    """The smallest gain of any set, model and camera, as the benchmark prints it."""
    lines = [line for line in result["verdicts"] if line.startswith("smallest gain")]
    return "; ".join(line.replace("  pass", "").replace("  FAIL", "") for line in lines)


def native(result: Json) -> str:
    """What models do to frames as cameras deliver them, beside what is wanted."""
    rows = []
    for check in result["checks"]:
        least = check.get("least")
        wanted = f"≤{check['limit']:g}" if least is None else f"{least:g}–{check['limit']:g}"
        reached = "" if check["passes"] else ": not reached"
        value = "" if check["value"] is None else f"{check['value']:.3g}"  # nothing to measure on
        rows.append([check["name"], value, wanted + reached])
    return table(["times bicubic's, where no unit is named", "is", "wanted"], rows)


def native_sentence(result: Json) -> str:
    """The three figures of :func:`native` that a reader asks for first."""
    wanted = {
        "noise in flat places, median": "noise in flat places",
        "edge widths, median": "edge widths",
        "flicker of still clips, all": "flicker of still clips",
    }
    parts = [
        f"{title} {check['value']:.2f}"
        for start, title in wanted.items()
        for check in result["checks"]
        if check["name"].startswith(start) and check["value"] is not None
    ]
    return f"Median of native cameras, times bicubic's: {', '.join(parts)}."


def speed(result: Json, *, short: bool = False) -> str:
    """Latency, rate and memory of one frame at a time; ``short``: rates of the models alone."""
    cells = [c for c in result["cells"] if c["batch"] == 1]
    if short:  # int8 is never what runs unless it is asked for
        cells = [c for c in cells if c["num_steps"] == 1 and c["info"]["model"] != "none"]
        cells = [c for c in cells if c["info"]["precision"] != "int8"]
    sizes = sorted({tuple(c["size"]) for c in cells})
    rows: dict[str, dict[tuple[int, ...], Json]] = {}
    for cell in cells:
        info = cell["info"]
        model = "" if info["model"] == "none" else f"`{info['model']}`, "
        name = f"{model}{info['backend']} {info['precision']}"
        name += f", {cell['num_steps']} steps" if cell["num_steps"] > 1 else ""
        rows.setdefault(name, {})[tuple(cell["size"])] = cell
    if short:  # of each model the faster backend
        best: dict[str, str] = {}
        for name, row in rows.items():
            model = name.partition(",")[0]
            if model not in best or _rates(row) > _rates(rows[best[model]]):
                best[model] = name
        rows = {name: rows[name] for name in best.values()}
    show = _rate if short else _cell
    head = ["frames a second" if short else "median ms; frames a second; MB"]
    return table(
        [*head, *(f"{w}x{h}" for w, h in sizes)],
        [[name, *(show(row.get(size)) for size in sizes)] for name, row in rows.items()],
    )


def _rates(row: dict[tuple[int, ...], Json]) -> float:
    return sum(cell["fps"] for cell in row.values())


def _short(value: float) -> str:
    """Three digits, and no exponent."""
    return f"{value:.3g}" if value < 1000 else f"{value:,.0f}"


def _rate(cell: Json | None) -> str:
    return "" if cell is None else _short(cell["fps"])


def _cell(cell: Json | None) -> str:
    if cell is None:
        return ""
    latency = cell["latency_ms"]
    return f"{_short(latency['p50'])}; {_short(cell['fps'])}; {cell['memory_mb']['rss']}"


def peers(results: Mapping[str, Json]) -> str:
    """Shortest time, and CPU time over ours, by network and machine, for the smallest frames."""
    found, size = {}, ""
    for machine, result in results.items():
        size = next(key for key, value in result.items() if isinstance(value, dict))
        for name, row in result[size].items():
            if "opponent" not in name and "steps" not in name:
                found.setdefault(name, {})[machine] = row
    rows = [
        [name, *(_peer(of_machine.get(machine)) for machine in results)]
        for name, of_machine in found.items()
    ]
    return table([f"{size}: best ms; CPU time over ours", *results], rows)


def _peer(row: Json | None) -> str:
    if row is None:
        return ""
    precision = f"; {row['precision']}" if row["precision"] else ""
    return f"{_short(row['best_ms'])}; {row['cpu_ratio']:.2f}{precision}"


def detectors(found: Mapping[str, Json]) -> str:
    """What the detectors find, with 95 % intervals, from their files' metadata."""
    rows = []
    for name, facts in found.items():
        for data, quality in facts["quality"].items():
            rows += [
                [f"`{name}`, {data}, {method}", *(_interval(values[key]) for key in DETECTION)]
                for method, values in quality.items()
                if isinstance(values, dict) and method != "bicubic_pillow"
            ]
    return table(["detector, set, frames", *DETECTION.values()], rows)


def _interval(entry: Json) -> str:
    return f"{entry['value']:.3f} ({entry['low']:.3f}–{entry['high']:.3f})"


def features(result: Json) -> str:
    """What the deepest features that guidance takes cost, and all that a detector computes."""
    width, height = result["size"]
    rows = [
        [
            f"`{name}`, {row['what']}",
            *(f"{row[key]:g}" for key in ("fp32_ms", "bf16_ms", "bf16_gradient_ms")),
        ]
        for name, rows_of in result["cost"].items()
        for row in rows_of
        if row["what"] in COSTS
    ]
    return table([f"ms, {width}x{height}", "fp32", "bf16", "bf16 with gradient"], rows)


def published(result: Json) -> str:
    """Seconds, memory and nearness of the published model's ways to compute a frame."""
    rows = [
        [
            way,
            f"{row['seconds']['sum']:.3g}",
            f"{row['peak_gb']:.2g}",
            f"{row['psnr_gray_db']:.3g}" if row.get("psnr_gray_db") else "",
        ]
        for way, row in result["ways"].items()
    ]
    return table(["", "s", "peak, GB", f"dB to {result.get('against', 'the first')}"], rows)


def guidance(result: Json) -> str:
    """Steps and guidance scales: fidelity, spectrum and what a detector finds."""
    tables = []
    for folder, found in result.items():
        metrics = list(found["methods"]["bicubic"])
        rows = [
            [name, *("" if v[m] is None else _entry(v[m]) for m in metrics)]
            for name, v in found["methods"].items()
        ]
        tables.append(table([folder, *metrics], rows))
    return "\n\n".join(tables)


def judges(result: Json) -> str:
    """What comes back of a detector's loss, by set, camera and detector; and against one step."""
    rows = []
    for part in result["rows"]:
        found = part["methods"]
        lost = "; ".join(f"{found[name]['map50']['value']:.3f}" for name in ("hr", "bicubic"))
        name = f"{part['set']} {part['degradation']}, {part['detector']}, {part['frames']}"
        for setting, values in found.items():
            if setting in ("hr", "bicubic"):
                continue
            map50, persons = "map50", "recall50_small/person"
            cells = [
                _ranged(values.get(f"{map50} recovered, %"), 0),
                _ranged(values.get(f"{map50} - first"), 3, "+"),
                _ranged(values.get(f"{persons} recovered, %"), 0),
            ]
            rows.append([f"{name}: {lost}", setting, *cells])
    title = "set, detector, frames: mAP50 of full frames; bicubic's"
    return table([title, "", "mAP50, %", "minus the first", "recall of small persons, %"], rows)


def _ranged(entry: Json | None, digits: int, sign: str = "") -> str:
    if entry is None:
        return ""
    value, low, high = (f"{entry[key]:{sign}.{digits}f}" for key in ("value", "low", "high"))
    return f"{value} [{low}, {high}]"


def _entry(entry: Json) -> str:
    return f"{entry['value']:.4g} ({entry['low']:.4g} to {entry['high']:.4g})"


def plain(result: Json) -> str:
    """A table as it stands in the file."""
    return table(result["columns"], result["rows"])
