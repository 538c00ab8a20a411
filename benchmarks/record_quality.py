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

"""Measure a model on the test sets and store the figures in its file; prints them as a table.

    python benchmarks/record_quality.py MODEL --data FOLDER

FOLDER holds m3fd/, roadscene/, hit_uav/test/ and lepton/. Everything is measured by
``difiisr evaluate``; ``tools/write_figures.py`` takes them from the file into docs/figures.md.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path

from safetensors import safe_open
from safetensors.torch import load_file, save_file

from difiisr_ros.cli import main as difiisr

_FOLDERS = {"m3fd": "m3fd/HR", "roadscene": "roadscene", "hit_uav/test": "hit_uav/test"}
_STEPS = ("--num-steps", "1,2,4")
SETS = {
    **{name: [folder, *_STEPS] for name, folder in _FOLDERS.items()},
    **{
        f"{name}, reduced": [folder, *_STEPS, "--degradation", "reduced"]
        for name, folder in _FOLDERS.items()
    },
    "lepton": ["lepton", "--no-reference", *_STEPS],
}
"""Of a simulated camera with 1 % of noise, of which the model is told nothing; reduced by bicubic,
and told so; and native frames."""
METRICS = ("psnr", "ssim", "spectrum_distance", "consistency")


def measure(model: str, data: Path, arguments: list[str], limit: int) -> dict:
    """``difiisr evaluate``'s methods, without its timings, which belong to a machine."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        # In the precision that every machine has: these figures are the model's.
        command = ["evaluate", str(data / arguments[0]), *arguments[1:], "--model", model]
        command += ["--precision", "fp32"]
        if limit:
            command += ["--limit", str(limit)]
        if difiisr([*command, "--json", str(report)]) != 0:
            raise SystemExit(f"failed: difiisr {' '.join(command)}")
        methods = json.loads(report.read_text())["methods"]
    return {
        name: {metric: round(values[metric], 4) for metric in METRICS if metric in values}
        for name, values in methods.items()
    }


def table(quality: dict) -> str:
    """Markdown, gains over bicubic in brackets."""
    lines = [
        "| set | method | PSNR, dB | SSIM | spectrum distance, dB | consistency, counts |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for name, methods in quality.items():
        base = methods["bicubic"]
        for method, values in methods.items():
            cells = [name, method]
            for metric, digits in zip(METRICS, (2, 4, 2, 3)):
                if metric not in values:
                    cells.append("")
                    continue
                gain = f" ({values[metric] - base[metric]:+.{digits}f})"
                show = metric in ("psnr", "ssim") and method != "bicubic"
                cells.append(f"{values[metric]:.{digits}f}{gain if show else ''}")
            lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", type=Path)
    parser.add_argument("--data", type=Path, required=True, metavar="FOLDER")
    parser.add_argument("--limit", type=int, default=0, help="frames of each set, 0: all")
    args = parser.parse_args()
    quality = {name: measure(str(args.model), args.data, a, args.limit) for name, a in SETS.items()}
    with safe_open(str(args.model), "pt") as file:
        metadata = file.metadata()
    facts = json.loads(metadata["facts"])
    facts["quality"], facts["quality_frames"] = quality, args.limit or "all"
    save_file(load_file(args.model), args.model, {**metadata, "facts": json.dumps(facts)})
    args.model.chmod(0o644)
    print(table(quality))


if __name__ == "__main__":
    main()
