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

"""An evaluation's numbers as JSON and as CSV, for programs."""

from __future__ import annotations

import contextlib
import csv
import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

from difiisr_ros.atomic_write import replacing, write_atomically
from difiisr_ros.errors import DataError
from difiisr_ros.lab.evaluation.results import Evaluation


def write_json(evaluation: Evaluation, path: Path) -> None:
    """Write means, intervals, differences and settings; the file appears whole or not at all.

    Raises:
        DataError: It cannot be written.
    """
    text = json.dumps(evaluation.as_json(), indent=2, allow_nan=False)
    write_atomically(path, (text + "\n").encode())


def write_csv(evaluation: Evaluation, path: Path) -> None:
    """Write one line for each frame and method; the file appears whole or not at all.

    Columns: source, topic, frame, index, stamp_ns (empty for files), method, the metrics by their
    keys, and time_ms. What could not be measured is empty.

    Raises:
        DataError: It cannot be written.
    """
    with _written_atomically(path) as file:
        table = csv.writer(file, lineterminator="\n")
        metrics, frames = evaluation.metrics, evaluation.frames
        table.writerow(
            ["source", "topic", "frame", "index", "stamp_ns", "method", *metrics, "time_ms"]
        )
        for row, name in enumerate(frames.names):
            source = evaluation.sources[frames.source[row]]
            stamp = int(frames.stamp_ns[row])
            head = [source.path, source.topic or "", name, int(frames.index[row])]
            head.append("" if stamp < 0 else stamp)
            for method in evaluation.methods.values():
                values = [float(method.values[key][row]) for key in metrics]
                values.append(float(method.times_ms[row]))
                cells = ["" if math.isnan(v) else f"{v:.8g}" for v in values]
                table.writerow([*head, method.name, *cells])


@contextlib.contextmanager
def _written_atomically(path: Path) -> Iterator[TextIO]:
    """A file under another name, which gets its own when it is complete."""
    try:
        with (
            replacing(path) as temporary,
            temporary.open("w", encoding="utf-8", newline="") as file,
        ):
            yield file
    except OSError as error:
        raise DataError(f"{path}: cannot be written: {error.strerror}") from error
