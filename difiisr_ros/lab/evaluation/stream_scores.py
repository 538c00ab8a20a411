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

"""The numbers of one stream as they come in: compact, and able to go into a file and back."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from difiisr_ros.lab.evaluation.scoring import FrameScore
from difiisr_ros.lab.frames.streams import Sample

#: What a row calls the milliseconds of a method.
TIME = "time_ms"
Column = tuple[str, str]
"""Method (or truth, input) and metric."""


@dataclass
class Batch:
    """Some consecutive frames of a stream, as plain lists: for another process, and for JSON."""

    stream: int
    rows: list[list[Any]] = field(default_factory=list)
    """Index, stamp, log time (ns), name, and the values in the order of the columns."""
    curves: dict[str, list[Any]] = field(default_factory=dict)
    """Method -> sum of the curves of all frames so far, as a list, and their number."""
    facts: dict[str, Any] = field(default_factory=dict)
    """dtype and LR sizes of the stream."""
    notices: list[str] = field(default_factory=list)
    done: bool = False
    """Whether the stream has ended."""


class StreamScores:
    """All numbers of one stream: 8 bytes for each frame, method and metric.

    Args:
        columns: Method and metric of every value of a row.
    """

    def __init__(self, columns: Sequence[Column]) -> None:
        self.columns = list(columns)
        self.index = array("q")
        self.stamp_ns = array("q")
        self.log_time_ns = array("q")
        self.names: list[str] = []
        self.curves: dict[str, tuple[np.ndarray, int]] = {}
        self.facts: dict[str, Any] = {}
        self.notices: list[str] = []
        self.done = False
        self._values = array("d")
        self._sums = np.zeros(len(self.columns))

    def __len__(self) -> int:
        return len(self.index)

    def add(self, batch: Batch) -> None:
        """Take in the next frames."""
        for index, stamp, log_time, name, values in batch.rows:
            self.index.append(index)
            self.stamp_ns.append(stamp)
            self.log_time_ns.append(log_time)
            self.names.append(name)
            self._values.extend(values)
            self._sums += values
        for name, (total, count) in batch.curves.items():
            self.curves[name] = np.asarray(total, np.float64), count
        self.facts |= batch.facts
        self.notices += [n for n in batch.notices if n not in self.notices]
        self.done = batch.done

    def totals(self, columns: Sequence[int]) -> np.ndarray:
        """Sums so far of columns whose values are all there."""
        return self._sums[list(columns)]

    def values(self) -> np.ndarray:
        """(frames, columns), float64; NaN where there is no value."""
        return np.frombuffer(self._values, np.float64).reshape(len(self), len(self.columns))


class BatchMaker:
    """Turns scored frames into batches."""

    def __init__(self, stream: int, columns: Sequence[Column], past: StreamScores) -> None:
        self._stream = stream
        self._columns = columns
        self._curves = {name: (total.copy(), n) for name, (total, n) in past.curves.items()}
        self._sizes: list[str] = list(past.facts.get("lr_sizes", []))
        self._dtype = past.facts.get("dtype", "")
        self._rows: list[list[Any]] = []

    def add(self, sample: Sample, score: FrameScore, times: dict[str, float]) -> None:
        """Take in a frame: its score, and the milliseconds of each method."""
        values = [
            times.get(name, np.nan) if metric == TIME else score.values[name].get(metric, np.nan)
            for name, metric in self._columns
        ]
        self._rows.append([sample.index, sample.stamp_ns, sample.log_time_ns, sample.name, values])
        for name, curve in score.curves.items():
            total, count = self._curves.get(name, (np.zeros_like(curve), 0))
            self._curves[name] = total + curve, count + 1
        size = f"{sample.lr.shape[1]}x{sample.lr.shape[0]}"
        if size not in self._sizes:
            self._sizes = sorted([*self._sizes, size])
        self._dtype = sample.lr.dtype.name

    def take(self, notices: Sequence[str] = (), done: bool = False) -> Batch:
        """The frames since the last batch."""
        rows, self._rows = self._rows, []
        curves = {name: [total.tolist(), n] for name, (total, n) in self._curves.items()}
        facts = {"dtype": self._dtype, "lr_sizes": self._sizes}
        return Batch(self._stream, rows, curves, facts, list(notices), done)
