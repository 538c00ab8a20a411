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

"""Limits that make an evaluation fail: ``--fail-below psnr_gain_db=1.0``, for CI."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

from difiisr_ros.errors import OptionError
from difiisr_ros.lab.evaluation.results import Evaluation
from difiisr_ros.lab.scores.metric_table import BOX_METRICS, HIGHER, METRICS, metric_of

_UNITS = ("_db", "_counts", "_k", "_px")
_TIMES = ("time_ms_p50", "time_ms_p99")
_KNOWN = (*METRICS, *BOX_METRICS, *_TIMES)
_FORM = re.compile(r"(?:(?P<method>[^:=]+):)?(?P<name>\w+)=(?P<value>[^=]+)")


@dataclass(frozen=True)
class Limit:
    """One condition that the results have to meet."""

    text: str
    """As the user wrote it."""
    method: str
    metric: str
    """Of METRICS or BOX_METRICS, or ``time_ms_p50``, ``time_ms_p99``."""
    is_gain: bool
    """Whether the improvement over the reference method is meant, positive where better."""
    value: float
    is_lower: bool
    """Whether the result must not be below the value; else not above."""

    def check(self, methods: Sequence[str], metrics: Sequence[str]) -> None:
        """Raise OptionError where the run will not have this number."""
        if self.method not in methods:
            raise OptionError(
                f"{self.text!r}: there is no method {self.method!r}; there are {', '.join(methods)}"
            )
        if self.metric not in (*metrics, *_TIMES):
            raise OptionError(
                f"{self.text!r}: {self.metric} is not measured in this run; measured are "
                f"{', '.join((*metrics, *_TIMES))}"
            )

    def broken(self, evaluation: Evaluation) -> str | None:
        """A sentence where the results do not meet the condition, else None."""
        found = self._measured(evaluation)
        name, side = self.text.partition("=")[0], "below" if self.is_lower else "above"
        if math.isnan(found):
            return f"{name} of {self.method} could not be measured"
        if (found < self.value) if self.is_lower else (found > self.value):
            return f"{name} of {self.method} is {found:.4g}, {side} {self.value:g}"
        return None

    def _measured(self, evaluation: Evaluation) -> float:
        method = evaluation.methods[self.method]
        if self.metric in _TIMES:
            return method.times().get(self.metric, math.nan)
        if not self.is_gain:
            return method.means[self.metric].mean
        if self.method == evaluation.reference:
            return 0.0
        mean = method.differences[self.metric].mean
        return mean if metric_of(self.metric).better == HIGHER else -mean


def parse_limit(text: str, default_method: str, is_lower: bool) -> Limit:
    """Read ``[METHOD:]NAME=VALUE``.

    NAME is a metric, with ``_gain`` behind it for its improvement over the reference method, and
    its unit behind that or not: ``psnr_db``, ``psnr_gain_db``, ``ssim_gain``, ``time_ms_p99``.

    Raises:
        OptionError: Anything else.
    """
    match = _FORM.fullmatch(text.strip())
    if match is None:
        raise OptionError(f"{text!r} is not of the form NAME=VALUE, such as psnr_gain_db=1.0")
    try:
        value = float(match["value"])
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise OptionError(f"{text!r}: {match['value']!r} is not a number")
    metric, is_gain = _read_name(match["name"], text)
    return Limit(text, match["method"] or default_method, metric, is_gain, value, is_lower)


def _read_name(name: str, text: str) -> tuple[str, bool]:
    if name in _KNOWN:
        return name, False
    plain = next((name.removesuffix(unit) for unit in _UNITS if name.endswith(unit)), name)
    is_gain = plain.endswith("_gain")
    metric = plain.removesuffix("_gain")
    if metric not in (*METRICS, *BOX_METRICS):
        names = ", ".join(_KNOWN)
        raise OptionError(
            f"{text!r}: {name!r} is not known; accepted are {names}, and with _gain behind it the "
            "improvement over the reference method"
        )
    if is_gain and metric_of(metric).better is None:
        raise OptionError(f"{text!r}: {metric} only describes, it has no gain")
    return metric, is_gain
