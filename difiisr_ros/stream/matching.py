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

"""Matches results to the frames they were made of, by header stamp. No ROS here."""

from __future__ import annotations

import math
from array import array
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from difiisr_ros.stream import rates

#: Seconds after which a frame without a result counts as dropped.
PATIENCE = 1.0
_FORGET = 30.0  # seconds after which a stamp is forgotten, to bound memory


@dataclass(frozen=True)
class Interval:
    """What happened since the last look."""

    inputs_per_second: float
    outputs_per_second: float
    latencies_ms: np.ndarray


class StreamMatcher:
    """Counts inputs and outputs of a stream and times the way between them.

    Times are in nanoseconds of the clock that the stamps are from.

    Args:
        from_stamp: Latency is the time from an input's stamp to its output's arrival; else, for
            stamps of another day, from an input's publication to its output's.
    """

    def __init__(self, from_stamp: bool = True) -> None:
        self.frames_in = self.frames_out = 0
        #: Outputs with a stamp that no input had, and outputs that came twice.
        self.unmatched = self.duplicates = 0
        #: Stamps of the outputs (ns) and their latencies (ms; NaN where the input was not seen), in
        #: order of arrival.
        self.output_stamps = array("q")
        self.latencies_ms = array("d")
        self._inputs: OrderedDict[int, int] = OrderedDict()  # stamp -> arrival
        self._outputs: OrderedDict[int, tuple[int, bool]] = OrderedDict()  # -> arrival, matched
        self._from_stamp = from_stamp
        self._published: dict[int, int] = {}  # stamp -> publication of a waiting input
        self._untimed: dict[int, tuple[int, int]] = {}  # -> place among latencies, publication
        self._overdue = 0
        self._last_look: tuple[int, int, int] | None = None

    def input(self, stamp: int, arrival: int, published: int | None = None) -> None:
        """An input frame was seen; ``published`` is when its publisher sent it, where known."""
        if stamp in self._inputs:
            return
        self.frames_in += 1
        self._inputs[stamp] = arrival
        if not self._from_stamp:
            self._published[stamp] = arrival if published is None else published
        if stamp in self._outputs:
            self._outputs[stamp] = (self._outputs[stamp][0], True)
            sent = self._untimed.pop(stamp, None)
            if sent is not None and published is not None:
                self.latencies_ms[sent[0]] = (sent[1] - published) / 1e6

    def output(self, stamp: int, arrival: int, published: int | None = None) -> None:
        """A result was seen; it may come before its input does, on another topic."""
        if stamp in self._outputs:
            self.duplicates += 1
            return
        self.frames_out += 1
        self._outputs[stamp] = (arrival, stamp in self._inputs)
        self.output_stamps.append(stamp)
        if self._from_stamp:
            latency = float(arrival - stamp)
        elif stamp in self._published:
            latency = float((published or arrival) - self._published.pop(stamp))
        else:
            latency = math.nan  # until the input is seen whose publication is known
            if published is not None:
                self._untimed[stamp] = (len(self.latencies_ms), published)
        self.latencies_ms.append(latency / 1e6)

    def look(self, now: int) -> Interval:
        """Rates and latencies since the last look (the first look starts the clock)."""
        before = self._last_look or (now, self.frames_in, self.frames_out)
        self._last_look = (now, self.frames_in, self.frames_out)
        seconds = max((now - before[0]) / 1e9, 1e-9)
        new = self.frames_out - before[2]
        self._forget(now)
        return Interval(
            (self.frames_in - before[1]) / seconds,
            new / seconds,
            np.array(self.latencies_ms[len(self.latencies_ms) - new :]),
        )

    def dropped(self, now: int) -> int:
        """Inputs that have waited longer than PATIENCE, or were forgotten, without a result."""
        waiting = sum(
            stamp not in self._outputs and now - arrival > PATIENCE * 1e9
            for stamp, arrival in self._inputs.items()
        )
        return self._overdue + waiting

    def finish(self) -> None:
        """No more will come: settle what was waiting."""
        self._forget(None)

    def _forget(self, now: int | None) -> None:
        """Settle what arrived long ago (everything, for None)."""
        oldest = None if now is None else now - _FORGET * 1e9
        while self._inputs and (oldest is None or next(iter(self._inputs.values())) < oldest):
            stamp, _ = self._inputs.popitem(last=False)
            self._published.pop(stamp, None)
            self._overdue += stamp not in self._outputs
        # outputs after inputs, which look for theirs here
        while self._outputs and (oldest is None or next(iter(self._outputs.values()))[0] < oldest):
            stamp, (_, matched) = self._outputs.popitem(last=False)
            self._untimed.pop(stamp, None)
            self.unmatched += not matched


def percentiles(latencies_ms: Sequence[float] | np.ndarray) -> dict[str, float | None]:
    """p50, p95 and p99 by the nearest rank: each is a value that occurred. None without any.

    NaN, a latency that is not known, is left out.
    """
    known = np.asarray(latencies_ms, np.float64)
    found = rates.percentiles(known[np.isfinite(known)].tolist())
    names = (f"p{p}" for p in rates.PERCENTILES)
    return {name: round(found[name], 3) if found else None for name in names}
