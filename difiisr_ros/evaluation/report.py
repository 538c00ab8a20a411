"""An evaluation's numbers as a table for people and as JSON for programs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from difiisr_ros.evaluation.methods import BICUBIC
from difiisr_ros.io.images import write_atomically

#: Metric -> (title, unit, digits, whether the gain over bicubic is shown).
COLUMNS = {
    "psnr": ("PSNR", "dB", 2, True),
    "ssim": ("SSIM", "", 4, True),
    "spectrum_distance": ("spectrum distance", "dB", 2, False),
    "consistency": ("consistency", "counts", 3, False),
    "time_ms_p50": ("time p50", "ms", 1, False),
}


def table(report: dict[str, Any]) -> str:
    """Return the methods as aligned text, with the gains over bicubic beside PSNR and SSIM."""
    methods: dict[str, dict[str, float]] = report["methods"]
    present = [key for key in COLUMNS if any(key in values for values in methods.values())]
    baseline = methods.get(BICUBIC, {})
    rows = [["", *(_title(key) for key in present)]]
    for name, values in methods.items():
        row = [name]
        for key in present:
            _, _, digits, gain = COLUMNS[key]
            text = f"{values[key]:.{digits}f}"
            if gain and name != BICUBIC and key in baseline:
                difference = round(values[key] - baseline[key], digits) + 0.0  # no -0.00
                text += f" ({difference:+.{digits}f})"
            row.append(text)
        rows.append(row)
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = []
    for row in rows:
        cells = [row[0].ljust(widths[0]), *(c.rjust(w) for c, w in zip(row[1:], widths[1:]))]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)


def _title(key: str) -> str:
    title, unit, _, _ = COLUMNS[key]
    return f"{title} [{unit}]" if unit else title


def write_json(report: dict[str, Any], path: Path) -> None:
    """Write the report; the file appears whole or not at all.

    Raises:
        DataError: it cannot be written.
    """
    write_atomically(path, (json.dumps(report, indent=2, allow_nan=False) + "\n").encode())
