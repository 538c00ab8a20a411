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

"""What a report has to say where results are of another scale than x4, in words."""

from __future__ import annotations

from difiisr_ros.core.scale import SCALE
from difiisr_ros.lab.evaluation.methods import AS_IT_IS
from difiisr_ros.lab.evaluation.results import Evaluation
from difiisr_ros.lab.frames.streams import NO_REFERENCE


def scale_words(evaluation: Evaluation, times: str = "x") -> str:
    """What follows after how the frames came about; empty at x4.

    Args:
        evaluation: What is reported.
        times: The multiplication sign.
    """
    scale, side = evaluation.scale, SCALE // evaluation.scale
    if scale == SCALE:
        return ""
    words = f"; results are {times}{scale}"
    if evaluation.mode != NO_REFERENCE:
        words += f", compared with means of {side}{times}{side} pixels of the truth"
    return words + (f"; {evaluation.reference} is {AS_IT_IS}" if scale == 1 else "")


def reference_words(evaluation: Evaluation) -> str:
    """What differences are against."""
    return AS_IT_IS if evaluation.scale == 1 else evaluation.reference
