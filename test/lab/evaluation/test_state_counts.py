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

"""A run that keeps its state counts every frame once."""

from __future__ import annotations

from difiisr_ros.lab.evaluation.resume import RunState
from difiisr_ros.lab.evaluation.stream_scores import Batch


def batch(row):
    return Batch(stream=0, rows=[row], facts={}, notices=[], done=False)


def test_batches_that_wait_leave_the_next_as_it_is(tmp_path):
    state = RunState(tmp_path / "state", "run")
    state.load([])
    counted = 0
    for row in range(5):
        new = batch([row])
        state.add(new)
        counted += len(new.rows)
    state.close(finished=False)
    assert counted == 5
    assert [b.rows for b in RunState(tmp_path / "state", "run")._read()[0]] == [
        [[row] for row in range(5)]
    ]
